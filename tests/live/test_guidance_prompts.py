"""A prompt's whole life on a real database."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from lesson_fixtures import Lesson, end_lesson, hear, start_lesson
from sqlalchemy import select

from classweave.core import clock
from classweave.core.problems import Conflict, Invalid, NotFound
from classweave.live.access import groups_of
from classweave.live.guidance.rules import default_text
from classweave.live.guidance_rules import current_edition, rules_of, save_edition
from classweave.live.measure_groups import measure_and_guide
from classweave.live.models import (
    ClassroomSession,
    GuidanceEvent,
    InterventionSuggestion,
    TeacherGuidanceMetrics,
)
from classweave.live.prompt_teacher import (
    Step,
    answer_prompt,
    expire_prompts,
    prompts_of,
    rate_prompt,
)
from classweave.live.states import PromptStatus
from school_fixtures import School

pytestmark = pytest.mark.anyio


async def prompted(school: School) -> tuple[Lesson, UUID]:
    """A session whose second group has been measured until there is a prompt about it."""
    lesson = await start_lesson(school)
    group = lesson.groups[1]
    for since, until in ((0, 45), (45, 92)):
        await hear(lesson, "group_b", group, since=since, until=until)
        await measure_and_guide(school.database, lesson.organization, group)
    (prompt,) = await all_prompts(lesson)
    return lesson, prompt.id


async def all_prompts(lesson: Lesson) -> list[TeacherGuidanceMetrics]:
    async with lesson.school.database.transaction(lesson.system()) as session:
        return await prompts_of(session, lesson.session_id)


async def do(lesson: Lesson, prompt: UUID, step: Step) -> TeacherGuidanceMetrics:
    async with lesson.school.database.transaction(lesson.school.teacher) as session:
        return await answer_prompt(session, lesson.school.teacher, prompt, step)


async def test_the_group_with_one_voice_makes_one_whole_prompt(school: School) -> None:
    lesson, _ = await prompted(school)
    (prompt,) = await all_prompts(lesson)
    assert prompt.prompt_id == "one-voice"
    assert prompt.status is PromptStatus.GENERATED
    assert prompt.teacher_id == school.teacher_id
    assert prompt.group_id == lesson.groups[1]
    assert "Group B" in prompt.prompt_message
    assert prompt.target_metric == "dominance"
    assert prompt.metric_before is not None
    assert 0.7 < prompt.metric_before < 0.9
    assert prompt.subject_area == "science"
    assert prompt.evidence
    assert all(e["quote"] for e in prompt.evidence)
    assert prompt.learning_objectives
    assert prompt.data_retention_date is not None
    assert timedelta(minutes=3) < prompt.expires_at - prompt.generated_at < timedelta(minutes=6)
    # One prompt stands for a group: more talk of the same kind makes no other.
    await hear(lesson, "group_b", lesson.groups[1], since=92, until=130)
    await measure_and_guide(school.database, lesson.organization, lesson.groups[1])
    assert len(await all_prompts(lesson)) == 1
    async with school.database.transaction(lesson.system()) as session:
        (suggestion,) = await session.scalars(
            select(InterventionSuggestion).where(
                InterventionSuggestion.session_id == lesson.session_id
            )
        )
        assert suggestion.target_type == "group"
        assert suggestion.target_student_id is None


async def test_a_prompt_is_acknowledged_used_and_rated(school: School) -> None:
    lesson, prompt_id = await prompted(school)
    with clock.shifted(timedelta(seconds=40)):
        await do(lesson, prompt_id, "acknowledge")
    with clock.shifted(timedelta(seconds=90)):
        used = await do(lesson, prompt_id, "use")
        again = await do(lesson, prompt_id, "use")
    assert used.used_at == again.used_at
    async with school.database.transaction(school.teacher) as session:
        rated = await rate_prompt(session, school.teacher, prompt_id, 4, "  It helped. ")
    assert (rated.feedback_rating, rated.feedback_text) == (4, "It helped.")
    assert rated.status is PromptStatus.USED
    assert rated.response_time_seconds is not None
    assert 39 <= rated.response_time_seconds <= 45
    async with school.database.transaction(lesson.system()) as session:
        events = list(
            await session.scalars(
                select(GuidanceEvent.event_type)
                .where(GuidanceEvent.prompt_row_id == prompt_id)
                .order_by(GuidanceEvent.id)
            )
        )
        suggestion = await session.scalar(
            select(InterventionSuggestion).where(InterventionSuggestion.prompt_row_id == prompt_id)
        )
    assert events == ["generated", "acknowledged", "used", "rated"]
    assert suggestion is not None
    assert suggestion.acted_upon
    assert suggestion.acted_at == used.used_at
    with pytest.raises(Conflict):
        await do(lesson, prompt_id, "dismiss")


async def test_a_prompt_can_be_dismissed_once_and_for_all(school: School) -> None:
    lesson, prompt_id = await prompted(school)
    dismissed = await do(lesson, prompt_id, "dismiss")
    assert dismissed.dismissed_at is not None
    with pytest.raises(Conflict):
        await do(lesson, prompt_id, "use")


async def test_a_prompt_expires_and_cannot_be_used_then(school: School) -> None:
    lesson, prompt_id = await prompted(school)
    with clock.shifted(timedelta(minutes=30)):
        with pytest.raises(Conflict, match="expired"):
            await do(lesson, prompt_id, "use")
        async with school.database.transaction(lesson.system()) as session:
            row = await session.get_one(ClassroomSession, lesson.session_id)
            assert await expire_prompts(session, row) == 1
            assert await expire_prompts(session, row) == 0
    (prompt,) = await all_prompts(lesson)
    assert prompt.status is PromptStatus.EXPIRED
    assert prompt.response_time_seconds is None


async def test_the_end_of_a_session_withdraws_what_stands(school: School) -> None:
    lesson, _ = await prompted(school)
    await end_lesson(lesson)
    async with school.database.transaction(lesson.system()) as session:
        row = await session.get_one(ClassroomSession, lesson.session_id)
        assert await expire_prompts(session, row) == 1


async def test_only_the_teacher_of_the_prompt_answers_it(
    school: School, other_school: School
) -> None:
    lesson, prompt_id = await prompted(school)
    for actor in (school.admin, other_school.teacher):
        async with school.database.transaction(actor) as session:
            with pytest.raises(NotFound):
                await answer_prompt(session, actor, prompt_id, "use")
            with pytest.raises(NotFound):
                await rate_prompt(session, actor, prompt_id, 3, None)
    async with school.database.transaction(school.teacher) as session:
        with pytest.raises(Invalid):
            await rate_prompt(session, school.teacher, prompt_id, 6, None)
    assert (await all_prompts(lesson))[0].status is PromptStatus.GENERATED


async def test_an_organisation_writes_its_own_rules(school: School, other_school: School) -> None:
    own = default_text().replace('id = "one-voice"', 'id = "many-voices"')
    async with school.database.transaction(school.admin) as session:
        assert (await current_edition(session, school.organization_id)).version == 0
        assert (await save_edition(session, school.admin, own, 0)).version == 1
        # Saving the same text again is no new edition.
        assert (await save_edition(session, school.admin, own, 1)).version == 1
        with pytest.raises(Conflict):
            await save_edition(session, school.admin, default_text(), 0)
        with pytest.raises(Invalid) as wrong:
            await save_edition(session, school.admin, own.replace('"high"', '"urgent"', 1), 1)
        errors = wrong.value.extra["errors"]
        assert own.splitlines()[errors[0]["line"] - 1] == 'priority = "high"'
    lesson, _ = await prompted(school)
    assert (await all_prompts(lesson))[0].prompt_id == "many-voices"
    async with other_school.database.transaction(other_school.admin) as session:
        book = await rules_of(session, other_school.organization_id)
        assert "one-voice" in {rule.id for rule in book.rules}


async def test_a_teacher_is_not_given_more_than_the_limit(school: School) -> None:
    text = default_text().replace("standing_per_teacher = 3", "standing_per_teacher = 1")
    async with school.database.transaction(school.admin) as session:
        await save_edition(session, school.admin, text, 0)
    lesson, _ = await prompted(school)
    for since, until in ((0, 60), (60, 95), (95, 130)):
        await hear(lesson, "group_a", lesson.groups[0], since=since, until=until)
        await measure_and_guide(school.database, lesson.organization, lesson.groups[0])
    assert len(await all_prompts(lesson)) == 1
    async with school.database.transaction(lesson.system()) as session:
        assert len(await groups_of(session, lesson.session_id)) == 2
