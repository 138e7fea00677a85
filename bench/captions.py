"""Time from the last sound of an utterance to its caption in a follower, with N talking tracks.

    python bench/captions.py [--tracks 8] [--seconds 60] [--json]

Recorded utterances (LibriSpeech test-other, development part) are played at real speed as talking
tracks through the WebSocket; a follower of the session's events notes when each caption arrives.
Silence detection, network, recognition, commit and fan-out are all included. CPU seconds of every
part are counted and set against the seconds of speech.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time

from classweave.demonstration.stage_lesson import Stage, play_lesson
from classweave.speech.decode import Samples, decode_file
from installation import (
    SHARED_DATA,
    Installation,
    cpu_seconds,
    installation,
    open_tracks,
    placed,
    show,
    talk,
)

PAUSE_S = 0.9


def turns() -> list[Samples]:
    """Recorded utterances. Classroom turns are short: long readings are cut to at most 6 s."""
    folder = SHARED_DATA / "librispeech_test_other" / "dev"
    return [decode_file(path)[: 6 * 16_000] for path in sorted(folder.glob("*.flac"))[:24]]


def turns_of(tracks: int, seconds: float) -> list[Samples]:
    """The utterances that :func:`measure` plays, track by track."""
    recorded = turns()
    return [
        recorded[index % len(recorded)]
        for offset in range(tracks)
        for index in placed(recorded, PAUSE_S, seconds, offset)
    ]


async def play(place: Installation, sound: list[Samples]) -> Stage:
    """A whole lesson of these tracks at real speed."""
    stage = await open_tracks(place, sound)
    await play_lesson(place.teacher, stage, 1.0)
    await place.teacher.call("POST", f"/sessions/{stage.session}/end", reason="bench")
    return stage


async def measure(tracks: int, seconds: float) -> dict[str, object]:
    """Play the tracks at real speed and time each caption."""
    recorded = turns()
    sound = [talk(recorded, PAUSE_S, seconds, offset) for offset in range(tracks)]
    async with installation() as place:
        # Models are loaded once in the life of a process: that is not the price of a lesson.
        await play(place, [talk(recorded, PAUSE_S, 8, offset) for offset in range(4)])
        before = cpu_seconds(place)
        started = time.monotonic()
        stage = await play(place, sound)
        wall = time.monotonic() - started
        after = cpu_seconds(place)
    spent = {name: round(after[name] - before.get(name, 0.0), 2) for name in after}
    quantiles = statistics.quantiles(stage.latencies, n=100)
    return {
        "tracks": tracks,
        "seconds of sound": tracks * seconds,
        "wall seconds": round(wall, 1),
        "captions": len(stage.latencies),
        "caption p50 (s)": round(quantiles[49], 2),
        "caption p95 (s)": round(quantiles[94], 2),
        "caption max (s)": round(max(stage.latencies), 2),
        "cpu seconds": spent,
        "cpu seconds per second of sound": round(sum(spent.values()) / (tracks * seconds), 3),
        "chunks not acknowledged": sum(
            len(d.player.frames) - 1 - d.player.acknowledged for d in stage.devices
        ),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, nargs="*", default=[8, 16])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    for count in chosen.tracks:
        show(asyncio.run(measure(count, chosen.seconds)))
