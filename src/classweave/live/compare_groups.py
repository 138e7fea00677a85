"""Tier 2: the groups of a session side by side, the session as a whole, and each member's share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import clock
from classweave.core.database import Database
from classweave.core.events import emit
from classweave.core.identifiers import decode, encode
from classweave.core.jobs import job_database, jobs
from classweave.core.model import Json
from classweave.core.tenancy import system_actor
from classweave.language.participation import speaking_seconds
from classweave.language.transcript import Measure
from classweave.live.access import groups_of
from classweave.live.guidance.healthy import Reason, reasons_of
from classweave.live.load_talk import Talk, load_talk, marks_from_json
from classweave.live.measure_groups import MODEL_VERSION, load_marks
from classweave.live.measure_json import measure_from_json, score
from classweave.live.measure_students import StudentMeasure, measure_students
from classweave.live.models import (
    AnalysisResult,
    ClassroomSession,
    GroupMetrics,
    SessionMetrics,
    StudentGroup,
    StudentMetrics,
    Tier1Analysis,
    Tier2Analysis,
)
from classweave.live.topics import STAFF, session_topic


@dataclass(frozen=True, slots=True)
class GroupStanding:
    """A group as the comparison sees it: its newest window, the whole, and its members' shares."""

    group: StudentGroup
    talk: Talk
    rolling: Sequence[Measure]
    whole: Mapping[str, Measure]
    students: Sequence[StudentMeasure]
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A group's place: ``need`` is the sum of what its reasons add."""

    group: StudentGroup
    need: float
    reasons: Sequence[Reason]
    measured: bool


@jobs.task(queue="live", name="live.compare_session", retry=2)
async def compare_session(organization: str, session_id: str) -> None:
    """Compare the groups of a session as they stand."""
    await compare_groups(job_database(), UUID(organization), UUID(session_id))


async def compare_groups(database: Database, organization: UUID, session_id: UUID) -> None:
    """Rank the groups by need and write the session's and the members' metrics.

    Does nothing for a session that is gone or is not to be analysed.
    """
    actor = system_actor(organization)
    async with database.transaction(actor) as session:
        lesson = await session.get(ClassroomSession, session_id)
        if lesson is None or not lesson.ai_analysis_enabled:
            return
        loaded = [
            await _load(session, lesson, group) for group in await groups_of(session, session_id)
        ]
    began = time.perf_counter()
    standings = await asyncio.to_thread(lambda: [_stand(*row) for row in loaded])
    ranking = rank_groups(standings)
    milliseconds = round(1000 * (time.perf_counter() - began))
    async with database.transaction(actor) as session:
        # The session may have been deleted while we compared.
        lesson = await session.get(
            ClassroomSession, session_id, with_for_update={"key_share": True}
        )
        if lesson is None:
            return
        await _write_ranking(session, lesson, ranking, milliseconds)
        await _write_students(session, lesson, standings)
        await _write_session(session, lesson, standings)


def rank_groups(standings: Sequence[GroupStanding]) -> list[Ranked]:
    """The groups by need, the neediest first.

    Need is the sum over steady measures of the last minutes of
    ``weight x min(1, distance from the healthy side / scale)``, by the table in
    :mod:`classweave.live.guidance.healthy`. Groups of which nothing steady is known come after
    those with a need and before those without one: they deserve a look too.
    """
    ranked: list[Ranked] = []
    for standing in standings:
        reasons = reasons_of(standing.rolling)
        ranked.append(
            Ranked(
                group=standing.group,
                need=sum(reason.adds for reason in reasons),
                reasons=reasons,
                measured=any(m.status == "ok" for m in standing.rolling),
            )
        )
    return sorted(ranked, key=lambda r: (-r.need, r.measured, r.group.group_number))


async def _load(
    session: AsyncSession, lesson: ClassroomSession, group: StudentGroup
) -> tuple[StudentGroup, Talk, Mapping[float, Json], Sequence[Json], Sequence[Json]]:
    newest = await session.scalar(
        select(Tier1Analysis.insights["measures"])
        .where(Tier1Analysis.group_id == group.id)
        .order_by(Tier1Analysis.window_end.desc())
        .limit(1)
    )
    whole = await session.scalar(
        select(GroupMetrics.measures["measures"]).where(GroupMetrics.group_id == group.id)
    )
    return (
        group,
        await load_talk(session, lesson, group),
        await load_marks(session, group.id),
        newest or [],
        whole or [],
    )


