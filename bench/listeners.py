"""A thousand browsers follow a session: how long from an event's commit until all have it?

    python bench/listeners.py                  table
    python bench/listeners.py --json           the same as an object
    python bench/listeners.py --listeners 200 --seconds 5

A web process as ``classweave up`` starts it serves the real route
``/api/live/sessions/ID/events`` on loopback; this process opens the listeners as raw sockets and
writes the events through the application's own transaction. An event carries the moment just before
its transaction began to write it, so that a latency includes the write and the commit. Halfway, the
connection on which the web process listens is cut, and at three quarters every connection it has.
Exit code 1 when an event was missed, came twice or out of order.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
import numpy as np
import psutil
import psycopg
import uvloop

from classweave.app import open_rooms
from classweave.core.database import Database, dsn
from classweave.core.events import emit
from classweave.core.identifiers import encode
from classweave.core.postgres import DatabaseUrls, EmbeddedPostgres
from classweave.core.tenancy import ANONYMOUS, Actor, Role, system_actor
from classweave.directory.models import OrganizationKind, PersonRole
from classweave.directory.service import create_class, create_organization, create_user
from classweave.directory.sign_in import start_session
from classweave.live.prepare_session import Plan, create_session
from classweave.live.topics import session_topic
from classweave.migrations import migrate

LIMIT_MS = 300.0
FRAME = re.compile(rb"id: (\d+)\nevent: bench\ndata: \{\"sent\":(\d+)")
# About the size of an event that carries one utterance.
WORDS = "so the density of the water decides whether the boat floats " * 8


@dataclass(slots=True)
class Listener(asyncio.Protocol):
    """One browser's connection: notes number and delay of every event."""

    request: bytes
    following: asyncio.Future[None]
    numbers: list[int] = field(default_factory=list[int])
    delays: list[int] = field(default_factory=list[int])
    ended: bool = False
    rest: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        cast("asyncio.Transport", transport).write(self.request)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """Note the events in ``data``; what is cut off is kept for the next call."""
        now = time.monotonic_ns()
        data = self.rest + data
        if not self.following.done() and not data.startswith(b"HTTP/1.1 200 "):
            self.following.set_exception(ConnectionError(data.decode()))
        end = data.rfind(b"\n\n") + 1
        if end:
            for number, sent in FRAME.findall(data, 0, end):
                self.numbers.append(int(number))
                self.delays.append(now - int(sent))
            if not self.following.done() and b": following" in data:
                self.following.set_result(None)
        self.rest = data[end:]

    def connection_lost(self, exc: Exception | None) -> None:
        """The server let go."""
        self.ended = True
        if not self.following.done():
            self.following.set_exception(exc or ConnectionError("the server hung up"))


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is followed, and by whom."""

    organization: UUID
    topic: str
    path: str
    token: str


async def prepare(database: Database) -> Lesson:
    """A school with a session, and its teacher signed in."""
    async with database.transaction(system_actor()) as session:
        school = await create_organization(session, name="School", kind=OrganizationKind.SCHOOL)
    system = system_actor(school.id)
    async with database.transaction(system) as session:
        teacher = await create_user(
            session, system, role=PersonRole.TEACHER, name="Teacher", email="t@test.invalid"
        )
    actor = Actor(Role.TEACHER, teacher.id, school.id, (school.id,))
    async with database.transaction(actor) as session:
        made = await create_class(session, actor, name="8B Science")
        lesson = await create_session(session, actor, made.id, Plan(title="Why do things float?"))
    async with database.transaction(ANONYMOUS) as session:
        signed = await start_session(session, ANONYMOUS, teacher.id, school.id)
    path = f"/api/live/sessions/{encode('session', lesson.id)}/events"
    return Lesson(school.id, session_topic(lesson.id), path, signed.token)


@asynccontextmanager
async def web_process(
    folder: Path, urls: DatabaseUrls, port: int
) -> AsyncGenerator[psutil.Process]:
    """The web part of ``classweave up`` on ``port``, ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "classweave.parts", "web",
        env=os.environ | {
            "CLASSWEAVE_DATA_DIR": str(folder),
            "CLASSWEAVE_PORT": str(port),
            "CLASSWEAVE_LOG_LEVEL": "error",
            "CLASSWEAVE_DATABASE_URL": urls.owner.render_as_string(hide_password=False),
            "CLASSWEAVE_APP_DATABASE_URL": urls.app.render_as_string(hide_password=False),
        },
    )  # fmt: skip
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            async with asyncio.timeout(30):
                while True:
                    try:
                        if (await client.get("/readyz")).status_code == 200:
                            break
                    except httpx.TransportError:
                        await asyncio.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        await process.wait()


