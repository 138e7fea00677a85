"""Single students in single sessions: a student's own sheet, and the roll of one session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.models import AttendanceSession, Status
from classweave.attend.rates import Counted, Rule
from classweave.attend.report_attendance import rules_of, taught_classes
from classweave.core import audit
from classweave.core.problems import NotFound
from classweave.core.tenancy import Actor
from classweave.directory.models import SchoolClass, Student
from classweave.directory.roster import fold
from classweave.directory.service import access_class, access_student
from classweave.web.i18n import mark

Said = Literal["present", "late", "excused", "left_early", "absent", "not_taken", "archived"]

_SHEET = """
SELECT s.no, s.id, s.class_id, s.date, s.start_time, s.end_time, s.marked_at,
  t.archived_at IS NOT NULL AS archived, r.status, r.minutes, r.notes
FROM attend.places p JOIN attend.attendance_sessions s ON s.class_id = p.class_id
  JOIN attend.terms t ON t.number = s.term
  LEFT JOIN attend.attendance_records r
    ON r.term = s.term AND r.session_no = s.no AND r.place = p.number
WHERE p.student_id = :student AND s.deleted_at IS NULL
  AND (:every OR p.class_id = ANY (:classes))
  AND p.student_id IN (SELECT student_id FROM attend.enrolled_on(s.class_id, s.date))
ORDER BY s.date DESC, s.start_time DESC, s.no
"""
_COUNTERS = """
SELECT c.id, c.name, c.code, c.organization_id, p.held, p.present, p.late, p.excused, p.left_early
FROM attend.standings p JOIN directory.classes c ON c.id = p.class_id
WHERE p.student_id = :student AND c.deleted_at IS NULL AND (:every OR c.id = ANY (:classes))
ORDER BY c.name, c.id
"""
_SESSION = """
SELECT s.no, s.id, s.class_id, s.organization_id, s.term, s.date, s.start_time, s.end_time,
  s.note, s.marked_at, u.name AS marked_by, t.archived_at IS NOT NULL AS archived
FROM attend.attendance_sessions s JOIN attend.terms t ON t.number = s.term
  LEFT JOIN directory.users u ON u.id = s.marked_by
WHERE s.class_id = :class AND s.id = :id AND s.deleted_at IS NULL
"""
_ROLL = """
SELECT st.id, st.display_name, p.number, r.status, r.minutes, r.notes
FROM attend.enrolled_on(:class, :day) e JOIN directory.students st ON st.id = e.student_id
  JOIN attend.places p ON p.class_id = :class AND p.student_id = e.student_id
  LEFT JOIN attend.attendance_records r
    ON r.term = :term AND r.session_no = :no AND r.place = p.number
WHERE st.deleted_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class SheetLine:
    """One session as one student's."""

    session_id: str
    class_id: UUID
    date: date
    start_time: str | None
    end_time: str | None
    taken: bool
    said: Said
    minutes: int | None
    notes: str | None


@dataclass(frozen=True, slots=True)
class SheetClass:
    """A class of a student with the counters and the rate."""

    id: UUID
    name: str
    code: str | None
    counted: Counted
    rate: float | None
    at_risk: bool
    excused_counts: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything about one student's attendance that the actor may see."""

    student: Student
    classes: Sequence[SheetClass]
    lines: Sequence[SheetLine]


@dataclass(frozen=True, slots=True)
class HeldSession:
    """A session as its roll and its corrections need it."""

    no: int
    id: str
    school_class: SchoolClass
    term: int
    date: date
    start_time: str | None
    end_time: str | None
    note: str | None
    taken: bool
    marked_by: str | None
    archived: bool


@dataclass(frozen=True, slots=True)
class RollLine:
    """A student of a session's day. ``place`` is the number in the class's roll."""

    student_id: UUID
    name: str
    place: int
    said: Said
    minutes: int | None
    notes: str | None