def _stand(
    group: StudentGroup,
    talk: Talk,
    marks: Mapping[float, Json],
    newest: Sequence[Json],
    whole: Sequence[Json],
) -> GroupStanding:
    everything = talk.window(0.0, talk.heard_until, marks_from_json(marks))
    seconds = speaking_seconds(everything)
    return GroupStanding(
        group=group,
        talk=talk,
        rolling=[measure_from_json(row) for row in newest],
        whole={row["name"]: measure_from_json(row) for row in whole},
        students=measure_students(everything),
        seconds={member: seconds[member] for member in everything.members},
    )


async def _write_ranking(
    session: AsyncSession, lesson: ClassroomSession, ranking: Sequence[Ranked], milliseconds: int
) -> None:
    order = [encode("group", ranked.group.id) for ranked in ranking]
    rows: list[Json] = [
        {
            "group": encode("group", ranked.group.id),
            "need": round(ranked.need, 3),
            "measured": ranked.measured,
            "reasons": [
                {
                    "measure": r.measure,
                    "value": round(r.value, 4),
                    "why": r.why,
                    "adds": round(r.adds, 3),
                }
                for r in ranked.reasons
            ],
        }
        for ranked in ranking
    ]
    now = clock.now()
    session.add_all(
        (
            Tier2Analysis(
                organization_id=lesson.organization_id,
                session_id=lesson.id,
                insights={"ranking": rows},
                analysis_timestamp=now,
            ),
            AnalysisResult(
                organization_id=lesson.organization_id,
                session_id=lesson.id,
                analysis_type="tier2",
                analysis_timestamp=now,
                processing_time_ms=milliseconds,
                result_data={"ranking": order},
                model_version=MODEL_VERSION,
            ),
        )
    )
    emit(
        session, session_topic(lesson.id), "ranking", {"groups": order},
        audience=(STAFF,), organization=lesson.organization_id,
    )  # fmt: skip


async def _write_students(
    session: AsyncSession, lesson: ClassroomSession, standings: Sequence[GroupStanding]
) -> None:
    """Each member's row, under their newest participant. See :class:`StudentMeasure`."""
    now = clock.now()
    for standing in standings:
        for m in standing.students:
            values: dict[str, Any] = {
                "calculation_timestamp": now,
                "total_speaking_time_seconds": round(m.seconds),
                "speaking_turns_count": m.turns,
                "average_turn_duration_seconds": _rounded(m.mean_turn_seconds),
                "participation_score": score(m.participation),
                "initiative_score": score(m.initiative),
                "responsiveness_score": score(m.responsiveness),
                "vocabulary_complexity_score": score(m.vocabulary),
                "fluency_score": score(m.fluency),
                "peer_interaction_count": m.exchanges,
                "supportive_comments_count": m.supportive,
                "questions_asked_count": m.questions,
                "heard_share": _rounded(m.heard_share, 4),
            }
            await session.execute(
                insert(StudentMetrics)
                .values(
                    organization_id=lesson.organization_id,
                    session_id=lesson.id,
                    participant_id=decode("participant", m.member),
                    **values,
                )
                .on_conflict_do_update(index_elements=["participant_id"], set_=values)
            )


async def _write_session(
    session: AsyncSession, lesson: ClassroomSession, standings: Sequence[GroupStanding]
) -> None:
    """The session's row of ``session_metrics``; what was planned is left as it stands.

    ``active_students`` are the members heard who have spoken, ``participation_rate`` their share
    (0-100) of all members heard. ``interaction_score`` is the mean over groups of turn-taking and
    building on each other, ``collaboration_score`` that of the groups' own, both 0-100.
    ``overall_engagement_score`` is the mean of participation rate, interaction and on-topic
    percentage, from at least two of them. Nothing here claims to see attention.
    """
    seconds = [s for standing in standings for s in standing.seconds.values()]
    active = sum(s > 0 for s in seconds)
    rate = 100 * active / len(seconds) if seconds else None
    interaction = _mean(
        100 * m.value
        for standing in standings
        for name in ("turn_taking", "transactivity")
        if (m := standing.whole.get(name)) and m.value is not None
    )
    on_topic = _weighted(standings, "on_topic", 100)
    parts = [part for part in (rate, interaction, on_topic) if part is not None]
    engagement = fmean(parts) if len(parts) >= 2 else None
    health = await _capture_health(session, lesson.id)
    planned, came = await _adherence(session, lesson.id)
    sizes = [g.talk.members_present for g in standings]
    values: dict[str, Any] = {
        "calculation_timestamp": clock.now(),
        "total_students": lesson.total_students,
        "active_students": active,
        "participation_rate": score(rate),
        "average_speaking_time_seconds": _rounded(fmean(seconds) if seconds else None),
        "speaking_time_std_dev": _rounded(stdev(seconds) if len(seconds) > 1 else None),
        "overall_engagement_score": score(engagement),
        "interaction_score": score(interaction),
        "collaboration_score": score(
            _mean(float(c) for g in standings if (c := g.group.collaboration_score) is not None)
        ),
        "on_topic_percentage": score(on_topic),
        "academic_vocabulary_usage": score(_weighted(standings, "academic_vocabulary", 100)),
        "question_asking_rate": score(_weighted(standings, "questions", 1)),
        "average_group_size": score(fmean(sizes) if sizes else None),
        **health,
        "adherence_members_ratio": _rounded(came / planned, 4) if planned else None,
        "measures": {
            name: {"value": round(value, 5), "groups": n}
            for name, value, n in _over_groups(standings)
        },
    }
    await session.execute(
        insert(SessionMetrics)
        .values(organization_id=lesson.organization_id, session_id=lesson.id, **values)
        .on_conflict_do_update(index_elements=["session_id"], set_=values)
    )
    lesson.engagement_score = score(engagement)
    lesson.participation_rate = score(rate)


