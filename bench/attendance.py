"""Attendance at the size of a university, each figure beside a floor measured in the same run.

    python bench/attendance.py [--data-dir DIR] [--teachers 500] [--json]

DIR is made once (10.8 million records with 500 teachers) and can be used again. Server time is over
HTTP on a kept connection, uncompressed; the floors are the bare statements on one connection.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson

from attend_place import University, class_day, median_ms, university
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
_FLOOR_PUSH = """
INSERT INTO bench_records SELECT u.no, 1, now(), now(), 1, u.place, 1, NULL, u.id, NULL
FROM unnest(%s::bigint[], %s::smallint[], %s::text[]) AS u (no, place, id)
"""


async def students_of(client: httpx.AsyncClient, class_id: str) -> list[str]:
    """The students of a class, as a device knows them."""
    body = orjson.loads((await client.get("/api/attend/sync")).content)
    rows = body["changes"]["enrollments"]["updated"]
    return [row["student_id"] for row in rows if row["class_id"] == class_id]


async def first_sync(place: University) -> dict[str, float]:
    """Everything of one teacher, over HTTP and as bare ``json_agg``."""
    teacher = place.teachers[4]
    async with place.client(teacher) as client:
        size = len((await client.get("/api/attend/sync")).content)
        ours = await median_ms(lambda: client.get("/api/attend/sync"), 7)
    with place.login() as login:

        async def bare() -> None:
            login.execute(_FLOOR_FIRST, (teacher["classes"],)).fetchone()

        floor = await median_ms(bare, 7)
        rows = login.execute(f"SELECT count(*) FROM ({_ROWS}) x", (teacher["classes"],)).fetchone()
    assert rows is not None
    return {
        "first sync, records": rows[0],
        "first sync, MB": round(size / 1e6, 2),
        "first sync, ms": round(ours, 1),
        "first sync, bare json_agg, ms": round(floor, 1),
        "first sync / json_agg": round(ours / floor, 2),
    }


async def changes(place: University) -> dict[str, float]:
    """A pull of about a hundred changed records."""
    teacher = place.teachers[4]
    class_id = teacher["classes"][0]
    async with place.client(teacher) as client:
        students = await students_of(client, class_id)
        start = orjson.loads((await client.get("/api/attend/sync")).content)["timestamp"]
        cursor = start
        for hour in ("06:00", "06:30"):
            body = class_day(class_id, students[:50], free_day(), hour)
            await client.post("/api/attend/sync", params={"last_pulled_at": cursor}, json=body)
        query = {"last_pulled_at": start}
        answer = orjson.loads((await client.get("/api/attend/sync", params=query)).content)
        changed = len(answer["changes"]["attendance_records"]["updated"])
        ours = await median_ms(lambda: client.get("/api/attend/sync", params=query), 40)
        idle = await median_ms(
            lambda: client.get("/api/attend/sync", params={"last_pulled_at": answer["timestamp"]}),
            40,
        )
        http = await median_ms(lambda: client.get("/healthz"), 40)
    with place.login() as login:
        rev = start % 2**40

        async def bare() -> None:
            login.execute(_FLOOR_CHANGES, (teacher["classes"], rev, rev)).fetchone()

        floor = await median_ms(bare, 40)
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


async def push(place: University) -> dict[str, float]:
    """A class day of 48 records, beside one insert of as many."""
    teacher = place.teachers[7]
    class_id = teacher["classes"][1]
    async with place.client(teacher) as client:
        students = (await students_of(client, class_id))[:48]
        day = 0

        async def ours() -> None:
            nonlocal day
            day += 1
            when = (today() + timedelta(days=day)).isoformat()
            pulled = await client.get("/api/attend/sync", params={"last_pulled_at": cursor})
            nonlocal_cursor = orjson.loads(pulled.content)["timestamp"]
            body = orjson.dumps(class_day(class_id, students, when, "07:00"))
            began = time.perf_counter()
            answer = await client.post(
                "/api/attend/sync", params={"last_pulled_at": nonlocal_cursor}, content=body
            )
            spent.append(1000 * (time.perf_counter() - began))
            assert answer.status_code == 200, answer.text

        cursor = orjson.loads((await client.get("/api/attend/sync")).content)["timestamp"]
        spent: list[float] = []
        for _time in range(30):
            await ours()
    with place.login() as login:
        login.execute(
            "CREATE TABLE IF NOT EXISTS bench_records"
            " (LIKE attend.attendance_records INCLUDING ALL)"
        )
        login.execute("TRUNCATE bench_records")
        number = 0

        async def bare() -> None:
            nonlocal number
            number += 1
            ids = [f"{number:08d}{place:08d}" for place in range(48)]
            login.execute(_FLOOR_PUSH, ([number] * 48, list(range(1, 49)), ids))

        floor = await median_ms(bare, 30)
        login.execute("DROP TABLE bench_records")
    return {
        "push of 48 records, ms": round(statistics.median(spent[5:]), 2),
        "bare insert, ms": round(floor, 2),
        "push / insert": round(statistics.median(spent[5:]) / floor, 2),
    }


async def rush(place: University, minutes: float = 1.0) -> dict[str, float]:
    """Every class of the university pushes its day within the same minute."""
    day = (today() + timedelta(days=40)).isoformat()
    latencies: list[float] = []
    retries = lost = 0
    began = time.perf_counter()

    async def teach(index: int, teacher: dict[str, Any]) -> None:
        nonlocal retries, lost
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
                    answer = await client.post(
                        "/api/attend/sync", params={"last_pulled_at": cursor}, content=content
                    )
                    if answer.status_code == 200:
                        break
                    retries += 1
                    await asyncio.sleep(0.5 * 2**attempt)
                    if answer.status_code == 409:
                        pulled = await client.get(
                            "/api/attend/sync", params={"last_pulled_at": cursor}
                        )
                        cursor = orjson.loads(pulled.content)["timestamp"]
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
        "rush, tried again": retries,
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
            students = (await students_of(client, class_id))[:20]
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
        for part in (first_sync, changes, push, new_column, rush):
            found = await part(place)
            print(f"{part.__name__}: {found}", file=sys.stderr)
            figures |= found
    with tempfile.TemporaryDirectory(prefix="classweave-") as small:
        async with university(Path(small), 5) as place:
            less = await changes(place)
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
