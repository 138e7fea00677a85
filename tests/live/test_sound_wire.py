"""The conversation: acknowledged only when stored, in order, once; everything else refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from uuid import UUID

import psycopg
import pytest
from fastapi import FastAPI
from sound_wire import (
    Refused,
    Room,
    Wire,
    chunk,
    dial,
    greeted,
    open_room,
    serving,
    stored,
    until,
    value,
)

from classweave.core.identifiers import encode
from classweave.live.frames import HEADER, MAX_PAYLOAD
from classweave.live.mute import set_muted
from classweave.live.receive_sound import store_chunks
from classweave.live.run_session import move_student, remove_participant
from school_fixtures import School

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def address(app: FastAPI) -> AsyncGenerator[str]:
    async with serving(app) as url:
        yield url


@pytest.fixture
async def room(school: School) -> Room:
    """A session under way."""
    made = await open_room(school)
    await made.start()
    return made


async def test_a_chunk_is_stored_before_it_is_acknowledged(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:
        assert wire.welcome == {
            "type": "welcome", "track": wire.welcome["track"], "next_seq": 0, "consent": True,
            "session": "live", "muted": False,
            "limits": {"chunk_bytes": 65_536, "chunk_ms": 2_000},
        }  # fmt: skip
        for seq in range(5):
            await wire.send(chunk(seq))
            await wire.acknowledged(seq)
            assert [c.payload for c in stored(owner, wire.track)] == [
                chunk(n).payload for n in range(seq + 1)
            ]


async def test_track_health_counts_what_arrived(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:
        await wire.send(
            chunk(0, ms=1000),
            chunk(1, ms=1000, start_ms=1000, muted=True, silent=True, payload=None),
            chunk(2, ms=1000, start_ms=2000, silent=True, payload=None, rms=-100, peak=-100),
            chunk(3, ms=1000, start_ms=6000, peak=0),
        )
        await wire.acknowledged(3)
        health = owner.execute(
            "SELECT connected_seconds, heard_seconds, muted_seconds, clipping_seconds,"
            " gap_seconds, end_ms, next_seq FROM live.tracks WHERE id = %s",
            (wire.track,),
        ).fetchone()
    assert health is not None
    assert [float(number) for number in health] == [4, 2, 1, 1, 3, 7000, 4]


@contextmanager
def failing_commits(owner: psycopg.Connection, track: UUID) -> Generator[None]:
    """Every commit that holds a chunk of this track fails, at the commit itself."""
    owner.execute(
        "CREATE FUNCTION live.test_fail() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'the disk is full'; END$$"
    )
    owner.execute(
        "CREATE CONSTRAINT TRIGGER test_fail AFTER INSERT ON live.audio_chunks"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
        f" WHEN (NEW.track_id = '{track}') EXECUTE FUNCTION live.test_fail()"
    )
    try:
        yield
    finally:
        owner.execute("DROP TRIGGER test_fail ON live.audio_chunks")
        owner.execute("DROP FUNCTION live.test_fail()")


async def test_a_failed_commit_is_never_acknowledged_and_its_chunk_is_taken_once_later(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:
        await wire.send(chunk(0))
        await wire.acknowledged(0)
        with failing_commits(owner, wire.track):
            await wire.send(chunk(1), chunk(2))
            refused = await wire.closed()
        assert refused.code == 1013
        assert [m["seq"] for m in refused.said if m["type"] == "ack"] == [0]
        assert [c.seq for c in stored(owner, wire.track)] == [0]
        track = wire.welcome["track"]
    async with greeted(address, joined.token, track=track) as again:
        assert (again.welcome["track"], again.welcome["next_seq"]) == (track, 1)
        await again.send(chunk(1), chunk(2))
        await again.acknowledged(2)
        assert [c.seq for c in stored(owner, again.track)] == [0, 1, 2]


async def test_a_repeated_chunk_is_acknowledged_and_not_stored_twice(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:
        await wire.send(chunk(0), chunk(1))
        await wire.acknowledged(1)
        await wire.send(chunk(0, payload=chunk(9).payload))
        await wire.acknowledged(1)
        assert [c.payload for c in stored(owner, wire.track)] == [
            chunk(0).payload,
            chunk(1).payload,
        ]
        seconds = value(
            owner, "SELECT connected_seconds FROM live.tracks WHERE id = %s", wire.track
        )
        assert float(seconds) == 0.2


async def test_nothing_is_taken_behind_the_last_chunk(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:
        future = asyncio.get_running_loop().create_future
        frames = (chunk(0), chunk(1, last=True), chunk(2))
        # In one batch, as they come from a device in a hurry.
        batch = [(wire.track, frame, future()) for frame in frames]
        async with room.school.database.transaction(room.school.teacher) as session:
            awaited = await store_chunks(session, room.school.organization_id, batch)
    assert awaited == {wire.track: 2}
    assert [c.seq for c in stored(owner, wire.track)] == [0, 1]


async def test_a_skipped_number_is_asked_for_again(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:
        await wire.send(chunk(0), chunk(2))
        assert await wire.hear("resend") == {"type": "resend", "from": 1}
        await wire.send(chunk(1), chunk(2))
        await wire.acknowledged(2)
        assert [c.seq for c in stored(owner, wire.track)] == [0, 1, 2]


async def test_two_connections_on_one_track_lose_and_double_nothing(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    """A connection that is half dead sends what its successor sends too."""
    joined = await room.student(0)
    async with greeted(address, joined.token) as first:
        await first.send(chunk(0))
        await first.acknowledged(0)
        track = first.welcome["track"]
        async with dial(address, joined.token) as second:
            await first.send(*(chunk(n) for n in range(1, 8)))
            await second.greet(track=track)
            start = second.welcome["next_seq"]
            await second.send(*(chunk(n) for n in range(start, 12)))
            await second.acknowledged(11)
            assert [(c.seq, c.payload) for c in stored(owner, second.track)] == [
                (n, chunk(n).payload) for n in range(12)
            ]
            assert (await first.closed()).code in (4409, 1013)


HEAD = HEADER.pack(0x43, 1, 0, 1, 100, 100, 20, 20)
NO_CHUNKS: list[tuple[str | bytes, int, str]] = [
    (b"garbage", 4400, "too-short"),
    (b"\x44" + HEAD[1:], 4400, "not-a-chunk"),
    (b"\x43\x09" + HEAD[2:], 4400, "not-a-chunk"),
    (HEADER.pack(0x43, 1, 0, 1, 0, 2001, 20, 20), 4400, "bad-times"),
    (HEAD + b"odd", 4400, "not-audio"),
    (HEAD + bytes(MAX_PAYLOAD + 1), 4413, "chunk-too-large"),
    ("{}", 4400, "bad-message"),
    ('{"type":"mute","muted":"yes"}', 4400, "bad-message"),
]


async def test_what_is_no_chunk_is_refused_loudly_and_nothing_is_lost(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    for index, (sent, close, code) in enumerate(NO_CHUNKS):
        joined = await room.student(index)
        async with greeted(address, joined.token) as wire:
            await wire.send(chunk(0))
            await wire.acknowledged(0)
            await wire.say(sent)
            refused = await wire.closed()
            assert (refused.code, refused.said[-1]["code"]) == (close, code)
            assert refused.said[-1]["fatal"] is True
            assert len(refused.said[-1]["message"]) > 15
            assert len(stored(owner, wire.track)) == 1


async def test_faster_than_any_microphone_is_refused(room: Room, address: str) -> None:
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:
        empty = [chunk(n, ms=1, silent=True, payload=None) for n in range(1500)]
        sending = asyncio.create_task(wire.send(*empty))
        refused = await wire.closed()
        await sending
    assert (refused.code, refused.said[-1]["code"]) == (4429, "too-fast")
    # What had been taken is safe: the device goes on behind it.
    async with greeted(address, joined.token, track=wire.welcome["track"]) as again:
        seen = max(m["seq"] for m in refused.said if m["type"] == "ack")
        assert again.welcome["next_seq"] > seen


NO_HELLOS: list[str | bytes] = [
    "not json", "{}", '{"type":"ping"}',
    '{"type":"hello","protocol":2,"codec":"opus","sample_rate":48000}',
    '{"type":"hello","protocol":1,"codec":"mp3","sample_rate":48000}',
    '{"type":"hello","protocol":1,"codec":"opus","sample_rate":16000}',
    '{"type":"hello","protocol":1,"codec":"opus","sample_rate":48000,"more":1}',
    b"\x43\x01",
]  # fmt: skip


async def test_who_does_not_say_hello_is_refused(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    joined = await room.student(0)
    for hello in NO_HELLOS:
        async with dial(address, joined.token) as wire:
            await wire.say(hello)
            refused = await wire.closed()
        assert (refused.code, refused.said[-1]["code"]) == (4400, "bad-hello"), hello
    assert not value(owner, "SELECT count(*) FROM live.tracks WHERE session_id = %s", room.id)


async def test_who_says_nothing_is_sent_away(
    room: Room, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("classweave.live.api.sound._HELLO_SECONDS", 0.1)
    joined = await room.student(0)
    async with dial(address, joined.token) as wire:
        refused = await wire.closed()
    assert (refused.code, refused.said[-1]["code"]) == (4400, "bad-hello")


async def test_only_a_device_of_a_session_may_speak(
    room: Room, school: School, address: str
) -> None:
    teacher = await school.token(school.teacher_id)
    for token in (None, "never-given", teacher):
        async with dial(address, token) as wire:
            with pytest.raises(Refused) as refused:
                await wire.greet()
        assert (refused.value.code, refused.value.said[-1]["code"]) == (4401, "sign-in-required")


async def test_a_removed_device_is_closed_and_may_not_come_back_with_its_key(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    joined = await room.student(0)
    teacher = room.school.teacher
    async with greeted(address, joined.token) as wire:
        await wire.send(chunk(0))
        await wire.acknowledged(0)
        async with room.school.database.transaction(teacher) as session:
            await remove_participant(session, teacher, room.id, joined.participant.id)
        assert (await wire.closed()).code == 4404
        closed = value(owner, "SELECT closed_at FROM live.tracks WHERE id = %s", wire.track)
        assert closed is not None  # its last words need not wait for the end of the session
    async with dial(address, joined.token) as wire:
        with pytest.raises(Refused) as refused:
            await wire.greet()
    assert refused.value.code == 4401


async def test_another_site_may_not_open_the_microphone(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    joined = await room.student(0)
    host = address.removeprefix("http://")
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        cookie = {"Cookie": f"cw_device={joined.token}"}
        async with dial(address, None, headers | cookie) as wire:
            with pytest.raises(Refused) as refused:
                await wire.greet()
        assert (refused.value.code, refused.value.said[-1]["code"]) == (4400, "cross-site")
    assert not value(owner, "SELECT count(*) FROM live.tracks WHERE session_id = %s", room.id)
    async with dial(
        address, None, {"Origin": f"http://{host}", "Cookie": f"cw_device={joined.token}"}
    ) as wire:
        await wire.greet()


async def test_a_second_tab_takes_the_microphone(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    joined = await room.student(0)
    async with greeted(address, joined.token) as first:
        await first.send(chunk(0))
        await first.acknowledged(0)
        async with greeted(address, joined.token) as second:
            refused = await first.closed()
            assert (refused.code, refused.said[-1]["code"]) == (4409, "replaced")
            assert second.welcome["track"] != first.welcome["track"]
            await second.send(chunk(0))
            await second.acknowledged(0)
        # Nothing can come on the first track any more, and nobody has to wait for it.
        assert value(owner, "SELECT closed_at FROM live.tracks WHERE id = %s", first.track)


async def test_the_key_of_a_device_that_was_taken_over_stops_at_once(
    room: Room, address: str
) -> None:
    first = await room.student(0)
    async with greeted(address, first.token) as wire:
        second = await room.student(0)
        assert second.participant.id == first.participant.id
        assert (await wire.closed()).code == 4409
    async with dial(address, first.token) as wire:
        with pytest.raises(Refused) as refused:
            await wire.greet()
    assert refused.value.code == 4401
    async with greeted(address, second.token) as wire:
        await wire.send(chunk(0))
        await wire.acknowledged(0)


async def test_a_track_goes_on_where_it_was(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:
        await wire.send(*(chunk(n) for n in range(4)))
        await wire.acknowledged(3)
        track = wire.welcome["track"]
        began = value(owner, "SELECT started_at FROM live.tracks WHERE id = %s", wire.track)
    async with greeted(address, joined.token, track=track, elapsed_ms=99_000) as again:
        assert (again.welcome["track"], again.welcome["next_seq"]) == (track, 4)
        await again.send(chunk(4, last=True))
        await again.acknowledged(4)
        row = owner.execute(
            "SELECT started_at, closed_at FROM live.tracks WHERE id = %s", (again.track,)
        ).fetchone()
        assert row is not None
        assert row[0] == began
        assert row[1] is not None  # the flag of the last chunk closed it
        await again.send(chunk(5))
        assert (await again.closed()).code == 1013
        assert len(stored(owner, again.track)) == 5
    async with greeted(address, joined.token, track=track) as anew:
        assert anew.welcome["track"] != track
        assert anew.welcome["next_seq"] == 0


async def test_a_track_in_another_encoding_is_not_resumed(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:
        await wire.send(chunk(0))
        await wire.acknowledged(0)
        track = wire.welcome["track"]
    async with greeted(address, joined.token, track=track, sample_rate=48_000) as other:
        assert other.welcome["track"] != track
        rate = value(owner, "SELECT sample_rate FROM live.tracks WHERE id = %s", other.track)
        assert rate == 48_000


async def test_nobody_resumes_the_track_of_somebody_else(
    room: Room, address: str, other_school: School, owner: psycopg.Connection
) -> None:
    mine = await room.student(0)
    neighbour = await room.student(1)
    elsewhere = await open_room(other_school)
    await elsewhere.start()
    stranger = await elsewhere.student(0)
    async with greeted(address, mine.token) as wire:
        await wire.send(chunk(0))
        await wire.acknowledged(0)
        track = wire.welcome["track"]
        odd = [encode("track", mine.participant.id), "track_", "session_1", "\0", "x" * 500]
        for joined in (neighbour, stranger):
            async with greeted(address, joined.token, track=track) as other:
                assert other.welcome["track"] != track
                assert other.welcome["next_seq"] == 0
                await other.send(chunk(0), chunk(1))
                await other.acknowledged(1)
            for name in odd:
                async with greeted(address, joined.token, track=name) as other:
                    assert other.welcome["track"] != track
        assert [c.seq for c in stored(owner, wire.track)] == [0]


async def test_what_is_said_outside_the_running_session_leaves_no_sound(
    school: School, address: str, owner: psycopg.Connection
) -> None:
    room = await open_room(school)
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:
        assert wire.welcome["session"] == "open"
        await wire.send(chunk(0))
        await wire.acknowledged(0)
        await room.start()
        await wire.hear("state", session="live")
        now = await elapsed(wire, owner)
        await wire.send(chunk(1, start_ms=now))
        await wire.acknowledged(1)
        await room.pause()
        await wire.hear("state", session="paused")
        later = await elapsed(wire, owner)
        await wire.send(chunk(2, start_ms=later))
        await wire.acknowledged(2)
        await room.resume()
        await wire.hear("state", session="live")
        await wire.send(chunk(3, start_ms=await elapsed(wire, owner)))
        await wire.acknowledged(3)
        await room.end()
        await wire.hear("state", session="ended")
        await wire.send(chunk(4, start_ms=await elapsed(wire, owner)))
        await wire.acknowledged(4)
        kept = [(c.seq, c.silent, c.payload is not None) for c in stored(owner, wire.track)]
        assert kept == [
            (0, True, False), (1, False, True), (2, True, False), (3, False, True),
            (4, True, False),
        ]  # fmt: skip


async def elapsed(wire: Wire, owner: psycopg.Connection) -> int:
    """The track's clock at this moment, in milliseconds."""
    return int(
        value(
            owner,
            "SELECT extract(epoch FROM clock_timestamp() - started_at) * 1000"
            " FROM live.tracks WHERE id = %s",
            wire.track,
        )
    )


