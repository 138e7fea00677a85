"""Rates of attendance from counts. Pure: no database.

Attended is who was present, late or left early, and who was excused where the organisation's rule
says so; of the places in sessions whose roll is taken. A session without a roll says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over sessions. ``enrolled`` and what follows are places in sessions that were taken."""

    taken: int = 0
    not_taken: int = 0
    enrolled: int = 0
    on_time: int = 0
    late: int = 0
    left_early: int = 0
    excused: int = 0
    absent: int = 0
    attended: int = 0

    @property
    def rate(self) -> float | None:
        """Attended of enrolled (0-1); ``None`` when no roll was taken."""
        return share(self.attended, self.enrolled)

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.taken + other.taken, self.not_taken + other.not_taken,
            self.enrolled + other.enrolled, self.on_time + other.on_time, self.late + other.late,
            self.left_early + other.left_early, self.excused + other.excused,
            self.absent + other.absent, self.attended + other.attended,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Counted:
    """A student's counters: ``held`` counts taken sessions on days of enrolment."""

    held: int = 0
    present: int = 0
    late: int = 0
    excused: int = 0
    left_early: int = 0

    @property
    def absent(self) -> int:
        """Taken sessions that say nothing else."""
        return self.held - self.present - self.late - self.excused - self.left_early

    def attended(self, excused_counts: bool) -> int:
        """Sessions attended, by the organisation's rule."""
        there = self.present + self.late + self.left_early
        return there + (self.excused if excused_counts else 0)

    def rate(self, excused_counts: bool) -> float | None:
        """Attended of held (0-1); ``None`` when nothing was held."""
        return share(self.attended(excused_counts), self.held)


@dataclass(frozen=True, slots=True)
class Rule:
    """When a student counts as at risk: below ``below`` % after ``at_least`` sessions held."""

    below: int = 75
    at_least: int = 5
    excused_counts: bool = True

    def at_risk(self, counted: Counted) -> bool:
        """Whether these counters put a student at risk."""
        attended = counted.attended(self.excused_counts)
        return counted.held >= self.at_least and 100 * attended < self.below * counted.held


def share(part: int, whole: int) -> float | None:
    """``part`` of ``whole``; ``None`` of nothing."""
    return part / whole if whole > 0 else None


def summed(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    total = Tally()
    for one in tallies:
        total += one
    return total
