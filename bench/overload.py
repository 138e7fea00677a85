"""Forty tracks that all talk at once on this machine: what lags, what is lost, what comes back.

    python bench/overload.py [--tracks 40] [--seconds 60] [--json]

Asked of it: nothing is lost, the lag is known while it lasts and shrinks when the talk stops, and
memory stays bounded.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

import psutil
from sqlalchemy import text

from captions import PAUSE_S, turns
from classweave.core.identifiers import decode
from classweave.core.tenancy import system_actor
from classweave.demonstration.stage_lesson import Stage
from installation import Installation, installation, open_tracks, show, talk


async def lag(place: Installation, stage: Stage) -> tuple[float, int]:
    """Seconds of the oldest sound not yet read, and how many chunks wait."""
    async with place.runtime.database.transaction(
        system_actor(place.school.organization)
    ) as session:
        row = (
            await session.execute(
                text(
                    "SELECT coalesce(max((t.end_ms - c.oldest) / 1000.0), 0) AS lag,"
                    " coalesce(sum(c.waiting), 0) AS waiting FROM live.tracks t"
                    " JOIN LATERAL (SELECT min(start_ms) AS oldest, count(*) AS waiting"
                    " FROM live.audio_chunks a WHERE a.track_id = t.id) c ON true"
                    " WHERE t.session_id = :session AND t.finished_at IS NULL"
                ),
                {"session": decode("session", stage.session)},
            )
        ).one()
    return float(row.lag), int(row.waiting)


def memory(place: Installation) -> int:
    """Resident megabytes of the speech workers and the web process together."""
    total = 0
    for part in place.supervisor.parts:
        if part.process is not None:
            total += psutil.Process(part.process.pid).memory_info().rss
    return total // 1_000_000


async def measure(tracks: int, seconds: float) -> dict[str, object]:
    recorded = turns()
    sound = [talk(recorded, PAUSE_S, seconds, offset) for offset in range(tracks)]
    async with installation() as place:
        stage = await open_tracks(place, sound)
        idle = memory(place)
        players = [asyncio.create_task(device.player.run()) for device in stage.devices]
        await place.teacher.call("POST", f"/sessions/{stage.session}/start")
        started = time.monotonic()
        lags: list[tuple[float, float]] = []
        most = 0
        ended: float | None = None
        while True:
            await asyncio.sleep(2)
            behind, waiting = await lag(place, stage)
            lags.append((time.monotonic() - started, behind))
            most = max(most, memory(place))
            print(
                f"{lags[-1][0]:6.1f} s: {behind:5.1f} s behind, {waiting} chunks", file=sys.stderr
            )
            if ended is None and all(player.done() for player in players):
                ended = time.monotonic() - started
            if ended is not None and waiting == 0:
                break
            if time.monotonic() - started > 8 * seconds:
                break
        recovered = time.monotonic() - started
        transcript = await place.transcript(stage.session)
        await place.teacher.call("POST", f"/sessions/{stage.session}/end", reason="bench")
    after = [behind for at, behind in lags if ended is not None and at >= ended]
    return {
        "tracks": tracks,
        "seconds of sound": tracks * seconds,
        "chunks not acknowledged": sum(
            len(d.player.frames) - 1 - d.player.acknowledged for d in stage.devices
        ),
        "reconnects": sum(d.player.reconnects for d in stage.devices),
        "largest lag while talking (s)": round(max(behind for _at, behind in lags), 1),
        "talk ended after (s)": round(ended or 0, 1),
        "all read after (s)": round(recovered, 1),
        "lag after the end (s)": [round(behind, 1) for behind in after[:: max(1, len(after) // 8)]],
        "tracks with words": len({row[0] for row in transcript}),
        "utterances": len(transcript),
        "memory idle / most (MB)": f"{idle} / {most}",
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    show(asyncio.run(measure(chosen.tracks, chosen.seconds)))
