"""Server-sent events over a real server: resume, audience, heartbeat, the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from classweave.app import create_app
from classweave.core.database import Database
from classweave.core.events import emit
from classweave.core.identifiers import decode, encode
from classweave.core.runtime import Runtime
from classweave.core.tenancy import system_actor
from classweave.live.topics import session_topic
from classweave.parts import WebServer
from loopback import Sent, follow, serve
from school_fixtures import School

pytestmark = pytest.mark.anyio


@pytest.fixture
async def address(app: FastAPI) -> AsyncGenerator[str]:
    async with serve(app) as bound:
        yield bound


@pytest.fixture
async def lesson(school: School) -> str:
    async with await school.sign_in() as teacher:
        made = await teacher.post(
            "/api/live/sessions",
            json={"title": "Probe", "class_id": encode("class", school.class_id)},
        )
        return made.json()["id"]


@asynccontextmanager
async def following(
    address: str, school: School, lesson: str, after: int | None = None
) -> AsyncGenerator[AsyncIterator[Sent]]:
    headers = {"authorization": f"Bearer {await school.token(school.teacher_id)}"}
    if after is not None:
        headers["last-event-id"] = str(after)
    async with (
        asyncio.timeout(30),
        httpx.AsyncClient(base_url=f"http://{address}", headers=headers) as client,
        client.stream("GET", f"/api/live/sessions/{lesson}/events", timeout=20) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        assert "content-security-policy" in response.headers
        yield await follow(response)


async def take(events: AsyncIterator[Sent], count: int) -> list[Sent]:
    return [await anext(events) for _ in range(count)]


async def publish(database: Database, school: School, lesson: str, *numbers: int) -> None:
    topic = session_topic(decode("session", lesson))
    async with database.transaction(system_actor(school.organization_id)) as session:
        for number in numbers:
            emit(session, topic, "probe", {"n": number, "text": "¿Qué?\n\nid: 9"})


async def test_a_browser_resumes_where_it_stopped(
    address: str, database: Database, school: School, lesson: str
) -> None:
    async with following(address, school, lesson, after=0) as events:
        await publish(database, school, lesson, 1, 2)
        before = await take(events, 2)
    await publish(database, school, lesson, 3, 4)
    last = before[-1].id
    async with following(address, school, lesson, after=last) as events:
        await publish(database, school, lesson, 5)
        after = await take(events, 3)
    assert [event.data["n"] for event in before + after] == [1, 2, 3, 4, 5]
    numbers = [event.id for event in before + after]
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    assert {event.type for event in before + after} == {"probe"}
    # A line break in the payload is no line break in the stream.
    assert after[0].data["text"] == "¿Qué?\n\nid: 9"


async def test_a_new_browser_begins_now(
    address: str, database: Database, school: School, lesson: str
) -> None:
    await publish(database, school, lesson, 1)
    async with following(address, school, lesson) as events:
        await publish(database, school, lesson, 2)
        assert [event.data["n"] for event in await take(events, 1)] == [2]


async def test_a_silent_stream_shows_that_it_lives(
    address: str, app: FastAPI, school: School, lesson: str
) -> None:
    async with following(address, school, lesson) as events:
        listener = app.state.services.listener
        for channel in listener._channels.values():
            for follower in channel.followers:
                follower.wake()
        heartbeat = await anext(events)
        assert (heartbeat.type, heartbeat.id, heartbeat.data) == ("heartbeat", None, {})


async def test_who_leaves_is_forgotten(
    address: str, app: FastAPI, school: School, lesson: str
) -> None:
    topic = session_topic(decode("session", lesson))
    channels = app.state.services.listener._channels
    async with following(address, school, lesson):
        assert (topic, school.organization_id) in channels
    async with asyncio.timeout(10):
        while (topic, school.organization_id) in channels:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_streams_end_with_the_process(
    runtime: Runtime, database: Database, school: School, lesson: str
) -> None:
    app = create_app(runtime)
    config = uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=10)
    server = WebServer(config, app.state.services.listener)
    running = asyncio.create_task(server.serve())
    async with asyncio.timeout(30):
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        host, port = server.servers[0].sockets[0].getsockname()
        async with following(f"{host}:{port}", school, lesson) as events:
            await publish(database, school, lesson, 1)
            assert (await anext(events)).data["n"] == 1
            began = time.monotonic()
            server.should_exit = True
            assert [event async for event in events] == []
        await running
    # Well before the server would have lost its patience.
    assert time.monotonic() - began < 5
