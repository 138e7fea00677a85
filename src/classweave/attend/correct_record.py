"""Correcting one student's record afterwards, with a reason that stays with its history."""

from __future__ import annotations

import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.models import STATUS_NUMBERS, Status
from classweave.attend.read_sheet import (
    HeldSession,
    RollLine,
    access_held_session,
    record_of,
    roll_lines,
    status_named,
)
from classweave.attend.take_turn import give_reason, take_turn
from classweave.core import audit, clock
from classweave.core.problems import Conflict, Invalid, NotFound
from classweave.core.tenancy import Actor
from classweave.core.text import clean
from classweave.web.i18n import mark

LONGEST_REASON = 500
_ALPHABET = string.ascii_letters + string.digits
_WITH_MINUTES = (Status.LATE, Status.LEFT_EARLY)

_HISTORY = """
SELECT h.rev, h.until_rev, h.status, h.minutes, h.notes
FROM attend.record_history h WHERE h.session_no = :no AND h.place = :place
UNION ALL
SELECT r.rev, NULL, r.status, r.minutes, r.notes
FROM attend.attendance_records r WHERE r.term = :term AND r.session_no = :no AND r.place = :place
ORDER BY 1, 2
"""
_REVISIONS = """
SELECT v.rev, v.made_at, v.reason, coalesce(u.name, '') AS name,
  v.device_id IS NOT NULL AS by_device
FROM attend.revisions v LEFT JOIN directory.users u ON u.id = v.actor_id
WHERE v.organization_id = :org AND v.rev = ANY (:revs)
"""
_INSERT = """
INSERT INTO attend.attendance_records
  (term, session_no, place, id, status, minutes, marked_at, created_at, rev)
VALUES (:term, :no, :place, :id, :status, :minutes, :now, :now, :rev)
"""
_UPDATE = """
UPDATE attend.attendance_records SET status = :status, minutes = :minutes, marked_at = :now,
  rev = :rev WHERE term = :term AND session_no = :no AND place = :place
"""
_CLEAR = """
DELETE FROM attend.attendance_records WHERE term = :term AND session_no = :no AND place = :place
"""


@dataclass(frozen=True, slots=True)
class Correction:
    """What a record shall say; without a ``status`` there shall be none: absent."""

    status: Status | None
    minutes: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a record: since then it says ``status`` (nothing: it was cleared)."""

    at: datetime | None
    by: str
    by_device: bool
    status: str | None
    minutes: int | None
    reason: str | None
    notes: str | None


@dataclass(frozen=True, slots=True)
class RecordView:
    """A student in a session with everything that was ever said."""

    held: HeldSession
    line: RollLine
    steps: Sequence[Step]


async def read_record(
    session: AsyncSession, actor: Actor, class_id: UUID, session_id: str, student_id: UUID
) -> RecordView:
    """A student's record in a session with its history; the reading is audited."""
    held = await access_held_session(session, actor, class_id, session_id)
    line = await _line(session, held, student_id)
    audit.record(
        session, "attendance.read", resource="student", resource_id=student_id,
        description="Read a record of attendance and its history", students=[student_id],
        data_accessed={"session": held.id}, organization=held.school_class.organization_id,
    )  # fmt: skip
    return RecordView(held, line, await _steps(session, held, line.place))


async def correct_record(
    session: AsyncSession,
    actor: Actor,
    class_id: UUID,
    session_id: str,
    student_id: UUID,
    correction: Correction,
) -> HeldSession:
    """Set or clear what is said of a student in a session.

    Raises :class:`Invalid` without a reason, :class:`Conflict` when nothing would change or the
    term is archived, :class:`NotFound` for a student who was not enrolled on that day.
    """
    held = await access_held_session(session, actor, class_id, session_id)
    correction = _checked(correction)
    home = held.school_class.organization_id
    # The clock first, as every device's push does: they come one after another.
    rev = await take_turn(session, home)
    held = await access_held_session(session, actor, class_id, session_id)
    if held.archived:
        raise Conflict(mark("The term of this session is archived. Its records are closed."))
    line = await _line(session, held, student_id)
    stored = await record_of(session, held, line.place)
    wanted = (STATUS_NUMBERS[correction.status], correction.minutes) if correction.status else None
    if stored == wanted:
        raise Conflict(mark("The record says this already."))
    await give_reason(session, home, correction.reason)
    values: dict[str, Any] = {"term": held.term, "no": held.no, "place": line.place}
    if wanted is None:
        await session.execute(text(_CLEAR), values)
    else:
        values |= {"status": wanted[0], "minutes": wanted[1], "now": clock.now(), "rev": rev}
        if stored is None:
            values |= {"id": new_record_id()}
            await session.execute(text(_INSERT), values)
        else:
            await session.execute(text(_UPDATE), values)
    audit.record(
        session, "attendance.corrected", resource="student", resource_id=student_id,
        description="Corrected a record of attendance", students=[student_id],
        data_accessed={
            "session": held.id,
            "from": status_named(stored[0]) if stored else "none",
            "to": correction.status.value if correction.status else "none",
            "revision": int(rev),
        },
        organization=home,
    )  # fmt: skip
    return held


def new_record_id() -> str:
    """An id like those that devices make."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


def _checked(correction: Correction) -> Correction:
    errors: list[dict[str, str]] = []
    reason = clean(correction.reason)
    if not reason:
        errors.append({"field": "reason", "message": mark("Say why the record is changed.")})
    elif len(reason) > LONGEST_REASON:
        errors.append({"field": "reason", "message": mark("This reason is too long.")})
    minutes = correction.minutes if correction.status in _WITH_MINUTES else None
    if minutes is not None and not 0 <= minutes <= 1440:
        errors.append({"field": "minutes", "message": mark("Give a whole number of minutes.")})
    if errors:
        first_said = errors[0]["message"]
        raise Invalid(first_said, errors=errors)
    return Correction(correction.status, minutes, reason)


async def _line(session: AsyncSession, held: HeldSession, student_id: UUID) -> RollLine:
    for line in await roll_lines(session, held):
        if line.student_id == student_id:
            return line
    raise NotFound(mark("This student was not enrolled on that day."))


async def _steps(session: AsyncSession, held: HeldSession, place: int) -> list[Step]:
    """Every state and every clearing, in the order of the revisions that made them."""
    states = (
        await session.execute(text(_HISTORY), {"term": held.term, "no": held.no, "place": place})
    ).all()
    revs = sorted(
        {row.rev for row in states} | {row.until_rev for row in states if row.until_rev is not None}
    )
    made = {
        row.rev: row
        for row in await session.execute(
            text(_REVISIONS), {"org": held.school_class.organization_id, "revs": revs}
        )
    }
    said = {row.rev: row for row in states}
    steps: list[Step] = []
    for rev in revs:
        state, who = said.get(rev), made.get(rev)
        steps.append(
            Step(
                who.made_at if who else None, who.name if who else "",
                bool(who and who.by_device), status_named(state.status) if state else None,
                state.minutes if state else None, who.reason if who else None,
                state.notes if state else None,
            )
        )  # fmt: skip
    return steps
