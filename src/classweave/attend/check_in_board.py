"""What the lecturer's board shows: the code of this moment, and who has checked in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.access_check_in import OpenedFor
from classweave.attend.check_in_code import code_of, step_of, time_left
from classweave.attend.models import STATUS_NUMBERS, Status
from classweave.core import audit, clock

_LINES = """
SELECT c.student_id, u.display_name, c.created_at, c.challenged_at, c.withdrawn_at,
  r.status, r.minutes
FROM attend.check_ins c
  JOIN directory.students u ON u.id = c.student_id
  LEFT JOIN attend.places p ON p.class_id = :class AND p.student_id = c.student_id
  LEFT JOIN attend.attendance_records r
    ON r.term = :term AND r.session_no = :no AND r.place = p.number
WHERE c.session_no = :no
ORDER BY c.created_at DESC, c.id
"""
_ENROLLED = "SELECT count(*) FROM attend.enrolled_on(:class, :day)"


@dataclass(frozen=True, slots=True)
class Line:
    """A student who checked in, and what the record says of them now."""

    student_id: UUID
    name: str
    at: datetime
    challenged_at: datetime | None
    withdrawn_at: datetime | None
    status: Status | None
    minutes: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Who checked in to a session, the newest first, of how many ``enrolled`` on that day."""

    lines: Sequence[Line]
    enrolled: int

    @property
    def count(self) -> int:
        """Check-ins that stand."""
        return sum(line.withdrawn_at is None for line in self.lines)

    @property
    def called(self) -> Sequence[Line]:
        """Who was called by name last, withdrawn or not."""
        moments = [line.challenged_at for line in self.lines if line.challenged_at is not None]
        return [line for line in self.lines if moments and line.challenged_at == max(moments)]


async def read_standing(session: AsyncSession, opened: OpenedFor) -> Standing:
    """The list of a session that its caller has access to."""
    held = opened.held
    values = {"class": held.class_id, "term": held.term, "no": held.no, "day": held.date}
    statuses = {number: status for status, number in STATUS_NUMBERS.items()}
    lines = [
        Line(
            row.student_id, row.display_name, row.created_at, row.challenged_at, row.withdrawn_at,
            statuses[row.status] if row.status else None, row.minutes,
        )
        for row in await session.execute(text(_LINES), values)
    ]  # fmt: skip
    return Standing(lines, int(await session.scalar(text(_ENROLLED), values) or 0))


@dataclass(frozen=True, slots=True)
class Shown:
    """The code at ``at``, and the one that takes its place after ``left``.

    A board that is told both changes them on time, however slow the network is.
    """

    at: datetime
    code: str
    next_code: str
    left: timedelta


def shown_code(opened: OpenedFor) -> Shown | None:
    """What the board shows now; ``None`` when the window is closed."""
    now, window = clock.now(), opened.window
    if not window.opens_at <= now < window.closes_at:
        return None
    step = step_of(now)
    return Shown(
        now, code_of(window.secret, step), code_of(window.secret, step + 1), time_left(now)
    )


def note_reading(session: AsyncSession, opened: OpenedFor, standing: Standing) -> None:
    """Write into the audit trail that somebody opened the list."""
    if standing.lines:
        audit.record(
            session, "attendance.read", resource="attend.check_in_window",
            resource_id=opened.window.id, description="Opened the list of who checked in",
            students=[line.student_id for line in standing.lines],
            data_accessed={"session": opened.held.id},
            organization=opened.window.organization_id,
        )  # fmt: skip