async def _capture_health(session: AsyncSession, session_id: UUID) -> dict[str, Any]:
    """Connection, trouble and stability of a session's devices.

    ``average_connection_quality`` is the part (0-100) of the tracks' time that arrived;
    ``technical_issues_count`` counts tracks with more than 5 s of gaps, more than a twentieth of
    the sound clipped, utterances that failed, or a microphone dead for half of its unmuted time.
    ``group_stability_score`` is the part (0-100) of participants who stayed, and in one group.
    """
    row = (
        await session.execute(
            text(
                "SELECT 100 * sum(connected_seconds)"
                " / nullif(sum(connected_seconds + gap_seconds), 0) AS quality,"
                " count(*) FILTER (WHERE gap_seconds > 5 OR failures > 0"
                " OR clipping_seconds > 0.05 * greatest(connected_seconds, 1)"
                " OR heard_seconds < 0.5 * (connected_seconds - muted_seconds)) AS issues,"
                " (SELECT 100.0 * count(*) FILTER (WHERE p.is_active AND NOT EXISTS ("
                "   SELECT FROM live.tracks m WHERE m.participant_id = p.id"
                "   AND m.group_id IS DISTINCT FROM p.group_id)) / nullif(count(*), 0)"
                "   FROM live.participants p WHERE p.session_id = :session) AS stability"
                " FROM live.tracks WHERE session_id = :session"
            ),
            {"session": session_id},
        )
    ).one()
    return {
        "average_connection_quality": score(None if row.quality is None else float(row.quality)),
        "technical_issues_count": row.issues,
        "group_stability_score": score(None if row.stability is None else float(row.stability)),
    }


async def _adherence(session: AsyncSession, session_id: UUID) -> tuple[int, int]:
    """How many members were planned, and how many of them came."""
    row = (
        await session.execute(
            text(
                "SELECT count(*) AS planned, count(*) FILTER (WHERE EXISTS ("
                " SELECT FROM live.participants p WHERE p.session_id = m.session_id"
                " AND p.student_id = m.student_id)) AS came"
                " FROM live.student_group_members m WHERE m.session_id = :session"
            ),
            {"session": session_id},
        )
    ).one()
    return row.planned, row.came


def _over_groups(standings: Sequence[GroupStanding]) -> list[tuple[str, float, int]]:
    """The mean over groups of every measure, with the number of groups that have a value."""
    names = dict.fromkeys(name for standing in standings for name in standing.whole)
    found: list[tuple[str, float, int]] = []
    for name in names:
        values = [m.value for g in standings if (m := g.whole.get(name)) and m.value is not None]
        if values:
            found.append((name, fmean(values), len(values)))
    return found


def _weighted(standings: Sequence[GroupStanding], name: str, factor: float) -> float | None:
    """The mean of a measure over groups, each weighing as much as stands behind its value."""
    pairs = [(m.value, m.n) for g in standings if (m := g.whole.get(name)) and m.value is not None]
    total = sum(n for _, n in pairs)
    return factor * sum(value * n for value, n in pairs) / total if total else None


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return fmean(known) if known else None


def _rounded(value: float | None, digits: int = 2) -> float | None:
    return None if value is None else round(value, digits)
