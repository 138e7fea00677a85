"""From measures to at most one prompt for a group: what holds, what matters, what is bearable.

Pure: the caller brings the measurements, the prompts so far and the moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean

from classweave.language.transcript import Evidence, Measure
from classweave.live.guidance.rules import Condition, Limits, Rule, Window
from classweave.live.models.guidance import Priority
from classweave.live.states import Phase

MOST_QUOTES = 3
_FEWEST_EARLIER = 2

_URGENCY = {Priority.HIGH: 2, Priority.MEDIUM: 1, Priority.LOW: 0}
_COUNTS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One measurement of a group: every measure by name, for each window.

    ``latest`` quotes what was said last, for prompts about something that is missing.
    """

    phase: Phase
    measures: Mapping[Window, Mapping[str, Measure]]
    latest: tuple[Evidence, ...] = ()

    def of(self, condition: Condition) -> Measure | None:
        """The measure a condition looks at; ``None`` unless it is steady and has enough behind."""
        found = self.measures.get(condition.window, {}).get(condition.measure)
        if found is None or found.value is None or found.status != "ok" or found.n < condition.n:
            return None
        return found


@dataclass(frozen=True, slots=True)
class Proposal:
    """A prompt that could be given: ``severity`` (0-1) orders those of one priority."""

    rule: Rule
    phase: Phase
    message: str
    why: str
    target: Measure
    severity: float
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class PastPrompt:
    """A prompt that the group's teacher has had."""

    rule: str
    generated_at: datetime
    standing: bool


def propose(
    rules: Sequence[Rule], group: str, now: Snapshot, history: Sequence[Snapshot]
) -> list[Proposal]:
    """All prompts that the measures of ``group`` justify, the most pressing first.

    ``history`` has the earlier measurements, the newest last. A measure that is uncertain, or of
    which there is not enough, justifies nothing.
    """
    found: list[Proposal] = []
    for rule in rules:
        if now.phase not in rule.phases or not _held(rule, now, history):
            continue
        target = now.of(rule.target)
        assert target is not None
        assert target.value is not None
        words = _words(group, target.value)
        found.append(
            Proposal(
                rule=rule,
                phase=now.phase,
                message=rule.message.format(**words),
                why=rule.why.format(**words),
                target=target,
                severity=_severity(rule.target, target, history),
                evidence=_quotes(rule, now),
            )
        )
    return sorted(found, key=lambda p: (-_URGENCY[p.rule.priority], -p.severity, p.rule.id))


def choose(
    proposals: Sequence[Proposal],
    limits: Limits,
    past: Sequence[PastPrompt],
    standing_of_teacher: int,
    at: datetime,
) -> Proposal | None:
    """The one prompt to give now, or none.

    ``past`` are the group's own prompts; ``standing_of_teacher`` counts the prompts that await the
    teacher over all groups. A standing prompt, a recent one, and a rule that is cooling down each
    hold a new one back.
    """
    if standing_of_teacher >= limits.standing_per_teacher or any(p.standing for p in past):
        return None
    newest = max((p.generated_at for p in past), default=None)
    for proposal in proposals:
        high = proposal.rule.priority is Priority.HIGH
        between = limits.minutes_between_high if high else limits.minutes_between
        if newest is not None and at - newest < timedelta(minutes=between):
            continue
        cooling = timedelta(minutes=proposal.rule.cooldown_minutes)
        if any(p.rule == proposal.rule.id and at - p.generated_at < cooling for p in past):
            continue
        return proposal
    return None


def _held(rule: Rule, now: Snapshot, history: Sequence[Snapshot]) -> bool:
    """Whether all conditions hold now and held in the measurements before, as often as asked."""
    runs = [*history, now][-rule.runs :]
    if len(runs) < rule.runs:
        return False
    earlier = len(history) + 1 - len(runs)
    return all(
        _holds(condition, run, history[: earlier + i])
        for i, run in enumerate(runs)
        for condition in rule.when
    )


def _holds(condition: Condition, run: Snapshot, before: Sequence[Snapshot]) -> bool:
    measure = run.of(condition)
    if measure is None:
        return False
    bound = _bound(condition, measure, before)
    if bound is None:
        return False
    assert measure.value is not None
    # Reaching an alarm is an alarm; passing a bound means being beyond it.
    if isinstance(condition.above, str):
        return measure.value >= bound
    if condition.above is not None:
        return measure.value > bound
    return measure.value < bound


def _bound(condition: Condition, measure: Measure, before: Sequence[Snapshot]) -> float | None:
    """The number that the value is held against; ``None`` where there is none to be had."""
    if condition.fallen_to is not None:
        earlier = [m.value for s in before if (m := s.of(condition)) and m.value is not None]
        if len(earlier) < _FEWEST_EARLIER:
            return None
        return condition.fallen_to * fmean(earlier)
    given = condition.above if condition.above is not None else condition.below
    return measure.details.get(given) if isinstance(given, str) else given


def _severity(condition: Condition, measure: Measure, before: Sequence[Snapshot]) -> float:
    """How far beyond its bound a value is, as a part of the way it could go: 0 at the bound.

    Below a bound the way ends at 0 (or one bound's length under a bound that is not positive),
    above one at twice the bound, or at 1 for shares.
    """
    bound = _bound(condition, measure, before)
    assert bound is not None
    assert measure.value is not None
    if condition.above is None:
        way = abs(bound) or 1.0
        return min(1.0, (bound - measure.value) / way)
    way = 1.0 - bound if 0.0 < bound < 1.0 else abs(bound) or 1.0
    return min(1.0, (measure.value - bound) / way)


def _words(group: str, value: float) -> dict[str, str]:
    count = round(value)
    number = _COUNTS[count].lower() if 0 <= count < len(_COUNTS) else str(count)
    return {
        "group": group,
        "value": f"{value:.0f}" if abs(value) >= 10 or value == count else f"{value:.2g}",
        "percent": f"{100 * value:.0f} %",
        "count": f"{number} member{'' if count == 1 else 's'}",
    }


def _quotes(rule: Rule, now: Snapshot) -> tuple[Evidence, ...]:
    """The words behind the proposal: the target's own first, then those of other conditions."""
    if rule.quotes == "latest":
        return now.latest[:MOST_QUOTES]
    found: dict[str, Evidence] = {}
    for condition in rule.when:
        measure = now.of(condition)
        for evidence in measure.evidence if measure is not None else ():
            found.setdefault(evidence.utterance, evidence)
    return tuple(found.values())[:MOST_QUOTES]