async def read_sheet(session: AsyncSession, actor: Actor, student_id: UUID) -> Sheet:
    """A student's sessions, the newest first, on days of enrolment; the reading is audited."""
    student = await access_student(session, actor, student_id)
    own = await taught_classes(session, actor)
    classes, lines = await read_lines(session, student_id, own)
    audit.record(
        session, "attendance.read", resource="student", resource_id=student_id,
        description="Read a student’s attendance", students=[student_id],
        organization=student.organization_id,
    )  # fmt: skip
    return Sheet(student, classes, lines)


async def read_lines(
    session: AsyncSession, student_id: UUID, only: Sequence[UUID] | None
) -> tuple[list[SheetClass], list[SheetLine]]:
    """A student's classes by name and sessions, the newest first; ``only`` some classes'."""
    wanted = {"student": student_id, "every": only is None, "classes": list(only or ())}
    rules = await rules_of(session)
    classes: list[SheetClass] = []
    for row in await session.execute(text(_COUNTERS), wanted):
        rule = rules.get(row.organization_id, Rule())
        counted = Counted(row.held, row.present, row.late, row.excused, row.left_early)
        classes.append(
            SheetClass(
                row.id, row.name, row.code, counted, counted.rate(rule.excused_counts),
                rule.at_risk(counted), rule.excused_counts,
            )
        )  # fmt: skip
    shown = {one.id for one in classes}
    lines = [
        SheetLine(
            row.id, row.class_id, row.date, row.start_time, row.end_time,
            row.marked_at is not None, said(row.status, row.marked_at is not None, row.archived),
            row.minutes, row.notes,
        )
        for row in await session.execute(text(_SHEET), wanted)
        if row.class_id in shown
    ]  # fmt: skip
    return classes, lines


async def access_held_session(
    session: AsyncSession, actor: Actor, class_id: UUID, session_id: str
) -> HeldSession:
    """A session of a class that the actor teaches or administers; else :class:`NotFound`."""
    school_class = await access_class(session, actor, class_id)
    row = (
        await session.execute(text(_SESSION), {"class": class_id, "id": session_id})
    ).one_or_none()
    if row is None:
        raise NotFound(mark("There is no such session."))
    return HeldSession(
        row.no, row.id, school_class, row.term, row.date, row.start_time, row.end_time, row.note,
        row.marked_at is not None, row.marked_by, row.archived,
    )  # fmt: skip


async def read_roll(session: AsyncSession, held: HeldSession) -> list[RollLine]:
    """Who was enrolled on a session's day and what is said of each; the reading is audited."""
    lines = await roll_lines(session, held)
    if lines:
        audit.record(
            session, "attendance.read", resource="class", resource_id=held.school_class.id,
            description="Read the roll of a session", students=[one.student_id for one in lines],
            data_accessed={"session": held.id}, organization=held.school_class.organization_id,
        )  # fmt: skip
    return lines


async def roll_lines(session: AsyncSession, held: HeldSession) -> list[RollLine]:
    """Who was enrolled on a session's day, by name. The caller audits it."""
    rows = await session.execute(
        text(_ROLL),
        {"class": held.school_class.id, "day": held.date, "term": held.term, "no": held.no},
    )
    lines = [
        RollLine(
            row.id, row.display_name, row.number, said(row.status, held.taken, held.archived),
            row.minutes, row.notes,
        )
        for row in rows
    ]  # fmt: skip
    return sorted(lines, key=lambda line: (fold(line.name), line.student_id))


async def record_of(
    session: AsyncSession, held: HeldSession | AttendanceSession, place: int
) -> tuple[int, int | None] | None:
    """Status number and minutes of what is said of a place, if anything is."""
    row = (
        await session.execute(
            text(
                "SELECT status, minutes FROM attend.attendance_records"
                " WHERE term = :term AND session_no = :no AND place = :place"
            ),
            {"term": held.term, "no": held.no, "place": place},
        )
    ).one_or_none()
    return None if row is None else (row.status, row.minutes)


def said(status: int | None, taken: bool, archived: bool) -> Said:
    """What is known of a student in a session. Without a roll no absence is."""
    if status is not None:
        return status_named(status)
    if not taken:
        return "not_taken"
    return "archived" if archived else "absent"


def status_named(number: Any) -> Literal["present", "late", "excused", "left_early"]:
    """A stored status by its name."""
    return list(Status)[int(number) - 1].value
