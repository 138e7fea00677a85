"""What a student sees of their own attendance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.check_in import own_student
from classweave.attend.rates import Counted, Rule
from classweave.attend.read_sheet import Said, said
from classweave.attend.report_attendance import rules_of
from classweave.core.tenancy import Actor

_COUNTERS = """
SELECT c.id, c.name, c.organization_id, p.held, p.present, p.late, p.excused, p.left_early
FROM attend.standings p JOIN directory.classes c ON c.id = p.class_id
WHERE p.student_id = :student AND c.deleted_at IS NULL ORDER BY c.name, c.id
"""
_SESSIONS = """
SELECT s.class_id, s.date, s.start_time, s.marked_at IS NOT NULL AS taken,
  t.archived_at IS NOT NULL AS archived, r.status, r.minutes
FROM attend.places p JOIN attend.attendance_sessions s ON s.class_id = p.class_id
  JOIN attend.terms t ON t.number = s.term
  LEFT JOIN attend.attendance_records r
    ON r.term = s.term AND r.session_no = s.no AND r.place = p.number
WHERE p.student_id = :student AND s.deleted_at IS NULL
  AND p.student_id IN (SELECT student_id FROM attend.enrolled_on(s.class_id, s.date))
ORDER BY s.date DESC, s.start_time DESC, s.no
"""


@dataclass(frozen=True, slots=True)
class OwnSession:
    """One session, and what is said of the student in it.

    ``taken`` tells whether the roll is closed. A mark that is there already is shown before that;
    an absence is not.
    """

    date: date
    start_time: str | None
    taken: bool
    said: Said
    minutes: int | None


@dataclass(frozen=True, slots=True)
class OwnClass:
    """A class of the student: counts over the sessions whose roll is taken, and every session."""

    name: str
    counted: Counted
    rate: float | None
    excused_counts: bool
    sessions: Sequence[OwnSession]


async def own_attendance(session: AsyncSession, actor: Actor) -> Sequence[OwnClass]:
    """The student's classes by name, the newest session first.

    Raises :class:`~classweave.core.problems.Forbidden` for an account that is no student's.
    """
    student = own_student(actor)
    rules = await rules_of(session)
    held: dict[UUID, list[OwnSession]] = {}
    for row in await session.execute(text(_SESSIONS), {"student": student}):
        known = row.taken or row.status is not None
        held.setdefault(row.class_id, []).append(
            OwnSession(
                row.date, row.start_time, row.taken, said(row.status, known, row.archived),
                row.minutes,
            )
        )  # fmt: skip
    classes: list[OwnClass] = []
    for row in await session.execute(text(_COUNTERS), {"student": student}):
        counts = rules.get(row.organization_id, Rule()).excused_counts
        counted = Counted(row.held, row.present, row.late, row.excused, row.left_early)
        classes.append(
            OwnClass(row.name, counted, counted.rate(counts), counts, held.get(row.id, []))
        )
    return classes
