"""Prompts counted over one session, and over a month by kind. Nothing is claimed on a few.

Rates are plain counts and stand from the first prompt; means of effects, with their interval, from
:data:`classweave.live.measure_effect.MINIMUM_PROMPTS` measured effects on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance.consent import allows_capture, standing_consents
from classweave.core import clock
from classweave.core.model import Json
from classweave.language.transcript import Measure
from classweave.live.guidance.healthy import reasons_of
from classweave.live.guidance.rules import Window
from classweave.live.measure_effect import MINIMUM_PROMPTS, interval
from classweave.live.measure_json import values_from_json
from classweave.live.models import (
    AnalysisResult,
    ClassroomSession,
    Participant,
    SessionGuidanceAnalytics,
    TeacherGuidanceMetrics,
    TeacherPromptEffectiveness,
    Tier1Analysis,
    Transcription,
)
from classweave.live.states import PromptStatus

Values = Mapping[Window, Mapping[str, Measure]]
_PER_HALF = 2


@dataclass(frozen=True, slots=True)
class Counts:
    """How prompts fared. Rates are 0-1, and ``None`` where there is nothing to divide by."""

    generated: int
    acknowledged: int
    used: int
    dismissed: int
    expired: int
    scores: tuple[float, ...]
    improvements: tuple[float, ...]
    ratings: tuple[int, ...]
    response_seconds: tuple[int, ...]

    def rate(self, part: int) -> float | None:
        """``part`` of the prompts generated."""
        return round(part / self.generated, 4) if self.generated else None


def count(prompts: Sequence[TeacherGuidanceMetrics]) -> Counts:
    """Count prompts. Whoever used a prompt has acknowledged it."""
    return Counts(
        generated=len(prompts),
        acknowledged=sum(p.acknowledged_at is not None for p in prompts),
        used=sum(p.used_at is not None for p in prompts),
        dismissed=sum(p.dismissed_at is not None for p in prompts),
        expired=sum(p.status is PromptStatus.EXPIRED for p in prompts),
        scores=_known(p.effectiveness_score for p in prompts),
        improvements=_known(p.learning_outcome_improvement for p in prompts),
        ratings=tuple(p.feedback_rating for p in prompts if p.feedback_rating is not None),
        response_seconds=tuple(
            p.response_time_seconds for p in prompts if p.response_time_seconds is not None
        ),
    )


def breakdown(
    prompts: Sequence[TeacherGuidanceMetrics], kind: Callable[[TeacherGuidanceMetrics], str]
) -> Json:
    """By kind: how many prompts were generated and used, and their mean effect if it can be told.

    ``effectiveness`` is ``None`` below the minimum number of measured effects.
    """
    found: Json = {}
    for name in sorted({kind(p) for p in prompts}):
        own = count([p for p in prompts if kind(p) == name])
        effect = interval(own.scores)
        found[name] = {
            "generated": own.generated,
            "used": own.used,
            "effectiveness": None if effect is None else round(effect.mean, 4),
        }
    return found


def improvement_over(
    runs: Sequence[Values], take: Callable[[Values], float | None]
) -> float | None:
    """The mean of ``take`` over the second half of a group's measurements less that of the first.

    ``None`` unless each half has two values.
    """
    half = len(runs) // 2
    first = [v for run in runs[:half] if (v := take(run)) is not None]
    second = [v for run in runs[half:] if (v := take(run)) is not None]
    if len(first) < _PER_HALF or len(second) < _PER_HALF:
        return None
    return fmean(second) - fmean(first)


async def write_session_analytics(
    session: AsyncSession, lesson: ClassroomSession, concepts_named: Iterable[str]
) -> None:
    """Write the session's row of ``session_guidance_analytics``.

    ``session_improvement_score`` is by how much the groups' need fell from the first half of their
    measurements to the second; ``student_engagement_improvement`` the same of equal participation
    and ``discussion_quality_improvement`` of building on each other and reasoning, in points of
    100. These describe the session; they are not effects of the prompts.
    ``learning_objective_completion_rate`` is the part of the lesson's concepts that any group has
    named. ``system_uptime_percentage`` is the part of the devices' time that arrived. What only
    the teacher could say (satisfaction) is empty until the teacher says it.
    """
    prompts = list(
        await session.scalars(
            select(TeacherGuidanceMetrics).where(TeacherGuidanceMetrics.session_id == lesson.id)
        )
    )
    own = count(prompts)
    effect = interval(own.scores)
    runs = await _runs(session, lesson.id)
    named = set(concepts_named) & set(lesson.concepts)
    started = lesson.actual_start or lesson.created_at
    violations = await _unconsented(session, lesson.id)
    values: dict[str, Any] = {
        "teacher_id": lesson.teacher_id,
        "session_date": started.date(),
        "subject_area": lesson.subject,
        "session_duration_minutes": lesson.actual_duration_minutes,
        "total_groups": lesson.total_groups,
        "total_students": lesson.total_students,
        "total_prompts_generated": own.generated,
        "total_prompts_acknowledged": own.acknowledged,
        "total_prompts_used": own.used,
        "total_prompts_dismissed": own.dismissed,
        "total_prompts_expired": own.expired,
        "acknowledgment_rate": own.rate(own.acknowledged),
        "usage_rate": own.rate(own.used),
        "effectiveness_rate": _share_positive(own.scores),
        "avg_feedback_rating": _mean(own.ratings, 2),
        "avg_effectiveness_score": None if effect is None else round(effect.mean, 4),
        "avg_response_time_seconds": _mean(own.response_seconds, 2),
        "session_improvement_score": _over_groups(runs, _less_need),
        "student_engagement_improvement": _over_groups(runs, _participation),
        "discussion_quality_improvement": _over_groups(runs, _quality),
        "learning_objective_completion_rate": (
            round(len(named) / len(lesson.concepts), 4) if lesson.concepts else None
        ),
        "category_breakdown": breakdown(prompts, lambda p: p.prompt_category.value),
        "priority_breakdown": breakdown(prompts, lambda p: p.priority_level.value),
        "phase_breakdown": breakdown(prompts, lambda p: p.session_phase.value),
        **await _running(session, lesson.id),
        "compliance_violations": violations,
        "data_retention_compliance": (
            lesson.data_retention_date is None or lesson.data_retention_date > clock.now()
        ),
        "privacy_safeguards_applied": violations == 0,
    }
    await session.execute(
        insert(SessionGuidanceAnalytics)
        .values(organization_id=lesson.organization_id, session_id=lesson.id, **values)
        .on_conflict_do_update(index_elements=["session_id"], set_=values)
    )


async def write_prompt_effectiveness(session: AsyncSession, lesson: ClassroomSession) -> None:
    """Bring ``teacher_prompt_effectiveness`` up to date for the month of this session.

    One row for each category, subject, phase and priority over the organisation's prompts of the
    month. The interval is 95 % by Student's t over prompts; effects and intervals are empty below
    the minimum n, and ``data_points`` says how many effects were measured. ``avg_learning_impact``
    is in the unit of the target measure, and empty where prompts of a kind have several.
    """
    started = lesson.actual_start or lesson.created_at
    start, end = _month(started)
    prompts = await session.scalars(
        select(TeacherGuidanceMetrics).where(
            TeacherGuidanceMetrics.organization_id == lesson.organization_id,
            TeacherGuidanceMetrics.generated_at >= start,
            TeacherGuidanceMetrics.generated_at < end,
        )
    )
    kinds: dict[tuple[str, str, str, str], list[TeacherGuidanceMetrics]] = {}
    for p in prompts:
        kind = (
            p.prompt_category.value, p.subject_area, p.session_phase.value, p.priority_level.value
        )  # fmt: skip
        kinds.setdefault(kind, []).append(p)
    for (category, subject, phase, priority), rows in sorted(kinds.items()):
        own = count(rows)
        effect = interval(own.scores)
        # Improvements are in the unit of each measure: a mean over several would mean nothing.
        one_measure = len({p.target_metric for p in rows}) == 1
        impact = interval(own.improvements) if one_measure else None
        values: dict[str, Any] = {
            "total_generated": own.generated,
            "total_acknowledged": own.acknowledged,
            "total_used": own.used,
            "total_dismissed": own.dismissed,
            "acknowledgment_rate": own.rate(own.acknowledged),
            "usage_rate": own.rate(own.used),
            "dismissal_rate": own.rate(own.dismissed),
            "avg_effectiveness_score": effect and round(effect.mean, 4),
            "avg_feedback_rating": _mean(own.ratings, 2),
            "avg_response_time_seconds": _mean(own.response_seconds, 2),
            "avg_learning_impact": impact and round(impact.mean, 4),
            "std_dev_effectiveness": effect and round(effect.standard_deviation, 4),
            "confidence_interval_lower": effect and round(effect.lower, 4),
            "confidence_interval_upper": effect and round(effect.upper, 4),
            "data_points": len(own.scores),
            "calculation_period_end": end,
            "last_calculated": clock.now(),
        }
        await session.execute(
            insert(TeacherPromptEffectiveness)
            .values(
                organization_id=lesson.organization_id,
                prompt_category=category,
                subject_area=subject,
                session_phase=phase,
                priority_level=priority,
                calculation_period_start=start,
                **values,
            )
            .on_conflict_do_update(constraint="uq_teacher_prompt_effectiveness_kind", set_=values)
        )


async def _runs(session: AsyncSession, session_id: UUID) -> list[list[Values]]:
    """Every group's measurements in time order, as numbers."""
    rows = await session.execute(
        select(Tier1Analysis.group_id, Tier1Analysis.insights["values"])
        .where(Tier1Analysis.session_id == session_id)
        .order_by(Tier1Analysis.window_end)
    )
    by_group: dict[UUID, list[Values]] = {}
    for group, values in rows:
        by_group.setdefault(group, []).append(values_from_json(values or {}))
    return list(by_group.values())


