"""Killed processes and a cut network, in the middle of a session: the transcript is the same.

Each test plays the same recorded speech as an undisturbed run did, through real processes, and
compares the transcripts utterance for utterance: no duplicate, no gap, the same words.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from classweave.demonstration.stage_lesson import Stage, play_lesson
from classweave.speech.decode import Samples, decode_file
from installation import Installation, installation, open_tracks, talk

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.faults,
    pytest.mark.speech,
    pytest.mark.xdist_group("faults"),
]

SECONDS = 24.0
Disturb = Callable[[Installation, Stage], Awaitable[None]]
Transcript = list[tuple[str, int, str, str]]


def sound(shared_data: Path) -> list[Samples]:
    folder = shared_data / "librispeech_test_other" / "dev"
    turns = [decode_file(path)[: 16_000 * 4] for path in sorted(folder.glob("*.flac"))[:9]]
    return [talk(turns, 1.1, SECONDS, offset) for offset in (0, 3, 6)]


async def lesson(place: Installation, tracks: list[Samples], disturb: Disturb | None) -> Transcript:
    stage = await open_tracks(place, tracks, per_group=3)
    disturbance = asyncio.create_task(disturb(place, stage)) if disturb else None
    await play_lesson(place.teacher, stage, 1.0)
    if disturbance is not None:
        await disturbance
    await place.until_ready()
    await place.teacher.call("POST", f"/sessions/{stage.session}/end", reason="test")
    assert [d.player.acknowledged for d in stage.devices] == [
        len(d.player.frames) - 1 for d in stage.devices
    ]
    return await settled(place, stage.session)


async def settled(place: Installation, session: str) -> Transcript:
    """The transcript once every track has been read to its end."""
    from sqlalchemy import text

    from classweave.core.identifiers import decode
    from classweave.core.tenancy import system_actor

    for _ in range(600):
        async with place.runtime.database.transaction(
            system_actor(place.school.organization)
        ) as transaction:
            unfinished = await transaction.scalar(
                text(
                    "SELECT count(*) FROM live.tracks"
                    " WHERE session_id = :session AND finished_at IS NULL"
                ),
                {"session": decode("session", session)},
            )
        if not unfinished:
            return await place.transcript(session)
        await asyncio.sleep(0.1)
    raise AssertionError("the tracks were not read to their end within a minute")


@pytest.fixture(scope="module")
async def place(anyio_backend: str) -> AsyncGenerator[Installation]:
    async with installation() as made:
        yield made


@pytest.fixture(scope="module")
async def undisturbed(place: Installation, shared_data: Path) -> Transcript:
    found = await lesson(place, sound(shared_data), None)
    assert len(found) >= 9, found
    assert sum(len(row[3].split()) for row in found) > 60
    return found


def killing(name: str, after: float = 9.0) -> Disturb:
    async def disturb(place: Installation, _stage: Stage) -> None:
        await asyncio.sleep(after)
        place.kill(name)

    return disturb


@pytest.mark.parametrize("victim", ["web", "speech-1", "postgres"])
async def test_kill_9_changes_nothing(
    victim: str, place: Installation, undisturbed: Transcript, shared_data: Path
) -> None:
    assert await lesson(place, sound(shared_data), killing(victim)) == undisturbed


@asynccontextmanager
async def proxy(target_port: int) -> AsyncGenerator[tuple[int, asyncio.Event]]:
    """A wire that can be cut: while the event is set, nothing passes and nobody connects."""
    cut = asyncio.Event()
    wires: set[asyncio.StreamWriter] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if cut.is_set():
                    break
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if cut.is_set():
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target_port)
        wires.update({writer, far_writer})
        await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    watcher = asyncio.create_task(_sever(cut, wires))
    try:
        yield server.sockets[0].getsockname()[1], cut
    finally:
        watcher.cancel()
        server.close()
        for writer in wires:
            writer.close()


async def _sever(cut: asyncio.Event, wires: set[asyncio.StreamWriter]) -> None:
    while True:
        await cut.wait()
        for writer in wires:
            writer.transport.abort()
        wires.clear()
        await asyncio.sleep(0.05)


async def test_a_network_cut_of_a_minute_changes_nothing(
    place: Installation, undisturbed: Transcript, shared_data: Path
) -> None:
    tracks = sound(shared_data)
    async with proxy(place.runtime.settings.port) as (port, cut):

        async def disturb() -> None:
            await asyncio.sleep(8)
            cut.set()
            await asyncio.sleep(60)
            cut.clear()

        stage = await open_tracks(place, tracks, per_group=3)
        for device in stage.devices:
            device.player.url = f"http://127.0.0.1:{port}"
        disturbance = asyncio.create_task(disturb())
        await play_lesson(place.teacher, stage, 1.0)
        await disturbance
        assert all(device.player.reconnects for device in stage.devices)
        await place.teacher.call("POST", f"/sessions/{stage.session}/end", reason="test")
        assert await settled(place, stage.session) == undisturbed
