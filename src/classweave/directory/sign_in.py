"""Signing in and out: passwords, one-time links, and the sessions that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import audit, clock
from classweave.core.database import act_as
from classweave.core.identifiers import TypeIDError, decode, encode
from classweave.core.problems import NotFound, Problem, SignInRequired
from classweave.core.secrets import new_token, same, sign, token_hash
from classweave.core.tenancy import Actor, Role, system_actor
from classweave.directory.models import SignInSession, User, UserStatus
from classweave.directory.passwords import verify_password
from classweave.directory.throttle import (
    ACCOUNT,
    ADDRESS,
    check_blocked,
    count_attempt,
    forget_attempts,
    throttle_key,
)
from classweave.web.i18n import mark

IDLE = timedelta(hours=12)
LONGEST = timedelta(days=14)
LINK_VALID = timedelta(minutes=30)
_TOUCH_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A fresh session. ``token`` is shown to the client once and stored only as a digest."""

    token: str
    session_id: UUID
    user: User


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token belongs to."""

    actor: Actor
    organization_name: str


async def identify_token(
    session: AsyncSession, token: str, credential: Literal["cookie", "bearer"]
) -> Identity | None:
    """Who is signed in with ``token``, or ``None``; keeps a session in use alive."""
    at = clock.now()
    found = (
        await session.execute(
            text("SELECT * FROM directory.identify(:token, :at)"),
            {"token": token_hash(token), "at": at},
        )
    ).one_or_none()
    if found is None:
        return None
    actor = Actor(
        role=Role(found.role),
        id=found.user_id,
        organization=found.organization_id,
        organizations=tuple(found.organizations),
        session=found.session_id,
        credential=credential,
        person=found.student_id,
        name=found.name,
        locale=found.locale,
        timezone=found.timezone,
    )
    if found.last_seen_at < at - _TOUCH_EVERY:
        await act_as(session, actor)
        # Requests of one browser come side by side: one of them notes it, nobody waits.
        await session.execute(
            text(
                "UPDATE directory.sign_in_sessions SET last_seen_at = :at,"
                " expires_at = least(:until, created_at + :longest) WHERE id ="
                " (SELECT id FROM directory.sign_in_sessions WHERE id = :id"
                " FOR UPDATE SKIP LOCKED)"
            ),
            {"id": actor.session, "at": at, "until": at + IDLE, "longest": LONGEST},
        )
    return Identity(actor, found.organization_name)


async def sign_in(
    session: AsyncSession, actor: Actor, email: str, password: str
) -> SignedIn | Problem:
    """Sign in with a password, as the visitor ``actor``.

    A refusal is returned and not raised, so that the count of failures is committed with it:
    :class:`SignInRequired` for wrong credentials, :class:`TooMany` for too many of them.
    """
    account = throttle_key("account", email)
    address = throttle_key("address", actor.ip_address or "unknown")
    try:
        await check_blocked(session, address)
        await count_attempt(session, account, ACCOUNT)
        found = (
            await session.execute(
                text("SELECT * FROM directory.find_credentials(:email)"), {"email": email.strip()}
            )
        ).one_or_none()
        correct = await verify_password(found.password_hash if found else None, password)
        if found is None or not correct:
            await count_attempt(session, address, ADDRESS)
            return SignInRequired(
                mark("The e-mail address or the password is not right."), code="wrong-credentials"
            )
    except Problem as refusal:
        return refusal
    await forget_attempts(session, account)
    return await start_session(session, actor, found.user_id, found.organization_id)


async def start_session(
    session: AsyncSession, visitor: Actor, user_id: UUID, organization_id: UUID
) -> SignedIn:
    """Begin a session of ``user_id``; ``visitor``'s own session, if there is one, ends.

    The caller has made sure who it is. Afterwards the transaction acts as the user.
    """
    if visitor.session is not None and visitor.signed_in:
        await act_as(session, visitor)
        await _revoke(session, SignInSession.id == visitor.session)
    user_actor = system_actor(organization_id)
    await act_as(session, user_actor)
    user = await session.get_one(User, user_id, with_for_update=True)
    user_actor = replace(
        user_actor,
        role=Role(user.role.value),
        id=user.id,
        ip_address=visitor.ip_address,
        user_agent=visitor.user_agent,
    )
    await act_as(session, user_actor)
    token = new_token()
    at = clock.now()
    row = SignInSession(
        organization_id=organization_id,
        user_id=user_id,
        token_hash=token_hash(token),
        created_at=at,
        last_seen_at=at,
        expires_at=at + IDLE,
        ip_address=visitor.ip_address,
        user_agent=visitor.user_agent,
    )
    session.add(row)
    user.last_login = at
    user.login_count += 1
    user.status = UserStatus.ACTIVE
    await session.flush()
    audit.record(
        session,
        "sign_in.succeeded",
        resource="user",
        resource_id=user_id,
        description="Signed in",
    )
    return SignedIn(token, row.id, user)


async def list_sessions(session: AsyncSession, actor: Actor) -> Sequence[SignInSession]:
    """The actor's own sessions that are still good, the most recently used first."""
    rows = await session.scalars(
        select(SignInSession)
        .where(
            SignInSession.user_id == actor.id,
            SignInSession.revoked_at.is_(None),
            SignInSession.expires_at > clock.now(),
        )
        .order_by(SignInSession.last_seen_at.desc(), SignInSession.id.desc())
    )
    return rows.all()


