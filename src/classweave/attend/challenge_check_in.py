"""The lecturer compares who checked in with who is in the room: calls some, takes back one."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.access_check_in import (
    STAFF,
    OpenedFor,
    access_window,
    check_in_topic,
    place_in_roll,
)
from classweave.attend.check_in_board import Line, read_standing
from classweave.attend.models import STATUS_NUMBERS, CheckIn, Status
from classweave.attend.take_turn import give_reason, take_turn
from classweave.core import audit, clock
from classweave.core.events import emit
from classweave.core.problems import Conflict, NotFound
from classweave.core.tenancy import Actor
from classweave.directory.service import invalid
from classweave.web.i18n import mark

MOST = 50
_REASON = mark("Checked in, and was not in the room when called.")


async def challenge(
    session: AsyncSession, actor: Actor, window_id: UUID, number: int
) -> Sequence[Line]:
    """Pick ``number`` students at random to call by name, those never called before others.

    Raises :class:`Conflict` while nobody has checked in.
    """
    opened = await access_window(session, actor, window_id)
    if not 1 <= number <= MOST:
        raise invalid("number", mark("Call 1 to 50 students."))
    standing = list(
        await session.scalars(
            select(CheckIn).where(
                CheckIn.session_no == opened.held.no, CheckIn.withdrawn_at.is_(None)
            )
        )
    )
    if not standing:
        raise Conflict(mark("Nobody has checked in yet."), code="nobody")
    secrets.SystemRandom().shuffle(standing)
    chosen = sorted(standing, key=lambda one: one.challenged_at is not None)[:number]
    at = clock.now()
    for one in chosen:
        one.challenged_at = at
    await session.flush()
    _tell(session, opened, "check_in.challenged", "Called students who had checked in",
          [one.student_id for one in chosen])  # fmt: skip
    return (await read_standing(session, opened)).called


async def withdraw(session: AsyncSession, actor: Actor, window_id: UUID, student_id: UUID) -> None:
    """Take back the check-in of a student who is not in the room, and the record with it.

    The student cannot check in to this session again. An excuse stands: it does not say that the
    student is there. Raises :class:`NotFound` for who has not checked in.
    """
    opened = await access_window(session, actor, window_id)
    held = opened.held
    await take_turn(session, held.organization_id)
    one = await session.scalar(
        select(CheckIn).where(CheckIn.session_no == held.no, CheckIn.student_id == student_id)
    )
    if one is None:
        raise NotFound(mark("This student has not checked in."))
    if one.withdrawn_at is not None:
        return
    one.withdrawn_at = clock.now()
    await give_reason(session, held.organization_id, _REASON)
    await session.execute(
        text(
            "DELETE FROM attend.attendance_records WHERE term = :term AND session_no = :no"
            " AND place = :place AND status <> :excused"
        ),
        {
            "term": held.term, "no": held.no, "excused": STATUS_NUMBERS[Status.EXCUSED],
            "place": await place_in_roll(session, held, student_id),
        },
    )  # fmt: skip
    await session.flush()
    _tell(session, opened, "check_in.withdrawn", "Took a check-in back", [student_id])


def _tell(
    session: AsyncSession, opened: OpenedFor, event: str, description: str, students: list[UUID]
) -> None:
    audit.record(
        session, event, resource="attend.check_in_window", resource_id=opened.window.id,
        description=description, students=students, data_accessed={"session": opened.held.id},
        organization=opened.window.organization_id,
    )  # fmt: skip
    emit(
        session, check_in_topic(opened.window.id), "check_in", {"session": opened.held.id},
        audience=[STAFF], organization=opened.window.organization_id,
    )  # fmt: skip
