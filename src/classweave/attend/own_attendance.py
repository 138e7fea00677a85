"""What a student sees of their own attendance."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.check_in import own_student
from classweave.attend.read_sheet import SheetClass, SheetLine, read_lines
from classweave.core.tenancy import Actor


async def own_attendance(
    session: AsyncSession, actor: Actor
) -> Sequence[tuple[SheetClass, Sequence[SheetLine]]]:
    """The student's classes by name, each with its sessions, the newest first.

    Raises :class:`~classweave.core.problems.Forbidden` for an account that is no student's.
    """
    classes, lines = await read_lines(session, own_student(actor), None)
    return [(one, [line for line in lines if line.class_id == one.id]) for one in classes]
