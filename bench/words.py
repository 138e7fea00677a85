"""Word error rate of the live path, beside padded faster-whisper on the same tracks.

    python bench/words.py                  table
    python bench/words.py --json           the same as an object
    python bench/words.py --sets ami       some of: files, turns, misc, ami
    python bench/words.py --minutes 1      shorter silence and noise than ten minutes each

The live path: 16 kHz sound is encoded to Opus as a browser does it (24 kbit/s, chunks of 0.5 s),
cut by the segmenter, and recognised utterance by utterance. The other side is faster-whisper as it
comes (same int8 weights, 30 s padding, beam of five), given the whole track without Opus.
Sets, all real speech with human references: ``files`` LibriSpeech test-other, each file a track;
``turns`` the same, up to five utterances of a speaker joined by 0.6-1.6 s of quiet; ``misc``
English clips, some spontaneous; ``ami`` meetings on a mixed microphone, four overlapping speakers.
Noise: digital silence and eight kinds of sound in which nobody speaks; every word is an error.
Exit code 1 when ``files`` or ``ami`` is more than a point worse than faster-whisper, or noise
yields a word. The other two ask for more than is promised: ``turns`` loses context at its cuts,
``misc`` has 285 words.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel

from classweave.speech.decode import SAMPLE_RATE, Chunk, Samples, decode_file, frame_opus
from classweave.speech.encode import encode_opus
from classweave.speech.segmenter import Cut, Segmenter
from classweave.speech.weights import whisper_weights
from classweave.speech.wer import WordErrors, normalise, word_errors
from classweave.speech.whisper import WhisperRecogniser

DATA = Path(
    os.environ.get(
        "CLASSWEAVE_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"
    )
)
SETS = ("files", "turns", "misc", "ami")
POINT = 0.01
PROMISED = ("files", "ami")
PACKETS = 25


@dataclass(frozen=True)
class Track:
    """Sound at 16 kHz and what a person heard in it."""

    name: str
    samples: Samples
    reference: str


def rows(folder: str, file: str, part: str) -> list[dict[str, str]]:
    """Rows of a CSV file of a data set."""
    with (DATA / folder / part / file).open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def tracks(name: str, part: str) -> list[Track]:
    """The tracks of one set."""
    if name == "ami":
        return [
            Track(r["id"], sound("meeting_ami_audio", part, r), r["reference_time_ordered"])
            for r in rows("meeting_ami_audio", "clips.csv", part)
        ]
    folder = "speech_english_misc" if name == "misc" else "librispeech_test_other"
    listed = rows(folder, "references.csv", part)
    files = [Track(r["id"], sound(folder, part, r), r["reference"]) for r in listed]
    if name != "turns":
        return files
    speakers = [r["speaker"] for r in listed]
    return [
        joined([f for f, s in zip(files, speakers, strict=True) if s == speaker][at : at + 5])
        for speaker in sorted(set(speakers))
        for at in range(0, speakers.count(speaker), 5)
    ]


def sound(folder: str, part: str, row: dict[str, str]) -> Samples:
    """The sound of a row."""
    return decode_file(DATA / folder / part / row["file"])


def joined(files: list[Track]) -> Track:
    """Utterances of one speaker in a row, with the quiet of a room between them."""
    dice = np.random.default_rng(len(files[0].samples))
    parts: list[Samples] = []
    for file in files:
        quiet = max(1e-4, float(np.quantile(np.abs(file.samples), 0.1)))
        gap = dice.normal(0, quiet, int(dice.uniform(0.6, 1.6) * SAMPLE_RATE))
        parts += [file.samples, gap.astype(np.float32)]
    return Track(files[0].name, np.concatenate(parts), " ".join(f.reference for f in files))


def chunks_of(samples: Samples) -> Iterator[Chunk]:
    """What a browser would send."""
    packets = encode_opus(samples)
    for seq, at in enumerate(range(0, len(packets), PACKETS)):
        group = packets[at : at + PACKETS]
        yield Chunk(seq, at * 20, len(group) * 20, "opus", frame_opus(group))


def utterances(samples: Samples) -> list[Cut]:
    """The utterances that the live path finds in a track."""
    segmenter = Segmenter()
    cuts = [cut for chunk in chunks_of(samples) for cut in segmenter.push(chunk)]
    return [cut for cut in cuts + segmenter.flush() if cut.samples is not None]


def live_text(recogniser: WhisperRecogniser, samples: Samples) -> str:
    """Words of the live path."""
    heard: list[str] = []
    for cut in utterances(samples):
        before = heard[-1] if heard and cut.continues else None
        heard.append(recogniser.recognise(cut.samples, "en", before).text)
    return " ".join(heard)


def padded_text(model: Any, samples: Samples) -> str:
    """Words of faster-whisper as it comes."""
    return " ".join(segment.text for segment in model.transcribe(samples, language="en")[0])


def noises(seconds: float) -> Iterator[tuple[str, Samples]]:
    """Sound without speech, in blocks as they come from a room."""
    size = int(seconds * SAMPLE_RATE)
    time = np.arange(size) / SAMPLE_RATE
    dice = np.random.default_rng(11)
    white = dice.normal(0, 1, size)
    pink = coloured(white, 0.5)
    brown = coloured(white, 1.0)
    hum = sum(np.sin(2 * np.pi * 50 * k * time + k) / k for k in range(1, 12))
    clicks = np.zeros(size)
    for at in dice.integers(0, size - 400, int(seconds * 2)):
        ring = np.exp(-np.arange(400) / dice.uniform(10, 120))
        clicks[at : at + 400] += dice.uniform(0.1, 0.8) * dice.normal(0, 1, 400) * ring
    fan = brown * (1 + 0.3 * np.sin(2 * np.pi * 11.3 * time)) + 0.2 * hum
    knocks = np.zeros(size)
    for at in dice.integers(0, size - 4000, int(seconds / 3)):
        tone = np.sin(2 * np.pi * dice.uniform(90, 400) * np.arange(4000) / SAMPLE_RATE)
        knocks[at : at + 4000] += 0.5 * tone * np.exp(-np.arange(4000) / 800)
    yield "digital silence", np.zeros(size, np.float32)
    for name, noise, level in (
        ("quiet room", pink, 0.0005),
        ("white", white, 0.02),
        ("loud white", white, 0.1),
        ("pink", pink, 0.03),
        ("hum", hum, 0.05),
        ("fan", fan, 0.03),
    ):
        scaled = noise / np.sqrt(np.mean(noise**2)) * level
        yield name, np.clip(scaled, -1, 1).astype(np.float32)
    for name, noise in (("clicks", clicks), ("knocks", knocks)):
        yield name, np.clip(noise + 0.001 * pink, -1, 1).astype(np.float32)


def coloured(white: Any, exponent: float) -> Any:
    """Noise whose power falls with frequency to the power of twice the exponent, unit scale."""
    spectrum = np.fft.rfft(white)
    frequency = np.maximum(np.fft.rfftfreq(white.size), 20 / SAMPLE_RATE)
    shaped = np.fft.irfft(spectrum / frequency**exponent, white.size)
    return shaped / np.sqrt(np.mean(shaped**2))


def figures(errors: WordErrors) -> dict[str, float]:
    """A word error rate with what it is made of."""
    return {
        "wer": round(errors.rate, 4),
        "substitutions": errors.substitutions,
        "deletions": errors.deletions,
        "insertions": errors.insertions,
        "words": errors.reference_words,
    }


def measure(sets: list[str], part: str, minutes: float) -> dict[str, Any]:
    """Everything this bench reports."""
    recogniser = WhisperRecogniser()
    model: Any = WhisperModel(
        str(whisper_weights()), device="cpu", compute_type="int8", cpu_threads=1
    )
    report: dict[str, Any] = {"sets": {}, "noise": {}, "noise_minutes": minutes}
    for name in sets:
        listed = tracks(name, part)
        references = [track.reference for track in listed]
        live = [live_text(recogniser, track.samples) for track in listed]
        padded = [padded_text(model, track.samples) for track in listed]
        report["sets"][name] = {
            "tracks": len(listed),
            "seconds": round(sum(track.samples.size for track in listed) / SAMPLE_RATE, 1),
            "live": figures(word_errors(references, live)),
            "padded": figures(word_errors(references, padded)),
        }
        print(f"{name} done", file=sys.stderr)
    for name, noise in noises(minutes * 60):
        cuts = utterances(noise)
        text = " ".join(recogniser.recognise(c.samples).text for c in cuts if c.samples.size)
        report["noise"][name] = {"utterances": len(cuts), "words": len(normalise(text).split())}
        print(f"{name} done", file=sys.stderr)
    return report


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS))
    parser.add_argument("--part", default="dev", help="part of the data sets")
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    report = measure(options.sets, options.part, options.minutes)
    if options.json:
        print(json.dumps(report, indent=1))
    else:
        print(f"{'set':8}{'tracks':>8}{'seconds':>9}{'live WER':>10}{'padded':>9}{'points':>8}")
        for name, row in report["sets"].items():
            ours, theirs = row["live"]["wer"], row["padded"]["wer"]
            print(
                f"{name:8}{row['tracks']:8}{row['seconds']:9.0f}{ours:10.2%}{theirs:9.2%}"
                f"{100 * (ours - theirs):+8.2f}"
            )
        print(f"\n{'noise':18}{'utterances':>11}{'words':>7}   ({options.minutes:g} minutes each)")
        for name, row in report["noise"].items():
            print(f"{name:18}{row['utterances']:11}{row['words']:7}")
    good = all(
        row["live"]["wer"] <= row["padded"]["wer"] + POINT
        for name, row in report["sets"].items()
        if name in PROMISED
    )
    return 0 if good and not any(row["words"] for row in report["noise"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
