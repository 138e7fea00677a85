"""Attendance at the size of a university, each figure beside a floor measured in the same run.

    python bench/attendance.py [--data-dir DIR] [--teachers 500] [--json]

DIR is made once (10.8 million records with 500 teachers) and can be used again. Server time is over
HTTP on a kept connection, uncompressed; the floors are the bare statements on one connection.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from inspect import isawaitable
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import orjson

from attend_place import Device, University, class_day, median_ms, new_id, university
from attend_reports import archive, reports
from installation import show

_ROWS = """
SELECT r.id, s.id AS session_id, p.student_id, s.class_id, r.status, r.minutes,
  (date_part('epoch', r.marked_at) * 1000)::bigint AS marked_at, r.notes,
  (date_part('epoch', r.created_at) * 1000)::bigint AS created_at
FROM attend.attendance_sessions s
  JOIN attend.attendance_records r ON r.term = s.term AND r.session_no = s.no
  JOIN attend.places p ON p.class_id = s.class_id AND p.number = r.place
WHERE s.class_id = ANY (%s::uuid[]) AND s.deleted_at IS NULL
"""
_FLOOR_FIRST = f"SELECT json_agg(x)::text FROM ({_ROWS}) x"
_FLOOR_CHANGES = f"SELECT json_agg(x)::text FROM ({_ROWS} AND s.records_rev > %s AND r.rev > %s) x"
# Into the same partition with the same indexes, and neither triggers nor foreign keys.
_FLOOR_PUSH = """
INSERT INTO attend.attendance_records (session_no, rev, marked_at, created_at, term, place, status,
  minutes, id, notes)
SELECT u.no, 1, now(), now(), %s, u.place, 1, NULL, u.id, NULL
FROM unnest(%s::bigint[], %s::smallint[], %s::text[]) AS u (no, place, id)
"""


def students_of(device: Device, class_id: str) -> list[str]:
    """The students of a class, as a device knows them."""
    rows = device.pull()["changes"]["enrollments"]["updated"]
    return [row["student_id"] for row in rows if row["class_id"] == class_id]


def first_sync(place: University) -> dict[str, float]:
    """Everything of one teacher, over HTTP and as bare ``json_agg``."""
    teacher = place.teachers[4]
    with closing(place.device(teacher)) as device:
        size = len(device.get("/api/attend/sync"))
        ours = median_ms(lambda: device.get("/api/attend/sync"), 7)
    with place.login() as login:
        floor = median_ms(lambda: login.execute(_FLOOR_FIRST, (teacher["classes"],)).fetchone(), 7)
        rows = login.execute(f"SELECT count(*) FROM ({_ROWS}) x", (teacher["classes"],)).fetchone()
    assert rows is not None
    return {
        "first sync, records": rows[0],
        "first sync, MB": round(size / 1e6, 2),
        "first sync, ms": round(ours, 1),
        "first sync, bare json_agg, ms": round(floor, 1),
        "first sync / json_agg": round(ours / floor, 2),
    }


def changes(place: University) -> dict[str, float]:
    """A pull of about a hundred changed records."""
    teacher = place.teachers[4]
    class_id = teacher["classes"][0]
    with closing(place.device(teacher)) as device:
        students = students_of(device, class_id)
        start = device.pull()["timestamp"]
        for hour in ("06:00", "06:30"):
            day = orjson.dumps(class_day(class_id, students[:50], free_day(), hour))
            device.push(device.pull(start)["timestamp"], day)
        answer = device.pull(start)
        changed = len(answer["changes"]["attendance_records"]["updated"])
        query = f"/api/attend/sync?last_pulled_at={start}"
        ours = median_ms(lambda: device.get(query), 60)
        fresh = f"/api/attend/sync?last_pulled_at={answer['timestamp']}"
        idle = median_ms(lambda: device.get(fresh), 60)
        http = median_ms(lambda: device.get("/healthz"), 60)
    with place.login() as login:
        rev = start % 2**36
        values = (teacher["classes"], rev, rev)
        floor = median_ms(lambda: login.execute(_FLOOR_CHANGES, values).fetchone(), 60)
    return {
        "changes, records": changed,
        "changes, ms": round(ours, 2),
        "nothing new, ms": round(idle, 2),
        "bare query, ms": round(floor, 2),
        "an empty answer over HTTP, ms": round(http, 2),
        "changes / (bare query + empty answer)": round(ours / (floor + http), 2),
    }


def today() -> date:
    """The server's day."""
    return datetime.now(UTC).date()


