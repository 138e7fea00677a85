"""A device on the wire: sessions to join, a socket to speak through, rows to look at."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import psycopg
import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from classweave.core.identifiers import decode
from classweave.core.tenancy import Actor, Role
from classweave.live.frames import Frame, encode_frame
from classweave.live.join_session import (
    Device,
    Joined,
    join_as_guest,
    join_as_shared_device,
    join_as_student,
)
from classweave.live.models.sessions import CaptureMode
from classweave.live.prepare_session import (
    Plan,
    PlannedGroup,
    create_session,
    open_session,
    set_groups,
)
from classweave.live.run_session import end_session, pause_session, resume_session, start_session
from classweave.speech.decode import SAMPLE_RATE
from school_fixtures import School

VISITOR = Actor(role=Role.ANONYMOUS, ip_address="192.0.2.1")
PATIENCE = 60.0


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncGenerator[str]:
    """The application on a loopback port, within this process."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, timeout_graceful_shutdown=1,
        ws_max_size=128 * 1024, ws_per_message_deflate=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listening]))
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    await task


@dataclass
class Room:
    """An open session of two groups, Corks (students 0 to 3) and Stones (4 to 7)."""

    school: School
    id: UUID
    code: str
    groups: list[UUID]
    members: list[str] = field(default_factory=list[str])

    @property
    def url(self) -> str:
        from classweave.core.identifiers import encode

        return f"/api/live/sessions/{encode('session', self.id)}"

    async def student(self, index: int) -> Joined:
        async with self.school.database.transaction(VISITOR) as session:
            return await join_as_student(
                session, self.code, self.school.student_ids[index], Device()
            )

    async def guest(self, name: str, group: int = 0) -> Joined:
        async with self.school.database.transaction(VISITOR) as session:
            return await join_as_guest(session, self.code, name, self.groups[group], Device())

    async def shared(self, group: int) -> Joined:
        async with self.school.database.transaction(VISITOR) as session:
            return await join_as_shared_device(session, self.code, self.groups[group], Device())

    async def start(self) -> None:
        await self._run(start_session)

    async def pause(self) -> None:
        await self._run(pause_session)

    async def resume(self) -> None:
        await self._run(resume_session)

    async def end(self) -> None:
        await self._run(end_session)

    async def _run(self, use_case: Callable[..., Awaitable[object]]) -> None:
        teacher = self.school.teacher
        async with self.school.database.transaction(teacher) as session:
            await use_case(session, teacher, self.id)


async def open_room(school: School, *, shared: bool = False, **plan: Any) -> Room:
    """A session that can be joined; with ``shared``, one device listens to all of Stones."""
    teacher = school.teacher
    stones = CaptureMode.SHARED_DEVICE if shared else CaptureMode.PER_STUDENT
    async with school.database.transaction(teacher) as session:
        lesson = await create_session(
            session, teacher, school.class_id, Plan(title="Why do things float?", **plan)
        )
        made = await set_groups(
            session, teacher, lesson.id,
            [
                PlannedGroup("Corks", school.student_ids[:4], leader=school.student_ids[0]),
                PlannedGroup("Stones", school.student_ids[4:], capture_mode=stones),
            ],
        )  # fmt: skip
        opened = await open_session(session, teacher, lesson.id)
        assert opened.access_code is not None
        return Room(school, lesson.id, opened.access_code, [group.id for group in made])


class Refused(Exception):
    """The server closed the connection; ``code`` says why, ``said`` is what it told before."""

    def __init__(self, code: int, said: list[dict[str, Any]]) -> None:
        super().__init__(f"closed with {code}: {said}")
        self.code = code
        self.said = said


@dataclass
class Wire:
    """One connection of a device."""

    socket: ClientConnection
    heard: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    welcome: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def track(self) -> UUID:
        return decode("track", self.welcome["track"])

    async def say(self, message: str | bytes) -> None:
        # Closed already: whoever listens next is told why.
        with suppress(ConnectionClosed):
            await self.socket.send(message)

    async def send(self, *frames: Frame) -> None:
        for frame in frames:
            await self.say(encode_frame(frame))

    async def hear(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next message of this kind; raises :class:`Refused` when there will be none."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    message = orjson.loads(await self.socket.recv())
                    self.heard.append(message)
                    if message["type"] == kind and fields.items() <= message.items():
                        return message
        except ConnectionClosed as error:
            raise Refused(error.rcvd.code if error.rcvd else 1006, self.heard) from None

    async def acknowledged(self, seq: int) -> None:
        """Wait until everything up to ``seq`` is; acknowledgements may skip numbers."""
        while (await self.hear("ack"))["seq"] < seq:
            pass

    async def closed(self) -> Refused:
        """Wait until the server closes."""
        try:
            await self.hear("nothing like it")
        except Refused as refused:
            return refused
        raise AssertionError

    async def greet(self, **fields: Any) -> dict[str, Any]:
        hello = {
            "type": "hello", "protocol": 1, "track": None, "codec": "pcm16",
            "sample_rate": SAMPLE_RATE, "elapsed_ms": 0,
        }  # fmt: skip
        await self.say(json.dumps(hello | fields))
        self.welcome = await self.hear("welcome")
        return self.welcome


@asynccontextmanager
async def dial(
    address: str, token: str | None, headers: dict[str, str] | None = None
) -> AsyncGenerator[Wire]:
    """A connection that has not said hello."""
    sent = {"Authorization": f"Bearer {token}"} if token else {}
    async with connect(
        address.replace("http", "ws", 1) + "/api/live/sound",
        additional_headers=sent | (headers or {}), compression=None,
    ) as opened:  # fmt: skip
        yield Wire(opened)


@asynccontextmanager
async def greeted(address: str, token: str, **hello: Any) -> AsyncGenerator[Wire]:
    """A connection that was welcomed."""
    async with dial(address, token) as wire:
        await wire.greet(**hello)
        yield wire


def chunk(seq: int, *, ms: int = 100, **fields: Any) -> Frame:
    """A chunk of 16 kHz PCM that says its own number."""
    payload = np.full(SAMPLE_RATE * ms // 1000, 100 + seq, "<i2").tobytes()
    made = Frame(
        seq=seq, start_ms=seq * ms, duration_ms=ms, peak=-50, rms=-50,
        silent=False, muted=False, last=False, payload=payload,
    )  # fmt: skip
    return replace(made, **fields)


@dataclass(frozen=True)
class Stored:
    seq: int
    start_ms: int
    silent: bool
    payload: bytes | None


def stored(owner: psycopg.Connection, track: UUID) -> list[Stored]:
    """What the database holds of a track."""
    rows = owner.execute(
        "SELECT seq, start_ms, is_silent, payload FROM live.audio_chunks"
        " WHERE track_id = %s ORDER BY seq",
        (track,),
    ).fetchall()
    return [Stored(*row) for row in rows]


def value(owner: psycopg.Connection, statement: str, *parameters: object) -> Any:
    """The one value that a statement finds."""
    row = owner.execute(statement, parameters).fetchone()
    assert row is not None
    return row[0]


async def until(condition: Callable[[], Any], what: str) -> Any:
    """Ask again until it is so; fails when it does not come."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := condition():
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"{what} did not come within {PATIENCE} s")
