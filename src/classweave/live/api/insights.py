"""What was heard, measured, prompted and summarised, as JSON and as files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on

from classweave.core import audit
from classweave.core.permissions import Permission
from classweave.live import guidance_rules, prompt_teacher
from classweave.live.access import access_session
from classweave.live.export import Format, prepare_export, students_heard, write_export
from classweave.live.ids import GroupId, ParticipantId, PromptId, SessionId, TrackId, UtteranceId
from classweave.live.models import (
    GroupMetrics,
    GroupSummary,
    SessionSummary,
    StudentGroup,
    TeacherGuidanceMetrics,
    Tier1Analysis,
    Tier2Analysis,
    Transcription,
)
from classweave.web.body import Body
from classweave.web.requests import CurrentActor, Transaction, allow
from classweave.web.services import services_of

router = APIRouter(prefix="/api/live", tags=["live: insights"])

READ = [allow(Permission.SESSION_READ)]
RUN = [allow(Permission.SESSION_RUN)]

RULES = [allow(Permission.GUIDANCE_RULES)]


class GroupMeasuresOut(Body):
    """One group's newest window, the whole so far, and how much it needs the teacher.

    ``measures`` and ``whole`` list each measure with value, n, unit, coverage, status, reason,
    evidence and details. ``need`` and ``reasons`` come from the newest comparison.
    """

    group: GroupId
    window_start: float | None
    window_end: float | None
    phase: str | None
    at: datetime | None
    left_out: int
    measures: list[dict[str, Any]]
    whole: list[dict[str, Any]]
    need: float | None
    reasons: list[dict[str, Any]]


class MeasuresOut(Body):
    """The groups of a session, the neediest first."""

    groups: list[GroupMeasuresOut]


class UtteranceOut(Body):
    """One utterance; ``participant`` is null where a shared device heard the group."""

    id: UtteranceId
    track: TrackId
    group: GroupId | None
    participant: ParticipantId | None
    name: str
    start: float
    end: float
    text: str
    confidence: float
    language: str


class TranscriptOut(Body):
    """Utterances in order of time; ``more`` says whether others follow the last one."""

    utterances: list[UtteranceOut]
    more: bool


class PromptOut(Body):
    """A prompt with everything that stands behind it."""

    id: PromptId
    group: GroupId | None
    rule: str
    status: str
    category: str
    priority: str
    timing: str
    phase: str
    message: str
    why: str
    purpose: str
    objectives: list[str]
    target_metric: str
    metric_before: float | None
    metric_after: float | None
    effectiveness_score: float | None
    evidence: list[dict[str, Any]]
    generated_at: datetime
    expires_at: datetime
    acknowledged_at: datetime | None
    used_at: datetime | None
    dismissed_at: datetime | None
    rating: int | None
    rating_text: str | None


class RatingIn(Body):
    """How good a prompt was."""

    rating: Annotated[int, Field(ge=1, le=5)]
    text: Annotated[str, Field(max_length=2000)] | None = None


class GroupSummaryOut(Body):
    """A group's summary and who wrote it."""

    group: GroupId
    written_by: str
    at: datetime
    summary: dict[str, Any]


class SummaryOut(Body):
    """The session's summary, null until it has been written, and those of its groups."""

    written_by: str | None
    at: datetime | None
    summary: dict[str, Any] | None
    groups: list[GroupSummaryOut]


class RulesIn(Body):
    """An edition of the guidance rules; ``based_on`` is the version that was edited."""

    text: str
    based_on: int


class RulesOut(Body):
    """The rules in force. Version 0 is the one that everybody begins with."""

    version: int
    text: str


