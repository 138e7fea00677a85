"""The application on a real server and a real port of the loopback interface."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI


@asynccontextmanager
async def serve(app: FastAPI) -> AsyncGenerator[str]:
    """Serve ``app``, whose lifespan has begun already; yields ``host:port``."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            port=0,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws_max_size=128 * 1024,
            timeout_graceful_shutdown=3,
        )
    )
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        while not server.started:  # noqa: ASYNC110 - the server offers no event to wait for
            await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        server.should_exit = True
        async with asyncio.timeout(20):
            await task


@dataclass(frozen=True)
class Sent:
    """One server-sent event."""

    id: int | None
    type: str
    data: Any


async def follow(response: httpx.Response) -> AsyncIterator[Sent]:
    """The events of a stream that stands: whatever is published from now on is among them."""
    lines = response.aiter_lines()
    async for line in lines:
        if line == ": following":
            break
    return sent_events(lines)


async def sent_events(lines: AsyncIterator[str]) -> AsyncIterator[Sent]:
    """Events in the lines of a stream, without the comments."""
    fields: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            if name:
                fields[name] = value
        else:
            if "event" in fields:
                number = fields.get("id")
                yield Sent(
                    int(number) if number else None, fields["event"], json.loads(fields["data"])
                )
            fields = {}
