"""Tier 1 on a real database: what is due, what is left out, what is written."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest
from lesson_fixtures import (
    GUEST,
    PLAN,
    Lesson,
    end_lesson,
    forget_session,
    hear,
    listen_on,
    start_lesson,
)
from sqlalchemy import func, select, text

from classweave.compliance.models import ConsentKind, ConsentState
from classweave.core.database import dsn
from classweave.core.identifiers import encode, uuid7
from classweave.live import measure_groups
from classweave.live.join_session import Device, join_as_guest, join_as_student
from classweave.live.load_talk import load_talk
from classweave.live.measure_groups import measure_and_guide, request_measures, watch_session
from classweave.live.models import (
    AnalysisResult,
    ClassroomSession,
    GroupMetrics,
    StudentGroup,
    TeacherGuidanceMetrics,
    Tier1Analysis,
    Track,
    Transcription,
)
from classweave.live.run_session import remove_participant
from school_fixtures import School

pytestmark = pytest.mark.anyio


async def rows(lesson: Lesson, model: type) -> list:
    async with lesson.school.database.transaction(lesson.system()) as session:
        return list(await session.scalars(select(model).order_by(model.id)))


async def waiting_jobs(lesson: Lesson, group: UUID) -> int:
    async with lesson.school.database.transaction(lesson.system()) as session:
        found = await session.scalar(
            text(
                "SELECT count(*) FROM public.procrastinate_jobs WHERE status = 'todo'"
                " AND task_name = 'live.measure_group' AND args->>'group_id' = :group"
            ),
            {"group": str(group)},
        )
        return int(found or 0)


async def test_measures_are_asked_for_once_for_each_half_minute(school: School) -> None:
    lesson = await start_lesson(school)
    group = lesson.groups[0]
    await hear(lesson, "group_a", group, until=25)
    async with school.database.transaction(lesson.system()) as session:
        await request_measures(session, group)
    assert await waiting_jobs(lesson, group) == 0
    await hear(lesson, "group_a", group, since=25, until=60)
    for _ in range(2):
        async with school.database.transaction(lesson.system()) as session:
            await request_measures(session, group)
    assert await waiting_jobs(lesson, group) == 1


async def test_a_measurement_is_written_with_its_evidence(school: School) -> None:
    lesson = await start_lesson(school)
    group = lesson.groups[0]
    await hear(lesson, "group_a", group, until=90)
    measured = await measure_and_guide(school.database, lesson.organization, group)
    assert measured is not None
    (tier1,) = await rows(lesson, Tier1Analysis)
    assert float(tier1.window_end) == measured.end
    by_name = {m["name"]: m for m in tier1.insights["measures"]}
    dominance = by_name["dominance"]
    assert 0.3 < dominance["value"] < 0.5
    assert dominance["status"] == "ok"
    assert dominance["n_unit"] == "seconds"
    quote = dominance["evidence"][0]
    assert quote["utterance"].startswith("utterance_")
    assert quote["quote"] in {u.text for u in measured.talk.utterances}
    share = f"share:{encode('participant', lesson.participants['leila'])}"
    assert 0.2 < dominance["details"][share] < 0.4
    (metrics,) = await rows(lesson, GroupMetrics)
    assert metrics.members_configured == metrics.members_present == 4
    assert metrics.silent_members_count == 1
    assert metrics.leader_assigned
    assert len(metrics.measures["measures"]) > 20
    (result,) = await rows(lesson, AnalysisResult)
    assert (result.analysis_type, result.model_version.split()[0]) == (
        "tier1",
        "classweave-language",
    )
    async with school.database.transaction(lesson.system()) as session:
        row = await session.get_one(StudentGroup, group)
        assert row.collaboration_score is not None
        assert row.sentiment_arc
        assert await measure_and_guide(school.database, lesson.organization, group) is None
        events = await session.scalar(
            text("SELECT count(*) FROM ops.events WHERE topic = :topic AND type = 'measures'"),
            {"topic": f"live.session:{lesson.session_id}"},
        )
        assert events == 1


async def test_whoever_does_not_consent_to_analysis_is_left_out_of_everything(
    school: School,
) -> None:
    lesson = await start_lesson(school)
    group = lesson.groups[0]
    await hear(lesson, "group_a", group, until=150)
    await school.consent([ConsentKind.ANALYSIS], ConsentState.REFUSED, [lesson.students["isaac"]])
    measured = await measure_and_guide(school.database, lesson.organization, group)
    assert measured is not None
    isaac = encode("participant", lesson.participants["isaac"])
    assert isaac not in measured.talk.members
    assert all(u.speaker != isaac for u in measured.talk.utterances)
    assert all(t.speaker != isaac for t in measured.talk.tracks)
    (tier1,) = await rows(lesson, Tier1Analysis)
    assert isaac not in str(tier1.insights)
    assert "heavy things sink" not in str(tier1.insights)
    assert tier1.insights["left_out"] == 1


async def test_tone_is_not_taken_where_the_region_or_a_setting_forbids_it(school: School) -> None:
    lesson = await start_lesson(school)
    await hear(lesson, "group_a", lesson.groups[0], until=150)
    async with school.database.transaction(school.admin) as session:
        await session.execute(
            text("UPDATE directory.organizations SET region = 'DE' WHERE id = :id"),
            {"id": school.organization_id},
        )
    await measure_and_guide(school.database, lesson.organization, lesson.groups[0])
    (tier1,) = await rows(lesson, Tier1Analysis)
    assert "sentiment" not in {m["name"] for m in tier1.insights["measures"]}
    (metrics,) = await rows(lesson, GroupMetrics)
    assert metrics.average_sentiment_score is None
    async with school.database.transaction(lesson.system()) as session:
        assert (await session.get_one(StudentGroup, lesson.groups[0])).sentiment_arc is None


async def test_a_shared_device_speaks_for_the_group_only(school: School) -> None:
    lesson = await start_lesson(school, shared=True)
    await hear(lesson, "group_a", lesson.groups[0], until=150)
    await measure_and_guide(school.database, lesson.organization, lesson.groups[0])
    (tier1,) = await rows(lesson, Tier1Analysis)
    by_name = {m["name"]: m for m in tier1.insights["measures"]}
    assert tier1.insights["shared_device"] is True
    assert by_name["dominance"]["status"] == "not_enough"
    assert by_name["conceptual_density"]["value"] is not None
    # Nobody can be left out of what one device hears: one refusal silences it.
    await school.consent([ConsentKind.ANALYSIS], ConsentState.REFUSED, [lesson.students["owen"]])
    await hear(lesson, "group_a", lesson.groups[0], since=150)
    assert await measure_and_guide(school.database, lesson.organization, lesson.groups[0]) is None


async def test_nothing_heard_and_no_such_group_are_no_error(school: School) -> None:
    lesson = await start_lesson(school)
    group = lesson.groups[1]
    assert await measure_and_guide(school.database, lesson.organization, group) is None
    final = await measure_and_guide(school.database, lesson.organization, group, final=True)
    assert final is not None
    assert final.measures["whole"]["silent_members"].status == "not_enough"
    await hear(lesson, "group_b", group, until=60)
    await forget_session(lesson)
    assert await measure_and_guide(school.database, lesson.organization, group) is None
    assert await measure_and_guide(school.database, lesson.organization, UUID(int=0)) is None


async def test_a_session_without_analysis_is_not_measured(school: School) -> None:
    lesson = await start_lesson(school, plan=replace(PLAN, ai_analysis_enabled=False))
    group = lesson.groups[0]
    await hear(lesson, "group_a", group, until=60)
    async with school.database.transaction(lesson.system()) as session:
        await request_measures(session, group)
    assert await waiting_jobs(lesson, group) == 0
    assert await measure_and_guide(school.database, lesson.organization, group) is None


async def test_a_group_that_falls_quiet_is_measured_by_its_devices(school: School) -> None:
    lesson = await start_lesson(school)
    group = lesson.groups[0]
    await hear(lesson, "group_a", group, until=90)
    await measure_and_guide(school.database, lesson.organization, group)
    await listen_on(lesson, group, 185)
    measured = await measure_and_guide(school.database, lesson.organization, group)
    assert measured is not None
    quiet = measured.measures["rolling"]["quiet_seconds"]
    assert quiet.value is not None
    assert 90 < quiet.value < 110
    prompts = await rows(lesson, TeacherGuidanceMetrics)
    assert [prompt.prompt_id for prompt in prompts] == ["gone-quiet"]


async def test_another_school_sees_no_measures(school: School, other_school: School) -> None:
    lesson = await start_lesson(school)
    await hear(lesson, "group_a", lesson.groups[0], until=60)
    await measure_and_guide(school.database, lesson.organization, lesson.groups[0])
    async with other_school.database.transaction(other_school.admin) as session:
        count = await session.scalar(select(func.count()).select_from(Tier1Analysis))
    assert count == 0


async def test_a_watch_looks_after_quiet_groups_while_a_session_runs(school: School) -> None:
    lesson = await start_lesson(school)
    group = lesson.groups[0]
    arguments = {"organization": str(lesson.organization), "session_id": str(lesson.session_id)}
    await hear(lesson, "group_a", group, until=25)
    await watch_session(**arguments)
    assert await waiting_jobs(lesson, group) == 0
    await listen_on(lesson, group, 80)
    await watch_session(**arguments)
    await watch_session(**arguments)
    assert await waiting_jobs(lesson, group) == 1
    assert await watching(lesson) == 1
    await end_lesson(lesson)
    async with school.database.transaction(lesson.system()) as session:
        await session.execute(
            text("DELETE FROM procrastinate_jobs WHERE queueing_lock = :lock"),
            {"lock": f"watch:{lesson.session_id}"},
        )
    await watch_session(**arguments)
    assert await watching(lesson) == 0


async def watching(lesson: Lesson) -> int:
    async with lesson.school.database.transaction(lesson.system()) as session:
        found = await session.scalar(
            text("SELECT count(*) FROM procrastinate_jobs WHERE queueing_lock = :lock"),
            {"lock": f"watch:{lesson.session_id}"},
        )
        return int(found or 0)


async def test_words_taken_back_while_measuring_are_not_written(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesson = await start_lesson(school)
    group = lesson.groups[0]
    await hear(lesson, "group_a", group, until=60)
    taken: list[object] = []

    def measure_while_words_go(*arguments: object) -> object:
        with psycopg.connect(dsn(lesson.school.database.url)) as connection:
            connection.execute(
                "SELECT set_config('classweave.organizations', %s, true)",
                (str(lesson.organization),),
            )
            taken.append(
                connection.execute(
                    "DELETE FROM live.transcriptions WHERE speaker_id = %s",
                    (lesson.participants["sofia"],),
                ).rowcount
            )
        return measure(*arguments)

    measure = measure_groups._measure
    monkeypatch.setattr(measure_groups, "_measure", measure_while_words_go)
    assert await measure_and_guide(school.database, lesson.organization, group) is None
    assert taken != [0]
    assert await rows(lesson, Tier1Analysis) == []


async def test_a_student_who_comes_back_is_one_member(school: School) -> None:
    lesson = await start_lesson(school)
    group = lesson.groups[0]
    await hear(lesson, "group_a", group, until=60)
    async with school.database.transaction(school.teacher) as session:
        await remove_participant(
            session, school.teacher, lesson.session_id, lesson.participants["leila"]
        )
        code = (await session.get_one(ClassroomSession, lesson.session_id)).access_code
    assert code is not None
    async with school.database.transaction(GUEST) as session:
        again = await join_as_student(session, code, lesson.students["leila"], Device())
    assert again.participant.id != lesson.participants["leila"]
    lesson.participants["leila"] = again.participant.id
    await hear(lesson, "group_a", group, since=60, until=150)
    measured = await measure_and_guide(school.database, lesson.organization, group)
    assert measured is not None
    leila = encode("participant", again.participant.id)
    assert measured.talk.members.count(leila) == 1
    assert len(measured.talk.members) == 4
    own = [u for u in measured.talk.utterances if u.speaker == leila]
    assert min(u.end for u in own) < 60 < max(u.end for u in own)


async def test_guests_are_measured_on_the_teachers_word(school: School) -> None:
    for word, members in ((True, 1), (False, 0)):
        lesson = await start_lesson(
            school, plan=replace(PLAN, recording_consent_obtained=word), keys=("group_b",)
        )
        async with school.database.transaction(school.teacher) as session:
            code = (await session.get_one(ClassroomSession, lesson.session_id)).access_code
        assert code is not None
        async with school.database.transaction(GUEST) as session:
            await join_as_guest(session, code, "Zoë 🎈", lesson.groups[0], Device())
        async with school.database.transaction(lesson.system()) as session:
            talk = await load_talk(
                session,
                await session.get_one(ClassroomSession, lesson.session_id),
                await session.get_one(StudentGroup, lesson.groups[0]),
            )
        assert len(talk.members) == 3 + members
        assert talk.left_out == 1 - members


async def lag(lesson: Lesson, member: str, seconds: float) -> None:
    """The member's track has been read only up to a second; its later words still wait."""
    async with lesson.school.database.transaction(lesson.system()) as session:
        track = await session.scalar(
            select(Track).where(Track.participant_id == lesson.participants[member])
        )
        assert track is not None
        track.cursor = {"seq": 0, "sample_offset": 0, "position": round(seconds * 16_000)}