@router.get("/sessions/{session_id}/measures", dependencies=READ)
async def measures(session_id: SessionId, session: Transaction, actor: CurrentActor) -> MeasuresOut:
    """The newest measures of each group with their evidence, the neediest group first."""
    lesson = await access_session(session, actor, session_id)
    ranking = await session.scalar(
        select(Tier2Analysis.insights["ranking"])
        .where(Tier2Analysis.session_id == lesson.id)
        .order_by(Tier2Analysis.analysis_timestamp.desc())
        .limit(1)
    )
    newest = (
        select(Tier1Analysis)
        .where(Tier1Analysis.session_id == lesson.id)
        .ext(distinct_on(Tier1Analysis.group_id))
        .order_by(Tier1Analysis.group_id, Tier1Analysis.window_end.desc())
    )
    tier1 = {row.group_id: row for row in await session.scalars(newest)}
    whole = {
        row.group_id: row.measures
        for row in await session.scalars(
            select(GroupMetrics).where(GroupMetrics.session_id == lesson.id)
        )
    }
    places = {row["group"]: (place, row) for place, row in enumerate(ranking or [])}
    groups = await session.scalars(
        select(StudentGroup)
        .where(StudentGroup.session_id == lesson.id)
        .order_by(StudentGroup.group_number)
    )
    found: list[tuple[int, GroupMeasuresOut]] = []
    for group in groups:
        window = tier1.get(group.id)
        out = GroupMeasuresOut(
            group=group.id,
            window_start=None if window is None else float(window.window_start),
            window_end=None if window is None else float(window.window_end),
            phase=None if window is None else window.phase,
            at=None if window is None else window.analysis_timestamp,
            left_out=0 if window is None else window.insights.get("left_out", 0),
            measures=[] if window is None else window.insights.get("measures", []),
            whole=whole.get(group.id, {}).get("measures", []),
            need=None,
            reasons=[],
        )
        public = out.model_dump(mode="json")["group"]
        place, row = places.get(public, (len(places), None))
        if row is not None:
            out.need, out.reasons = row["need"], row["reasons"]
        found.append((place, out))
    return MeasuresOut(groups=[out for _, out in sorted(found, key=lambda pair: pair[0])])


@router.get("/sessions/{session_id}/transcript", dependencies=READ)
async def transcript(
    session_id: SessionId,
    session: Transaction,
    actor: CurrentActor,
    group: GroupId | None = None,
    after: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
) -> TranscriptOut:
    """What was said, of one group or of all, from ``after`` seconds of the session on."""
    lesson = await access_session(session, actor, session_id)
    query = (
        select(Transcription)
        .where(Transcription.session_id == lesson.id, Transcription.is_final)
        .order_by(Transcription.start_seconds, Transcription.id)
        .limit(limit + 1)
    )
    if group is not None:
        query = query.where(Transcription.group_id == group)
    if after is not None:
        query = query.where(Transcription.start_seconds > after)
    rows = list(await session.scalars(query))
    heard = {row.group_id for row in rows if row.group_id is not None}
    audit.record(
        session, "transcript.read", resource="session", resource_id=lesson.id,
        description="read a transcript", session_id=lesson.id,
        students=await students_heard(session, lesson.id, heard),
    )  # fmt: skip
    return TranscriptOut(
        utterances=[
            UtteranceOut(
                id=row.id,
                track=row.track_id,
                group=row.group_id,
                participant=row.speaker_id,
                name=row.speaker_name,
                start=float(row.start_seconds),
                end=float(row.end_seconds),
                text=row.content,
                confidence=float(row.confidence_score),
                language=row.language_code,
            )
            for row in rows[:limit]
        ],
        more=len(rows) > limit,
    )


@router.get("/sessions/{session_id}/prompts", dependencies=READ)
async def prompts(
    session_id: SessionId, session: Transaction, actor: CurrentActor
) -> list[PromptOut]:
    """The session's prompts, the newest first."""
    lesson = await access_session(session, actor, session_id)
    return [_prompt(row) for row in await prompt_teacher.prompts_of(session, lesson.id)]


@router.post("/prompts/{prompt_id}/acknowledge", dependencies=RUN)
async def acknowledge(prompt_id: PromptId, session: Transaction, actor: CurrentActor) -> PromptOut:
    """The teacher has seen it."""
    return _prompt(await prompt_teacher.answer_prompt(session, actor, prompt_id, "acknowledge"))


@router.post("/prompts/{prompt_id}/use", dependencies=RUN)
async def use(prompt_id: PromptId, session: Transaction, actor: CurrentActor) -> PromptOut:
    """The teacher acts on it."""
    return _prompt(await prompt_teacher.answer_prompt(session, actor, prompt_id, "use"))


