"""The WebSocket that devices send sound to. Every chunk is acknowledged after its commit."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from prometheus_client import Gauge
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from classweave.core.events import Event, emit, last_sequence
from classweave.core.identifiers import TypeIDError, decode, encode, uuid7
from classweave.core.permissions import Permission, allowed
from classweave.core.problems import NotFound, Problem, SignInRequired
from classweave.core.tenancy import Actor
from classweave.live.frames import MAX_CHUNK_MS, MAX_PAYLOAD, BadFrame, Frame, decode_frame
from classweave.live.models import Participant
from classweave.live.models.sound import Codec
from classweave.live.mute import set_muted
from classweave.live.receive_sound import ChunkWriter, OpenTrack, open_track
from classweave.live.states import SessionStatus
from classweave.live.topics import session_topic, to_participant
from classweave.web.csrf import check_origin
from classweave.web.requests import allow_inside, identify
from classweave.web.services import services_of

log = structlog.get_logger(__name__)
router = APIRouter(tags=["live"])

CONNECTIONS = Gauge("classweave_sound_connections", "Devices connected to send sound")

BAD_DATA, SIGN_IN, NO_CONSENT, OVER, REPLACED, TOO_LARGE, TOO_FAST, AGAIN = (
    4400, 4401, 4403, 4404, 4409, 4413, 4429, 1013,
)  # fmt: skip

# A device that comes back after a cut sends what it kept; this is far above real time.
_BURST_CHUNKS = 600
_CHUNKS_PER_SECOND = 120
_HELLO_SECONDS = 15


class Hello(BaseModel):
    """A device's first message."""

    model_config = ConfigDict(extra="forbid")

    type: str
    protocol: int
    track: str | None = None
    codec: Codec
    sample_rate: int
    elapsed_ms: int = 0
    device: str | None = None


@dataclass(slots=True)
class Connection:
    """One device's connection and what it is waiting for."""

    socket: WebSocket
    actor: Actor
    track: OpenTrack
    id: str
    next_seq: int
    acknowledged: int
    consent: bool
    # The session's last event before consent and state were read: later ones change them.
    greeted_at: int
    announced: bool = False
    broken: bool = False
    tokens: float = _BURST_CHUNKS
    refilled: float = field(default_factory=time.monotonic)
    pending: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def tell(self, **message: Any) -> None:
        """Send one JSON message."""
        await self.socket.send_json(message)

    def spend(self) -> bool:
        """Take one chunk from the allowance; says whether there was one."""
        now = time.monotonic()
        self.tokens = min(_BURST_CHUNKS, self.tokens + (now - self.refilled) * _CHUNKS_PER_SECOND)
        self.refilled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


def _writer(socket: WebSocket) -> ChunkWriter:
    state = socket.app.state
    if not hasattr(state, "chunk_writer"):
        state.chunk_writer = ChunkWriter(services_of(socket).database)
    writer = state.chunk_writer
    assert isinstance(writer, ChunkWriter)
    return writer


