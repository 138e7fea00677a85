"""The server's side of the sound protocol, as small as the island's tests need it."""

from __future__ import annotations

import asyncio
import json
import mimetypes
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from chromium import DIST
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

T = TypeVar("T")

HEADER = struct.Struct("<BBHIQHBB")
PAGE = """<!doctype html><html lang="en"><head><title>Sound</title>
<link rel="icon" href="data:,"><script type="module" src="/static/dist/{shell}"></script></head>
<body><main><h1>Sound</h1>
<div data-island="sound" data-url="/api/live/sound" data-participant="participant_1">
<template data-state="muted"><p>Page says: muted</p></template>
</div></main></body></html>"""


@dataclass
class Chunk:
    """One received chunk, its header unpacked."""

    silent: bool
    muted: bool
    last: bool
    seq: int
    start_ms: int
    duration_ms: int
    peak: int
    rms: int
    payload: bytes


def unpack(data: bytes) -> Chunk:
    magic, version, flags, seq, start_ms, duration_ms, peak, rms = HEADER.unpack_from(data)
    assert (magic, version) == (0x43, 1)
    return Chunk(
        silent=bool(flags & 1),
        muted=bool(flags & 2),
        last=bool(flags & 4),
        seq=seq,
        start_ms=start_ms,
        duration_ms=duration_ms,
        peak=peak,
        rms=rms,
        payload=data[HEADER.size :],
    )


def packets(payload: bytes) -> list[bytes]:
    found: list[bytes] = []
    at = 0
    while at < len(payload):
        (length,) = struct.unpack_from("<H", payload, at)
        found.append(payload[at + 2 : at + 2 + length])
        at += 2 + length
    assert at == len(payload)
    return found


@dataclass
class SoundServer:
    """Speaks protocol 1 on loopback and remembers everything that came."""

    consent: bool = True
    session: str = "live"
    acknowledge: bool = True
    refuse: bool = False
    track: str | None = None
    hellos: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    mutes: list[bool] = field(default_factory=list[bool])
    arrived: list[Chunk] = field(default_factory=list[Chunk])
    stored: list[Chunk] = field(default_factory=list[Chunk])
    port: int = 0
    _connections: set[ServerConnection] = field(default_factory=set[ServerConnection])

    def __enter__(self) -> SoundServer:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = self._run(self._serve())
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        async def stop() -> None:
            self._server.close()
            await self._server.wait_closed()

        self._run(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def say(self, **message: object) -> None:
        """Send a text message to every connected device."""

        async def send() -> None:
            for connection in list(self._connections):
                await connection.send(json.dumps(message))

        self._run(send())

    def hang_up(self, code: int | None = None) -> None:
        """Close every connection: with ``code``, or as a network does, without a word."""

        async def close() -> None:
            for connection in list(self._connections):
                if code is None:
                    connection.transport.abort()
                else:
                    await connection.close(code)

        self._run(close())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _serve(self) -> Server:
        return await serve(self._hear, "127.0.0.1", 0, process_request=self._answer)

    def _answer(self, _: ServerConnection, request: Request) -> Response | None:
        if request.path == "/api/live/sound":
            return self._response(b"busy", "text/plain", 503) if self.refuse else None
        if request.path == "/":
            manifest = json.loads((DIST / "manifest.json").read_text())
            page = PAGE.replace("{shell}", manifest["shell.js"])
            return self._response(page.encode(), "text/html; charset=utf-8")
        file = DIST / Path(request.path).name
        if not file.is_file():
            return self._response(b"", "text/plain", 404)
        return self._response(file.read_bytes(), mimetypes.guess_type(file.name)[0] or "")

    @staticmethod
    def _response(body: bytes, kind: str, status: int = 200) -> Response:
        headers = Headers({"Content-Type": kind, "Content-Length": str(len(body))})
        return Response(status, HTTPStatus(status).phrase, headers, body)

    async def _hear(self, connection: ServerConnection) -> None:
        hello = json.loads(await connection.recv())
        self.hellos.append(hello)
        if hello["track"] is None or self.track is None:
            self.track = f"track_{len(self.hellos)}"
            self.stored.clear()
        self._connections.add(connection)
        welcome = {
            "type": "welcome",
            "track": self.track,
            "next_seq": len(self.stored),
            "consent": self.consent,
            "session": self.session,
            "muted": False,
            "limits": {"chunk_bytes": 65536, "chunk_ms": 2000},
        }
        try:
            await connection.send(json.dumps(welcome))
            async for data in connection:
                await self._take(connection, data)
        except ConnectionClosed:
            pass
        finally:
            self._connections.discard(connection)

    async def _take(self, connection: ServerConnection, data: str | bytes) -> None:
        if isinstance(data, str):
            message = json.loads(data)
            if message["type"] == "ping":
                await connection.send('{"type":"pong"}')
            elif message["type"] == "mute":
                self.mutes.append(message["muted"])
            return
        chunk = unpack(data)
        self.arrived.append(chunk)
        if not self.acknowledge:
            return
        if chunk.seq > len(self.stored):
            await connection.send(json.dumps({"type": "resend", "from": len(self.stored)}))
            return
        if chunk.seq == len(self.stored):
            self.stored.append(chunk)
        await connection.send(json.dumps({"type": "ack", "seq": len(self.stored) - 1}))