@router.post("/prompts/{prompt_id}/dismiss", dependencies=RUN)
async def dismiss(prompt_id: PromptId, session: Transaction, actor: CurrentActor) -> PromptOut:
    """The teacher does not want it."""
    return _prompt(await prompt_teacher.answer_prompt(session, actor, prompt_id, "dismiss"))


@router.post("/prompts/{prompt_id}/rate", dependencies=RUN)
async def rate(
    prompt_id: PromptId, body: RatingIn, session: Transaction, actor: CurrentActor
) -> PromptOut:
    """How good it was, 1 to 5."""
    rated = await prompt_teacher.rate_prompt(session, actor, prompt_id, body.rating, body.text)
    return _prompt(rated)


@router.get("/sessions/{session_id}/summary", dependencies=READ)
async def summary(session_id: SessionId, session: Transaction, actor: CurrentActor) -> SummaryOut:
    """What was discussed and how, of the session and of each group."""
    lesson = await access_session(session, actor, session_id)
    whole = await session.scalar(
        select(SessionSummary).where(SessionSummary.session_id == lesson.id)
    )
    groups = await session.scalars(
        select(GroupSummary)
        .join(StudentGroup, StudentGroup.id == GroupSummary.group_id)
        .where(GroupSummary.session_id == lesson.id)
        .order_by(StudentGroup.group_number)
    )
    return SummaryOut(
        written_by=None if whole is None else whole.written_by,
        at=None if whole is None else whole.analysis_timestamp,
        summary=None if whole is None else whole.summary_json,
        groups=[
            GroupSummaryOut(
                group=row.group_id,
                written_by=row.written_by,
                at=row.analysis_timestamp,
                summary=row.summary_json,
            )
            for row in groups
        ],
    )


@router.get("/sessions/{session_id}/export.{form}", dependencies=READ)
async def export(
    session_id: SessionId,
    form: Format,
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    group: GroupId | None = None,
) -> StreamingResponse:
    """The transcript as vtt, srt or jsonl, or the measures as csv; of one group or of all."""
    prepared = await prepare_export(session, actor, session_id, group, form)
    database = services_of(request).database

    async def pieces() -> AsyncIterator[str]:
        # The request's own transaction has committed the audit line; the words need another.
        async with database.transaction(actor) as reading:
            async for piece in write_export(reading, prepared):
                yield piece

    disposition = f'attachment; filename="{prepared.file_name}"'
    return StreamingResponse(
        pieces(), media_type=form.media_type, headers={"Content-Disposition": disposition}
    )


@router.get("/guidance-rules", dependencies=READ)
async def read_rules(session: Transaction, actor: CurrentActor) -> RulesOut:
    """The guidance rules in force in one's organisation, as TOML."""
    edition = await guidance_rules.current_edition(session, actor.home)
    return RulesOut(version=edition.version, text=edition.text)


@router.put("/guidance-rules", dependencies=RULES)
async def write_rules(body: RulesIn, session: Transaction, actor: CurrentActor) -> RulesOut:
    """Replace the organisation's guidance rules; every mistake is named with its line."""
    edition = await guidance_rules.save_edition(session, actor, body.text, body.based_on)
    return RulesOut(version=edition.version, text=edition.text)


def _prompt(row: TeacherGuidanceMetrics) -> PromptOut:
    return PromptOut(
        id=row.id,
        group=row.group_id,
        rule=row.prompt_id,
        status=row.status.value,
        category=row.prompt_category.value,
        priority=row.priority_level.value,
        timing=row.suggested_timing.value,
        phase=row.session_phase.value,
        message=row.prompt_message,
        why=row.prompt_context,
        purpose=row.educational_purpose,
        objectives=row.learning_objectives,
        target_metric=row.target_metric,
        metric_before=_number(row.metric_before),
        metric_after=_number(row.metric_after),
        effectiveness_score=_number(row.effectiveness_score),
        evidence=row.evidence,
        generated_at=row.generated_at,
        expires_at=row.expires_at,
        acknowledged_at=row.acknowledged_at,
        used_at=row.used_at,
        dismissed_at=row.dismissed_at,
        rating=row.feedback_rating,
        rating_text=row.feedback_text,
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