@router.websocket("/api/live/sound", dependencies=[allow_inside(Permission.SESSION_TAKE_PART)])
async def sound(socket: WebSocket) -> None:
    """Receive one device's sound. The protocol is described in ``docs/sound-protocol.md``."""
    await socket.accept()
    try:
        connection = await _greet(socket)
    except (TimeoutError, ValueError, KeyError):
        await _refuse(socket, BAD_DATA, "bad-hello", "The first message must be a hello.")
        return
    except SignInRequired as problem:
        await _refuse(socket, SIGN_IN, problem.code, problem.detail)
        return
    except NotFound as problem:
        await _refuse(socket, OVER, problem.code, problem.detail)
        return
    except Problem as problem:
        await _refuse(socket, BAD_DATA, problem.code, problem.detail)
        return
    except SQLAlchemyError:
        await _close(socket, AGAIN)
        return
    except WebSocketDisconnect:
        return
    CONNECTIONS.inc()
    tasks = [
        asyncio.create_task(_follow(connection), name="sound-follow"),
        asyncio.create_task(_receive(connection), name="sound-receive"),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except (WebSocketDisconnect, RuntimeError):
        log.debug("device_left", track=str(connection.track.id))
    except (SQLAlchemyError, OSError) as error:
        log.warning("device_sent_away", error=type(error).__name__)
        await _close(socket, AGAIN)
    finally:
        CONNECTIONS.dec()
        for task in (*tasks, *connection.pending):
            task.cancel()
        await asyncio.gather(*tasks, *connection.pending, return_exceptions=True)


async def _refuse(socket: WebSocket, close: int, code: str, message: str) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.send_json({"type": "error", "code": code, "message": message, "fatal": True})
    await _close(socket, close)


async def _close(socket: WebSocket, code: int) -> None:
    """Close, unless the other side or another task of this connection did so before."""
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.close(code)


async def _greet(socket: WebSocket) -> Connection:
    """Identify the device, read its hello, open its track."""
    check_origin(socket)
    first = await asyncio.wait_for(socket.receive_text(), _HELLO_SECONDS)
    hello = Hello.model_validate_json(first)
    if hello.type != "hello" or hello.protocol != 1:
        raise ValueError("not a hello")
    wanted: UUID | None = None
    if hello.track:
        try:
            wanted = decode("track", hello.track)
        except TypeIDError:
            wanted = None
    name = str(uuid7())
    async with services_of(socket).database.transaction() as session:
        actor = await identify(socket, session)
        if not allowed(actor.role, Permission.SESSION_TAKE_PART):
            raise SignInRequired("Join the session with its code first.")
        # Before anything that the welcome tells: a change meanwhile is told twice, not never.
        at = await session.scalar(select(Participant.session_id).where(Participant.id == actor.id))
        assert at is not None
        greeted_at = await last_sequence(session, session_topic(at))
        track = await open_track(
            session,
            actor,
            track_id=wanted,
            codec=hello.codec,
            sample_rate=hello.sample_rate,
            elapsed_ms=hello.elapsed_ms,
        )
        emit(
            session,
            session_topic(track.session_id),
            "device",
            {
                "participant": encode("participant", track.participant_id),
                "connection": name,
                "state": "connected",
            },
            audience=("staff", to_participant(track.participant_id)),
        )
    await socket.send_json(
        {
            "type": "welcome",
            "track": encode("track", track.id),
            "next_seq": track.next_seq,
            "consent": track.consent,
            "session": track.status.value,
            "muted": track.muted,
            "limits": {"chunk_bytes": MAX_PAYLOAD, "chunk_ms": MAX_CHUNK_MS},
        }
    )
    return Connection(
        socket=socket,
        actor=actor,
        track=track,
        id=name,
        next_seq=track.next_seq,
        acknowledged=track.next_seq - 1,
        consent=track.consent,
        greeted_at=greeted_at,
    )


async def _follow(connection: Connection) -> None:
    """Tell the device what concerns it: the session's state, its consent, its muting."""
    listener = services_of(connection.socket).listener
    me = to_participant(connection.track.participant_id)
    async with listener.follow(
        session_topic(connection.track.session_id),
        connection.track.organization_id,
        frozenset({me}),
        connection.greeted_at,
    ) as follower:
        while (events := await follower.next()) is not None:
            for event in events:
                if not await _heed(connection, event, me):
                    return
    # The process stops, or the device was too slow to be told: it comes back and asks.
    await _close(connection.socket, AGAIN)


async def _heed(connection: Connection, event: Event, me: str) -> bool:
    """Act on one event of the session; returns whether the connection goes on."""
    if event.type == "session":
        status = SessionStatus(event.payload["status"])
        await connection.tell(type="state", session=status.value)
    elif me not in event.audience:
        return True
    elif event.type == "consent":
        connection.consent = bool(event.payload["given"])
        await connection.tell(type="consent", given=connection.consent)
    elif event.type == "mute":
        await connection.tell(type="mute", muted=event.payload["muted"])
    elif event.type == "device":
        if event.payload["connection"] == connection.id:
            connection.announced = True
        elif connection.announced:  # what was announced before us, we replace
            await _refuse(
                connection.socket, REPLACED, "replaced", "This device was opened elsewhere."
            )
            return False
    elif event.type == "moved":
        # It comes back at once, and is given a track in its new group.
        await _close(connection.socket, AGAIN)
        return False
    elif event.type == "removed":
        await _close(connection.socket, OVER)
        return False
    return True


async def _receive(connection: Connection) -> None:
    socket = connection.socket
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        data: bytes | None = message.get("bytes")
        if data is not None:
            if not await _take(connection, data):
                return
        elif message.get("text") and not await _control(connection, message["text"]):
            return


async def _control(connection: Connection, message: str) -> bool:
    if message == '{"type":"ping"}':
        await connection.tell(type="pong")
    elif message in ('{"type":"mute","muted":true}', '{"type":"mute","muted":false}'):
        async with services_of(connection.socket).database.transaction(connection.actor) as session:
            await set_muted(session, connection.track.participant_id, "true" in message)
    else:
        await _refuse(connection.socket, BAD_DATA, "bad-message", "That message is not known.")
        return False
    return True


async def _take(connection: Connection, data: bytes) -> bool:
    """Take one chunk; returns whether the connection goes on."""
    socket = connection.socket
    if not connection.spend():
        await _refuse(socket, TOO_FAST, "too-fast", "Chunks come faster than any microphone.")
        return False
    try:
        frame = decode_frame(data, connection.track.codec, connection.track.sample_rate)
    except BadFrame as error:
        close = TOO_LARGE if error.code == "chunk-too-large" else BAD_DATA
        await _refuse(socket, close, error.code, str(error))
        return False
    if frame.seq < connection.next_seq:
        # Sent again because an acknowledgement was lost. It is committed: say so once more.
        if frame.seq <= connection.acknowledged:
            await connection.tell(type="ack", seq=connection.acknowledged)
        return True
    if frame.seq > connection.next_seq:
        await connection.tell(type="resend", **{"from": connection.next_seq})
        return True
    if not connection.consent:
        await connection.tell(type="consent", given=False)
        await _close(socket, NO_CONSENT)
        return False
    connection.next_seq += 1
    task = asyncio.create_task(_commit(connection, frame))
    connection.pending.add(task)
    task.add_done_callback(connection.pending.discard)
    # Bounded: a device that sends faster than the disk writes has to wait.
    while len(connection.pending) > 64:
        await asyncio.wait(connection.pending, return_when=asyncio.FIRST_COMPLETED)
    return True


async def _commit(connection: Connection, frame: Frame) -> None:
    track = connection.track
    try:
        taken = await _writer(connection.socket).write(track.organization_id, track.id, frame)
    except Exception as error:  # whatever kept it from the disk: the device has it still
        log.warning("chunk_not_committed", error=type(error).__name__)
        taken = False
    if not taken:
        # Neither it nor what follows is acknowledged: the device keeps it all and comes back.
        connection.broken = True
        await _close(connection.socket, AGAIN)
    elif frame.seq > connection.acknowledged and not connection.broken:
        connection.acknowledged = frame.seq
        with suppress(WebSocketDisconnect, RuntimeError):
            await connection.tell(type="ack", seq=frame.seq)
