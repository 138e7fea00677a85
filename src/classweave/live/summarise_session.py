"""When a session is over: everything measured once more, compared, judged and summarised.

Safe to repeat: each part replaces what an earlier run wrote.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import audit, clock
from classweave.core.database import Database
from classweave.core.events import emit
from classweave.core.identifiers import encode
from classweave.core.jobs import job_runtime
from classweave.core.model import Json
from classweave.core.tenancy import system_actor
from classweave.language.moments import Quote
from classweave.language.summarise import GroupTalk, Summary, summarise
from classweave.language.summarise import SessionSummary as SummaryOfSession
from classweave.language.summarise import summarise_session as summarise_groups
from classweave.live.access import groups_of
from classweave.live.aggregate_guidance import write_prompt_effectiveness, write_session_analytics
from classweave.live.compare_groups import compare_groups
from classweave.live.load_talk import Marks, Talk, all_there, load_talk, marks_from_json
from classweave.live.measure_effect import measure_effects
from classweave.live.measure_groups import Measured, load_marks, measure_and_guide
from classweave.live.measure_json import score
from classweave.live.message_json import with_messages
from classweave.live.models import (
    ClassroomSession,
    EducationalInsight,
    GroupMetrics,
    GroupSummary,
    SessionSummary,
    StudentGroup,
)
from classweave.live.prompt_teacher import expire_prompts
from classweave.live.states import SessionStatus
from classweave.live.topics import STAFF, session_topic
from classweave.live.write_summary import Written, write_summary

EXTRACTIVE = "classweave"
"""Who wrote a summary that only quotes: nobody but this program."""
_PAST_SESSIONS = 20


@dataclass(frozen=True, slots=True)
class GroupResult:
    """One group at the end: what was said, measured and made of it."""

    group: StudentGroup
    measured: Measured
    summary: Summary
    written: Written | None


async def summarise_session(database: Database, organization: UUID, session_id: UUID) -> None:
    """Measure the whole of a session, judge its prompts and summarise it. Idempotent.

    Does nothing for a session that is gone. Where analysis is off, prompts and summaries are left
    out too.
    """
    actor = system_actor(organization)
    async with database.transaction(actor) as session:
        lesson = await session.get(ClassroomSession, session_id)
        if lesson is None:
            return
        await expire_prompts(session, lesson)
        if not lesson.ai_analysis_enabled:
            _announce(session, lesson)
            return
        groups = await groups_of(session, session_id)
        past = await _past(session, lesson)
    results: list[GroupResult] = []
    for group in groups:
        measured = await measure_and_guide(database, organization, group.id, final=True)
        if measured is not None:
            results.append(await _summarise_group(lesson, group, measured, past))
    await compare_groups(database, organization, session_id)
    names = _names(results)
    talks = [_talk_of(result, names[result.group.id]) for result in results]
    together = await asyncio.to_thread(summarise_groups, talks)
    async with database.transaction(actor) as session:
        # The session may have been deleted, or words taken back, while we summarised.
        lesson = await session.get(
            ClassroomSession, session_id, with_for_update={"key_share": True}
        )
        if lesson is None:
            return
        kept = [r for r in results if await all_there(session, r.measured.talk)]
        await _write(session, lesson, kept, together if len(kept) == len(results) else None)
        await measure_effects(session, lesson, await _talks(session, lesson))
        await session.flush()
        named = {concept for result in kept for concept in result.summary.concepts_named}
        await write_session_analytics(session, lesson, named)
        await write_prompt_effectiveness(session, lesson)
        audit.record(
            session, "session.summarised", resource="session", resource_id=lesson.id,
            description=f"summarised a session of {len(kept)} groups", session_id=lesson.id,
        )  # fmt: skip
        _announce(session, lesson)


async def _summarise_group(
    lesson: ClassroomSession,
    group: StudentGroup,
    measured: Measured,
    past: Mapping[str, Sequence[float]],
) -> GroupResult:
    whole = measured.windows.whole
    measures = list(measured.measures["whole"].values())
    summary = await asyncio.to_thread(summarise, whole, measures, past)
    settings = job_runtime().settings
    written = await write_summary(settings, whole.utterances, lesson.goal) if summary.what else None
    return GroupResult(group, measured, summary, written)


def _names(results: Sequence[GroupResult]) -> dict[UUID, str]:
    """The groups' names; groups of the same name are told apart by their number."""
    often = Counter(result.group.name for result in results)
    return {
        group.id: group.name if often[group.name] == 1 else f"{group.name} ({group.group_number})"
        for group in (result.group for result in results)
    }


def _talk_of(result: GroupResult, name: str) -> GroupTalk:
    return GroupTalk(
        name=name,
        discussion=result.measured.windows.whole,
        measures=list(result.measured.measures["whole"].values()),
        summary=result.summary,
    )


async def _past(session: AsyncSession, lesson: ClassroomSession) -> dict[str, list[float]]:
    """Steady values of the class's groups in its earlier sessions, by measure."""
    if lesson.class_id is None or lesson.actual_start is None:
        return {}
    earlier = (
        select(ClassroomSession.id)
        .where(
            ClassroomSession.class_id == lesson.class_id,
            ClassroomSession.status.in_((SessionStatus.ENDED, SessionStatus.ARCHIVED)),
            ClassroomSession.actual_start < lesson.actual_start,
        )
        .order_by(ClassroomSession.actual_start.desc())
        .limit(_PAST_SESSIONS)
    )
    rows = await session.scalars(
        select(GroupMetrics.measures["measures"]).where(GroupMetrics.session_id.in_(earlier))
    )
    found: dict[str, list[float]] = {}
    for measures in rows:
        for measure in measures or ():
            if measure["status"] == "ok" and measure["value"] is not None:
                found.setdefault(measure["name"], []).append(measure["value"])
    return found


