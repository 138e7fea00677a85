"""What everybody who deals with check-in asks for: the window, its session, the turn to write."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import NoResultFound
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.models import AttendanceSession, CheckInWindow
from classweave.core.problems import NotFound
from classweave.core.tenancy import Actor
from classweave.directory.models import SchoolClass
from classweave.directory.service import access_class
from classweave.web.i18n import mark

STAFF = "staff"
_NO_WINDOW = mark("There is no such check-in.")


@dataclass(frozen=True, slots=True)
class OpenedFor:
    """A window, the session it is for, and the class that meets."""

    window: CheckInWindow
    held: AttendanceSession
    school_class: SchoolClass


def check_in_topic(window_id: UUID) -> str:
    """The topic of what happens in one window; its audience is :data:`STAFF`."""
    return f"attend.check_in:{window_id}"


async def access_window(session: AsyncSession, actor: Actor, window_id: UUID) -> OpenedFor:
    """A window of a class that the actor teaches or administers; else :class:`NotFound`."""
    window = await session.get(CheckInWindow, window_id)
    if window is None:
        raise NotFound(_NO_WINDOW)
    try:
        school_class = await access_class(session, actor, window.class_id)
        held = await session.get_one(AttendanceSession, window.session_no)
    except (NotFound, NoResultFound) as error:
        raise NotFound(_NO_WINDOW) from error
    if held.deleted_at is not None:
        raise NotFound(mark("This session was deleted, and its check-in with it."))
    return OpenedFor(window, held, school_class)


async def place_in_roll(
    session: AsyncSession, held: AttendanceSession, student: UUID
) -> int | None:
    """The student's place in the class's roll; ``None`` for who is not enrolled on that day."""
    return await session.scalar(
        text(
            "SELECT p.number FROM attend.places p WHERE p.class_id = :class AND"
            " p.student_id = :student AND p.student_id IN"
            " (SELECT student_id FROM attend.enrolled_on(:class, :day))"
        ),
        {"class": held.class_id, "student": student, "day": held.date},
    )
