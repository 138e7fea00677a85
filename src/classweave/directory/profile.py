"""What a person may change about their own account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import available_timezones

from psycopg import errors as pg
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import audit
from classweave.core.problems import NotFound
from classweave.core.tenancy import Actor
from classweave.core.text import clean
from classweave.directory.models import User
from classweave.directory.passwords import verify_password
from classweave.directory.service import invalid, require_name
from classweave.web.i18n import available, mark

EDITABLE = ("name", "email", "locale", "timezone")


async def own_account(session: AsyncSession, actor: Actor) -> User:
    """The actor's own row."""
    found = await session.scalar(select(User).where(User.id == actor.id))
    if found is None:
        raise NotFound(mark("There is no such person."))
    return found


async def update_profile(
    session: AsyncSession,
    actor: Actor,
    changes: Mapping[str, Any],
    *,
    current_password: str | None = None,
) -> User:
    """Set any of :data:`EDITABLE`. A new e-mail needs the present password, where there is one.

    Raises :class:`Invalid` with the field at fault.
    """
    user = await own_account(session, actor)
    for name, value in changes.items():
        match name:
            case "name":
                user.name = require_name(value, longest=200)
            case "locale":
                if value is not None and value not in available():
                    raise invalid("locale", mark("This language is not available."))
                user.locale = value
            case "timezone":
                if value is not None and value not in available_timezones():
                    raise invalid("timezone", mark("There is no such time zone."))
                user.timezone = value
            case "email":
                await _set_email(user, clean(value or ""), current_password)
            case _:
                raise KeyError(name)
    try:
        async with session.begin_nested():
            await session.flush()
    except IntegrityError as error:
        if isinstance(error.orig, pg.UniqueViolation):
            raise invalid("email", mark("This e-mail address has an account already.")) from error
        if isinstance(error.orig, pg.CheckViolation):
            # The database's own guard of student accounts.
            message = mark("Of a student under 13 this is kept only with a parent’s consent.")
            raise invalid("email", message) from error
        raise
    audit.record(
        session,
        "user.updated",
        resource="user",
        resource_id=user.id,
        description="Changed the own account",
        data_accessed={"fields": sorted(changes)},
    )
    return user


async def _set_email(user: User, email: str, current_password: str | None) -> None:
    if email == (user.email or ""):
        return
    if "@" not in email.strip("@"):
        raise invalid("email", mark("This is not an e-mail address."))
    if user.password_hash is not None and not await verify_password(
        user.password_hash, current_password or ""
    ):
        raise invalid("current", mark("This is not your present password."))
    user.email = email
