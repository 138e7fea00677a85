"""CPU of the speech path, stage by stage, beside padded faster-whisper on the same utterances.

    python bench/speech_cost.py            table
    python bench/speech_cost.py --json     the same as an object

Sound is cut by the segmenter as it would be live; then each utterance is given once to our engine
and once to faster-whisper as it comes (same int8 weights, 30 s padding, beam of five), one thread
each. All figures are process CPU seconds per second of audio of the tracks, pauses included;
``share`` is each stage as part of padded faster-whisper's CPU. Exit code 1 when the speech path
(decode, cut, words) needs more than 0.3 of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from faster_whisper import WhisperModel

from classweave.speech.decode import SAMPLE_RATE, PayloadDecoder
from classweave.speech.encode import OpusEncoder
from classweave.speech.gate import WINDOW, SpeechDetector
from classweave.speech.segmenter import Segmenter
from classweave.speech.weights import whisper_weights
from classweave.speech.whisper import PADDING_S, WhisperRecogniser
from words import SETS, chunks_of, tracks

LIMIT = 0.3


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """Process CPU seconds of a piece of work, and what it returns."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def measure(sets: list[str], part: str) -> dict[str, Any]:
    """Everything this bench reports."""
    listed = [track for name in sets for track in tracks(name, part)]
    sounds = [track.samples for track in listed]
    chunks = [list(chunks_of(sound)) for sound in sounds]
    seconds = sum(sound.size for sound in sounds) / SAMPLE_RATE
    recogniser = WhisperRecogniser()
    model: Any = WhisperModel(
        str(whisper_weights()), device="cpu", compute_type="int8", cpu_threads=1
    )

    def decode() -> None:
        for track in chunks:
            decoder = PayloadDecoder()
            for chunk in track:
                decoder.decode(chunk.codec, chunk.payload or b"")

    def detect() -> None:
        for sound in sounds:
            detector = SpeechDetector()
            whole = sound[: sound.size // WINDOW * WINDOW].reshape(-1, WINDOW)
            for at in range(0, len(whole), 16):
                detector.probabilities(whole[at : at + 16].reshape(-1))

    def segment() -> list[Any]:
        cuts: list[Any] = []
        for track in chunks:
            segmenter = Segmenter()
            cuts += [cut.samples for chunk in track for cut in segmenter.push(chunk)]
            cuts += [cut.samples for cut in segmenter.flush()]
        return [cut for cut in cuts if cut is not None]

    def padded() -> None:
        for utterance in utterances:
            list(model.transcribe(utterance, language="en")[0])

    encode_cpu, _ = cpu(lambda: [OpusEncoder().encode(sound) for sound in sounds])
    decode_cpu, _ = cpu(decode)
    detect_cpu, _ = cpu(detect)
    segment_cpu, utterances = cpu(segment)
    encoder_cpu, _ = cpu(
        lambda: [recogniser.encode(u, u.size / SAMPLE_RATE + PADDING_S) for u in utterances]
    )
    words_cpu, _ = cpu(lambda: [recogniser.recognise(u, "en") for u in utterances])
    padded_cpu, _ = cpu(padded)
    stages = {
        "Opus encoding (client)": encode_cpu,
        "Opus decoding alone": decode_cpu,
        "Silero on everything": detect_cpu,
        "decode, gate and cut": segment_cpu,
        "Whisper's encoder alone": encoder_cpu,
        "words": words_cpu,
        "speech path": segment_cpu + words_cpu,
        "padded faster-whisper": padded_cpu,
    }
    lengths = [utterance.size / SAMPLE_RATE for utterance in utterances]
    return {
        "seconds": round(seconds, 1),
        "utterances": len(utterances),
        "mean_utterance_s": round(float(np.mean(lengths)), 2),
        "cpu_per_second": {name: round(used / seconds, 4) for name, used in stages.items()},
        "share": {name: round(used / padded_cpu, 3) for name, used in stages.items()},
    }


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["turns", "ami"])
    parser.add_argument("--part", default="dev", help="part of the data sets")
    options = parser.parse_args()
    report = measure(options.sets, options.part)
    if options.json:
        print(json.dumps(report, indent=1))
    else:
        print(
            f"{report['seconds']:.0f} s, {report['utterances']} utterances of "
            f"{report['mean_utterance_s']} s on average\n"
        )
        print(f"{'stage':26}{'CPU s per s':>12}{'share':>8}")
        for name, used in report["cpu_per_second"].items():
            print(f"{name:26}{used:12.4f}{report['share'][name]:8.3f}")
    return 0 if report["share"]["speech path"] <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
