"""Server-sent events: a browser follows a topic and resumes where it stopped."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, Callable
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

_LIFETIME_S = 240.0
"""A stream ends after one to one and a half of this: who comes back is asked anew who it is."""


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


def never(_event: Event) -> bool:
    """No event ends the stream."""
    return False


def event_stream(
    request: Request,
    topic: str,
    organization: UUID,
    audience: frozenset[str],
    ends: Callable[[Event], bool] = never,
) -> StreamingResponse:
    """Stream ``topic`` to this client, from its ``Last-Event-ID`` on, with heartbeats.

    ``ends`` says of an event that it changes what this client may see: it is the last one sent.
    """
    after = last_event_id(request)
    listener = services_of(request).listener

    async def stream() -> AsyncGenerator[bytes]:
        until = time.monotonic() + _LIFETIME_S * random.uniform(1.0, 1.5)
        async with listener.follow(topic, organization, audience, after) as follower:
            yield _GREETING
            while (events := await follower.next()) is not None and time.monotonic() < until:
                last = next((n for n, event in enumerate(events, 1) if ends(event)), None)
                # One write for everything that waits.
                yield b"".join(map(encode_event, events[:last])) or _HEARTBEAT
                if last is not None:
                    return

    return StreamingResponse(
        stream(),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
