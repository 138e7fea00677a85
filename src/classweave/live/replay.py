"""A device that plays a recording into a session, over the same WebSocket as a browser.

Used by the demonstration, the command ``classweave live replay``, the tests and the benchmarks:
what they measure is the path that a browser takes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import numpy as np
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from classweave.live.frames import Frame, encode_frame
from classweave.speech.decode import SAMPLE_RATE, Samples, frame_opus
from classweave.speech.encode import OpusEncoder

CHUNK_MS = 400
_QUIET_DBFS = -55
_RETRY_SECONDS = 0.3


class _Again(ConnectionError):
    """This connection has served its purpose; the next one goes on."""


class SessionRefused(RuntimeError):
    """The server would not take this device's sound; the message says why."""


def frames_of(samples: Samples) -> list[Frame]:
    """16 kHz samples as the chunks of a track; quiet stretches carry no payload.

    A chunk is sent as silence only when its neighbours are quiet too, so that neither the first
    nor the last sound of a word is lost.
    """
    size = SAMPLE_RATE * CHUNK_MS // 1000
    padded = np.pad(samples, (0, -samples.size % size))
    blocks = padded.reshape(-1, size)
    levels = [(_dbfs(np.abs(block).max()), _dbfs(np.sqrt(np.mean(block**2)))) for block in blocks]
    quiet = [rms < _QUIET_DBFS for _peak, rms in levels]
    encoder = OpusEncoder()
    frames: list[Frame] = []
    for index, block in enumerate(blocks):
        payload = frame_opus(encoder.encode(block))
        silent = all(quiet[max(0, index - 1) : index + 2])
        peak, rms = levels[index]
        frames.append(
            Frame(
                seq=index,
                start_ms=index * CHUNK_MS,
                duration_ms=CHUNK_MS,
                peak=peak,
                rms=rms,
                silent=silent,
                muted=False,
                last=index == len(blocks) - 1,
                payload=None if silent else payload,
            )
        )
    return frames


def _dbfs(amplitude: Any) -> int:
    return max(-127, min(0, round(20 * np.log10(max(float(amplitude), 1e-7)))))


@dataclass(slots=True)
class ReplayDevice:
    """One device: it joined with a token, and sends ``frames`` at ``speed`` times real time.

    ``acknowledged`` is the number of the last frame that is safe; ``started`` the monotonic moment
    at which the first was begun.
    """

    url: str
    token: str
    frames: list[Frame]
    speed: float = 1.0
    acknowledged: int = -1
    reconnects: int = 0
    track: str | None = None
    started: float = 0.0
    on_message: Callable[[dict[str, Any]], None] | None = None
    _live: asyncio.Event = field(default_factory=asyncio.Event)
    _over: bool = False
    # The frame that is number 0 on the present track, and the last one to be sent.
    _first: int = 0
    _final: int = -1

    async def run(self) -> None:
        """Send everything, reconnecting as often as needed, until all of it is acknowledged.

        Raises :class:`SessionRefused` when the server will not take it.
        """
        self._final = len(self.frames) - 1
        while self.acknowledged < self._final and not self._over:
            try:
                async with connect(
                    self.url.replace("http", "ws", 1) + "/api/live/sound",
                    additional_headers={"Authorization": f"Bearer {self.token}"},
                    compression=None,
                    open_timeout=10,
                ) as socket:
                    await self._converse(socket)
            except _Again:
                continue
            except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError) as error:
                code = error.rcvd.code if isinstance(error, ConnectionClosed) and error.rcvd else 0
                if 4400 <= code < 4500 and code != 4429:
                    raise SessionRefused(f"the server closed the connection: {code}") from error
                self.reconnects += 1
                await asyncio.sleep(_RETRY_SECONDS)

    async def _converse(self, socket: ClientConnection) -> None:
        elapsed = int((time.monotonic() - self.started) * 1000 * self.speed) if self.started else 0
        hello = {
            "type": "hello", "protocol": 1, "track": self.track, "codec": "opus",
            "sample_rate": 48_000, "elapsed_ms": elapsed, "device": "replay",
        }  # fmt: skip
        await socket.send(orjson.dumps(hello).decode())
        welcome = orjson.loads(await socket.recv())
        if welcome["type"] != "welcome":
            raise SessionRefused(str(welcome.get("message")))
        if not welcome["consent"]:
            raise SessionRefused("this device has no consent to send sound")
        if welcome["track"] != self.track:
            # A new track, for the device is new or was moved: what was not taken yet opens it.
            self.track = welcome["track"]
            self._first = self.acknowledged + 1
        self.acknowledged = max(self.acknowledged, self._first + welcome["next_seq"] - 1)
        self._set_state(welcome["session"])
        reader = asyncio.create_task(self._read(socket))
        sender = asyncio.create_task(self._send(socket))
        try:
            await asyncio.wait((reader, sender), return_when=asyncio.FIRST_COMPLETED)
            if sender.done():
                await sender
            await reader
        finally:
            for task in (reader, sender):
                task.cancel()
            await asyncio.gather(reader, sender, return_exceptions=True)

    def _set_state(self, state: str) -> None:
        if state == "live":
            self._live.set()
        elif state == "ended":
            self._over = True
            self._live.set()
        else:
            self._live.clear()

    async def _send(self, socket: ClientConnection) -> None:
        if not self.started and not self._live.is_set():
            await self._live.wait()
            if not self._over:
                # The track's clock begins with its hello, and the recording begins now.
                self.track = None
                raise _Again
        for index in range(self.acknowledged + 1, len(self.frames)):
            await self._live.wait()
            frame = replace(self.frames[index], seq=index - self._first)
            if self._over:
                # As a browser does: it says that this was all, so that nobody waits for more.
                self._final = index
                await socket.send(
                    encode_frame(replace(frame, payload=None, silent=True, last=True))
                )
                return
            if not self.started:
                self.started = time.monotonic()
            due = self.started + frame.end_ms / 1000 / self.speed
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await socket.send(encode_frame(frame))

    async def _read(self, socket: ClientConnection) -> None:
        async for message in socket:
            told = orjson.loads(message)
            if told["type"] == "ack":
                self.acknowledged = max(self.acknowledged, self._first + told["seq"])
                if self.acknowledged >= self._final:
                    return
            elif told["type"] == "state":
                self._set_state(told["session"])
            elif told["type"] == "resend":
                # Something was lost on the way: begin again where the server waits.
                raise _Again
            if self.on_message is not None:
                self.on_message(told)


async def join(client: httpx.AsyncClient, code: str, **who: Any) -> dict[str, Any]:
    """Join a session as a program; ``who`` is the body of ``POST /api/live/join``."""
    response = await client.post("/api/live/join", json={"code": code, "device": "replay", **who})
    if response.status_code != 201:
        raise SessionRefused(str(response.json().get("detail", response.text)))
    return response.json()