async def say_late(lesson: Lesson, member: str, start: float, end: float, words: str) -> None:
    """Words of a slow track, read after the group was measured."""
    async with lesson.school.database.transaction(lesson.system()) as session:
        track = await session.scalar(
            select(Track).where(Track.participant_id == lesson.participants[member])
        )
        assert track is not None
        session.add(
            Transcription(
                id=uuid7(), organization_id=lesson.organization, session_id=lesson.session_id,
                group_id=track.group_id, track_id=track.id, cut=900,
                speaker_id=track.participant_id, speaker_type="student", speaker_name=member,
                content=words, words=[], language_code="en",
                start_time=lesson.started + timedelta(seconds=start),
                end_time=lesson.started + timedelta(seconds=end),
                start_seconds=Decimal(str(start)), end_seconds=Decimal(str(end)),
                duration_seconds=Decimal(str(end - start)), confidence_score=Decimal("0.9"),
                model_version="script",
            )
        )  # fmt: skip


async def silence(lesson: Lesson) -> dict:
    """The measure of silent members in the one window that is written."""
    (tier1,) = await rows(lesson, Tier1Analysis)
    return next(m for m in tier1.insights["measures"] if m["name"] == "silent_members")


async def test_a_lagging_track_is_not_silent_and_the_final_run_counts_its_words(
    school: School,
) -> None:
    lesson = await start_lesson(school)
    group = lesson.groups[0]
    owen = encode("participant", lesson.participants["owen"])
    # Of the 86.69 s heard, Owen's last 14.69 s wait: more than the 5 s below which one is silent.
    await hear(lesson, "group_a", group, until=90)
    await lag(lesson, "owen", 72)
    first = await measure_and_guide(school.database, lesson.organization, group)
    assert first is not None
    assert first.end == pytest.approx(86.69)
    found = await silence(lesson)
    assert (found["value"], found["n"], found["status"]) == (0.0, 3, "uncertain")
    assert found["details"][f"not_heard:{owen}"] == 1.0
    assert found["details"][f"seconds:{owen}"] == pytest.approx(1.89)
    # Four tracks of 86.69 s, of which 14.69 s were not read.
    assert found["coverage"] == pytest.approx((4 * 86.69 - 14.69) / (4 * 86.69), abs=1e-3)
    before = (await rows(lesson, Tier1Analysis))[0]
    await say_late(lesson, "owen", 74, 86, "maybe it is the air inside that makes it float")
    await end_lesson(lesson)
    for _ in range(2):
        final = await measure_and_guide(school.database, lesson.organization, group, final=True)
        assert final is not None
        assert final.end == first.end
        found = await silence(lesson)
        assert (found["value"], found["n"], found["status"]) == (0.0, 4, "ok")
        assert found["details"][f"seconds:{owen}"] == pytest.approx(1.89 + 12)
        assert found["coverage"] == 1.0
        assert len(await rows(lesson, AnalysisResult)) == 2
    # The moment of the first run ties the clocks of transcript and day, so it stays.
    (after,) = await rows(lesson, Tier1Analysis)
    assert after.analysis_timestamp == before.analysis_timestamp


async def test_a_track_read_to_the_end_may_be_called_silent(school: School) -> None:
    lesson = await start_lesson(school)
    await hear(lesson, "group_a", lesson.groups[0], until=90)
    await lag(lesson, "owen", 84)
    await measure_and_guide(school.database, lesson.organization, lesson.groups[0])
    # 1.89 s said and 2.69 s unread cannot make 5 s.
    assert (await silence(lesson))["value"] == 1.0
