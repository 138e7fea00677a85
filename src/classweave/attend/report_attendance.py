"""Rates of attendance by organisation, class, teacher, weekday and week, from counters only.

Sessions carry totals and students carry counters, so no report reads a record. What names
students is audited where it is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.models import Term
from classweave.attend.rates import Counted, Rule, Tally, summed
from classweave.core import audit
from classweave.core.tenancy import Actor, Role
from classweave.directory.models import ClassTeacher, SchoolClass
from classweave.directory.roster import fold
from classweave.directory.service import access_class, local_today

# One pass over the sessions of the period, grouped by class and by day.
_SESSIONS = """
SELECT s.class_id, s.organization_id, s.date,
  count(*) FILTER (WHERE s.marked_at IS NOT NULL) AS taken,
  count(*) FILTER (WHERE s.marked_at IS NULL) AS not_taken,
  coalesce(sum(s.total_enrolled) FILTER (WHERE s.marked_at IS NOT NULL), 0) AS enrolled,
  coalesce(sum(s.total_present) FILTER (WHERE s.marked_at IS NOT NULL), 0) AS present,
  coalesce(sum(s.total_late) FILTER (WHERE s.marked_at IS NOT NULL), 0) AS late,
  coalesce(sum(s.total_left_early) FILTER (WHERE s.marked_at IS NOT NULL), 0) AS left_early,
  coalesce(sum(s.total_excused) FILTER (WHERE s.marked_at IS NOT NULL), 0) AS excused,
  coalesce(sum(s.total_absent), 0) AS absent
FROM attend.attendance_sessions s
WHERE s.deleted_at IS NULL AND s.organization_id = ANY (:organizations)
  AND s.date BETWEEN :first AND :last
  AND (:every OR s.class_id = ANY (:classes))
  AND s.class_id NOT IN (SELECT id FROM directory.classes WHERE deleted_at IS NOT NULL)
GROUP BY GROUPING SETS ((s.class_id, s.organization_id), (s.date, s.organization_id))
"""
_CLASSES = """
SELECT c.id, c.name, c.code, c.organization_id, o.name AS organization, u.id AS teacher_id,
  u.name AS teacher
FROM directory.classes c JOIN directory.organizations o ON o.id = c.organization_id
  JOIN directory.users u ON u.id = c.teacher_id
WHERE c.id = ANY (:classes)
"""
_DISTRIBUTION = """
SELECT least(9, 10 * attended / held) AS tenth, count(*) FROM (
  SELECT p.student_id, sum(p.held) AS held, sum(p.present + p.late + p.left_early
    + CASE WHEN coalesce(r.excused_counts, true) THEN p.excused ELSE 0 END) AS attended
  FROM attend.standings p LEFT JOIN attend.risk_rules r ON r.organization_id = p.organization_id
  WHERE p.class_id = ANY (:classes) AND p.held > 0 GROUP BY 1) students
GROUP BY 1
"""
_STUDENTS = """
SELECT s.id, s.display_name, s.student_number AS number, p.held, p.present, p.late, p.excused,
  p.left_early, EXISTS (SELECT FROM directory.enrollments e WHERE e.class_id = p.class_id
    AND e.student_id = p.student_id AND e.ends_on IS NULL) AS enrolled
FROM attend.standings p JOIN directory.students s ON s.id = p.student_id
WHERE p.class_id = :class AND s.deleted_at IS NULL
"""
_CLASS_SESSIONS = """
SELECT s.id, s.date, s.start_time, s.end_time, s.note, s.marked_at, s.total_enrolled,
  s.total_present, s.total_late, s.total_left_early, s.total_excused, s.total_absent,
  t.archived_at IS NOT NULL AS archived
FROM attend.attendance_sessions s JOIN attend.terms t ON t.number = s.term
WHERE s.class_id = :class AND s.deleted_at IS NULL
UNION ALL
-- A meeting of the timetable that has passed and that nobody opened.
SELECT NULL, m.date, to_char(m.start_time, 'HH24:MI'), to_char(m.end_time, 'HH24:MI'), m.title,
  NULL, 0, 0, 0, 0, 0, 0, false
FROM attend.meetings m WHERE m.class_id = :class AND m.date < :today AND NOT EXISTS (
  SELECT FROM attend.attendance_sessions s WHERE s.class_id = m.class_id AND s.date = m.date
    AND s.deleted_at IS NULL AND (s.start_time IS NULL
      OR s.start_time = to_char(m.start_time, 'HH24:MI')))