async def _talks(session: AsyncSession, lesson: ClassroomSession) -> dict[UUID, tuple[Talk, Marks]]:
    return {
        group.id: (
            await load_talk(session, lesson, group),
            marks_from_json(await load_marks(session, group.id)),
        )
        for group in await groups_of(session, lesson.id)
    }


async def _write(
    session: AsyncSession,
    lesson: ClassroomSession,
    results: Sequence[GroupResult],
    together: SummaryOfSession | None,
) -> None:
    now = clock.now()
    await session.execute(
        delete(EducationalInsight).where(EducationalInsight.session_id == lesson.id)
    )
    for result in results:
        values: dict[str, Any] = {
            "summary_json": with_messages(group_summary_json(result)),
            "written_by": EXTRACTIVE if result.written is None else result.written.model,
            "analysis_timestamp": now,
        }
        await session.execute(
            insert(GroupSummary)
            .values(
                organization_id=lesson.organization_id,
                session_id=lesson.id,
                group_id=result.group.id,
                **values,
            )
            .on_conflict_do_update(index_elements=["group_id"], set_=values)
        )
        confidence = _confidence(result.measured)
        for step in result.summary.next_steps:
            session.add(_insight(lesson, "next_step", step, "group", result.group.id, confidence))
    if together is None:
        return
    values = {
        "summary_json": with_messages(session_summary_json(together, results)),
        "written_by": EXTRACTIVE,
        "analysis_timestamp": now,
    }
    await session.execute(
        insert(SessionSummary)
        .values(organization_id=lesson.organization_id, session_id=lesson.id, **values)
        .on_conflict_do_update(index_elements=["session_id"], set_=values)
    )
    for step in together.next_steps:
        session.add(_insight(lesson, "next_step", step, "session", lesson.id, None))
    if together.concepts_missing:
        missing = ", ".join(together.concepts_missing)
        session.add(
            _insight(
                lesson,
                "missing_concepts",
                f"No group named: {missing}.",
                "session",
                lesson.id,
                None,
            )
        )


def _insight(
    lesson: ClassroomSession,
    kind: str,
    said: str,
    applies_to: str,
    applies_to_id: UUID,
    confidence: float | None,
) -> EducationalInsight:
    """One thing worth doing next. Its impact is unknown beforehand, so none is claimed."""
    title = said.partition(":")[0].partition(".")[0][:120]
    return EducationalInsight(
        organization_id=lesson.organization_id,
        session_id=lesson.id,
        insight_type=kind,
        title=title,
        description=str(said),
        recommendations=[str(said)] if kind == "next_step" else [],
        confidence_level=score(confidence),
        applies_to_type=applies_to,
        applies_to_id=applies_to_id,
    )


def _confidence(measured: Measured) -> float:
    """The part (0-100) of the group's measures that are steady."""
    measures = measured.measures["whole"].values()
    return 100 * sum(m.status == "ok" for m in measures) / max(1, len(measures))


def group_summary_json(result: GroupResult) -> Json:
    """A group's summary as it is kept: quotations with their utterances and times."""
    summary = result.summary
    return {
        "what": [_quote_json(quote) for quote in summary.what],
        "key_terms": list(summary.key_terms),
        "concepts_named": list(summary.concepts_named),
        "concepts_missing": list(summary.concepts_missing),
        "moments": [
            {
                "kind": moment.kind,
                "start": round(moment.start, 3),
                "end": round(moment.end, 3),
                "why": moment.why,
                "quote": None if moment.quote is None else _quote_json(moment.quote),
            }
            for moment in summary.moments
        ],
        "how": list(summary.how),
        "next_steps": list(summary.next_steps),
        "reason": summary.reason,
        "written": None
        if result.written is None
        else {
            "sentences": [
                {"text": sentence.text, "utterances": list(sentence.utterances)}
                for sentence in result.written.sentences
            ],
            "dropped": result.written.dropped,
        },
    }


def session_summary_json(together: SummaryOfSession, results: Sequence[GroupResult]) -> Json:
    """The session's summary as it is kept; ``what`` has one line for each group heard."""
    ids = {name: encode("group", group) for group, name in _names(results).items()}
    return {
        "what": [
            {"group": ids[name], "name": name, **_quote_json(quote)}
            for name, quote in together.what.items()
        ],
        "key_terms": list(together.key_terms),
        "concepts_missing": list(together.concepts_missing),
        "how": list(together.how),
        "next_steps": list(together.next_steps),
        "reason": together.reason,
    }


def _quote_json(quote: Quote) -> Json:
    return {
        "utterance": quote.utterance,
        "speaker": quote.speaker,
        "start": round(quote.start, 3),
        "end": round(quote.end, 3),
        "text": quote.text,
    }


def _announce(session: AsyncSession, lesson: ClassroomSession) -> None:
    emit(
        session, session_topic(lesson.id), "summary", {},
        audience=(STAFF,), organization=lesson.organization_id,
    )  # fmt: skip
