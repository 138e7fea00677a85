"""What a route may ask for: its transaction, its actor, its permission.

The order matters and is fixed here: identify the caller, check the permission and the request's
origin, state the actor to the database, run the route, commit, and only then answer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from classweave.core.database import act_as
from classweave.core.permissions import Permission, allowed
from classweave.core.problems import Forbidden, SignInRequired
from classweave.core.tenancy import ANONYMOUS, Actor
from classweave.web.csrf import check_origin, check_token
from classweave.web.services import services_of

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


async def identify(connection: HTTPConnection, session: AsyncSession) -> Actor:
    """The actor behind the connection's credentials, or a nobody; states it to the database."""
    actor = ANONYMOUS
    for authenticator in services_of(connection).authenticators:
        found = await authenticator(connection, session)
        if found is not None:
            actor = found
            break
    client = connection.client.host if connection.client else None
    agent = connection.headers.get("user-agent")
    actor = actor.seen_from(client, agent[:300] if agent else None)
    await act_as(session, actor)
    return actor


async def open_transaction(request: Request) -> AsyncGenerator[AsyncSession]:
    """The one transaction of a request."""
    async with services_of(request).database.transaction() as session:
        request.state.actor = await identify(request, session)
        yield session


# scope="function": the commit happens before the response is sent. With FastAPI's default it
# would happen after, and a failed commit would have been announced as a success.
Transaction = Annotated[AsyncSession, Depends(open_transaction, scope="function")]


async def _current_actor(request: Request, session: Transaction) -> Actor:
    actor = request.state.actor
    assert isinstance(actor, Actor)
    return actor


CurrentActor = Annotated[Actor, Depends(_current_actor, scope="function")]


class Allow:
    """The permission that a route declares. Use as ``dependencies=[allow(Permission.X)]``."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request, actor: CurrentActor) -> None:
        """Refuse whoever does not hold the permission, and forged requests from other sites."""
        if not allowed(actor.role, self.permission):
            if not actor.signed_in:
                raise SignInRequired("Sign in to continue.")
            raise Forbidden("Your role does not allow this.")
        if request.method not in _SAFE_METHODS:
            if actor.credential != "bearer":
                check_origin(request)
            if actor.credential == "cookie":
                await check_token(request, actor)


def allow(permission: Permission) -> Any:
    """Declare the permission of a route; a test fails on a route that declares none."""
    return Depends(Allow(permission), scope="function")


class Opened:
    """Declares a route that anyone may read and that needs neither actor nor database."""

    async def __call__(self) -> None:
        """Nothing to check."""


def opened() -> Any:
    """Declare a route open to all: health, metrics, static files."""
    return Depends(Opened())


class AllowInside:
    """The permission of a route that checks it itself, in a transaction of its own.

    A socket outlives any transaction, so it cannot hold the one of a request; what devices pull
    wants one of another isolation.
    """

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self) -> None:
        """The route identifies its caller and asks ``allowed``."""


def allow_inside(permission: Permission) -> Any:
    """Declare the permission of a route that checks it in its own transaction."""
    return Depends(AllowInside(permission))