ORDER BY 2 DESC, 3 DESC
"""


@dataclass(frozen=True, slots=True)
class Period:
    """The days of a report; ``term`` is where they come from, if they are a term's."""

    first: date
    last: date
    term: Term | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """A line of a report: a class, teacher or organisation with its sums."""

    id: UUID
    name: str
    tally: Tally
    code: str | None = None
    teacher: str = ""
    organization: str = ""


@dataclass(frozen=True, slots=True)
class OrganizationReport:
    """Rates over a period. ``weekdays`` are 1 (Monday) to 7, ``weeks`` begin on their Mondays.

    ``distribution`` counts students by tenths of their rate, over all sessions of the classes.
    """

    period: Period
    total: Tally
    organizations: Sequence[Named]
    classes: Sequence[Named]
    teachers: Sequence[Named]
    weekdays: Mapping[int, Tally]
    weeks: Mapping[date, Tally]
    cells: Mapping[tuple[date, int], Tally]
    distribution: Sequence[int]


@dataclass(frozen=True, slots=True)
class StudentLine:
    """A student in a class: counters, rate, and whether the rule finds them at risk."""

    id: UUID
    name: str
    number: str | None
    counted: Counted
    rate: float | None
    at_risk: bool
    enrolled: bool


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session with its totals; ``id`` is ``None`` for a meeting that nobody opened."""

    id: str | None
    date: date
    start_time: str | None
    end_time: str | None
    note: str | None
    taken: bool
    archived: bool
    tally: Tally


@dataclass(frozen=True, slots=True)
class ClassReport:
    """A class from its beginning: sums, students, sessions, weekdays and weeks."""

    school_class: SchoolClass
    rule: Rule
    total: Tally
    students: Sequence[StudentLine]
    sessions: Sequence[SessionLine]
    weekdays: Mapping[int, Tally]
    weeks: Mapping[date, Tally]
    distribution: Sequence[int] = field(default_factory=list[int])


async def taught_classes(session: AsyncSession, actor: Actor) -> list[UUID] | None:
    """The classes that a teacher's reports are about; ``None`` for administrators: all."""
    if actor.role is not Role.TEACHER:
        return None
    found = await session.scalars(
        select(ClassTeacher.class_id).where(ClassTeacher.user_id == actor.id)
    )
    return list(found)


async def report_organization(
    session: AsyncSession, actor: Actor, period: Period, organization: UUID | None = None
) -> OrganizationReport:
    """Rates over ``period`` in every organisation that the actor sees, or in one of them.

    A teacher's are of the own classes.
    """
    seen = [o for o in actor.organizations if organization in (None, o)]
    own = await taught_classes(session, actor)
    rules = await rules_of(session)
    rows = await session.execute(
        text(_SESSIONS),
        {"organizations": seen, "first": period.first, "last": period.last,
         "every": own is None, "classes": own or []},
    )  # fmt: skip
    by_class: dict[UUID, Tally] = {}
    days: dict[date, Tally] = defaultdict(Tally)
    for row in rows:
        tally = _tally(row, rules.get(row.organization_id, Rule()))
        if row.class_id is not None:
            by_class[row.class_id] = tally
        else:
            days[row.date] += tally
    return await _reported(session, period, by_class, days)


async def _reported(
    session: AsyncSession, period: Period, by_class: dict[UUID, Tally], days: dict[date, Tally]
) -> OrganizationReport:
    wanted = {"classes": list(by_class)}
    classes: list[Named] = []
    teachers: dict[UUID, Named] = {}
    organizations: dict[UUID, Named] = {}
    for row in await session.execute(text(_CLASSES), wanted):
        tally = by_class[row.id]
        classes.append(Named(row.id, row.name, tally, row.code, row.teacher, row.organization))
        _add(teachers, row.teacher_id, row.teacher, tally, row.organization)
        _add(organizations, row.organization_id, row.organization, tally)
    distribution = [0] * 10
    for tenth, count in await session.execute(text(_DISTRIBUTION), wanted):
        distribution[int(tenth)] = int(count)
    weekdays, weeks, cells = _calendar(days)
    return OrganizationReport(
        period, summed(by_class.values()), _by_name(organizations.values()), _by_name(classes),
        _by_name(teachers.values()), weekdays, weeks, cells, distribution,
    )  # fmt: skip


