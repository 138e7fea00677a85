"""Prompts to the teacher: made when a rule holds, and followed through to their end."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance.models import PolicyType, RetentionPolicy
from classweave.core import audit, clock
from classweave.core.events import emit
from classweave.core.identifiers import encode, uuid7
from classweave.core.model import Json
from classweave.core.problems import Conflict, Invalid, NotFound
from classweave.core.tenancy import Actor, Role
from classweave.live.guidance.engine import PastPrompt, Proposal, Snapshot, choose, propose
from classweave.live.guidance_rules import rules_of
from classweave.live.measure_json import evidence_as_json, values_from_json
from classweave.live.models import (
    ClassroomSession,
    GuidanceEvent,
    InterventionSuggestion,
    StudentGroup,
    TeacherGuidanceMetrics,
    Tier1Analysis,
)
from classweave.live.states import (
    PROMPT_TRANSITIONS,
    Phase,
    PromptStatus,
    SessionStatus,
    check_transition,
)
from classweave.live.topics import STAFF, session_topic

STANDING = (PromptStatus.GENERATED, PromptStatus.ACKNOWLEDGED)
COMPLIANCE_BASIS = "legitimate educational interest (FERPA 34 CFR 99.31(a)(1))"
_HISTORY = 20

Step = Literal["acknowledge", "use", "dismiss"]
_STEPS: dict[Step, PromptStatus] = {
    "acknowledge": PromptStatus.ACKNOWLEDGED,
    "use": PromptStatus.USED,
    "dismiss": PromptStatus.DISMISSED,
}


async def prompt_if_needed(
    session: AsyncSession, lesson: ClassroomSession, group: StudentGroup, now: Snapshot
) -> TeacherGuidanceMetrics | None:
    """Give the teacher one prompt about ``group`` if its measures call for one and load allows."""
    if lesson.status is not SessionStatus.LIVE:
        return None
    await expire_prompts(session, lesson)
    book = await rules_of(session, lesson.organization_id)
    history = await _history(session, group.id)
    proposals = propose(book.rules, group.name, now, history)
    if not proposals:
        return None
    # Two groups measured at once must not both take the teacher's last place.
    await session.execute(
        sql("SELECT pg_advisory_xact_lock(hashtextextended(:teacher, 0))"),
        {"teacher": f"prompts:{lesson.teacher_id}"},
    )
    at = clock.now()
    chosen = choose(
        proposals,
        book.limits,
        await _past(session, group.id),
        await _standing_of(session, lesson.teacher_id),
        at,
    )
    return None if chosen is None else await _give(session, lesson, group, chosen, at)


async def _history(session: AsyncSession, group_id: UUID) -> list[Snapshot]:
    """The group's earlier measurements, the newest last; the one just stored is not among them."""
    rows = (
        await session.execute(
            select(Tier1Analysis.phase, Tier1Analysis.insights["values"])
            .where(Tier1Analysis.group_id == group_id)
            .order_by(Tier1Analysis.window_end.desc())
            .offset(1)
            .limit(_HISTORY)
        )
    ).all()
    return [Snapshot(Phase(phase), values_from_json(values or {})) for phase, values in rows[::-1]]


async def _past(session: AsyncSession, group_id: UUID) -> list[PastPrompt]:
    rows = await session.execute(
        select(
            TeacherGuidanceMetrics.prompt_id,
            TeacherGuidanceMetrics.generated_at,
            TeacherGuidanceMetrics.status,
        ).where(TeacherGuidanceMetrics.group_id == group_id)
    )
    return [PastPrompt(rule, at, status in STANDING) for rule, at, status in rows]


async def _standing_of(session: AsyncSession, teacher_id: UUID) -> int:
    count = await session.scalar(
        select(func.count())
        .select_from(TeacherGuidanceMetrics)
        .where(
            TeacherGuidanceMetrics.teacher_id == teacher_id,
            TeacherGuidanceMetrics.status.in_(STANDING),
            TeacherGuidanceMetrics.expires_at > clock.now(),
        )
    )
    return int(count or 0)


