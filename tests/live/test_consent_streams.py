"""Nobody is heard without a standing consent, and what was heard goes when it is taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest
from fastapi import FastAPI
from sound_wire import Room, chunk, greeted, open_room, serving, stored, until, value

from classweave.compliance.consent import Evidence, expire_consents, record_consents
from classweave.compliance.file_deletion import delete_files
from classweave.compliance.models import ConsentKind, ConsentMethod, ConsentState
from classweave.core import clock
from classweave.core.events import emit
from classweave.core.identifiers import encode, uuid7
from classweave.core.runtime import Runtime
from classweave.core.tenancy import system_actor
from classweave.live import store_recording
from classweave.live.commit_words import LeaseLost, TrackFacts, commit_cut
from classweave.live.models import Transcription
from classweave.live.prepare_session import Plan, update_session
from classweave.live.run_session import remove_participant
from classweave.live.topics import STAFF, session_topic
from classweave.speech.recogniser import Recognition, Word
from classweave.speech.segmenter import Cursor, Cut
from school_fixtures import School

pytestmark = pytest.mark.anyio

RECORDING = [ConsentKind.RECORDING]
WITHDRAWN = ConsentState.WITHDRAWN


@pytest.fixture(scope="module")
async def address(app: FastAPI) -> AsyncGenerator[str]:
    async with serving(app) as url:
        yield url


@pytest.fixture
async def room(school: School) -> Room:
    made = await open_room(school, recording_enabled=True)
    await made.start()
    return made


async def test_without_consent_nothing_is_taken_until_it_is_given(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    school = room.school
    await school.consent(RECORDING, WITHDRAWN, school.student_ids[:1])
    joined = await room.student(0)
    assert joined.participant.can_speak is False
    async with greeted(address, joined.token) as wire:
        assert wire.welcome["consent"] is False
        await wire.send(chunk(0))
        refused = await wire.closed()
        assert refused.code == 4403
        assert refused.said[-1] == {"type": "consent", "given": False}
        assert stored(owner, wire.track) == []
    async with greeted(address, joined.token) as wire:
        await school.consent(RECORDING, ConsentState.GIVEN, school.student_ids[:1])
        assert (await wire.hear("consent"))["given"] is True
        await wire.send(chunk(0))
        await wire.acknowledged(0)
        assert [c.payload for c in stored(owner, wire.track)] == [chunk(0).payload]
    allowed = value(
        owner, "SELECT can_speak FROM live.participants WHERE id = %s", joined.participant.id
    )
    assert allowed is True


@pytest.mark.parametrize("kind", [ConsentKind.TAKE_PART, ConsentKind.RECORDING])
async def test_a_withdrawal_stops_the_stream_at_once(
    room: Room, address: str, owner: psycopg.Connection, kind: ConsentKind
) -> None:
    school = room.school
    mine, other = await room.student(0), await room.student(1)
    async with greeted(address, mine.token) as wire, greeted(address, other.token) as beside:
        for device in (wire, beside):
            await device.send(chunk(0), chunk(1))
            await device.acknowledged(1)
        await school.consent([kind], WITHDRAWN, school.student_ids[:1])
        assert stored(owner, wire.track) == []
        assert (await wire.hear("consent"))["given"] is False
        await wire.send(chunk(2))
        assert (await wire.closed()).code == 4403
        assert stored(owner, wire.track) == []
        await beside.send(chunk(2))
        await beside.acknowledged(2)
        assert len(stored(owner, beside.track)) == 3
    async with greeted(address, mine.token, track=wire.welcome["track"]) as again:
        assert again.welcome["consent"] is False


async def test_no_chunk_slips_in_behind_a_withdrawal(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    """Chunks race with the withdrawal: whoever commits first, none is left."""
    school = room.school
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:

        async def talk() -> None:
            for seq in range(500):
                await wire.send(chunk(seq, ms=20))
                await asyncio.sleep(0.005)
                if wire.socket.close_code is not None:
                    return

        talking = asyncio.create_task(talk())
        await wire.acknowledged(20)
        await school.consent(RECORDING, WITHDRAWN, school.student_ids[:1])
        refused = await wire.closed()
        await talking
        assert refused.code in (4403, 1013)
        assert stored(owner, wire.track) == []


async def words_of(room: Room, participant: UUID, track: UUID, content: str) -> None:
    """Words as the worker commits them, with their caption and a measure that quotes them."""
    school = room.school
    now = clock.now()
    async with school.database.transaction(system_actor(school.organization_id)) as session:
        row = Transcription(
            id=uuid7(), organization_id=school.organization_id, session_id=room.id,
            group_id=room.groups[0], track_id=track, cut=0, speaker_id=participant,
            speaker_type="student", speaker_name="A name", content=content,
            language_code="en", start_time=now, end_time=now + timedelta(seconds=2),
            start_seconds=Decimal(1), end_seconds=Decimal(3), duration_seconds=Decimal(2),
            confidence_score=Decimal("0.9"),
        )  # fmt: skip
        session.add(row)
        emit(
            session, session_topic(room.id), "caption",
            {"participant": encode("participant", participant), "text": content},
            audience=(STAFF,), organization=school.organization_id,
        )  # fmt: skip


async def test_a_withdrawal_takes_back_words_captions_measures_and_recordings(
    room: Room, address: str, owner: psycopg.Connection, runtime: Runtime
) -> None:
    school = room.school
    organization = school.organization_id
    mine, other = await room.student(0), await room.student(1)
    paths: dict[UUID, str] = {}
    for joined, said in ((mine, "Corks float on water."), (other, "Stones sink in it.")):
        async with greeted(address, joined.token) as wire:
            await wire.send(chunk(0, ms=1000), chunk(1, ms=1000, last=True))
            await wire.acknowledged(1)
            await words_of(room, joined.participant.id, wire.track, said)
            await store_recording.store_track(
                school.database, runtime.files, organization, wire.track
            )
            paths[joined.participant.id] = f"{organization}/recordings/{room.id}/{wire.track}.ogg"
    owner.execute(
        "INSERT INTO live.student_metrics (organization_id, session_id, participant_id,"
        " total_speaking_time_seconds, speaking_turns_count, peer_interaction_count,"
        " supportive_comments_count, questions_asked_count)"
        " SELECT organization_id, session_id, id, 2, 1, 0, 0, 0 FROM live.participants"
        " WHERE session_id = %s",
        (room.id,),
    )
    owner.execute(
        "INSERT INTO live.tier1_analysis (organization_id, session_id, group_id, window_start,"
        " window_end, phase, insights) SELECT organization_id, session_id, id, 0, 30, 'opening',"
        """ '{"quotes": ["Corks float on water."]}' FROM live.student_groups"""
        " WHERE session_id = %s",
        (room.id,),
    )
    for path in paths.values():
        assert (await runtime.files.get(path))[:4] == b"OggS"

    await school.consent(RECORDING, WITHDRAWN, school.student_ids[:1])

    assert owner.execute(
        "SELECT content FROM live.transcriptions WHERE session_id = %s", (room.id,)
    ).fetchall() == [("Stones sink in it.",)]
    assert owner.execute(
        "SELECT payload->>'text' FROM ops.events WHERE type = 'caption' AND topic = %s",
        (session_topic(room.id),),
    ).fetchall() == [("Stones sink in it.",)]
    for table in ("recordings", "student_metrics"):
        rows = owner.execute(
            f"SELECT participant_id FROM live.{table} WHERE session_id = %s", (room.id,)
        ).fetchall()
        assert rows == [(other.participant.id,)], table
    # What may quote is gone for the group that talked; the other group's measures stand.
    assert owner.execute(
        "SELECT group_id FROM live.tier1_analysis WHERE session_id = %s", (room.id,)
    ).fetchall() == [(room.groups[1],)]
    # Files go after the commit, by a job.
    jobs = owner.execute(
        "SELECT args->'paths' FROM procrastinate_jobs WHERE task_name = 'compliance.delete_files'"
        " AND args->'paths' ? %s",
        (paths[mine.participant.id],),
    ).fetchall()
    assert jobs == [([paths[mine.participant.id]],)]
    await delete_files(jobs[0][0])
    with pytest.raises(FileNotFoundError):
        await runtime.files.get(paths[mine.participant.id])
    assert await runtime.files.size(paths[other.participant.id]) > 100


async def test_words_on_their_way_do_not_outlive_a_withdrawal(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    """A worker holds sound in memory; also that of a device which was sent out meanwhile."""
    school = room.school
    teacher = school.teacher
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:
        await wire.send(chunk(0))
        await wire.acknowledged(0)
        track = wire.track
        owner.execute(
            "UPDATE live.tracks SET leased_by = 'worker', leased_until = now() + interval '1 h'"
            " WHERE id = %s",
            (track,),
        )
    async with school.database.transaction(teacher) as session:
        await remove_participant(session, teacher, room.id, joined.participant.id)
    await school.consent(RECORDING, WITHDRAWN, school.student_ids[:1])
    facts = TrackFacts(
        id=track, organization_id=school.organization_id, session_id=room.id,
        group_id=room.groups[0], participant_id=joined.participant.id, codec="pcm16",
        sample_rate=16_000, started_at=clock.now(), session_start=clock.now(), language="en",
        known_language=None, speaker_name="A name", shared=False, record=False, transcribe=True,
        cuts=0, said=None, model="test",
    )  # fmt: skip
    cut = Cut(None, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, Cursor(seq=1))
    words = Recognition("Corks.", (Word("Corks.", 0.0, 0.5, 0.9),), "en", 1.0, 0.0, -0.1, 1.0)
    with pytest.raises(LeaseLost):
        await commit_cut(school.database, facts, "worker", cut, words)
    count = value(owner, "SELECT count(*) FROM live.transcriptions WHERE session_id = %s", room.id)
    assert count == 0


async def test_a_recording_in_the_making_does_not_outlive_a_withdrawal(
    room: Room, address: str, owner: psycopg.Connection, runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The family withdraws while the file is being written."""
    school = room.school
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:
        await wire.send(chunk(0, ms=1000, last=True))
        await wire.acknowledged(0)
        track = wire.track
    encode_file = store_recording._encode  # pyright: ignore[reportPrivateUsage]
    writing, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slowly(chunks: list) -> tuple[bytes, float]:  # type: ignore[type-arg]
        loop.call_soon_threadsafe(writing.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(20)
        return encode_file(chunks)

    monkeypatch.setattr(store_recording, "_encode", slowly)
    storing = asyncio.create_task(
        store_recording.store_track(school.database, runtime.files, school.organization_id, track)
    )
    await writing.wait()
    await school.consent(RECORDING, WITHDRAWN, school.student_ids[:1])
    go_on.set()
    await storing
    assert not value(owner, "SELECT count(*) FROM live.recordings WHERE session_id = %s", room.id)
    path = f"{school.organization_id}/recordings/{room.id}/{track}.ogg"
    assert value(
        owner,
        "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'compliance.delete_files'"
        " AND args->'paths' ? %s",
        path,
    )


async def test_what_ran_out_is_no_consent(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    school = room.school
    evidence = Evidence(
        method=ConsentMethod.PAPER_FORM, parent_name="A Parent",
        expires_at=clock.now() + timedelta(hours=1),
    )  # fmt: skip
    async with school.database.transaction(school.teacher) as session:
        await record_consents(
            session, school.teacher, school.student_ids[:1], RECORDING, ConsentState.GIVEN, evidence
        )
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:
        await wire.send(chunk(0))
        await wire.acknowledged(0)
        track = wire.track
        with clock.shifted(timedelta(hours=2)):
            async with school.database.transaction(school.admin) as session:
                assert await expire_consents(session, school.admin) == 1
        assert (await wire.hear("consent"))["given"] is False
        await wire.send(chunk(1))
        assert (await wire.closed()).code == 4403
    # It was allowed when it was said: what ran out stops, and takes nothing back.
    assert [c.seq for c in stored(owner, track)] == [0]


async def test_consent_that_ran_out_unnoticed_is_none_at_the_next_hello(
    room: Room, address: str
) -> None:
    school = room.school
    soon = clock.now() + timedelta(hours=1)
    evidence = Evidence(method=ConsentMethod.PAPER_FORM, parent_name="A", expires_at=soon)
    async with school.database.transaction(school.teacher) as session:
        await record_consents(
            session, school.teacher, school.student_ids[:1], RECORDING, ConsentState.GIVEN, evidence
        )
    joined = await room.student(0)
    assert joined.participant.can_speak is True
    with clock.shifted(timedelta(hours=2)):
        async with greeted(address, joined.token) as wire:
            assert wire.welcome["consent"] is False


async def test_guests_and_shared_devices_follow_the_teachers_word(
    school: School, address: str, owner: psycopg.Connection
) -> None:
    room = await open_room(school, shared=True, allow_display_names=True)
    guest, table = await room.guest("Visitor"), await room.shared(1)
    plan = Plan(title="Why do things float?", allow_display_names=True)
    for joined in (guest, table):
        async with greeted(address, joined.token) as wire:
            assert wire.welcome["consent"] is False
            await wire.send(chunk(0))
            assert (await wire.closed()).code == 4403
        async with greeted(address, joined.token) as wire:
            for given in (True, False, True):
                async with school.database.transaction(school.teacher) as session:
                    changed = Plan(
                        title=plan.title, allow_display_names=True,
                        recording_consent_obtained=given,
                    )  # fmt: skip
                    await update_session(session, school.teacher, room.id, changed)
                assert (await wire.hear("consent"))["given"] is given
        async with school.database.transaction(school.teacher) as session:
            await update_session(session, school.teacher, room.id, plan)
    consented = Plan(
        title=plan.title, allow_display_names=True, recording_consent_obtained=True
    )  # fmt: skip
    async with school.database.transaction(school.teacher) as session:
        await update_session(session, school.teacher, room.id, consented)
    await room.start()
    async with greeted(address, table.token) as wire:
        assert wire.welcome["consent"] is True
        await wire.send(chunk(0))
        await wire.acknowledged(0)
        assert stored(owner, wire.track)[0].payload == chunk(0).payload


async def test_a_summary_does_not_wait_for_a_device_that_was_never_heard(
    room: Room, address: str, owner: psycopg.Connection
) -> None:
    from classweave.live.jobs import finish_session

    school = room.school
    await school.consent(RECORDING, WITHDRAWN, school.student_ids[:1])
    joined = await room.student(0)
    async with greeted(address, joined.token) as wire:
        await room.end()
        await wire.hear("state", session="ended")
        await finish_session(organization=str(school.organization_id), session_id=str(room.id))
        done = value(owner, "SELECT finished_at FROM live.tracks WHERE id = %s", wire.track)
        assert done is not None
    await until(
        lambda: value(
            owner, "SELECT count(*) FROM live.session_summaries WHERE session_id = %s", room.id
        ),
        "the summary",
    )
