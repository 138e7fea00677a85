"""CPU seconds of the whole live path against padded faster-whisper on the same utterances.

    python bench/live_cost.py [--tracks 8] [--seconds 40] [--json]

The live path counts everything: web, sound, gate, words, database, events, measures, jobs. The
other side is faster-whisper as it comes, with word times, called once for each utterance of the
same speech in a process that does nothing else; once with its default beam of five and once
greedy. Both sides are process times, so that other work on the machine matters little.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from faster_whisper import WhisperModel

from captions import measure, turns_of
from classweave.speech.decode import Samples
from classweave.speech.weights import whisper_weights
from installation import show


def padded(utterances: list[Samples], beam_size: int) -> float:
    """CPU seconds of faster-whisper for all utterances."""
    model = WhisperModel(str(whisper_weights()), device="cpu", compute_type="int8", cpu_threads=1)
    list(model.transcribe(utterances[0], beam_size=beam_size, language="en")[0])
    started = time.process_time()
    for utterance in utterances:
        segments, _info = model.transcribe(
            utterance, beam_size=beam_size, language="en", word_timestamps=True
        )
        list(segments)
    return time.process_time() - started


def main(tracks: int, seconds: float) -> dict[str, object]:
    """Measure both sides."""
    live = asyncio.run(measure(tracks, seconds))
    spent = live["cpu seconds"]
    assert isinstance(spent, dict)
    whole = sum(spent.values())
    spoken = turns_of(tracks, seconds)
    beam, greedy = padded(spoken, 5), padded(spoken, 1)
    return {
        "tracks": tracks,
        "utterances": len(spoken),
        "seconds of speech": round(sum(u.size for u in spoken) / 16_000, 1),
        "live path, CPU seconds": round(whole, 1),
        "of these": spent,
        "padded faster-whisper, CPU seconds": round(beam, 1),
        "the same, greedy": round(greedy, 1),
        "ratio": round(whole / beam, 3),
        "ratio to greedy": round(whole / greedy, 3),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    show(main(chosen.tracks, chosen.seconds))