def free_day() -> str:
    """A day in the term on which no session was simulated."""
    return (today() + timedelta(days=3)).isoformat()


def push(place: University, times: int = 40) -> dict[str, float]:
    """A class day of 48 records, beside one insert of as many into the same table."""
    teacher = place.teachers[7]
    class_id = teacher["classes"][1]
    spent: list[float] = []
    with closing(place.device(teacher)) as device:
        students = students_of(device, class_id)[:48]
        cursor = device.pull()["timestamp"]
        http = median_ms(lambda: device.get("/healthz"), 60)
        for day in range(1, times + 1):
            when = (today() + timedelta(days=day)).isoformat()
            body = orjson.dumps(class_day(class_id, students, when, "07:00"))
            cursor = device.pull(cursor)["timestamp"]
            began = time.perf_counter()
            device.push(cursor, body)
            spent.append(1000 * (time.perf_counter() - began))
    with place.login() as login:
        row = login.execute(
            "SELECT term, max(no) OVER () FROM attend.attendance_sessions WHERE class_id = %s"
            " LIMIT 1", (class_id,),
        ).fetchone()  # fmt: skip
        assert row is not None
        term, number = row
        first = number + 1_000_000
        numbers = count(first)
        login.execute("SET session_replication_role = replica")

        def bare() -> None:
            no = next(numbers)
            values = (term, [no] * 48, list(range(1, 49)), [new_id() for _ in range(48)])
            login.execute(_FLOOR_PUSH, values)

        floor = median_ms(bare, times)
        login.execute("DELETE FROM attend.attendance_records WHERE session_no >= %s", (first,))
    ours = statistics.median(spent[8:])
    return {
        "push of 48 records, ms": round(ours, 2),
        "bare insert, ms": round(floor, 2),
        "push / insert": round(ours / floor, 2),
        "push / (insert + empty answer)": round(ours / (floor + http), 2),
    }


