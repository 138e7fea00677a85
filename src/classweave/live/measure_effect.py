"""What a used prompt led to: its target measure after the use against before, and against groups
that had no prompt in the same minutes.

Groups get prompts when a measure is bad, and bad measures tend to get better by themselves. So a
change alone says nothing: what other groups did in the same minutes is taken off it, and without
such a group no effect is claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from statistics import fmean, stdev
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import clock
from classweave.language.measure import MEASURES, STEADY_COVERAGE
from classweave.language.transcript import Discussion, Measure
from classweave.live.guidance import quiet
from classweave.live.guidance.healthy import HEALTHY
from classweave.live.load_talk import Marks, Talk
from classweave.live.measure_windows import ROLLING_SECONDS
from classweave.live.models import (
    ClassroomSession,
    GuidanceEvent,
    InterventionSuggestion,
    TeacherGuidanceMetrics,
    Tier1Analysis,
)

SHORTEST_WINDOW = 60.0
MINIMUM_PROMPTS = 5
"""Nothing is claimed about prompts of a kind below this number of measured effects."""

# Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom.
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_T_LARGE = 2.0


@dataclass(frozen=True, slots=True)
class Change:
    """A measure before and after one moment, over windows of the same length."""

    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Effect:
    """A prompt's effect. Positive is towards the healthy side.

    ``improvement`` is in the measure's own unit, ``score`` in units of the measure's scale (-1 to
    1, see :mod:`classweave.live.guidance.healthy`); from both the mean change of ``comparisons``
    other groups has been taken off.
    """

    improvement: float
    score: float
    comparisons: int


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean of ``n`` values with its 95 % confidence interval by Student's t."""

    mean: float
    standard_deviation: float
    lower: float
    upper: float
    n: int


def effect_of(measure: str, own: Change, others: Sequence[Change]) -> Effect | None:
    """The effect on ``measure``; ``None`` without another group to compare with.

    Also ``None`` for a measure of which no healthy side is known.
    """
    healthy = HEALTHY.get(measure)
    if healthy is None or not others:
        return None
    sign = 1.0 if healthy.more else -1.0
    usual = fmean(sign * (o.after - o.before) for o in others)
    usual_score = fmean(healthy.improvement(o.before, o.after) for o in others)
    score = healthy.improvement(own.before, own.after) - usual_score
    return Effect(
        improvement=sign * (own.after - own.before) - usual,
        score=min(1.0, max(-1.0, score)),
        comparisons=len(others),
    )


def interval(values: Sequence[float]) -> Interval | None:
    """The mean of effects with its 95 % interval; ``None`` below the minimum n."""
    n = len(values)
    if n < MINIMUM_PROMPTS:
        return None
    mean, deviation = fmean(values), stdev(values)
    quantile = _T[n - 2] if n - 1 <= len(_T) else _T_LARGE
    margin = quantile * deviation / n**0.5
    return Interval(mean, deviation, mean - margin, mean + margin, n)


def change_at(
    talk: Talk, marks: Marks, measure: str, moment: float, length: float
) -> Change | None:
    """How ``measure`` changed at ``moment``; ``None`` unless it is steady on both sides."""
    take = _taker(measure)
    if take is None:
        return None
    before = _steady(take(talk.window(moment - length, moment, marks)))
    after = _steady(take(talk.window(moment, moment + length, marks)))
    return None if before is None or after is None else Change(before, after)


def _taker(measure: str) -> Callable[[Discussion], Measure] | None:
    if measure == quiet.NAME:
        return quiet.quiet_seconds
    info = MEASURES.get(measure)
    return None if info is None else info.take


def _steady(measure: Measure) -> float | None:
    steady = measure.status == "ok" and measure.coverage >= STEADY_COVERAGE
    return measure.value if steady else None


def window_length(moment: float, end: float) -> float | None:
    """Seconds on either side of ``moment``: three minutes, or what there is, one at least."""
    length = min(ROLLING_SECONDS, moment, end - moment)
    return length if length >= SHORTEST_WINDOW else None


