"""Reports as JSON: an organisation, a class, who is at risk, one student."""

from __future__ import annotations

import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from classweave.attend.choose_period import chosen_organization, chosen_period
from classweave.attend.find_at_risk import find_at_risk
from classweave.attend.ids import TermId
from classweave.attend.rates import Counted, Tally
from classweave.attend.read_sheet import Said, read_sheet
from classweave.attend.report_attendance import Named, report_class, report_organization
from classweave.core.permissions import Permission
from classweave.directory.ids import ClassId, OrganizationId, StudentId, UserId
from classweave.web.body import Body
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/api/attend/reports", tags=["attend: reports"])
READ = [allow(Permission.ATTEND_REPORT)]

OrganizationChoice = Annotated[OrganizationId | None, Query(alias="organization")]
TermChoice = Annotated[TermId | None, Query(alias="term")]
Skipped = Annotated[int, Query(ge=0, le=1_000_000)]


class TallyOut(Body):
    """Sums over sessions; ``rate`` is 0 to 1, or null when no roll was taken."""

    rate: float | None
    taken: int
    not_taken: int
    enrolled: int
    on_time: int
    late: int
    left_early: int
    excused: int
    absent: int


class CountedOut(Body):
    """A student's counters in a class; ``held`` counts taken sessions on days of enrolment."""

    rate: float | None
    held: int
    on_time: int
    late: int
    left_early: int
    excused: int
    absent: int


class ClassOut(Body):
    """A class in a report."""

    id: ClassId
    name: str
    code: str | None
    teacher: str
    organization: str
    tally: TallyOut


class OrganizationOut(Body):
    """An organisation in a report."""

    id: OrganizationId
    name: str
    tally: TallyOut


class TeacherOut(Body):
    """A teacher in a report: the sums of the classes that the teacher owns."""

    id: UserId
    name: str
    tally: TallyOut


class WeekdayOut(Body):
    """A day of the week, 1 (Monday) to 7."""

    weekday: int
    tally: TallyOut


class WeekOut(Body):
    """A week by its Monday."""

    monday: datetime.date
    tally: TallyOut


class CellOut(Body):
    """A weekday of a week: one cell of the heat map."""

    monday: datetime.date
    weekday: int
    tally: TallyOut


class OrganizationReportOut(Body):
    """Rates over the days of a term.

    ``distribution``: how many students there are in each tenth of the rate, over all sessions of
    these classes.
    """

    first: datetime.date
    last: datetime.date
    total: TallyOut
    organizations: list[OrganizationOut]
    classes: list[ClassOut]
    teachers: list[TeacherOut]
    weekdays: list[WeekdayOut]
    weeks: list[WeekOut]
    cells: list[CellOut]
    distribution: list[int]


class StudentOut(Body):
    """A student of a class."""

    id: StudentId
    name: str
    number: str | None
    enrolled: bool
    at_risk: bool
    counted: CountedOut


class SessionOut(Body):
    """A session; ``id`` is null for a meeting that has passed and that nobody opened."""

    id: str | None
    date: datetime.date
    start_time: str | None
    end_time: str | None
    taken: bool
    archived: bool
    tally: TallyOut


class ClassReportOut(Body):
    """A class from its beginning."""

    id: ClassId
    name: str
    total: TallyOut
    students: list[StudentOut]
    sessions: list[SessionOut]
    weekdays: list[WeekdayOut]
    weeks: list[WeekOut]


class AtRiskOut(Body):
    """A student at risk in a class."""

    student_id: StudentId
    name: str
    class_id: ClassId
    class_name: str
    code: str | None
    organization: str
    counted: CountedOut


class AtRiskListOut(Body):
    """A hundred of the students at risk at most, the lowest rates first, of ``total``."""

    total: int
    skipped: int
    students: list[AtRiskOut]


class SheetLineOut(Body):
    """One session as one student's. ``not_taken`` is no absence: no roll was taken."""

    session_id: str
    class_id: ClassId
    date: datetime.date
    start_time: str | None
    status: Said
    minutes: int | None
    notes: str | None


class SheetClassOut(Body):
    """A class of a student."""

    id: ClassId
    name: str
    code: str | None
    at_risk: bool
    counted: CountedOut


class SheetOut(Body):
    """One student's attendance."""

    id: StudentId
    name: str
    classes: list[SheetClassOut]
    sessions: list[SheetLineOut]