async def _running(session: AsyncSession, session_id: UUID) -> dict[str, Any]:
    """How the machinery fared: mean latencies in milliseconds, what arrived, what failed."""
    analysis = await session.scalar(
        select(func.avg(AnalysisResult.processing_time_ms)).where(
            AnalysisResult.session_id == session_id, AnalysisResult.analysis_type == "tier1"
        )
    )
    row = (
        await session.execute(
            sql(
                "SELECT 100 * sum(connected_seconds)"
                " / nullif(sum(connected_seconds + gap_seconds), 0) AS uptime,"
                " coalesce(sum(failures), 0) AS failures, (SELECT avg(1000 * extract(epoch FROM"
                " p.generated_at - (SELECT max(a.analysis_timestamp) FROM live.tier1_analysis a"
                " WHERE a.group_id = p.group_id AND a.analysis_timestamp <= p.generated_at)))"
                " FROM live.teacher_guidance_metrics p WHERE p.session_id = :session) AS prompt_ms"
                " FROM live.tracks WHERE session_id = :session"
            ),
            {"session": session_id},
        )
    ).one()
    return {
        "ai_analysis_latency_ms": _rounded(analysis),
        "prompt_generation_latency_ms": _rounded(row.prompt_ms),
        "system_uptime_percentage": _rounded(row.uptime),
        "error_count": int(row.failures),
    }


