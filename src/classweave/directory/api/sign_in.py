"""Signing in and out, and the own account."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import StringConstraints

from classweave.core.permissions import Permission
from classweave.core.problems import Problem
from classweave.core.secrets import sign
from classweave.directory import profile, sign_in
from classweave.directory.api.schemas import Body, Out, Text, UserOut
from classweave.directory.ids import SignInId
from classweave.web.errors import respond
from classweave.web.requests import CurrentActor, Transaction, allow
from classweave.web.services import services_of

router = APIRouter(prefix="/api/directory", tags=["directory"])


class Credentials(Body):
    """An e-mail address and a password."""

    email: Annotated[str, StringConstraints(max_length=254)]
    password: Annotated[str, StringConstraints(max_length=1000)]


class SignedInOut(Out):
    """A fresh session: send ``token`` as ``Authorization: Bearer``.

    Who sends it as the cookie ``cw_session`` instead adds ``csrf_token`` as ``X-CSRF-Token``.
    """

    token: str
    csrf_token: str
    user: UserOut


class SessionOut(Out):
    """A session of the caller."""

    id: SignInId
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    ip_address: str | None
    user_agent: str | None


@router.post("/sessions", status_code=201, dependencies=[allow(Permission.ANYONE)])
async def open_sign_in_session(
    request: Request, session: Transaction, actor: CurrentActor, body: Credentials
) -> SignedInOut:
    """Sign in with a password. 401 when it is wrong, 429 with Retry-After after too many tries."""
    result = await sign_in.sign_in(session, actor, body.email, body.password)
    if isinstance(result, Problem):
        return await respond(request, result)  # pyright: ignore[reportReturnType]
    key = services_of(request).signing_key
    return SignedInOut(
        token=result.token,
        csrf_token=sign(key, "csrf", str(result.session_id)),
        user=UserOut.of(result.user),
    )


@router.get("/sessions", dependencies=[allow(Permission.SIGNED_IN)])
async def list_sign_in_sessions(session: Transaction, actor: CurrentActor) -> list[SessionOut]:
    """Where the caller is signed in."""
    return [SessionOut.of(row) for row in await sign_in.list_sessions(session, actor)]


@router.delete("/sessions/current", status_code=204, dependencies=[allow(Permission.SIGNED_IN)])
async def close_current_session(session: Transaction, actor: CurrentActor) -> None:
    """Sign out."""
    assert actor.session is not None
    await sign_in.revoke_session(session, actor, actor.session)


@router.delete(
    "/sessions/{session_id}", status_code=204, dependencies=[allow(Permission.SIGNED_IN)]
)
async def close_sign_in_session(
    session: Transaction, actor: CurrentActor, session_id: SignInId
) -> None:
    """End one of the caller's sessions."""
    await sign_in.revoke_session(session, actor, session_id)


class ProfileIn(Body):
    """What a person may change about themselves here."""

    name: Text = ""
    locale: str | None = None
    timezone: str | None = None


@router.get("/me", dependencies=[allow(Permission.SIGNED_IN)])
async def read_own_account(session: Transaction, actor: CurrentActor) -> UserOut:
    """Who is signed in."""
    return UserOut.of(await profile.own_account(session, actor))


@router.patch("/me", dependencies=[allow(Permission.SIGNED_IN)])
async def change_own_account(session: Transaction, actor: CurrentActor, body: ProfileIn) -> UserOut:
    """Change name, language or time zone."""
    return UserOut.of(await profile.update_profile(session, actor, body.changes()))
