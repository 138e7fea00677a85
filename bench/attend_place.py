"""A simulated university with a web process before it, for the benches of attendance."""

from __future__ import annotations

import asyncio
import json
import secrets
import statistics
import string
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
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

    def login(self) -> psycopg.Connection[Any]:
        """A login above row security, for floors and figures."""
        return psycopg.connect(
            dsn(self.runtime.urls.owner.set(username="postgres")), autocommit=True
        )


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


async def median_ms(run: Callable[[], Awaitable[object]], times: int) -> float:
    """Median milliseconds of ``times`` runs, after one that is not counted."""
    await run()
    spent: list[float] = []
    for _time in range(times):
        began = time.perf_counter()
        await run()
        spent.append(1000 * (time.perf_counter() - began))
    return statistics.median(spent)
