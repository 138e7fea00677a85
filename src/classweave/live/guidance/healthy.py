"""What is healthy of a measure: the one table behind the ranking of groups and a prompt's effect.

The ranges are conventions, not norms: chosen so that the demo's good discussion needs nothing, and
open to anyone to read beside each ranking.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from classweave.language.messages import mark
from classweave.language.transcript import Measure


@dataclass(frozen=True, slots=True)
class Healthy:
    """A measure's healthy side: from ``bound`` up (``more``) or down (not ``more``).

    ``scale`` is the distance from the bound that counts as wholly unhealthy, and the unit in which
    a change is judged. ``weight`` is what that distance adds to a group's need; 0 leaves the
    measure out of it. ``alarm`` names a detail of the measure that replaces the bound.
    """

    bound: float
    more: bool
    scale: float
    weight: float
    why: str
    alarm: str | None = None

    def distance(self, measure: Measure) -> float:
        """How unhealthy a value is, 0 (healthy) to 1."""
        if measure.value is None:
            return 0.0
        bound = measure.details.get(self.alarm, self.bound) if self.alarm else self.bound
        beyond = bound - measure.value if self.more else measure.value - bound
        return min(1.0, max(0.0, beyond / self.scale))

    def improvement(self, before: float, after: float) -> float:
        """A change towards the healthy side in units of ``scale``, -1 to 1."""
        change = (after - before) if self.more else (before - after)
        return min(1.0, max(-1.0, change / self.scale))


HEALTHY: Mapping[str, Healthy] = {
    "conflict": Healthy(1.0, False, 3.0, 3.0, mark("turns against each other")),
    "silent_members": Healthy(0.0, False, 2.0, 2.0, mark("members who hardly speak")),
    "dominance": Healthy(
        0.65, False, 0.35, 2.0, mark("one voice has most of the talk"), "alarm_share"
    ),
    "on_topic": Healthy(0.6, True, 0.6, 2.0, mark("talk away from the lesson")),
    "quiet_seconds": Healthy(45.0, False, 60.0, 2.0, mark("nobody is talking")),
    "participation_equality": Healthy(0.5, True, 0.5, 1.0, mark("talk unevenly shared")),
    "conceptual_density": Healthy(1.5, True, 1.5, 1.0, mark("few of the lesson's ideas named")),
    "transactivity": Healthy(0.2, True, 0.2, 1.0, mark("little building on each other")),
    "interruptions": Healthy(20.0, False, 20.0, 1.0, mark("members talk over one another")),
    "reasoning": Healthy(0.1, True, 0.1, 0.5, mark("few reasons given")),
    "argumentation": Healthy(0.3, True, 0.3, 0.5, mark("claims left untested")),
    "turn_taking": Healthy(0.4, True, 0.4, 0.5, mark("turns are not picked up")),
    "open_questions": Healthy(0.2, True, 0.2, 0.25, mark("few open questions")),
    # Judged after a prompt, but no sign of need by themselves.
    "evidence": Healthy(0.05, True, 0.1, 0.0, mark("little evidence")),
    "claims": Healthy(0.1, True, 0.2, 0.0, mark("little is claimed")),
    "questions": Healthy(40.0, False, 40.0, 0.0, mark("many questions")),
    "uptake": Healthy(0.05, True, 0.1, 0.0, mark("little is taken up")),
    "wait_time": Healthy(0.6, True, 1.0, 0.0, mark("no time to think")),
    "topical_cohesion": Healthy(-0.05, True, 0.1, 0.0, mark("no common thread")),
    "academic_vocabulary": Healthy(0.01, True, 0.02, 0.0, mark("few academic words")),
    "words_per_minute": Healthy(40.0, True, 60.0, 0.0, mark("little talk")),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One measure's part in a group's need."""

    measure: str
    value: float
    why: str
    adds: float


def reasons_of(measures: Iterable[Measure]) -> list[Reason]:
    """Why a group needs the teacher, the weightiest first. Only steady values speak.

    A group's need is the sum of what its reasons add: for each measure
    ``weight x min(1, distance from its healthy side / scale)``.
    """
    found: list[Reason] = []
    for measure in measures:
        healthy = HEALTHY.get(measure.name)
        if healthy is None or measure.status != "ok" or measure.value is None:
            continue
        adds = healthy.weight * healthy.distance(measure)
        if adds > 0:
            found.append(Reason(measure.name, measure.value, healthy.why, adds))
    return sorted(found, key=lambda reason: -reason.adds)
