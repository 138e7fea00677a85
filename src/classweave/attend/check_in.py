"""A student checks in by the code on the board. What that proves: docs/attendance.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.access_check_in import (
    STAFF,
    OpenedFor,
    check_in_topic,
    place_in_roll,
)
from classweave.attend.check_in_code import accepts
from classweave.attend.correct_record import new_record_id
from classweave.attend.models import (
    STATUS_NUMBERS,
    AttendanceRecord,
    AttendanceSession,
    CheckIn,
    CheckInWindow,
    Status,
)
from classweave.attend.read_sheet import record_of
from classweave.attend.take_turn import take_turn
from classweave.core import audit, clock
from classweave.core.events import emit
from classweave.core.problems import Conflict, Forbidden, Invalid, NotFound, Problem, TooMany
from classweave.core.secrets import token_hash
from classweave.core.tenancy import Actor
from classweave.directory.models import Enrollment, SchoolClass
from classweave.directory.throttle import Limit, count_attempt, forget_attempts, throttle_key
from classweave.web.i18n import mark

GUESSES = Limit(10, timedelta(minutes=1))
"""Wrong codes of one student. Short: nobody misses a meeting over a few slips of the finger."""

_BY_NUMBER = {number: status for status, number in STATUS_NUMBERS.items()}
_NOT_ENROLLED = mark(
    "You are not on the list of this class today. Ask your lecturer to put you on it."
)
_CLOSED = mark("This check-in is closed. Ask your lecturer to mark you.")


@dataclass(frozen=True, slots=True)
class CheckedIn:
    """What is said of the student now.

    ``already`` that the student had checked in before; ``by_lecturer`` that the lecturer had
    marked the student, and that this mark stands.
    """

    class_name: str
    status: Status | None
    minutes: int | None
    at: datetime
    already: bool = False
    by_lecturer: bool = False


async def check_in(
    session: AsyncSession, actor: Actor, typed: str, device: str
) -> CheckedIn | Problem:
    """Check the student in whose account this is, from the device with that secret.

    A wrong code, too many of them, a code where nothing is open or of another class, and a device
    that has checked in somebody else are returned and not raised, so that the count and the line in
    the audit trail are kept. Raises :class:`Conflict` when it was closed meanwhile.
    """
    student, at = own_student(actor), clock.now()
    # One request of a student after the other: the row stays locked.
    key = throttle_key("check-in", str(student))
    try:
        await count_attempt(session, key, GUESSES)
    except TooMany as refusal:
        return refusal
    own = await _open_windows(session, at, student)
    opened = next((one for one in own if accepts(one.window.secret, typed, at)), None)
    if opened is None:
        return await _without_window(session, student, own, typed, at)
    await forget_attempts(session, key)
    known = await _standing(session, opened, student)
    if known is not None:
        return known
    rev = await take_turn(session, opened.window.organization_id)
    await session.refresh(opened.window)
    await session.refresh(opened.held)
    if opened.window.closes_at <= at or opened.held.deleted_at is not None:
        raise Conflict(_CLOSED, code="closed")
    known = await _standing(session, opened, student)
    if known is not None:
        return known
    return await _write(session, opened, student, device, at, rev)


def own_student(actor: Actor) -> UUID:
    """The student that this account is; raises :class:`Forbidden` where there is none."""
    if actor.person is None:
        raise Forbidden(
            mark("Your account does not belong to a student yet. Ask your school’s office."),
            code="no-student",
        )
    return actor.person


async def latest_check_in(session: AsyncSession, actor: Actor) -> CheckedIn:
    """The student's newest check-in of the last day; :class:`NotFound` when there is none."""
    student = own_student(actor)
    mine = await session.scalar(
        select(CheckIn)
        .where(
            CheckIn.student_id == student,
            CheckIn.withdrawn_at.is_(None),
            CheckIn.created_at > clock.now() - timedelta(days=1),
        )
        .order_by(CheckIn.created_at.desc())
        .limit(1)
    )
    if mine is None:
        raise NotFound(mark("You have not checked in today."))
    held = await session.get_one(AttendanceSession, mine.session_no)
    name = (await session.get_one(SchoolClass, held.class_id)).name
    return await _said(session, held, name, student, mine.created_at)


async def _open_windows(
    session: AsyncSession, at: datetime, student: UUID | None = None
) -> Sequence[OpenedFor]:
    """What is open at a moment: for a student's own classes, or in the whole organisation."""
    wanted = (
        select(CheckInWindow, AttendanceSession, SchoolClass)
        .join(AttendanceSession, AttendanceSession.no == CheckInWindow.session_no)
        .join(SchoolClass, SchoolClass.id == CheckInWindow.class_id)
        .where(
            CheckInWindow.opens_at <= at,
            CheckInWindow.closes_at > at,
            AttendanceSession.deleted_at.is_(None),
            SchoolClass.deleted_at.is_(None),
        )
    )
    if student is not None:
        wanted = wanted.where(
            exists().where(
                Enrollment.class_id == CheckInWindow.class_id,
                Enrollment.student_id == student,
                Enrollment.starts_on <= AttendanceSession.date,
                or_(Enrollment.ends_on.is_(None), Enrollment.ends_on > AttendanceSession.date),
            )
        )
    return [OpenedFor(*row) for row in await session.execute(wanted)]