def _kind(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return str(error.response.status_code)
    return type(error).__name__


async def rush(place: University, minutes: float = 1.0) -> dict[str, object]:
    """Every class of the university pulls and pushes its day within the same minute."""
    day = (today() + timedelta(days=40)).isoformat()
    latencies: list[float] = []
    errors: Counter[str] = Counter()
    lost = 0
    began = time.perf_counter()

    async def teach(index: int, teacher: dict[str, Any]) -> None:
        nonlocal lost
        async with place.client(teacher) as client:
            # What the device holds already; it is not part of the rush.
            async with a_few:
                body = orjson.loads((await client.get("/api/attend/sync")).content)
            cursor = body["timestamp"]
            enrolled: dict[str, list[str]] = {}
            for row in body["changes"]["enrollments"]["updated"]:
                enrolled.setdefault(row["class_id"], []).append(row["student_id"])
            ready.append(index)
            await go.wait()
            for number, class_id in enumerate(teacher["classes"][:5]):
                hour = f"{6 + number:02d}:{index % 50:02d}"
                content = orjson.dumps(class_day(class_id, enrolled[class_id][:48], day, hour))
                due = began + (60 * minutes) * (index / len(place.teachers))
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                started = time.perf_counter()
                for attempt in range(8):
                    try:
                        # As clients do: a push follows a pull.
                        pulled = await client.get(
                            "/api/attend/sync", params={"last_pulled_at": cursor}
                        )
                        pulled.raise_for_status()
                        cursor = orjson.loads(pulled.content)["timestamp"]
                        answer = await client.post(
                            "/api/attend/sync", params={"last_pulled_at": cursor}, content=content
                        )
                        answer.raise_for_status()
                        break
                    except httpx.HTTPError as error:
                        errors[_kind(error)] += 1
                        await asyncio.sleep(random.uniform(0.5, 1) * 2**attempt)
                else:
                    lost += 1
                latencies.append(time.perf_counter() - started)

    go = asyncio.Event()
    a_few = asyncio.Semaphore(6)
    ready: list[int] = []
    waves = [asyncio.create_task(teach(i, t)) for i, t in enumerate(place.teachers)]
    while len(ready) < len(place.teachers):
        await asyncio.sleep(0.2)
        if any(task.done() for task in waves):
            break
    began = time.perf_counter()
    go.set()
    await asyncio.gather(*waves)
    spent = time.perf_counter() - began
    return {
        "rush, classes": len(latencies),
        "rush, drained after (s)": round(spent, 1),
        "rush, p50 (s)": round(statistics.median(latencies), 3),
        "rush, p99 (s)": round(statistics.quantiles(latencies, n=100)[98], 3),
        "rush, tried again": dict(errors),
        "rush, refused for good": lost,
    }


def storage(place: University) -> dict[str, float]:
    """Bytes of the records with their indexes."""
    with place.login() as login:
        row = login.execute(
            "SELECT sum(pg_table_size(inhrelid)), sum(pg_indexes_size(inhrelid)),"
            " sum((SELECT reltuples FROM pg_class WHERE oid = inhrelid))::bigint FROM pg_inherits"
            " WHERE inhparent = 'attend.attendance_records'::regclass"
        ).fetchone()
    assert row is not None
    return {
        "records": row[2],
        "storage, heap GB": round(float(row[0]) / 1e9, 2),
        "storage, indexes GB": round(float(row[1]) / 1e9, 2),
        "storage, GB": round(float(row[0] + row[1]) / 1e9, 2),
    }


async def new_column(place: University, seconds: float = 8) -> dict[str, float]:
    """A column more on all records while devices pull and push."""
    failed = done = 0
    stop = asyncio.Event()

    async def device(teacher: dict[str, Any], hour: str) -> None:
        nonlocal failed, done
        async with place.client(teacher) as client:
            class_id = teacher["classes"][0]
            with closing(place.device(teacher)) as reader:
                students = students_of(reader, class_id)[:20]
            cursor, day = None, 50
            while not stop.is_set():
                pulled = await client.get(
                    "/api/attend/sync", params={"last_pulled_at": cursor or "null"}
                )
                failed += pulled.status_code != 200
                cursor = orjson.loads(pulled.content)["timestamp"]
                day += 1
                when = (today() + timedelta(days=day)).isoformat()
                pushed = await client.post(
                    "/api/attend/sync", params={"last_pulled_at": cursor},
                    content=orjson.dumps(class_day(class_id, students, when, hour)),
                )  # fmt: skip
                failed += pushed.status_code not in (200, 409)
                done += 2

    devices = [
        asyncio.create_task(device(teacher, "05:00")) for teacher in place.teachers[20:120:20]
    ]
    await asyncio.sleep(seconds / 2)

    def alter() -> float:
        with place.login() as login:
            began = time.perf_counter()
            login.execute("ALTER TABLE attend.attendance_records ADD COLUMN bench_extra text")
            return time.perf_counter() - began

    spent = await asyncio.to_thread(alter)
    await asyncio.sleep(seconds / 2)
    stop.set()
    await asyncio.gather(*devices)
    with place.login() as login:
        login.execute("ALTER TABLE attend.attendance_records DROP COLUMN bench_extra")
    return {
        "new column, ms": round(1000 * spent, 1),
        "new column, requests": done,
        "new column, failed": failed,
    }


async def measure(folder: Path, teachers: int) -> dict[str, object]:
    """All of it at one size, and the pull of changes at a hundredth of it as well."""
    figures: dict[str, object] = {}
    async with university(folder, teachers) as place:
        figures |= storage(place)
        for part in (first_sync, changes, push, reports, new_column, rush, archive):
            found = part(place)
            found = await found if isawaitable(found) else found
            print(f"{part.__name__}: {found}", file=sys.stderr)
            figures |= found
    with tempfile.TemporaryDirectory(prefix="classweave-") as small:
        async with university(Path(small), 5) as place:
            less = changes(place)
    figures["changes at a hundredth of the size, ms"] = less["changes, ms"]
    figures["large / small"] = round(float(str(figures["changes, ms"])) / less["changes, ms"], 2)
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--teachers", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="classweave-") as scratch:
        show(asyncio.run(measure(chosen.data_dir or Path(scratch), chosen.teachers)))
