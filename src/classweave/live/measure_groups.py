"""Tier 1: the measures of one group, every half minute of new talk and once over the whole.

The worker that commits words asks; a job measures. What is due is judged on the transcript's own
clock, so that a session replayed at another speed, or one whose captions lag, is measured alike.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from classweave import __version__
from classweave.core import clock
from classweave.core.database import Database
from classweave.core.events import emit
from classweave.core.identifiers import encode, uuid7
from classweave.core.jobs import enqueue, job_database, jobs
from classweave.core.model import Json
from classweave.core.tenancy import system_actor
from classweave.language.transcript import Measure
from classweave.live.access import groups_of
from classweave.live.guidance.engine import Snapshot
from classweave.live.guidance.phase import phase_of
from classweave.live.guidance.rules import Window
from classweave.live.load_talk import (
    Talk,
    all_there,
    load_talk,
    marks_from_json,
    sentiment_allowed,
    totals_as_json,
)
from classweave.live.measure_json import measure_as_json, values_as_json
from classweave.live.measure_windows import (
    RECENT_SECONDS,
    ROLLING_SECONDS,
    Windows,
    latest_quotes,
    measure_windows,
)
from classweave.live.models import (
    AnalysisResult,
    ClassroomSession,
    StudentGroup,
    Tier1Analysis,
)
from classweave.live.states import SessionStatus
from classweave.live.topics import STAFF, session_topic
from classweave.live.write_group import write_group, write_group_metrics

STEP_SECONDS = 30.0
MODEL_VERSION = f"classweave-language {__version__}"
_WATCH_SECONDS = 15
# The groups of a session are measured at about the same time: one comparison serves them all.
_COMPARE_AFTER_SECONDS = 3
_MARKS = 40

_DUE = text(
    "SELECT g.organization_id, coalesce(max(t.end_seconds), 0) - coalesce((SELECT max(window_end)"
    " FROM live.tier1_analysis a WHERE a.group_id = g.id), 0) AS new"
    " FROM live.student_groups g JOIN live.classroom_sessions s ON s.id = g.session_id"
    " LEFT JOIN live.transcriptions t ON t.group_id = g.id"
    " WHERE g.id = :group AND s.ai_analysis_enabled GROUP BY g.id"
)

_WAITS = text(
    "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE queueing_lock = :lock AND status = 'todo')"
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run found of a group: its talk, its windows and every measure of each."""

    talk: Talk
    windows: Windows
    measures: Mapping[Window, Mapping[str, Measure]]
    snapshot: Snapshot
    milliseconds: int

    @property
    def end(self) -> float:
        """Where the windows end, in seconds since the session began."""
        return self.windows.whole.end


async def request_measures(session: AsyncSession, group_id: UUID) -> None:
    """Ask for the group to be measured if half a minute of new talk has gathered.

    Cheap, for it is called with every utterance and within its transaction.
    """
    row = (await session.execute(_DUE, {"group": group_id})).one_or_none()
    if row is not None and float(row.new) >= STEP_SECONDS:
        await _enqueue_group(session, row.organization_id, group_id)


async def _enqueue_group(session: AsyncSession, organization: UUID, group_id: UUID) -> None:
    lock = f"measure:{group_id}"
    if not await _waits(session, lock):
        await enqueue(
            session, measure_group, lock=lock, queueing_lock=lock,
            organization=str(organization), group_id=str(group_id),
        )  # fmt: skip


async def _enqueue_compare(session: AsyncSession, lesson: ClassroomSession) -> None:
    from classweave.live.compare_groups import compare_session

    lock = f"compare:{lesson.id}"
    if not await _waits(session, lock):
        await enqueue(
            session, compare_session, lock=lock, queueing_lock=lock,
            in_seconds=_COMPARE_AFTER_SECONDS,
            organization=str(lesson.organization_id), session_id=str(lesson.id),
        )  # fmt: skip


async def enqueue_watch(session: AsyncSession, lesson: ClassroomSession) -> None:
    """Have the session watched while it runs; asking twice is asking once."""
    lock = f"watch:{lesson.id}"
    if not await _waits(session, lock):
        await enqueue(
            session, watch_session, queueing_lock=lock, in_seconds=_WATCH_SECONDS,
            organization=str(lesson.organization_id), session_id=str(lesson.id),
        )  # fmt: skip


