"""A timetable is read in a process of its own: what a stranger's file asks for has an end.

A calendar of a hundred bytes can repeat for ever, and a thread cannot be ended. The process has
seconds and memory, answers in JSON, and is killed when they are used up.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from dataclasses import asdict
from datetime import date, time
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from classweave.attend.read_timetable import (
    MAXIMUM_BYTES,
    Entry,
    Timetable,
    Trouble,
    read_timetable,
)
from classweave.core.problems import Invalid, TooLarge
from classweave.web.i18n import mark

CPU_SECONDS = 15
MEMORY = 1024**3
_PATIENCE = 60
_AT_ONCE = 2
_turns = asyncio.Semaphore(_AT_ONCE)


async def read_apart(content: bytes, first: date, last: date, zone: str) -> Timetable:
    """:func:`~classweave.attend.read_timetable.read_timetable`, within limits.

    Raises what it raises, and :class:`TooLarge` when the file asks for more than it is given.
    """
    if len(content) > MAXIMUM_BYTES:
        raise TooLarge(mark("A timetable may have 10 MB at most."))
    async with _turns:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, first.isoformat(), last.isoformat(), zone,
            str(CPU_SECONDS),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(_PATIENCE):
                answer, _ = await process.communicate(content)
        except TimeoutError:
            answer = b""
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode != 0:
        raise TooLarge(mark("Reading this file takes too long. Leave out what repeats for years."))
    return _read(orjson.loads(answer))


def _read(answer: dict[str, Any]) -> Timetable:
    said: str = answer.get("message", "")
    match answer["problem"]:
        case "invalid":
            raise Invalid(said, errors=answer["errors"])
        case "too_large":
            raise TooLarge(said)
        case _:
            found = answer["found"]
    return Timetable(
        found["kind"],
        [
            Entry(
                line=one["line"], names=tuple(one["names"]), date=date.fromisoformat(one["date"]),
                start=time.fromisoformat(one["start"]),
                end=time.fromisoformat(one["end"]) if one["end"] else None,
                room=one["room"], title=one["title"], uid=one["uid"],
            )
            for one in found["entries"]
        ],
        [Trouble(**one) for one in found["troubles"]],
        found["outside"],
        found["cancelled"],
    )  # fmt: skip


def _answer(content: bytes, first: date, last: date, zone: ZoneInfo) -> dict[str, Any]:
    try:
        found = read_timetable(content, first, last, zone)
    except Invalid as problem:
        errors = problem.extra["errors"]
        return {"problem": "invalid", "message": problem.detail, "errors": errors}
    except TooLarge as problem:
        return {"problem": "too_large", "message": problem.detail}
    return {"problem": None, "found": asdict(found)}


def main() -> None:
    """Read a file from standard input, for the days, in the zone and within the seconds given."""
    first, last, zone, seconds = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.nice(5)
    made = _answer(
        sys.stdin.buffer.read(), date.fromisoformat(first), date.fromisoformat(last), ZoneInfo(zone)
    )
    sys.stdout.buffer.write(orjson.dumps(made))


if __name__ == "__main__":
    main()
