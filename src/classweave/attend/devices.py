"""A teacher's devices: each has a token of its own, and can be signed out by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.models import Device, SyncMetadata
from classweave.attend.open_term import begin_use
from classweave.core import audit, clock
from classweave.core.database import driver_connection
from classweave.core.problems import Conflict, Invalid, NotFound
from classweave.core.secrets import new_token, token_hash
from classweave.core.tenancy import Actor
from classweave.core.text import clean
from classweave.directory.models import User

MOST = 20
"""Devices that one teacher can have at a time."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A new device, and its token: it is shown once and never stored."""

    device: Device
    token: str


async def register_device(
    session: AsyncSession, actor: Actor, name: str, platform: str | None
) -> Registered:
    """Let a device of the signed-in teacher synchronise.

    Raises :class:`~classweave.core.problems.Invalid` for a name that shows nothing, and
    :class:`~classweave.core.problems.Conflict` when there are :data:`MOST` already.
    """
    name = clean(name)
    if not 1 <= len(name) <= 80:
        raise Invalid("Give the device a name of at most 80 characters.")
    # One after another: two at once would both find room for one more.
    await session.get(User, actor.id, with_for_update={"key_share": True})
    if len(await devices_of(session, actor)) >= MOST:
        raise Conflict("These are too many devices: sign one out first.")
    await begin_use(await driver_connection(session), actor.home)
    token = new_token()
    device = Device(
        organization_id=actor.home, user_id=actor.id, name=name,
        platform=clean(platform or "")[:200] or None, token_hash=token_hash(token),
    )  # fmt: skip
    session.add(device)
    await session.flush()
    session.add(SyncMetadata(organization_id=actor.home, device_id=device.id))
    audit.record(
        session, "device.registered", resource="attend.device", resource_id=device.id,
        description="A device may take attendance",
    )  # fmt: skip
    return Registered(device, token)


async def devices_of(session: AsyncSession, actor: Actor) -> Sequence[Device]:
    """The actor's own devices that are not signed out, the newest first."""
    return list(
        await session.scalars(
            select(Device)
            .where(Device.user_id == actor.id, Device.revoked_at.is_(None))
            .order_by(Device.created_at.desc())
        )
    )


async def revoke_device(session: AsyncSession, actor: Actor, device_id: UUID) -> None:
    """Sign a device out; its next request is refused. Raises ``NotFound`` for another's."""
    device = await session.get(Device, device_id, with_for_update=True)
    if device is None or device.user_id != actor.id:
        raise NotFound("There is no such device.")
    if device.revoked_at is None:
        device.revoked_at = clock.now()
        audit.record(
            session, "device.revoked", resource="attend.device", resource_id=device.id,
            description="A device may no longer take attendance",
        )  # fmt: skip