async def _waits(session: AsyncSession, lock: str) -> bool:
    """Whether such a job waits already: to look is cheaper than to be refused."""
    return bool(await session.scalar(_WAITS, {"lock": lock}))


@jobs.task(queue="live", name="live.measure_group", retry=2)
async def measure_group(organization: str, group_id: str) -> None:
    """Measure a group over its last minutes; then compare the groups and see whom to prompt."""
    await measure_and_guide(job_database(), UUID(organization), UUID(group_id))


@jobs.task(queue="live", name="live.watch_session", retry=2)
async def watch_session(organization: str, session_id: str) -> None:
    """While a session runs: measure groups that have fallen quiet, let old prompts expire.

    A group that says nothing asks for nothing, so somebody has to look. Waits by enqueuing itself.
    """
    from classweave.live.prompt_teacher import expire_prompts

    home, lesson_id = UUID(organization), UUID(session_id)
    async with job_database().transaction(system_actor(home)) as session:
        lesson = await session.get(ClassroomSession, lesson_id)
        if lesson is None or lesson.status not in (SessionStatus.LIVE, SessionStatus.PAUSED):
            return
        await expire_prompts(session, lesson)
        if lesson.status is SessionStatus.LIVE:
            for group in await groups_of(session, lesson.id):
                talk = await load_talk(session, lesson, group)
                last = await _last_end(session, group.id)
                if talk.tracks and talk.heard_until - last >= STEP_SECONDS:
                    await _enqueue_group(session, home, group.id)
        await enqueue_watch(session, lesson)


async def measure_and_guide(
    database: Database, organization: UUID, group_id: UUID, *, final: bool = False
) -> Measured | None:
    """Measure a group now, if there is something new; prompt the teacher if it calls for it.

    ``final`` measures over everything, whether or not it is new, and prompts nobody. Returns
    ``None`` when the group or the session is gone, analysis is off, or nothing is due.
    """
    from classweave.live.prompt_teacher import prompt_if_needed

    actor = system_actor(organization)
    async with database.transaction(actor) as session:
        loaded = await _load(session, group_id)
        if loaded is None:
            return None
        lesson, group, talk, marks, last = loaded
        if not final and talk.heard_until - last < STEP_SECONDS:
            return None
        sentiment = await sentiment_allowed(session, organization)
    measured = await asyncio.to_thread(_measure, lesson, talk, marks, sentiment)
    async with database.transaction(actor) as session:
        still = await session.get(StudentGroup, group.id, with_for_update={"key_share": True})
        # The session may have been deleted, or words taken back, while we measured.
        if still is None or not await all_there(session, talk):
            return None
        if not await _store(session, lesson, still, measured, sentiment=sentiment, final=final):
            return measured
        if not final:
            await prompt_if_needed(session, lesson, still, measured.snapshot)
            await _enqueue_compare(session, lesson)
            await enqueue_watch(session, lesson)
    return measured


async def _load(
    session: AsyncSession, group_id: UUID
) -> tuple[ClassroomSession, StudentGroup, Talk, Mapping[float, Json], float] | None:
    group = await session.get(StudentGroup, group_id)
    if group is None:
        return None
    lesson = await session.get_one(ClassroomSession, group.session_id)
    if not lesson.ai_analysis_enabled:
        return None
    return (
        lesson,
        group,
        await load_talk(session, lesson, group),
        await load_marks(session, group_id),
        await _last_end(session, group_id),
    )


async def load_marks(session: AsyncSession, group_id: UUID) -> dict[float, Json]:
    """What the tracks had gathered at the ends of the latest windows, by second."""
    rows = await session.execute(
        select(Tier1Analysis.window_end, Tier1Analysis.insights["tracks"])
        .where(Tier1Analysis.group_id == group_id)
        .order_by(Tier1Analysis.window_end.desc())
        .limit(_MARKS)
    )
    return {float(end): tracks or {} for end, tracks in rows}


