"""One writer of an organisation at a time: the revision that it makes, and why."""

from __future__ import annotations

from uuid import UUID

from psycopg import errors as pg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.problems import Unavailable
from classweave.web.i18n import mark


async def take_turn(session: AsyncSession, organization: UUID) -> int:
    """The revision that what follows is written under; it is held until the commit.

    Writers of an organisation come one after another, as devices' pushes do, so nothing that is
    looked at afterwards changes before it is written. Raises :class:`Unavailable` after a wait.
    """
    await session.execute(text("SET LOCAL lock_timeout = '5s'"))
    try:
        rev = await session.scalar(
            text("SELECT attend.next_revision(:organization)"), {"organization": organization}
        )
    except DBAPIError as error:
        if isinstance(error.orig, pg.LockNotAvailable):
            raise Unavailable(mark("Many are saving at once. Try again in a moment.")) from error
        raise
    if rev is None:
        raise Unavailable(mark("Attendance is not in use in this organisation."))
    await session.execute(text("SET LOCAL lock_timeout = DEFAULT"))
    return int(rev)


async def give_reason(session: AsyncSession, organization: UUID, reason: str) -> None:
    """Say why this transaction's revision is made; it stays with the revision."""
    await session.execute(
        text(
            "UPDATE attend.revisions SET reason = :reason WHERE organization_id = :org"
            " AND rev = attend.next_revision(:org)"
        ),
        {"reason": reason, "org": organization},
    )
