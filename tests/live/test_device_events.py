"""The event stream of a device ends with the right to see what it shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from sound_wire import Room, open_room, serving

from classweave.live.join_session import Joined
from classweave.live.run_session import move_student, remove_participant
from classweave.live.send_message import send_message
from classweave.web import events as web_events
from loopback import Sent, follow
from school_fixtures import School

pytestmark = pytest.mark.anyio


@pytest.fixture
async def address(app: FastAPI) -> AsyncGenerator[str]:
    async with serving(app) as bound:
        yield bound


@asynccontextmanager
async def following(address: str, joined: Joined) -> AsyncGenerator[AsyncIterator[Sent]]:
    headers = {"authorization": f"Bearer {joined.token}"}
    async with (
        asyncio.timeout(60),
        httpx.AsyncClient(base_url=address, headers=headers, timeout=30) as client,
        client.stream("GET", "/api/live/device/events") as response,
    ):
        assert response.status_code == 200
        yield await follow(response)


async def happens(room: Room, what: str, joined: Joined) -> None:
    """What ends the device's right, and a word to its group in the same transaction."""
    teacher = room.school.teacher
    if what == "device":
        await room.student(0)
        return
    async with room.school.database.transaction(teacher) as session:
        if what == "removed":
            await remove_participant(session, teacher, room.id, joined.participant.id)
        else:
            await move_student(session, teacher, room.id, joined.participant.id, room.groups[1])
        await send_message(session, teacher, room.id, room.groups[0], "Between us.")


@pytest.mark.parametrize("what", ["removed", "moved", "device"])
async def test_a_stream_ends_with_what_changes_who_may_follow(
    school: School, address: str, what: str
) -> None:
    room = await open_room(school)
    joined = await room.student(0)
    async with following(address, joined) as events:
        await happens(room, what, joined)
        seen = [event async for event in events]
    assert seen[-1].type == what
    assert "message" not in {event.type for event in seen}


async def test_a_stream_is_asked_anew_who_it_is(
    school: School, address: str, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_events, "_LIFETIME_S", 0.0)
    room = await open_room(school)
    async with following(address, await room.student(0)) as events:
        for channel in app.state.services.listener._channels.values():
            for follower in channel.followers:
                follower.wake()
        assert [event async for event in events] == []
