"""Reads who is signed in from a request's cookie or bearer token."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from classweave.core.tenancy import Actor
from classweave.directory.sign_in import identify_token

COOKIE = "cw_session"


async def authenticate(connection: HTTPConnection, session: AsyncSession) -> Actor | None:
    """The person behind the connection. A bearer token, where there is one, is what counts."""
    scheme, _, bearer = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        found = await identify_token(session, bearer.strip(), "bearer")
    elif COOKIE in connection.cookies:
        found = await identify_token(session, connection.cookies[COOKIE], "cookie")
    else:
        return None
    if found is None:
        return None
    connection.state.organization_name = found.organization_name
    return found.actor