@router.get("/organization", dependencies=READ)
async def organization_report(
    session: Transaction,
    actor: CurrentActor,
    organization: OrganizationChoice = None,
    term: TermChoice = None,
) -> OrganizationReportOut:
    """Rates by organisation, class, teacher, weekday and week."""
    chosen = await chosen_organization(session, actor, organization)
    period = await chosen_period(session, actor, term)
    found = await report_organization(session, actor, period, chosen.id if chosen else None)
    return OrganizationReportOut(
        first=period.first,
        last=period.last,
        total=_tally(found.total),
        organizations=[
            OrganizationOut(id=one.id, name=one.name, tally=_tally(one.tally))
            for one in found.organizations
        ],
        classes=[_class(one) for one in found.classes],
        teachers=[
            TeacherOut(id=one.id, name=one.name, tally=_tally(one.tally)) for one in found.teachers
        ],
        weekdays=[WeekdayOut(weekday=n, tally=_tally(t)) for n, t in found.weekdays.items()],
        weeks=[WeekOut(monday=m, tally=_tally(t)) for m, t in found.weeks.items()],
        cells=[CellOut(monday=m, weekday=n, tally=_tally(t)) for (m, n), t in found.cells.items()],
        distribution=list(found.distribution),
    )


@router.get("/classes/{class_id}", dependencies=READ)
async def class_report(
    session: Transaction, actor: CurrentActor, class_id: ClassId
) -> ClassReportOut:
    """A class: its students and its sessions."""
    found = await report_class(session, actor, class_id)
    excused = found.rule.excused_counts
    return ClassReportOut(
        id=class_id,
        name=found.school_class.name,
        total=_tally(found.total),
        students=[
            StudentOut(
                id=one.id, name=one.name, number=one.number, enrolled=one.enrolled,
                at_risk=one.at_risk, counted=_counted(one.counted, one.counted.rate(excused)),
            )
            for one in found.students
        ],
        sessions=[
            SessionOut(
                id=one.id, date=one.date, start_time=one.start_time, end_time=one.end_time,
                taken=one.taken, archived=one.archived, tally=_tally(one.tally),
            )
            for one in found.sessions
        ],
        weekdays=[WeekdayOut(weekday=n, tally=_tally(t)) for n, t in found.weekdays.items()],
        weeks=[WeekOut(monday=m, tally=_tally(t)) for m, t in found.weeks.items()],
    )  # fmt: skip


@router.get("/at-risk", dependencies=READ)
async def at_risk(
    session: Transaction,
    actor: CurrentActor,
    organization: OrganizationChoice = None,
    skip: Skipped = 0,
) -> AtRiskListOut:
    """Who is at risk by the rule of the student's organisation."""
    chosen = await chosen_organization(session, actor, organization)
    found = await find_at_risk(session, actor, chosen.id if chosen else None, skip=skip)
    return AtRiskListOut(
        total=found.total,
        skipped=found.skipped,
        students=[
            AtRiskOut(
                student_id=one.student_id, name=one.name, class_id=one.class_id,
                class_name=one.class_name, code=one.code, organization=one.organization,
                counted=_counted(one.counted, one.rate),
            )
            for one in found.students
        ],
    )  # fmt: skip


@router.get("/students/{student_id}", dependencies=READ)
async def student_sheet(
    session: Transaction, actor: CurrentActor, student_id: StudentId
) -> SheetOut:
    """One student's sessions in the classes that the caller teaches or administers."""
    sheet = await read_sheet(session, actor, student_id)
    return SheetOut(
        id=student_id,
        name=sheet.student.display_name,
        classes=[
            SheetClassOut(
                id=one.id, name=one.name, code=one.code, at_risk=one.at_risk,
                counted=_counted(one.counted, one.rate),
            )
            for one in sheet.classes
        ],
        sessions=[
            SheetLineOut(
                session_id=line.session_id, class_id=line.class_id, date=line.date,
                start_time=line.start_time, status=line.said, minutes=line.minutes,
                notes=line.notes,
            )
            for line in sheet.lines
        ],
    )  # fmt: skip


def _tally(tally: Tally) -> TallyOut:
    return TallyOut(
        rate=tally.rate, taken=tally.taken, not_taken=tally.not_taken, enrolled=tally.enrolled,
        on_time=tally.on_time, late=tally.late, left_early=tally.left_early,
        excused=tally.excused, absent=tally.absent,
    )  # fmt: skip


def _counted(counted: Counted, rate: float | None) -> CountedOut:
    return CountedOut(
        rate=rate, held=counted.held, on_time=counted.present, late=counted.late,
        left_early=counted.left_early, excused=counted.excused, absent=counted.absent,
    )  # fmt: skip


def _class(one: Named) -> ClassOut:
    return ClassOut(
        id=one.id, name=one.name, code=one.code, teacher=one.teacher,
        organization=one.organization, tally=_tally(one.tally),
    )  # fmt: skip