async def _give(
    session: AsyncSession,
    lesson: ClassroomSession,
    group: StudentGroup,
    chosen: Proposal,
    at: datetime,
) -> TeacherGuidanceMetrics | None:
    rule = chosen.rule
    statement = insert(TeacherGuidanceMetrics).values(
        id=uuid7(),
        organization_id=lesson.organization_id,
        session_id=lesson.id,
        teacher_id=lesson.teacher_id,
        group_id=group.id,
        prompt_id=rule.id,
        status=PromptStatus.GENERATED,
        prompt_category=rule.category,
        priority_level=rule.priority,
        prompt_message=chosen.message,
        prompt_context=chosen.why,
        suggested_timing=rule.timing,
        session_phase=chosen.phase,
        subject_area=lesson.subject,
        target_metric=rule.target.measure,
        metric_before=chosen.target.value,
        evidence=evidence_as_json(chosen.evidence),
        learning_objectives=[rule.objective],
        generated_at=at,
        expires_at=at + timedelta(minutes=rule.expires_minutes),
        educational_purpose=rule.purpose,
        compliance_basis=COMPLIANCE_BASIS,
        data_retention_date=await _keep_until(session, lesson.organization_id, at),
    )
    # Two measurements at once must not make two prompts: the index of standing ones decides.
    made = await session.scalar(
        statement.on_conflict_do_nothing().returning(TeacherGuidanceMetrics.id)
    )
    if made is None:
        return None
    prompt = await session.get_one(TeacherGuidanceMetrics, made)
    session.add(
        InterventionSuggestion(
            organization_id=lesson.organization_id,
            session_id=lesson.id,
            group_id=group.id,
            teacher_id=lesson.teacher_id,
            prompt_row_id=prompt.id,
            intervention_type=rule.category.value,
            urgency=rule.priority.value,
            reason=chosen.why,
            suggested_action=chosen.message,
            target_type="group",
            status=PromptStatus.GENERATED.value,
            acted_upon=False,
        )
    )
    measured = {"measure": rule.target.measure, "value": chosen.target.value, "n": chosen.target.n}
    _note(session, prompt, "generated", measured)
    tell(session, prompt)
    return prompt


async def _keep_until(session: AsyncSession, organization: UUID, at: datetime) -> date | None:
    """When the organisation's retention policy for prompts lets this one go."""
    days = await session.scalar(
        select(RetentionPolicy.delete_after_days).where(
            RetentionPolicy.organization_id == organization,
            RetentionPolicy.policy_type == PolicyType.PROMPTS,
        )
    )
    return None if days is None else (at + timedelta(days=days)).date()


async def expire_prompts(session: AsyncSession, lesson: ClassroomSession) -> int:
    """Withdraw the session's prompts whose time is up, all of them when it has ended.

    Returns how many.
    """
    now = clock.now()
    query = select(TeacherGuidanceMetrics).where(
        TeacherGuidanceMetrics.session_id == lesson.id,
        TeacherGuidanceMetrics.status.in_(STANDING),
    )
    if lesson.status not in (SessionStatus.ENDED, SessionStatus.ARCHIVED):
        query = query.where(TeacherGuidanceMetrics.expires_at <= now)
    due = list(await session.scalars(query.with_for_update(key_share=True)))
    for prompt in due:
        await _enter(session, prompt, PromptStatus.EXPIRED, now)
    return len(due)


async def prompts_of(session: AsyncSession, session_id: UUID) -> list[TeacherGuidanceMetrics]:
    """The session's prompts, the newest first."""
    found = await session.scalars(
        select(TeacherGuidanceMetrics)
        .where(TeacherGuidanceMetrics.session_id == session_id)
        .order_by(TeacherGuidanceMetrics.generated_at.desc())
    )
    return list(found)


async def answer_prompt(
    session: AsyncSession, actor: Actor, prompt_id: UUID, step: Step
) -> TeacherGuidanceMetrics:
    """The teacher acknowledges, uses or dismisses a prompt.

    Doing the same again changes nothing. Raises :class:`NotFound` for a prompt of another
    teacher's and :class:`Conflict` for one that is over.
    """
    prompt = await _own_prompt(session, actor, prompt_id)
    wanted = _STEPS[step]
    if prompt.status is wanted:
        return prompt
    now = clock.now()
    if prompt.status is PromptStatus.EXPIRED or (
        prompt.status in STANDING and prompt.expires_at <= now
    ):
        raise Conflict("This prompt has expired. Nothing was recorded.", code="prompt-expired")
    check_transition(PROMPT_TRANSITIONS, prompt.status, wanted)
    await _enter(session, prompt, wanted, now)
    audit.record(
        session, f"prompt.{wanted.value}", resource="prompt", resource_id=prompt.id,
        description=f"a prompt was {wanted.value}", session_id=prompt.session_id,
    )  # fmt: skip
    return prompt