async def _last_end(session: AsyncSession, group_id: UUID) -> float:
    found = await session.scalar(
        select(Tier1Analysis.window_end)
        .where(Tier1Analysis.group_id == group_id)
        .order_by(Tier1Analysis.window_end.desc())
        .limit(1)
    )
    return float(found or 0)


def _measure(
    lesson: ClassroomSession, talk: Talk, stored: Mapping[float, Json], sentiment: bool
) -> Measured:
    """Take every measure over the three windows that end where the talk now stands."""
    began = time.perf_counter()
    marks = marks_from_json(stored)
    end = talk.heard_until
    windows = Windows(
        recent=talk.window(max(0.0, end - RECENT_SECONDS), end, marks),
        rolling=talk.window(max(0.0, end - ROLLING_SECONDS), end, marks),
        whole=talk.window(0.0, end, marks),
    )
    measures = measure_windows(windows, sentiment=sentiment)
    phase = phase_of(lesson.planned_duration_minutes, end - talk.paused_seconds)
    return Measured(
        talk=talk,
        windows=windows,
        measures=measures,
        snapshot=Snapshot(phase, measures, latest_quotes(windows.recent)),
        milliseconds=round(1000 * (time.perf_counter() - began)),
    )


async def _store(
    session: AsyncSession,
    lesson: ClassroomSession,
    group: StudentGroup,
    measured: Measured,
    *,
    sentiment: bool,
    final: bool,
) -> bool:
    """Write one run down; ``False`` when there is nothing new to write.

    The final run corrects what an earlier one wrote of the same window, for words of slower
    tracks may have come since; any other gives way to a window as new as its own.
    """
    if not final and await _last_end(session, group.id) >= measured.end:
        return False
    rolling, whole = measured.measures["rolling"], measured.measures["whole"]
    talk = measured.talk
    insights: Json = {
        "measures": [measure_as_json(m) for m in rolling.values()],
        "values": values_as_json(measured.measures),
        "tracks": totals_as_json(talk.tracks),
        "members": list(talk.members),
        "left_out": talk.left_out,
        "shared_device": any(t.speaker is None for t in talk.tracks),
    }
    window_end = Decimal(str(round(measured.end, 3)))
    statement = insert(Tier1Analysis).values(
        id=uuid7(),
        organization_id=lesson.organization_id,
        session_id=lesson.id,
        group_id=group.id,
        window_start=Decimal(str(round(measured.windows.rolling.start, 3))),
        window_end=window_end,
        phase=measured.snapshot.phase.value,
        insights=insights,
        analysis_timestamp=clock.now(),
    )
    # The time of the first run stays: it ties the transcript's clock to that of the day.
    new = {name: statement.excluded[name] for name in ("window_start", "phase", "insights")}
    written = await session.scalar(
        statement.on_conflict_do_update(
            index_elements=["group_id", "window_end"],
            set_=new,
            where=Tier1Analysis.insights.is_distinct_from(statement.excluded["insights"]),
        ).returning(Tier1Analysis.id)
    )
    write_group(group, whole, sentiment=sentiment)
    await write_group_metrics(session, lesson, group, talk, whole, measured.end)
    if written is None:
        return False
    session.add(
        AnalysisResult(
            organization_id=lesson.organization_id,
            session_id=lesson.id,
            analysis_type="tier1",
            analysis_timestamp=clock.now(),
            processing_time_ms=measured.milliseconds,
            result_data={
                "group": encode("group", group.id),
                "window_end": float(window_end),
                "utterances": len(measured.windows.rolling.utterances),
                "values": {name: m.value for name, m in rolling.items() if m.status == "ok"},
            },
            confidence_score=_confidence(rolling),
            model_version=MODEL_VERSION,
        )
    )
    emit(
        session, session_topic(lesson.id), "measures",
        {"group": encode("group", group.id), "window_end": float(window_end)},
        audience=(STAFF,), organization=lesson.organization_id,
    )  # fmt: skip
    return True


def _confidence(measures: Mapping[str, Measure]) -> Decimal:
    """The share of the measures that are steady: neither uncertain nor short of words."""
    steady = sum(m.status == "ok" for m in measures.values())
    return Decimal(str(round(steady / max(1, len(measures)), 4)))
