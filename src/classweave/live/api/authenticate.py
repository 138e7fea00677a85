"""A device in a session is known by its key: a cookie, or a bearer token for programs."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from classweave.core.secrets import token_hash
from classweave.core.tenancy import Actor, Role

COOKIE = "cw_device"

# One browser can hold a teacher's session and a device's key; these paths are the device's.
DEVICE_PATHS = ("/live/here", "/api/live/device", "/api/live/sound")


async def authenticate_device(connection: HTTPConnection, session: AsyncSession) -> Actor | None:
    """The device behind the connection, on the paths that devices use."""
    if not connection.url.path.startswith(DEVICE_PATHS):
        return None
    scheme, _, bearer = connection.headers.get("authorization", "").partition(" ")
    token = bearer.strip() if scheme.lower() == "bearer" else connection.cookies.get(COOKIE)
    if not token:
        return None
    found = (
        await session.execute(
            text("SELECT * FROM live.identify_device(:hash)"), {"hash": token_hash(token)}
        )
    ).one_or_none()
    if found is None:
        return None
    return Actor(
        role=Role.PARTICIPANT,
        id=found.participant_id,
        organization=found.organization_id,
        organizations=(found.organization_id,),
        session=found.participant_id,
        credential="bearer" if scheme.lower() == "bearer" else "cookie",
        person=found.student_id,
        name=found.display_name,
    )