async def report_class(session: AsyncSession, actor: Actor, class_id: UUID) -> ClassReport:
    """A class with its students and sessions; the reading is audited.

    Raises :class:`NotFound` for a class that the actor neither teaches nor administers.
    """
    school_class = await access_class(session, actor, class_id)
    rule = (await rules_of(session)).get(school_class.organization_id, Rule())
    students = [
        _student(row, rule) for row in await session.execute(text(_STUDENTS), {"class": class_id})
    ]
    students.sort(key=lambda s: (fold(s.name), s.id))
    sessions = [
        SessionLine(
            row.id, row.date, row.start_time, row.end_time, row.note, row.marked_at is not None,
            row.archived, _session_tally(row, rule),
        )
        for row in await session.execute(
            text(_CLASS_SESSIONS), {"class": class_id, "today": local_today(actor)}
        )
    ]  # fmt: skip
    days: dict[date, Tally] = defaultdict(Tally)
    for one in sessions:
        days[one.date] += one.tally
    weekdays, weeks, _cells = _calendar(days)
    if students:
        audit.record(
            session, "attendance.read", resource="class", resource_id=class_id,
            description="Read the attendance of a class", students=[s.id for s in students],
            organization=school_class.organization_id,
        )  # fmt: skip
    distribution = [0] * 10
    for student in students:
        if student.rate is not None:
            distribution[min(9, int(10 * student.rate))] += 1
    return ClassReport(
        school_class, rule, summed(s.tally for s in sessions), students, sessions, weekdays, weeks,
        distribution,
    )  # fmt: skip


async def rules_of(session: AsyncSession) -> dict[UUID, Rule]:
    """The rules of the visible organisations that have one of their own."""
    rows = await session.execute(
        text("SELECT organization_id, below, at_least, excused_counts FROM attend.risk_rules")
    )
    return {row[0]: Rule(row[1], row[2], row[3]) for row in rows}


def _student(row: Any, rule: Rule) -> StudentLine:
    counted = Counted(row.held, row.present, row.late, row.excused, row.left_early)
    return StudentLine(
        row.id, row.display_name, row.number, counted, counted.rate(rule.excused_counts),
        row.enrolled and rule.at_risk(counted), row.enrolled,
    )  # fmt: skip


def _tally(row: Any, rule: Rule) -> Tally:
    # A session's present includes who came late or left early.
    return Tally(
        int(row.taken), int(row.not_taken), int(row.enrolled),
        int(row.present - row.late - row.left_early), int(row.late), int(row.left_early),
        int(row.excused), int(row.absent),
        int(row.present + (row.excused if rule.excused_counts else 0)),
    )  # fmt: skip


def _session_tally(row: Any, rule: Rule) -> Tally:
    if row.marked_at is None:
        return Tally(not_taken=1)
    present = row.total_present
    return Tally(
        1, 0, row.total_enrolled, present - row.total_late - row.total_left_early, row.total_late,
        row.total_left_early, row.total_excused, row.total_absent,
        present + (row.total_excused if rule.excused_counts else 0),
    )  # fmt: skip


def _calendar(
    days: Mapping[date, Tally],
) -> tuple[dict[int, Tally], dict[date, Tally], dict[tuple[date, int], Tally]]:
    """Sums by weekday, by week, and by both."""
    weekdays: dict[int, Tally] = defaultdict(Tally)
    weeks: dict[date, Tally] = defaultdict(Tally)
    cells: dict[tuple[date, int], Tally] = defaultdict(Tally)
    for day in sorted(days):
        monday = day - timedelta(days=day.weekday())
        weekdays[day.isoweekday()] += days[day]
        weeks[monday] += days[day]
        cells[monday, day.isoweekday()] += days[day]
    return dict(sorted(weekdays.items())), dict(weeks), dict(cells)


def _add(
    lines: dict[UUID, Named], key: UUID, name: str, tally: Tally, organization: str = ""
) -> None:
    before = lines[key].tally if key in lines else Tally()
    lines[key] = Named(key, name, before + tally, organization=organization)


def _by_name(lines: Any) -> list[Named]:
    return sorted(lines, key=lambda line: (fold(line.name), line.code or "", line.id))