async def test_sound_counts_by_when_it_was_captured_and_not_by_when_it_came(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    """A device that was cut off sends later what was said before, during and after a pause."""
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:
        track = wire.welcome["track"]
        await wire.send(chunk(0))
        await wire.acknowledged(0)
        await until_clock(owner, wire.track, 300)
        before = await elapsed(wire, owner)
    await room.pause()
    during = before + 200
    await until_clock(owner, wire.track, during + 200)
    await room.resume()
    async with greeted(address, joined.token, track=track) as again:
        after = await elapsed(again, owner) - 20
        await again.send(
            chunk(1, start_ms=before - 100), chunk(2, start_ms=during), chunk(3, start_ms=after)
        )
        await again.acknowledged(3)
        assert [c.payload is not None for c in stored(owner, again.track)] == [
            True, True, False, True,
        ]  # fmt: skip
        said_before_the_end = await elapsed(again, owner) - 100
        await room.end()
        await again.hear("state", session="ended")
        await again.send(chunk(4, start_ms=said_before_the_end))
        await again.acknowledged(4)
        assert stored(owner, again.track)[-1].payload == chunk(4).payload


async def until_clock(owner: psycopg.Connection, track: UUID, ms: int) -> None:
    await until(
        lambda: value(
            owner,
            "SELECT extract(epoch FROM clock_timestamp() - started_at) * 1000 > %s"
            " FROM live.tracks WHERE id = %s",
            ms, track,
        ),
        "the track's clock",
    )  # fmt: skip


async def test_an_ended_session_takes_no_new_track(room: Room, address: str) -> None:
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:
        await wire.send(chunk(0))
        await wire.acknowledged(0)
        track = wire.welcome["track"]
    await room.end()
    async with greeted(address, joined.token, track=track) as wire:
        assert wire.welcome["session"] == "ended"
    async with dial(address, joined.token) as wire:
        with pytest.raises(Refused) as refused:
            await wire.greet()
    assert (refused.value.code, refused.value.said[-1]["code"]) == (4404, "session-over")


async def test_an_absurd_clock_places_no_sound_outside_the_session(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    for index, ms in enumerate((-86_400_000, -1, 86_400_000, 10**15, 10**30)):
        joined = await room.student(index)
        async with greeted(address, joined.token, elapsed_ms=ms) as wire:
            await wire.send(chunk(0))
            await wire.acknowledged(0)
            assert value(
                owner,
                "SELECT t.started_at BETWEEN p.join_time AND now() FROM live.tracks t"
                " JOIN live.participants p ON p.id = t.participant_id WHERE t.id = %s",
                wire.track,
            )


async def test_the_devices_own_clock_places_what_it_held(
    school: School, address: str, owner: psycopg.Connection
) -> None:
    """What a device says of the time of day is never asked; only what passed on its own clock."""
    room = await open_room(school)
    joined = await room.student(0)
    await room.start()
    await until(
        lambda: value(
            owner,
            "SELECT now() - join_time > interval '0.6 s' FROM live.participants WHERE id = %s",
            joined.participant.id,
        ),
        "half a second",
    )
    async with greeted(address, joined.token, elapsed_ms=500) as wire:
        ago = value(
            owner,
            "SELECT extract(epoch FROM clock_timestamp() - started_at) FROM live.tracks"
            " WHERE id = %s",
            wire.track,
        )
        assert 0.5 <= float(ago) < 5


async def test_a_track_on_which_nothing_came_is_begun_anew(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    joined = await room.student(0)
    async with greeted(address, joined.token) as first:
        track = first.welcome["track"]
        began = value(owner, "SELECT started_at FROM live.tracks WHERE id = %s", first.track)
    async with greeted(address, joined.token) as second:
        assert second.welcome["track"] == track
        again = value(owner, "SELECT started_at FROM live.tracks WHERE id = %s", second.track)
    assert again > began
    count = value(owner, "SELECT count(*) FROM live.tracks WHERE session_id = %s", room.id)
    assert count == 1


async def test_muting_is_told_and_muted_sound_is_not_kept(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:
        await wire.say('{"type":"mute","muted":true}')
        assert (await wire.hear("mute"))["muted"] is True
        await wire.send(chunk(0, muted=True))
        await wire.acknowledged(0)
        assert [(c.silent, c.payload) for c in stored(owner, wire.track)] == [(True, None)]
        async with room.school.database.transaction(room.school.teacher) as session:
            await set_muted(session, joined.participant.id, False)
        assert (await wire.hear("mute"))["muted"] is False
        await wire.say('{"type":"ping"}')
        await wire.hear("pong")


async def test_a_moved_device_speaks_for_its_new_group_and_loses_nothing(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    joined = await room.student(0)
    teacher = room.school.teacher
    async with greeted(address, joined.token) as wire:
        await wire.send(chunk(0))
        await wire.acknowledged(0)
        async with room.school.database.transaction(teacher) as session:
            await move_student(session, teacher, room.id, joined.participant.id, room.groups[1])
        with_gap = wire.welcome["track"]
        # What the old track does not take any more is not acknowledged: the device keeps it.
        await wire.send(chunk(1))
        refused = await wire.closed()
        assert refused.code == 1013
        assert [m["seq"] for m in refused.said if m["type"] == "ack"] == [0]
    async with greeted(address, joined.token, track=with_gap) as again:
        assert again.welcome["track"] != with_gap
        await again.send(chunk(0, payload=chunk(1).payload))
        await again.acknowledged(0)
        rows = owner.execute(
            "SELECT id, group_id FROM live.tracks WHERE session_id = %s ORDER BY created_at",
            (room.id,),
        ).fetchall()
        assert rows == [(wire.track, room.groups[0]), (again.track, room.groups[1])]
        assert [c.payload for c in stored(owner, again.track)] == [chunk(1).payload]
