"""A simulated university with a web process before it, for the benches of attendance."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import statistics
import string
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg

from classweave.core.database import dsn
from classweave.core.postgres import EmbeddedPostgres
from classweave.core.runtime import Runtime, connect, open_postgres
from classweave.core.settings import Settings
from classweave.demonstration.run import free_port
from classweave.supervisor import Supervisor

_ALPHABET = string.ascii_letters + string.digits


@dataclass
class University:
    """A running installation with teachers who have devices."""

    url: str
    runtime: Runtime
    postgres: EmbeddedPostgres
    teachers: list[dict[str, Any]]

    def client(self, teacher: dict[str, Any]) -> httpx.AsyncClient:
        """A device of a teacher, over one kept connection, uncompressed."""
        return httpx.AsyncClient(
            base_url=self.url, timeout=60,
            headers={"authorization": f"Bearer {teacher['token']}", "accept-encoding": "identity"},
        )  # fmt: skip

    def device(self, teacher: dict[str, Any]) -> Device:
        """The same by the leanest client there is: what is measured is the server."""
        return Device(self.url, teacher["token"])

    def login(self) -> psycopg.Connection[Any]:
        """A login above row security, for floors and figures."""
        return psycopg.connect(
            dsn(self.runtime.urls.owner.set(username="postgres")), autocommit=True
        )


class Device:
    """One kept connection of the standard library's client, uncompressed."""

    def __init__(self, url: str, token: str) -> None:
        self._connection = HTTPConnection(url.removeprefix("http://"), timeout=60)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str) -> bytes:
        """The body of an answer that must be good."""
        return self._ask("GET", path, None)

    def pull(self, cursor: int | None = None) -> Any:
        """A pull, read."""
        return orjson.loads(self.get(f"/api/attend/sync?last_pulled_at={cursor or 'null'}"))

    def push(self, cursor: int, body: bytes) -> None:
        """A push that must be kept."""
        self._ask("POST", f"/api/attend/sync?last_pulled_at={cursor}", body)

    def _ask(self, method: str, path: str, body: bytes | None) -> bytes:
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return content

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


@asynccontextmanager
async def university(
    folder: Path, teachers: int = 500, classes: int = 5, students: int = 60
) -> AsyncGenerator[University]:
    """Make the university in ``folder`` (or find the one made there before) and serve it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    tokens = folder / "tokens.json"
    if not tokens.exists():
        command = [
            str(Path(sys.executable).with_name("classweave")), "attend", "simulate",
            "--data-dir", str(folder),
            "--teachers", str(teachers), "--classes", str(classes), "--students", str(students),
            "--tokens", str(tokens),
        ]  # fmt: skip
        await asyncio.to_thread(subprocess.run, command, check=True, stdout=sys.stderr)
    settings = Settings(
        data_dir=folder, port=free_port(0, "127.0.0.1"), speech_workers=0, log_level="error"
    )
    opened = open_postgres(settings)
    urls, postgres = await asyncio.to_thread(opened.__enter__)
    assert postgres is not None
    supervisor = Supervisor(settings, urls, postgres)
    running = asyncio.create_task(supervisor.run())
    try:
        async with connect(settings, urls) as runtime, httpx.AsyncClient() as probe:
            url = f"http://{settings.host}:{settings.port}"
            for _try in range(600):
                with suppress(httpx.HTTPError):
                    if (await probe.get(f"{url}/readyz")).status_code == 200:
                        break
                await asyncio.sleep(0.1)
            yield University(url, runtime, postgres, json.loads(tokens.read_text()))
    finally:
        supervisor.stop()
        await running
        await asyncio.to_thread(opened.__exit__, None, None, None)


def new_id() -> str:
    """An id as devices make it."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


def class_day(class_id: str, students: list[str], day: str, start: str) -> dict[str, Any]:
    """A push: one session and a record for each of ``students``."""
    session = new_id()
    now = int(datetime.now(UTC).timestamp() * 1000)
    return {
        "changes": {
            "attendance_sessions": {
                "created": [
                    {"id": session, "class_id": class_id, "date": day, "start_time": start,
                     "end_time": None, "note": None, "marked_at": now}
                ],
                "updated": [], "deleted": [],
            },
            "attendance_records": {
                "created": [
                    {"id": new_id(), "session_id": session, "student_id": student,
                     "class_id": class_id, "status": "present", "minutes": None,
                     "marked_at": now, "notes": None}
                    for student in students
                ],
                "updated": [], "deleted": [],
            },
        }
    }  # fmt: skip


def median_ms(run: Callable[[], object], times: int, warm: int = 8) -> float:
    """Median milliseconds of ``times`` runs, after ``warm`` that are not counted."""
    spent: list[float] = []
    for _time in range(warm + times):
        began = time.perf_counter()
        run()
        spent.append(1000 * (time.perf_counter() - began))
    return statistics.median(spent[warm:])