async def _without_window(
    session: AsyncSession, student: UUID, own: Sequence[OpenedFor], typed: str, at: datetime
) -> CheckedIn | Problem:
    """Why no open window of the student's own took the code. A scan too many is no failure."""
    standing = [await _standing(session, one, student) for one in own]
    checked_in = [one for one in standing if isinstance(one, CheckedIn)]
    if own and len(checked_in) == len(own):
        return checked_in[0]
    if any(accepts(one.window.secret, typed, at) for one in await _open_windows(session, at)):
        return Forbidden(_NOT_ENROLLED, code="not-enrolled")
    if not own:
        return Conflict(
            mark("No check-in is open for your classes now. Wait until your lecturer opens it."),
            code="not-open",
        )
    wrong = mark("This code is not right, or has changed since. Enter the one on the board now.")
    return Invalid(wrong, code="wrong-code", errors=[{"field": "code", "message": wrong}])


async def _standing(
    session: AsyncSession, opened: OpenedFor, student: UUID
) -> CheckedIn | Problem | None:
    """What an earlier check-in of the student in this session means; ``None``: there is none."""
    mine = await session.scalar(
        select(CheckIn).where(CheckIn.session_no == opened.held.no, CheckIn.student_id == student)
    )
    if mine is None:
        return None
    if mine.withdrawn_at is not None:
        return Forbidden(
            mark("Your lecturer took your check-in back. Only your lecturer can mark you now."),
            code="withdrawn",
        )
    return await _said(session, opened.held, opened.school_class.name, student, mine.created_at)


async def _said(
    session: AsyncSession, held: AttendanceSession, name: str, student: UUID, at: datetime
) -> CheckedIn:
    place = await place_in_roll(session, held, student)
    said = None if place is None else await record_of(session, held, place)
    status, minutes = said or (None, None)
    return CheckedIn(name, _BY_NUMBER[status] if status else None, minutes, at, already=True)


async def _write(
    session: AsyncSession, opened: OpenedFor, student: UUID, device: str, at: datetime, rev: int
) -> CheckedIn | Problem:
    window, held = opened.window, opened.held
    place = await place_in_roll(session, held, student)
    if place is None:
        raise Forbidden(_NOT_ENROLLED, code="not-enrolled")
    # Hashed with the session: rows of two sessions do not tell that the device is the same.
    device_hash = token_hash(f"{held.no}:{device}")
    used = await session.scalar(
        select(CheckIn.id).where(CheckIn.session_no == held.no, CheckIn.device_hash == device_hash)
    )
    if used is not None:
        _record(session, opened, student, "check_in.refused", "A device tried for a second student")
        return Forbidden(
            mark(
                "Somebody else has checked in from this device. Use your own; without one, ask"
                " your lecturer to mark you."
            ),
            code="device-used",
        )
    said = await record_of(session, held, place)
    status, minutes = _status_at(window, at)
    if said is None:
        session.add(
            AttendanceRecord(
                session_no=held.no,
                rev=rev,
                marked_at=at,
                created_at=at,
                term=held.term,
                place=place,
                status=STATUS_NUMBERS[status],
                minutes=minutes,
                id=new_record_id(),
            )
        )
    else:
        status, minutes = _BY_NUMBER[said[0]], said[1]
    session.add(
        CheckIn(
            organization_id=window.organization_id,
            session_no=held.no,
            student_id=student,
            device_hash=device_hash,
            created_at=at,
        )
    )
    await session.flush()
    _record(session, opened, student, "check_in.made", "Checked in by the code on the board")
    emit(
        session, check_in_topic(window.id), "check_in", {"session": held.id},
        audience=[STAFF], organization=window.organization_id,
    )  # fmt: skip
    return CheckedIn(opened.school_class.name, status, minutes, at, by_lecturer=said is not None)


def _status_at(window: CheckInWindow, at: datetime) -> tuple[Status, int | None]:
    if window.late_after is None or at <= window.late_after:
        return Status.PRESENT, None
    return Status.LATE, math.ceil((at - window.late_after) / timedelta(minutes=1))


def _record(
    session: AsyncSession, opened: OpenedFor, student: UUID, event: str, description: str
) -> None:
    audit.record(
        session, event, resource="attend.check_in_window", resource_id=opened.window.id,
        description=description, students=[student], data_accessed={"session": opened.held.id},
        organization=opened.window.organization_id,
    )  # fmt: skip
