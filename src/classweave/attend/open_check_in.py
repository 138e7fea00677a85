"""A teacher lets the students of a class check in, for some minutes."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.access_check_in import (
    STAFF,
    OpenedFor,
    access_window,
    check_in_topic,
)
from classweave.attend.correct_record import new_record_id
from classweave.attend.models import AttendanceSession, CheckInWindow, Term
from classweave.attend.open_term import begin_use, term_on
from classweave.attend.take_turn import take_turn
from classweave.core import audit, clock
from classweave.core.database import driver_connection
from classweave.core.events import emit
from classweave.core.identifiers import uuid7
from classweave.core.problems import Conflict, NotFound
from classweave.core.tenancy import Actor
from classweave.directory.models import SchoolClass
from classweave.directory.service import access_class, invalid, local_today
from classweave.web.i18n import mark

LONGEST = 60
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


@dataclass(frozen=True, slots=True)
class Span:
    """How many minutes a window stays open, and after how many one is late (never: ``None``)."""

    minutes: int = 10
    late_after: int | None = None


async def open_for_session(
    session: AsyncSession, actor: Actor, session_id: str, span: Span
) -> OpenedFor:
    """Open a window for a session by the id that its device gave it."""
    _check(span)
    known = await session.scalars(
        select(AttendanceSession).where(
            AttendanceSession.id == session_id, AttendanceSession.deleted_at.is_(None)
        )
    )
    for held in known:
        try:
            school_class = await access_class(session, actor, held.class_id)
        except NotFound:
            continue
        await take_turn(session, held.organization_id)
        return await _open(session, actor, school_class, held, span)
    raise NotFound(mark("There is no such session. Has the device sent it yet?"))


async def open_for_meeting(
    session: AsyncSession,
    actor: Actor,
    class_id: UUID,
    start_time: str | None,
    span: Span,
    day: date | None = None,
) -> OpenedFor:
    """Open a window for a class's meeting on ``day`` (today); its session is made if need be.

    A device that made the session by itself, offline, finds the two become one when it syncs.
    """
    _check(span)
    if start_time is not None and not _TIME_OF_DAY.fullmatch(start_time):
        raise invalid("start_time", mark("Write the time as hours and minutes, such as 09:00."))
    school_class = await access_class(session, actor, class_id)
    if school_class.archived_at is not None:
        raise Conflict(mark("This class is archived."))
    day = day or local_today(actor)
    _check_day(actor, day)
    connection = await driver_connection(session)
    await begin_use(connection, school_class.organization_id)
    await take_turn(session, school_class.organization_id)
    held = await session.scalar(
        select(AttendanceSession).where(
            AttendanceSession.class_id == class_id,
            AttendanceSession.date == day,
            func.coalesce(AttendanceSession.start_time, "00:00") == (start_time or "00:00"),
            AttendanceSession.deleted_at.is_(None),
        )
    )
    if held is None:
        held = AttendanceSession(
            organization_id=school_class.organization_id, id=new_record_id(), class_id=class_id,
            term=await term_on(connection, school_class.organization_id, day), date=day,
            start_time=start_time, created_by=actor.id, updated_by=actor.id,
        )  # fmt: skip
        session.add(held)
        await session.flush()
        # The trigger counted who is enrolled.
        await session.refresh(held)
    return await _open(session, actor, school_class, held, span)


async def close_window(session: AsyncSession, actor: Actor, window_id: UUID) -> OpenedFor:
    """Close a window before its time; one that is closed already stays as it is."""
    opened = await access_window(session, actor, window_id)
    window = opened.window
    await session.refresh(window, with_for_update=True)
    if window.closes_at > clock.now():
        window.closes_at = max(clock.now(), window.opens_at + timedelta(microseconds=1))
        _record(session, opened, "check_in.closed", "Closed a check-in early")
        emit(
            session, check_in_topic(window.id), "check_in_window", {"open": False},
            audience=[STAFF], organization=window.organization_id,
        )  # fmt: skip
    return opened


async def _open(
    session: AsyncSession,
    actor: Actor,
    school_class: SchoolClass,
    held: AttendanceSession,
    span: Span,
) -> OpenedFor:
    """A new window, or the one that is open already: two lecturers, or two taps, share one."""
    _check_day(actor, held.date)
    archived = await session.scalar(select(Term.archived_at).where(Term.number == held.term))
    if archived is not None:
        raise Conflict(mark("The term of this session is archived. Its records are closed."))
    now = clock.now()
    window = await session.scalar(
        select(CheckInWindow)
        .where(
            CheckInWindow.session_no == held.no,
            CheckInWindow.opens_at <= now,
            CheckInWindow.closes_at > now,
        )
        .order_by(CheckInWindow.opens_at)
        .limit(1)
    )
    if window is not None:
        return OpenedFor(window, held, school_class)
    assert actor.id is not None
    window = CheckInWindow(
        id=uuid7(), organization_id=held.organization_id, class_id=held.class_id,
        session_no=held.no, secret=secrets.token_bytes(32), opens_at=now, opened_by=actor.id,
        closes_at=now + timedelta(minutes=span.minutes),
        late_after=None if span.late_after is None else now + timedelta(minutes=span.late_after),
    )  # fmt: skip
    session.add(window)
    await session.flush()
    opened = OpenedFor(window, held, school_class)
    _record(session, opened, "check_in.opened", "Let students check in by themselves")
    return opened


def _record(session: AsyncSession, opened: OpenedFor, event: str, description: str) -> None:
    audit.record(
        session, event, resource="attend.check_in_window", resource_id=opened.window.id,
        description=description, data_accessed={"session": opened.held.id},
        organization=opened.window.organization_id,
    )  # fmt: skip


def _check_day(actor: Actor, day: date) -> None:
    # A day to each side: the device's day need not be that of the account's time zone.
    if abs(day - local_today(actor)) > timedelta(days=1):
        raise Conflict(mark("Students check in to a meeting of today."), code="not-today")


def _check(span: Span) -> None:
    if not 1 <= span.minutes <= LONGEST:
        raise invalid("minutes", mark("A check-in stays open for 1 to 60 minutes."))
    if span.late_after is not None and not 0 <= span.late_after <= span.minutes:
        raise invalid("late_after", mark("Late begins while the check-in is open."))
