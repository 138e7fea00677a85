"""Devices as JSON: register, list, sign out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from classweave.attend.devices import devices_of, register_device, revoke_device
from classweave.attend.ids import DeviceId
from classweave.core.permissions import Permission
from classweave.web.body import Body
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/api/attend/devices", tags=["attend: devices"])
TAKE = [allow(Permission.ATTEND_TAKE)]


class DeviceIn(Body):
    """A device to register."""

    name: Annotated[str, Field(max_length=400)] = "Device"
    platform: Annotated[str | None, Field(max_length=400)] = None


class DeviceOut(Body):
    """A device."""

    id: DeviceId
    name: str
    platform: str | None
    created_at: datetime


class RegisteredOut(DeviceOut):
    """A device with its token, which is shown only now."""

    token: str


@router.post("", dependencies=TAKE, status_code=201)
async def register(session: Transaction, actor: CurrentActor, body: DeviceIn) -> RegisteredOut:
    """Give a device of one's own a token."""
    made = await register_device(session, actor, body.name, body.platform)
    return RegisteredOut(
        id=made.device.id, name=made.device.name, platform=made.device.platform,
        created_at=made.device.created_at, token=made.token,
    )  # fmt: skip


@router.get("", dependencies=TAKE)
async def own_devices(session: Transaction, actor: CurrentActor) -> list[DeviceOut]:
    """One's own devices."""
    return [
        DeviceOut(id=d.id, name=d.name, platform=d.platform, created_at=d.created_at)
        for d in await devices_of(session, actor)
    ]


@router.delete("/{device}", dependencies=TAKE, status_code=204)
async def revoke(session: Transaction, actor: CurrentActor, device: DeviceId) -> None:
    """Sign a device out."""
    await revoke_device(session, actor, device)