async def measure_effects(
    session: AsyncSession, lesson: ClassroomSession, talks: Mapping[UUID, tuple[Talk, Marks]]
) -> None:
    """Judge every prompt of the session that was used; call it when the session is over.

    ``talks`` has each group's whole talk. Writes ``metric_before`` and ``metric_after`` of the
    windows around the use; ``effectiveness_score`` and ``learning_outcome_improvement`` are the
    :class:`Effect`'s score and improvement, or nothing where there is no effect to claim.
    """
    prompts = list(
        await session.scalars(
            select(TeacherGuidanceMetrics).where(TeacherGuidanceMetrics.session_id == lesson.id)
        )
    )
    at = {p.id: await _seconds(session, lesson, p.group_id, p.generated_at) for p in prompts}
    for prompt in prompts:
        if prompt.used_at is None or prompt.group_id is None or prompt.group_id not in talks:
            continue
        talk, marks = talks[prompt.group_id]
        moment = await _seconds(session, lesson, prompt.group_id, prompt.used_at)
        length = window_length(moment, talk.heard_until)
        if length is None:
            continue
        own = change_at(talk, marks, prompt.target_metric, moment, length)
        if own is None:
            continue
        unprompted = [
            pair
            for group, pair in talks.items()
            if not any(p.group_id == group and abs(at[p.id] - moment) <= length for p in prompts)
        ]
        others = [
            change
            for other, its_marks in unprompted
            if moment + length <= other.heard_until
            and (change := change_at(other, its_marks, prompt.target_metric, moment, length))
        ]
        await _write(session, prompt, own, effect_of(prompt.target_metric, own, others), length)


async def _write(
    session: AsyncSession,
    prompt: TeacherGuidanceMetrics,
    own: Change,
    effect: Effect | None,
    length: float,
) -> None:
    first = prompt.metric_after is None
    prompt.metric_before, prompt.metric_after = _exact(own.before), _exact(own.after)
    prompt.effectiveness_score = None if effect is None else _exact(effect.score)
    prompt.learning_outcome_improvement = None if effect is None else _exact(effect.improvement)
    suggestion = await session.scalar(
        select(InterventionSuggestion).where(InterventionSuggestion.prompt_row_id == prompt.id)
    )
    if suggestion is not None:
        suggestion.was_effective = None if effect is None else effect.score > 0
    if first:
        session.add(
            GuidanceEvent(
                organization_id=prompt.organization_id,
                session_id=prompt.session_id,
                group_id=prompt.group_id,
                teacher_id=prompt.teacher_id,
                prompt_row_id=prompt.id,
                event_type="effect_measured",
                payload={
                    "rule": prompt.prompt_id,
                    "measure": prompt.target_metric,
                    "window_seconds": round(length, 1),
                    "before": round(own.before, 4),
                    "after": round(own.after, 4),
                    "comparisons": 0 if effect is None else effect.comparisons,
                },
                event_timestamp=clock.now(),
            )
        )


def _exact(value: float) -> Decimal:
    return Decimal(str(round(value, 4)))


async def _seconds(
    session: AsyncSession, lesson: ClassroomSession, group_id: UUID | None, at: datetime
) -> float:
    """A moment of the day in seconds of the session, on the transcript's own clock.

    The newest measurement before that moment ties the two clocks: in a session that is replayed
    faster than it was spoken they run at different speeds.
    """
    row = (
        await session.execute(
            select(Tier1Analysis.window_end, Tier1Analysis.analysis_timestamp)
            .where(Tier1Analysis.group_id == group_id, Tier1Analysis.analysis_timestamp <= at)
            .order_by(Tier1Analysis.window_end.desc())
            .limit(1)
        )
    ).one_or_none()
    if row is not None:
        return float(row.window_end) + (at - row.analysis_timestamp).total_seconds()
    begin = lesson.actual_start or at
    return max(0.0, (at - begin).total_seconds())