async def rate_prompt(
    session: AsyncSession, actor: Actor, prompt_id: UUID, rating: int, text: str | None
) -> TeacherGuidanceMetrics:
    """The teacher says how good a prompt was (1 to 5); the last word counts."""
    if not 1 <= rating <= 5:
        raise Invalid(
            "A rating is 1 to 5.", errors=[{"field": "rating", "message": "Choose 1 to 5."}]
        )
    prompt = await _own_prompt(session, actor, prompt_id)
    prompt.feedback_rating = rating
    prompt.feedback_text = (text or "").strip()[:2000] or None
    if prompt.response_time_seconds is None:
        prompt.response_time_seconds = _seconds_since(prompt, clock.now())
    _note(session, prompt, "rated", {"rating": rating})
    audit.record(
        session, "prompt.rated", resource="prompt", resource_id=prompt.id,
        description="rated a prompt", session_id=prompt.session_id,
    )  # fmt: skip
    tell(session, prompt)
    return prompt


async def _own_prompt(
    session: AsyncSession, actor: Actor, prompt_id: UUID
) -> TeacherGuidanceMetrics:
    """The prompt, for the teacher it was made for and nobody else."""
    if actor.role is Role.TEACHER:
        prompt = await session.scalar(
            select(TeacherGuidanceMetrics)
            .where(
                TeacherGuidanceMetrics.id == prompt_id,
                TeacherGuidanceMetrics.teacher_id == actor.id,
            )
            .with_for_update(key_share=True)
        )
        if prompt is not None:
            return prompt
    raise NotFound("There is no such prompt.")


async def _enter(
    session: AsyncSession, prompt: TeacherGuidanceMetrics, status: PromptStatus, now: datetime
) -> None:
    """Bring a prompt, and the suggestion that goes with it, to its next state."""
    prompt.status = status
    if status is not PromptStatus.EXPIRED and prompt.response_time_seconds is None:
        prompt.response_time_seconds = _seconds_since(prompt, now)
    match status:
        case PromptStatus.ACKNOWLEDGED:
            prompt.acknowledged_at = now
        case PromptStatus.USED:
            prompt.used_at = now
            prompt.acknowledged_at = prompt.acknowledged_at or now
        case PromptStatus.DISMISSED:
            prompt.dismissed_at = now
        case PromptStatus.GENERATED | PromptStatus.EXPIRED:
            pass
    suggestion = await session.scalar(
        select(InterventionSuggestion).where(InterventionSuggestion.prompt_row_id == prompt.id)
    )
    if suggestion is not None:
        suggestion.status = status.value
        suggestion.acted_upon = status is PromptStatus.USED
        suggestion.acted_at = now if status is PromptStatus.USED else None
    _note(session, prompt, status.value, {})
    tell(session, prompt)


def _seconds_since(prompt: TeacherGuidanceMetrics, now: datetime) -> int:
    return max(0, round((now - prompt.generated_at).total_seconds()))


def _note(
    session: AsyncSession, prompt: TeacherGuidanceMetrics, event_type: str, payload: Json
) -> None:
    """Write one line of the prompt's life. The payload holds numbers, never words said."""
    session.add(
        GuidanceEvent(
            organization_id=prompt.organization_id,
            session_id=prompt.session_id,
            group_id=prompt.group_id,
            teacher_id=prompt.teacher_id,
            prompt_row_id=prompt.id,
            event_type=event_type,
            payload={"rule": prompt.prompt_id, **payload},
            event_timestamp=clock.now(),
        )
    )


def tell(session: AsyncSession, prompt: TeacherGuidanceMetrics) -> None:
    """Tell the console that a prompt is there or has changed. The words are fetched, not sent."""
    emit(
        session, session_topic(prompt.session_id), "prompt",
        {
            "id": encode("prompt", prompt.id),
            "group": encode("group", prompt.group_id) if prompt.group_id else None,
            "status": prompt.status.value,
        },
        audience=(STAFF,), organization=prompt.organization_id,
    )  # fmt: skip
