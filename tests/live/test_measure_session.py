"""Tier 2: who needs the teacher first, the session as a whole, and each member's share."""

from __future__ import annotations

import pytest
from demo_talk import DEMO, snapshots, window
from lesson_fixtures import forget_session, hear, start_lesson
from sqlalchemy import select, text

from classweave.core.identifiers import encode
from classweave.language.transcript import Measure
from classweave.live.compare_groups import compare_groups
from classweave.live.guidance.healthy import HEALTHY, reasons_of
from classweave.live.guidance.rules import default_rules
from classweave.live.measure_groups import measure_and_guide
from classweave.live.measure_students import measure_students
from classweave.live.models import (
    ClassroomSession,
    SessionMetrics,
    StudentMetrics,
    Tier2Analysis,
)
from school_fixtures import School

pytestmark = pytest.mark.anyio


def needs(key: str) -> list[float]:
    return [
        sum(reason.adds for reason in reasons_of(snapshot.measures["rolling"].values()))
        for snapshot in snapshots(DEMO.group(key))
    ]


def test_the_poor_discussion_needs_the_teacher_more_than_the_good_one() -> None:
    good, poor = needs("group_a"), needs("group_b")
    assert poor[2] > good[2]
    assert max(good) <= 1.0


def test_only_steady_values_make_a_need() -> None:
    def conflict(status: str) -> Measure:
        return Measure("conflict", 4.0, 20, "turns", 1.0, status=status)  # type: ignore[arg-type]

    assert reasons_of([conflict("uncertain")]) == []
    (reason,) = reasons_of([conflict("ok")])
    assert reason.adds == HEALTHY["conflict"].weight


def test_every_target_of_the_shipped_rules_can_be_judged() -> None:
    assert {rule.target.measure for rule in default_rules().rules} <= set(HEALTHY)


def test_a_change_to_the_healthy_side_is_an_improvement() -> None:
    assert HEALTHY["dominance"].improvement(0.8, 0.45) == pytest.approx(1.0)
    assert HEALTHY["reasoning"].improvement(0.1, 0.0) == pytest.approx(-1.0)
    assert HEALTHY["reasoning"].improvement(0.0, 9.0) == 1.0


def test_members_shares_agree_with_the_script() -> None:
    group = DEMO.group("group_a")
    by_member = {m.member: m for m in measure_students(window(group, 0.0, group.seconds))}
    talk = sum(turn.end - turn.start for turn in group.turns)
    for member, measure in by_member.items():
        own = [turn for turn in group.turns if turn.speaker == member]
        assert measure.seconds == pytest.approx(sum(t.end - t.start for t in own), abs=0.01)
        asked = [t.labels.count("open_question") + t.labels.count("closed_question") for t in own]
        assert abs(measure.questions - sum(asked)) <= 1
        share = 100 * 4 * measure.seconds / talk
        assert measure.participation == pytest.approx(min(100.0, share), abs=1.0)
    owen = by_member["owen"]
    assert (owen.initiative, owen.vocabulary, owen.fluency) == (None, None, None)
    leila = by_member["leila"]
    assert leila.initiative is not None
    assert leila.responsiveness is not None
    assert leila.heard_share == 1.0


async def test_a_session_is_ranked_and_written(school: School) -> None:
    lesson = await start_lesson(school)
    for key, group in zip(("group_a", "group_b"), lesson.groups, strict=True):
        await hear(lesson, key, group, until=92)
        await measure_and_guide(school.database, lesson.organization, group)
    await compare_groups(school.database, lesson.organization, lesson.session_id)
    a, b = (encode("group", group) for group in lesson.groups)
    async with school.database.transaction(lesson.system()) as session:
        tier2 = await session.scalar(
            select(Tier2Analysis).where(Tier2Analysis.session_id == lesson.session_id)
        )
        metrics = await session.scalar(
            select(SessionMetrics).where(SessionMetrics.session_id == lesson.session_id)
        )
        row = await session.get_one(ClassroomSession, lesson.session_id)
        students = list(
            await session.scalars(
                select(StudentMetrics).where(StudentMetrics.session_id == lesson.session_id)
            )
        )
        ranking = (
            await session.scalars(
                text(
                    "SELECT payload->'groups' FROM ops.events"
                    " WHERE topic = :topic AND type = 'ranking'"
                ),
                {"topic": f"live.session:{lesson.session_id}"},
            )
        ).all()
    assert tier2 is not None
    assert [r["group"] for r in tier2.insights["ranking"]] == [b, a]
    reasons = tier2.insights["ranking"][0]["reasons"]
    assert "dominance" in {r["measure"] for r in reasons}
    assert ranking == [[b, a]]
    assert metrics is not None
    assert metrics.planned_members == 8
    assert metrics.active_students == 7
    assert metrics.participation_rate == 100
    # Jonah takes part without sound: he came, and no share of the talk is claimed for him.
    assert metrics.adherence_members_ratio == pytest.approx(7 / 8)
    assert metrics.question_asking_rate is not None
    assert metrics.started_at is not None
    assert row.engagement_score == metrics.overall_engagement_score is not None
    assert {s.participant_id for s in students} == set(lesson.participants.values())


async def test_a_shared_device_makes_no_student_metrics(school: School) -> None:
    lesson = await start_lesson(school, shared=True)
    await hear(lesson, "group_a", lesson.groups[0], until=92)
    await measure_and_guide(school.database, lesson.organization, lesson.groups[0])
    await compare_groups(school.database, lesson.organization, lesson.session_id)
    async with school.database.transaction(lesson.system()) as session:
        assert not (await session.scalars(select(StudentMetrics))).all()
        metrics = await session.scalar(
            select(SessionMetrics).where(SessionMetrics.session_id == lesson.session_id)
        )
    assert metrics is not None
    assert metrics.participation_rate is None


async def test_a_session_without_words_or_without_itself_is_no_error(school: School) -> None:
    lesson = await start_lesson(school)
    await compare_groups(school.database, lesson.organization, lesson.session_id)
    async with school.database.transaction(lesson.system()) as session:
        metrics = await session.scalar(
            select(SessionMetrics).where(SessionMetrics.session_id == lesson.session_id)
        )
    assert metrics is not None
    assert metrics.overall_engagement_score is None
    await forget_session(lesson)
    await compare_groups(school.database, lesson.organization, lesson.session_id)
