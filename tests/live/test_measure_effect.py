"""What a used prompt led to, against groups without one; and nothing claimed on a few."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from lesson_fixtures import Lesson, end_lesson, hear, start_lesson
from sqlalchemy import select

from classweave.core.identifiers import uuid7
from classweave.live.aggregate_guidance import breakdown, count, improvement_over
from classweave.live.guidance.rules import default_rules
from classweave.live.measure_effect import (
    MINIMUM_PROMPTS,
    Change,
    effect_of,
    interval,
    window_length,
)
from classweave.live.measure_groups import measure_and_guide
from classweave.live.models import (
    ClassroomSession,
    GuidanceEvent,
    InterventionSuggestion,
    SessionGuidanceAnalytics,
    TeacherGuidanceMetrics,
    TeacherPromptEffectiveness,
)
from classweave.live.models.guidance import Priority, PromptCategory, Timing
from classweave.live.prompt_teacher import answer_prompt, prompts_of
from classweave.live.states import Phase, PromptStatus
from classweave.live.summarise_session import summarise_session
from school_fixtures import School

pytestmark = pytest.mark.anyio


def test_what_other_groups_did_is_taken_off() -> None:
    effect = effect_of("dominance", Change(0.8, 0.5), [Change(0.6, 0.5), Change(0.7, 0.6)])
    assert effect is not None
    assert effect.improvement == pytest.approx(0.3 - 0.1)
    assert effect.score == pytest.approx((0.3 - 0.1) / 0.35)
    assert effect.comparisons == 2


def test_a_change_for_the_worse_counts_against_the_prompt() -> None:
    effect = effect_of("reasoning", Change(0.2, 0.1), [Change(0.1, 0.1)])
    assert effect is not None
    assert effect.improvement == pytest.approx(-0.1)
    assert effect.score == -1.0


def test_without_another_group_no_effect_is_claimed() -> None:
    assert effect_of("dominance", Change(0.8, 0.5), []) is None
    assert effect_of("no_such_measure", Change(0.8, 0.5), [Change(0.5, 0.5)]) is None


def test_the_interval_is_students_t_and_needs_five() -> None:
    values = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert interval(values[:4]) is None
    found = interval(values)
    assert found is not None
    assert found.mean == pytest.approx(0.3)
    # t(4) = 2.776, s = 0.158114, n = 5
    assert found.upper - found.mean == pytest.approx(2.776 * 0.158114 / 5**0.5, abs=1e-4)
    assert found.lower == pytest.approx(2 * found.mean - found.upper)
    wide, narrow = interval([0.0, 1.0] * 10), interval([0.0, 1.0] * 100)
    assert wide is not None
    assert narrow is not None
    assert wide.upper - wide.lower > narrow.upper - narrow.lower


@pytest.mark.parametrize(
    ("moment", "end", "length"),
    [(500, 1000, 180), (90, 1000, 90), (500, 570, 70), (50, 1000, None), (500, 550, None)],
)
def test_windows_are_as_long_on_both_sides(moment: float, end: float, length: float | None) -> None:
    assert window_length(moment, end) == length


def prompt(**more: object) -> TeacherGuidanceMetrics:
    at = datetime(2026, 11, 20, 10, tzinfo=UTC)
    fields: dict[str, object] = {
        "status": PromptStatus.USED,
        "prompt_category": PromptCategory.ENERGY,
        "acknowledged_at": at,
        "used_at": at,
        "effectiveness_score": 0.5,
    }
    return TeacherGuidanceMetrics(**fields | more)


def test_counts_are_plain_and_means_need_a_minimum() -> None:
    few = [prompt() for _ in range(MINIMUM_PROMPTS - 1)]
    ignored = prompt(
        status=PromptStatus.EXPIRED, acknowledged_at=None, used_at=None, effectiveness_score=None
    )
    own = count([*few, ignored])
    assert (own.generated, own.used, own.expired, own.rate(own.used)) == (5, 4, 1, 0.8)
    kinds = breakdown([*few, ignored], lambda p: p.prompt_category.value)
    assert kinds == {"energy": {"generated": 5, "used": 4, "effectiveness": None}}
    enough = breakdown([*few, prompt()], lambda p: p.prompt_category.value)
    assert enough["energy"]["effectiveness"] == 0.5
    assert count([]).rate(0) is None


def test_a_trend_needs_two_values_in_each_half() -> None:
    def run(value: float | None) -> dict:
        return {"value": value}

    runs = [run(v) for v in (1.0, 2.0, None, 3.0, 5.0)]
    take = lambda r: r["value"]  # noqa: E731
    assert improvement_over(runs, take) == 4.0 - 1.5
    assert improvement_over(runs[:3], take) is None
    assert improvement_over([], take) is None


async def lesson_with_a_used_prompt(school: School) -> tuple[Lesson, TeacherGuidanceMetrics]:
    """Group B is one voice for 156 s, is prompted, then shares the talk; group A never changes."""
    lesson = await start_lesson(school)
    a, b = lesson.groups
    await hear(lesson, "group_a", a)
    await measure_and_guide(school.database, lesson.organization, a)
    for since, until, offset in ((0, 45, 0.0), (45, 92, 0.0), (0, 92, 78.0)):
        await hear(lesson, "group_b", b, since=since, until=until, offset=offset)
        await measure_and_guide(school.database, lesson.organization, b)
    async with school.database.transaction(school.teacher) as session:
        (made,) = [p for p in await prompts_of(session, lesson.session_id) if p.group_id == b]
        assert made.prompt_id == "one-voice"
        await answer_prompt(session, school.teacher, made.id, "use")
    await hear(lesson, "group_a", a, offset=156.0)
    for offset in (70.0, 135.0):
        await hear(lesson, "group_b", b, since=92, offset=offset)
    await measure_and_guide(school.database, lesson.organization, b)
    return lesson, made


async def test_a_used_prompt_is_judged_at_the_end(school: School) -> None:
    lesson, made = await lesson_with_a_used_prompt(school)
    await end_lesson(lesson)
    await summarise_session(school.database, lesson.organization, lesson.session_id)
    async with school.database.transaction(lesson.system()) as session:
        judged = await session.get_one(TeacherGuidanceMetrics, made.id)
        assert judged.metric_before is not None
        assert judged.metric_after is not None
        assert judged.metric_before > 0.7
        assert judged.metric_after < 0.6
        assert judged.effectiveness_score is not None
        assert judged.effectiveness_score > 0.3
        assert judged.learning_outcome_improvement is not None
        assert 0.1 < judged.learning_outcome_improvement < 0.6
        suggestion = await session.scalar(
            select(InterventionSuggestion).where(InterventionSuggestion.prompt_row_id == made.id)
        )
        assert suggestion is not None
        assert suggestion.was_effective is True
        analytics = await session.scalar(
            select(SessionGuidanceAnalytics).where(
                SessionGuidanceAnalytics.session_id == lesson.session_id
            )
        )
        assert analytics is not None
        assert analytics.total_prompts_used == 1
        # One prompt is no sample.
        assert analytics.avg_effectiveness_score is None
        assert analytics.effectiveness_rate is None
        assert analytics.learning_objective_completion_rate is not None
        assert analytics.learning_objective_completion_rate > 0.5
        assert analytics.compliance_violations == 0
        assert analytics.privacy_safeguards_applied
        assert analytics.ai_analysis_latency_ms is not None
        (kind,) = await session.scalars(
            select(TeacherPromptEffectiveness).where(
                TeacherPromptEffectiveness.organization_id == lesson.organization,
                TeacherPromptEffectiveness.prompt_category == "collaboration",
            )
        )
        assert (kind.total_generated, kind.total_used, kind.data_points) == (1, 1, 1)
        assert kind.avg_effectiveness_score is None
    # A second run judges the same and writes no second line.
    await summarise_session(school.database, lesson.organization, lesson.session_id)
    async with school.database.transaction(lesson.system()) as session:
        again = await session.get_one(TeacherGuidanceMetrics, made.id)
        assert again.effectiveness_score == judged.effectiveness_score
        lines = await session.scalars(
            select(GuidanceEvent.event_type).where(GuidanceEvent.prompt_row_id == made.id)
        )
        assert sorted(lines).count("effect_measured") == 1


async def test_enough_prompts_of_a_kind_make_a_claim_with_its_interval(school: School) -> None:
    lesson, made = await lesson_with_a_used_prompt(school)
    async with school.database.transaction(lesson.system()) as session:
        row = await session.get_one(ClassroomSession, lesson.session_id)
        one_voice = next(r for r in default_rules().rules if r.id == "one-voice")
        at = made.generated_at
        for score in (0.1, 0.2, 0.3, 0.4):
            session.add(
                TeacherGuidanceMetrics(
                    id=uuid7(),
                    organization_id=lesson.organization,
                    session_id=row.id,
                    teacher_id=row.teacher_id,
                    group_id=None,
                    prompt_id=one_voice.id,
                    status=PromptStatus.USED,
                    prompt_category=one_voice.category,
                    priority_level=Priority.HIGH,
                    prompt_message="m",
                    prompt_context="c",
                    suggested_timing=Timing.IMMEDIATE,
                    session_phase=Phase(made.session_phase),
                    subject_area=row.subject,
                    target_metric="dominance",
                    effectiveness_score=score,
                    learning_outcome_improvement=score / 2,
                    generated_at=at,
                    acknowledged_at=at,
                    used_at=at,
                    expires_at=at + timedelta(minutes=4),
                    educational_purpose="p",
                    compliance_basis="b",
                )
            )
    await end_lesson(lesson)
    await summarise_session(school.database, lesson.organization, lesson.session_id)
    async with school.database.transaction(lesson.system()) as session:
        (kind,) = await session.scalars(
            select(TeacherPromptEffectiveness).where(
                TeacherPromptEffectiveness.organization_id == lesson.organization,
                TeacherPromptEffectiveness.prompt_category == "collaboration",
            )
        )
    assert kind.data_points == 5
    assert kind.avg_effectiveness_score is not None
    assert kind.confidence_interval_lower is not None
    assert kind.confidence_interval_upper is not None
    assert (
        kind.confidence_interval_lower
        < kind.avg_effectiveness_score
        < kind.confidence_interval_upper
    )
    assert kind.avg_learning_impact is not None


async def test_a_prompt_used_at_the_very_end_is_not_judged(school: School) -> None:
    lesson = await start_lesson(school)
    b = lesson.groups[1]
    for since, until in pairwise((0, 45, 92)):
        await hear(lesson, "group_b", b, since=since, until=until)
        await measure_and_guide(school.database, lesson.organization, b)
    async with school.database.transaction(school.teacher) as session:
        (made,) = await prompts_of(session, lesson.session_id)
        await answer_prompt(session, school.teacher, made.id, "use")
    await end_lesson(lesson)
    await summarise_session(school.database, lesson.organization, lesson.session_id)
    async with school.database.transaction(lesson.system()) as session:
        judged = await session.get_one(TeacherGuidanceMetrics, made.id)
        assert judged.metric_before is not None
        assert judged.metric_after is None
        assert judged.effectiveness_score is None
