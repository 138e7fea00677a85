"""A scratch installation on loopback, with its parts as real processes, for benches and faults."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from classweave.core.postgres import EmbeddedPostgres
from classweave.core.runtime import Runtime, connect, open_postgres
from classweave.core.settings import Settings
from classweave.demonstration.run import free_port
from classweave.demonstration.seed_school import SeededSchool, bearer_token, seed_school
from classweave.demonstration.stage_lesson import Stage, StagedDevice, Teacher
from classweave.live.demo.lesson import load_demo
from classweave.live.replay import ReplayDevice, frames_of, join
from classweave.speech.decode import SAMPLE_RATE, Samples
from classweave.supervisor import Supervisor

SHARED_DATA = Path(
    os.environ.get(
        "CLASSWEAVE_SHARED_DATA", Path(__file__).resolve().parents[1].parent / "shared" / "data"
    )
)


@dataclass
class Installation:
    """A running installation with the demo school in it."""

    url: str
    runtime: Runtime
    supervisor: Supervisor
    postgres: EmbeddedPostgres
    school: SeededSchool
    teacher: Teacher

    def process(self, name: str) -> psutil.Process:
        """The child process of a part: ``web``, ``jobs``, ``speech-1``."""
        for part in self.supervisor.parts:
            if part.name == name and part.process is not None:
                return psutil.Process(part.process.pid)
        raise LookupError(name)

    def kill(self, name: str) -> None:
        """``kill -9`` a part, or ``postgres`` with all its backends."""
        if name == "postgres":
            os.kill(self.postgres.pid, signal.SIGKILL)
        else:
            self.process(name).kill()

    async def until_ready(self, seconds: float = 90) -> None:
        """Wait until the web process and its database answer."""
        deadline = time.monotonic() + seconds
        async with httpx.AsyncClient(timeout=5) as client:
            while time.monotonic() < deadline:
                with suppress(httpx.HTTPError):
                    if (await client.get(f"{self.url}/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.1)
        raise TimeoutError("the installation did not become ready")

    async def transcript(self, session: str) -> list[tuple[str, int, str, str]]:
        """Every utterance of a session: speaker, number on its track, time on it, words."""
        from sqlalchemy import text

        from classweave.core.identifiers import decode
        from classweave.core.tenancy import system_actor

        async with self.runtime.database.transaction(
            system_actor(self.school.organization)
        ) as transaction:
            rows = await transaction.execute(
                text(
                    "SELECT t.speaker_name, t.cut, t.content,"
                    " round(extract(epoch FROM t.start_time - k.started_at), 2) AS at"
                    " FROM live.transcriptions t JOIN live.tracks k ON k.id = t.track_id"
                    " WHERE t.session_id = :session ORDER BY 1, 4"
                ),
                {"session": decode("session", session)},
            )
            return [(row.speaker_name, row.cut, str(row.at), row.content) for row in rows]


@asynccontextmanager
async def installation(speech_workers: int = 2) -> AsyncGenerator[Installation]:
    """Start everything in a temporary folder; stop and forget it afterwards."""
    with tempfile.TemporaryDirectory(prefix="classweave-") as folder:
        os.chmod(folder, 0o755)
        settings = Settings(
            data_dir=Path(folder), port=free_port(0, "127.0.0.1"), speech_workers=speech_workers,
            log_level="error",
        )  # fmt: skip
        opened = open_postgres(settings)
        urls, postgres = await asyncio.to_thread(opened.__enter__)
        assert postgres is not None
        supervisor = Supervisor(settings, urls, postgres)
        running = asyncio.create_task(supervisor.run())
        try:
            async with connect(settings, urls) as runtime:
                school = await seed_school(runtime.database, load_demo().school)
                url = f"http://{settings.host}:{settings.port}"
                token = await bearer_token(runtime.database, school.teacher)
                made = Installation(url, runtime, supervisor, postgres, school, Teacher(url, token))
                await made.until_ready()
                yield made
                await made.teacher.http.aclose()
        finally:
            supervisor.stop()
            await running
            await asyncio.to_thread(opened.__exit__, None, None, None)


async def open_tracks(
    place: Installation, tracks: Sequence[Samples], speed: float = 1.0, per_group: int = 4
) -> Stage:
    """A session with one device for each of ``tracks``, joined and waiting for the start."""
    made = await place.teacher.call(
        "POST", "/sessions", title="Bench", goal="", allow_display_names=True,
        recording_consent_obtained=True, max_students=200, ai_analysis_enabled=True,
    )  # fmt: skip
    session = made["id"]
    count = (len(tracks) + per_group - 1) // per_group
    plan = [{"name": f"Group {number + 1}", "max_size": 30} for number in range(count)]
    await place.teacher.call("PUT", f"/sessions/{session}/groups", json=plan)
    opened = await place.teacher.call("POST", f"/sessions/{session}/open")
    ids = [row["id"] for row in opened["groups"]]
    stage = Stage(session, opened["access_code"], {i: i for i in ids}, [])
    async with httpx.AsyncClient(base_url=place.url, timeout=30) as client:
        for index, samples in enumerate(tracks):
            group = ids[index // per_group]
            joined = await join(client, stage.code, display_name=f"track-{index:02d}", group=group)
            frames = await asyncio.to_thread(frames_of, samples)
            player = ReplayDevice(place.url, joined["token"], frames, speed)
            stage.devices.append(StagedDevice(group, f"track-{index:02d}", player))
    return stage


def placed(
    utterances: Sequence[Samples], pause_s: float, seconds: float, offset: int
) -> dict[int, int]:
    """Which utterances a track of ``seconds`` holds, and the sample at which each begins."""
    found: dict[int, int] = {}
    position = int((0.5 + 0.37 * (offset % 7)) * SAMPLE_RATE)
    index = offset
    while True:
        size = utterances[index % len(utterances)].size
        if position + size > (seconds - 1) * SAMPLE_RATE:
            return found
        found[index] = position
        position += size + int(pause_s * SAMPLE_RATE)
        index += 1


def talk(utterances: Sequence[Samples], pause_s: float, seconds: float, offset: int = 0) -> Samples:
    """A track of ``seconds`` that talks nearly all the time: utterances with pauses between."""
    rng = np.random.default_rng(offset)
    room = rng.normal(0, 0.0006, int(seconds * SAMPLE_RATE)).astype(np.float32)
    for index, position in placed(utterances, pause_s, seconds, offset).items():
        utterance = utterances[index % len(utterances)]
        room[position : position + utterance.size] += utterance
    return room


def cpu_seconds(place: Installation) -> dict[str, float]:
    """CPU seconds so far of each part and of the database server."""
    spent: dict[str, float] = {}
    for part in place.supervisor.parts:
        if part.process is not None:
            with suppress(psutil.Error):
                times = psutil.Process(part.process.pid).cpu_times()
                spent[part.name] = times.user + times.system
    server = psutil.Process(place.postgres.pid)
    total = 0.0
    for process in (server, *server.children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    spent["postgres"] = (
        total + server.cpu_times().children_user + server.cpu_times().children_system
    )
    return spent


def show(rows: dict[str, Any]) -> None:
    """Print figures, or JSON with ``--json``."""
    import json

    if "--json" in sys.argv:
        print(json.dumps(rows, indent=2))
        return
    for name, value in rows.items():
        print(f"{name:<44} {value}")