async def _unconsented(session: AsyncSession, session_id: UUID) -> int:
    """Utterances that stand although their speaker's consent does not: there should be none."""
    rows = (
        await session.execute(
            select(Participant.student_id, func.count())
            .join(Transcription, Transcription.speaker_id == Participant.id)
            .where(Transcription.session_id == session_id, Participant.student_id.is_not(None))
            .group_by(Participant.student_id)
        )
    ).all()
    spoken = {student: n for student, n in rows if student is not None}
    consents = await standing_consents(session, list(spoken))
    return sum(n for student, n in spoken.items() if not allows_capture(consents[student]))


def _less_need(run: Values) -> float | None:
    rolling = run["rolling"]
    if not any(m.status == "ok" for m in rolling.values()):
        return None
    return -sum(reason.adds for reason in reasons_of(rolling.values()))


def _participation(run: Values) -> float | None:
    return _steady_mean(run, ("participation_equality",))


def _quality(run: Values) -> float | None:
    return _steady_mean(run, ("transactivity", "reasoning"))


def _steady_mean(run: Values, names: Sequence[str]) -> float | None:
    """100 times the mean of measures, all of which must be steady."""
    found = [run["rolling"].get(name) for name in names]
    values = [m.value for m in found if m is not None and m.status == "ok" and m.value is not None]
    return 100 * fmean(values) if len(values) == len(names) else None


def _over_groups(
    runs: Sequence[Sequence[Values]], take: Callable[[Values], float | None]
) -> float | None:
    changes = [c for group in runs if (c := improvement_over(group, take)) is not None]
    return round(fmean(changes), 4) if changes else None


def _share_positive(scores: Sequence[float]) -> float | None:
    if len(scores) < MINIMUM_PROMPTS:
        return None
    return round(sum(score > 0 for score in scores) / len(scores), 4)


def _known(values: Iterable[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values if value is not None)


def _mean(values: Sequence[float], digits: int) -> float | None:
    return round(fmean(values), digits) if values else None


def _rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), 2)


def _month(moment: datetime) -> tuple[datetime, datetime]:
    """The first instants of the month of ``moment`` and of the next."""
    start = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    year, month = divmod(start.year * 12 + start.month, 12)
    return start, start.replace(year=year, month=month + 1)
