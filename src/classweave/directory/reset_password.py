"""Setting a password: changed by its owner, or set anew through a mailed link."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import audit, clock
from classweave.core.database import act_as
from classweave.core.identifiers import uuid7
from classweave.core.jobs import enqueue
from classweave.core.problems import Invalid, NotFound, Problem
from classweave.core.secrets import new_token, token_hash
from classweave.core.settings import Settings
from classweave.core.tenancy import Actor, Role, system_actor
from classweave.directory.models import PasswordReset, User, UserStatus
from classweave.directory.passwords import hash_password, verify_password, weakness
from classweave.directory.sign_in import revoke_all_sessions
from classweave.directory.throttle import Limit, count_attempt, throttle_key
from classweave.web.i18n import mark

RESET_VALID = timedelta(hours=1)
INVITATION_VALID = timedelta(days=7)
_REQUESTS = Limit(5)
_REQUESTS_OF_ADDRESS = Limit(50)


def public_url(settings: Settings) -> str:
    """How browsers reach this installation, without a slash at the end."""
    if settings.public_url is not None:
        return str(settings.public_url).rstrip("/")
    return f"http://{settings.host}:{settings.port}"


async def request_reset(session: AsyncSession, visitor: Actor, email: str) -> Problem | None:
    """Mail a link to set a new password, if ``email`` has an account; nobody learns whether.

    Too many requests are returned as a refusal, not raised: their count must be committed.
    """
    from classweave.directory.jobs import mail_password_reset

    try:
        await count_attempt(session, throttle_key("reset", email), _REQUESTS)
        address = throttle_key("reset-address", visitor.ip_address or "unknown")
        await count_attempt(session, address, _REQUESTS_OF_ADDRESS)
    except Problem as refusal:
        return refusal
    found = (
        await session.execute(
            text("SELECT * FROM directory.find_credentials(:email)"), {"email": email.strip()}
        )
    ).one_or_none()
    # An unknown address costs the same: its job finds nobody.
    nobody = uuid7()
    await enqueue(
        session,
        mail_password_reset,
        user_id=str(found.user_id if found else nobody),
        organization_id=str(found.organization_id if found else nobody),
    )
    return None


async def new_reset_token(session: AsyncSession, user: User, valid: timedelta) -> str:
    """A token that lets its bearer set ``user``'s password once; earlier ones are void."""
    at = clock.now()
    await session.execute(
        text(
            "UPDATE directory.password_resets SET used_at = :at"
            " WHERE user_id = :user AND used_at IS NULL"
        ),
        {"at": at, "user": user.id},
    )
    token = new_token()
    session.add(
        PasswordReset(
            organization_id=user.organization_id,
            user_id=user.id,
            token_hash=token_hash(token),
            expires_at=at + valid,
        )
    )
    return token


async def reset_password(session: AsyncSession, visitor: Actor, token: str, password: str) -> UUID:
    """Set a password by a mailed token and end all sessions; returns the user.

    Raises :class:`Invalid` for a weak password and :class:`NotFound` for a spent token.
    """
    _require_strong(password, None)
    found = (
        await session.execute(
            text("SELECT * FROM directory.use_password_reset(:token, :at)"),
            {"token": token_hash(token), "at": clock.now()},
        )
    ).one_or_none()
    if found is None:
        raise NotFound(
            mark("This link was used already, or its time has passed. Ask for a new one."),
            code="link-spent",
        )
    actor = replace(
        system_actor(found.organization_id),
        role=Role(found.role),
        id=found.user_id,
        ip_address=visitor.ip_address,
        user_agent=visitor.user_agent,
    )
    await act_as(session, actor)
    user = await session.get_one(User, found.user_id, with_for_update=True)
    _require_strong(password, user.email)
    user.password_hash = await hash_password(password)
    user.status = UserStatus.ACTIVE
    await revoke_all_sessions(session, user.id)
    audit.record(
        session,
        "password.reset",
        resource="user",
        resource_id=user.id,
        description="Set a new password by a mailed link",
    )
    return user.id


async def change_password(
    session: AsyncSession, actor: Actor, current: str | None, password: str
) -> None:
    """Change the actor's own password; other sessions end.

    ``current`` may be left out only while there is no password yet. Raises :class:`Invalid` with
    the field at fault.
    """
    user = await session.scalar(select(User).where(User.id == actor.id).with_for_update())
    if user is None:
        raise NotFound(mark("There is no such person."))
    if user.password_hash is not None and not await verify_password(
        user.password_hash, current or ""
    ):
        message = mark("This is not your present password.")
        raise Invalid(message, errors=[{"field": "current", "message": message}])
    _require_strong(password, user.email)
    user.password_hash = await hash_password(password)
    await revoke_all_sessions(session, user.id, keep=actor.session)
    audit.record(
        session,
        "password.changed",
        resource="user",
        resource_id=user.id,
        description="Changed the password",
    )


def _require_strong(password: str, email: str | None) -> None:
    message = weakness(password, email)
    if message is not None:
        raise Invalid(message, errors=[{"field": "password", "message": message}])