async def revoke_session(session: AsyncSession, actor: Actor, session_id: UUID) -> None:
    """End one of the actor's own sessions; raises :class:`NotFound` for any other."""
    ended = await _revoke(
        session, (SignInSession.id == session_id) & (SignInSession.user_id == actor.id)
    )
    if not ended:
        raise NotFound(mark("This session does not exist or has ended."))
    audit.record(
        session,
        "sign_in.revoked",
        resource="user",
        resource_id=actor.id,
        description="Ended a session",
    )


async def revoke_all_sessions(
    session: AsyncSession, user_id: UUID, *, keep: UUID | None = None
) -> int:
    """End every session of ``user_id`` but ``keep``; returns how many were ended."""
    condition = SignInSession.user_id == user_id
    if keep is not None:
        condition &= SignInSession.id != keep
    return await _revoke(session, condition)


async def _revoke(session: AsyncSession, condition: ColumnElement[bool]) -> int:
    ended = await session.scalars(
        update(SignInSession)
        .where(condition, SignInSession.revoked_at.is_(None))
        .values(revoked_at=clock.now())
        .returning(SignInSession.id)
    )
    return len(ended.all())


# --- One-time links ---------------------------------------------------------------------------
# A link is signed over the account's count of sign-ins. Using it raises that count, so the link,
# and every other one made before, is spent: no table of tokens is needed.


def create_sign_in_link(
    key: bytes, base_url: str, user: User, *, valid: timedelta = LINK_VALID
) -> str:
    """The address that signs ``user`` in once, until ``valid`` has passed.

    ``key`` is the installation's signing key and ``base_url`` how browsers reach it.
    """
    expires = str(int((clock.now() + valid).timestamp()))
    who = (encode("user", user.id), encode("org", user.organization_id))
    signature = sign(key, "sign-in-link", *who, expires, str(user.login_count))
    return f"{base_url}/sign-in/link/{'.'.join((*who, expires, signature))}"


async def use_sign_in_link(
    session: AsyncSession, key: bytes, visitor: Actor, token: str
) -> SignedIn:
    """Sign in by a link's last part; raises :class:`SignInRequired` when it is spent or false."""
    refusal = SignInRequired(
        mark("This sign-in link was used already, or its time has passed. Ask for a new one."),
        code="link-spent",
    )
    try:
        user_part, organization_part, expires, signature = token.split(".")
        user_id = decode("user", user_part)
        organization_id = decode("org", organization_part)
        expired = int(expires) <= clock.now().timestamp()
    except (ValueError, TypeIDError):
        raise refusal from None
    await act_as(session, system_actor(organization_id))
    # Locked, so that of two clicks at once only one sees the old count.
    count = await session.scalar(
        select(User.login_count)
        .where(User.id == user_id, User.deleted_at.is_(None), User.status != UserStatus.INACTIVE)
        .with_for_update()
    )
    expected = sign(key, "sign-in-link", user_part, organization_part, expires, str(count))
    if count is None or expired or not same(expected, signature):
        raise refusal
    return await start_session(session, visitor, user_id, organization_id)
