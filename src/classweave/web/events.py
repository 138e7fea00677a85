"""Server-sent events: a browser follows a topic and resumes where it stopped."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import lru_cache
from uuid import UUID

import orjson
from fastapi import Request
from fastapi.responses import StreamingResponse

from classweave.core.events import Event
from classweave.core.problems import BadRequest
from classweave.web.services import services_of

_GREETING = b"retry: 1000\n: following\n\n"
_HEARTBEAT = b"event: heartbeat\ndata: {}\n\n"


@lru_cache(4096)
def encode_event(event: Event) -> bytes:
    """The wire form of ``event``; made once however many followers receive it."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        event.sequence,
        event.type.encode(),
        orjson.dumps(event.payload),
    )


def last_event_id(request: Request) -> int | None:
    """Where the follower stopped: the standard header, or ``last_event_id`` in the query."""
    given = request.headers.get("last-event-id") or request.query_params.get("last_event_id")
    if not given:
        return None
    try:
        number = int(given)
    except ValueError as error:
        raise BadRequest("Last-Event-ID is not a number.") from error
    if number < 0:
        raise BadRequest("Last-Event-ID is not a number.")
    return number


def event_stream(
    request: Request, topic: str, organization: UUID, audience: frozenset[str]
) -> StreamingResponse:
    """Stream ``topic`` to this client, from its ``Last-Event-ID`` on, with heartbeats."""
    after = last_event_id(request)
    listener = services_of(request).listener

    async def stream() -> AsyncGenerator[bytes]:
        async with listener.follow(topic, organization, audience, after) as follower:
            yield _GREETING
            while (events := await follower.next()) is not None:
                # One write for everything that waits.
                yield b"".join(map(encode_event, events)) or _HEARTBEAT

    return StreamingResponse(
        stream(),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