async def connect(port: int, lesson: Lesson, count: int) -> list[Listener]:
    """``count`` listeners that follow, opened as a class arrives: many at once, not all."""
    request = (
        f"GET {lesson.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: Bearer {lesson.token}\r\nAccept: text/event-stream\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(50)

    async def one() -> Listener:
        async with gate:
            listener = Listener(request, loop.create_future())
            await loop.create_connection(lambda: listener, "127.0.0.1", port)
            await listener.following
            return listener

    return await asyncio.gather(*(one() for _ in range(count)))


def cut(admin: str, condition: str) -> int:
    """Terminate the application's connections that meet ``condition``; returns how many."""
    with psycopg.connect(admin, autocommit=True) as connection:
        return connection.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            f" WHERE usename = 'classweave_app' AND application_name <> 'bench' AND {condition}"
        ).fetchone()[0]  # type: ignore[index]


async def publish(
    database: Database, lesson: Lesson, rate: float, seconds: float, admin: str
) -> int:
    """Write events at ``rate`` per second; returns how many. Cuts the web process off twice."""
    total = int(rate * seconds)
    started = time.monotonic()
    for number in range(total):
        await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
        if number == total // 2:
            assert (
                await asyncio.to_thread(cut, admin, "application_name = 'classweave-listener'") == 1
            )
        if number == total * 3 // 4:
            assert await asyncio.to_thread(cut, admin, "true") >= 1
        async with database.transaction(system_actor(lesson.organization)) as session:
            payload = {"sent": time.monotonic_ns(), "text": WORDS}
            emit(session, lesson.topic, "bench", payload)
    return total


async def measure(listeners: int, rate: float, seconds: float, folder: Path) -> dict[str, Any]:
    """Run once; the figures."""
    open_rooms()
    server = EmbeddedPostgres(folder)
    urls = await asyncio.to_thread(server.start)
    database = Database(urls.app.update_query_dict({"application_name": "bench"}))
    try:
        await asyncio.to_thread(migrate, urls.owner)
        lesson = await prepare(database)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        admin = dsn(urls.owner.set(username="postgres"))
        async with web_process(folder, urls, port) as web:
            started = time.monotonic()
            async with asyncio.timeout(60):
                open_listeners = await connect(port, lesson, listeners)
            connecting = time.monotonic() - started
            gc.freeze()  # this process must not stop to look for garbage either
            before = web.cpu_times()
            sent = await publish(database, lesson, rate, seconds, admin)
            await asyncio.sleep(2)
            after = web.cpu_times()
            memory = web.memory_info().rss
    finally:
        await database.close()
        await asyncio.to_thread(server.stop)
    wanted = list(range(1, sent + 1))
    delays = np.array([d for one in open_listeners for d in one.delays]) / 1e6
    cpu = (after.user + after.system) - (before.user + before.system)
    return {
        "listeners": listeners,
        "events": sent,
        "events_per_second": rate,
        "deliveries": int(delays.size),
        "missed": sum(len(set(wanted) - set(one.numbers)) for one in open_listeners),
        "listeners_out_of_step": sum(one.numbers != wanted for one in open_listeners),
        **{f"p{q}_ms": round(float(np.percentile(delays, q)), 1) for q in (50, 95, 99)},
        "max_ms": round(float(delays.max()), 1),
        "cpu_us_per_delivery": round(cpu / max(1, delays.size) * 1e6, 1),
        "connect_seconds": round(connecting, 1),
        "memory_mb": round(memory / 1e6),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listeners", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=5.0, help="events per second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        found = uvloop.run(measure(given.listeners, given.rate, given.seconds, Path(folder)))
    if given.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name.replace('_', ' '):24} {value}")
        print(f"{'p99 wanted':24} <= {LIMIT_MS:.0f} ms, none missed")
    if found["missed"] or found["listeners_out_of_step"] or found["p99_ms"] > LIMIT_MS:
        sys.exit(1)


if __name__ == "__main__":
    main()
