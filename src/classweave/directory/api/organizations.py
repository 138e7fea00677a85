"""Organisations, their settings and their people."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import StringConstraints

from classweave.core.permissions import Permission
from classweave.directory import manage_people, service
from classweave.directory.api.schemas import Body, Email, Out, Text, UserOut
from classweave.directory.ids import OrganizationId, UserId
from classweave.directory.models import (
    OrganizationKind,
    PersonRole,
    SettingType,
    SubscriptionStatus,
    SubscriptionTier,
)
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/api/directory", tags=["directory"])


class OrganizationOut(Out):
    """An organisation; counts include those below it."""

    id: OrganizationId
    parent_id: OrganizationId | None
    kind: OrganizationKind
    name: str
    state: str | None
    region: str | None
    timezone: str
    locale: str
    student_count: int
    teacher_count: int
    school_count: int
    subscription_tier: SubscriptionTier
    subscription_status: SubscriptionStatus
    max_teachers: int | None
    data_retention_days: int
    is_active: bool


class OrganizationIn(Body):
    """A new organisation below ``parent_id``, by default the caller's own."""

    name: Text
    kind: OrganizationKind
    parent_id: OrganizationId | None = None
    region: Annotated[str, StringConstraints(max_length=20)] | None = None
    timezone: str = "UTC"
    locale: str = "en"


class SettingOut(Out):
    """One setting."""

    setting_key: str
    setting_value: str
    setting_type: SettingType
    description: str
    is_editable: bool


class SettingIn(Body):
    """A setting's new value, as text."""

    setting_value: Annotated[str, StringConstraints(max_length=2000)]


class PersonIn(Body):
    """A member of staff to invite."""

    role: PersonRole
    name: Text
    email: Email


class PersonChange(Body):
    """Another role, or whether the person may sign in."""

    role: PersonRole | None = None
    active: bool | None = None


@router.get("/organizations/{organization_id}", dependencies=[allow(Permission.ORGANIZATION_READ)])
async def read_organization(
    session: Transaction, actor: CurrentActor, organization_id: OrganizationId
) -> OrganizationOut:
    """One organisation."""
    return OrganizationOut.of(await service.access_organization(session, actor, organization_id))


@router.get(
    "/organizations/{organization_id}/organizations",
    dependencies=[allow(Permission.ORGANIZATION_MANAGE)],
)
async def list_organizations(
    session: Transaction, actor: CurrentActor, organization_id: OrganizationId
) -> list[OrganizationOut]:
    """The organisations right below one."""
    await service.access_organization(session, actor, organization_id)
    found = await manage_people.organizations_below(session, organization_id)
    return [OrganizationOut.of(organization) for organization in found]


@router.post(
    "/organizations", status_code=201, dependencies=[allow(Permission.ORGANIZATION_MANAGE)]
)
async def create_organization(
    session: Transaction, actor: CurrentActor, body: OrganizationIn
) -> OrganizationOut:
    """Add a school to a district, a faculty to a university."""
    return OrganizationOut.of(await service.create_organization(session, **dict(body)))


@router.get(
    "/organizations/{organization_id}/settings",
    dependencies=[allow(Permission.ORGANIZATION_READ)],
)
async def list_settings(
    session: Transaction, actor: CurrentActor, organization_id: OrganizationId
) -> list[SettingOut]:
    """An organisation's settings."""
    found = await manage_people.list_settings(session, actor, organization_id)
    return [SettingOut.of(setting) for setting in found]


@router.put(
    "/organizations/{organization_id}/settings/{key}",
    dependencies=[allow(Permission.ORGANIZATION_MANAGE)],
)
async def change_setting(
    session: Transaction,
    actor: CurrentActor,
    organization_id: OrganizationId,
    key: str,
    body: SettingIn,
) -> SettingOut:
    """Change a setting."""
    return SettingOut.of(
        await manage_people.change_setting(session, actor, organization_id, key, body.setting_value)
    )


@router.get(
    "/organizations/{organization_id}/people", dependencies=[allow(Permission.PEOPLE_MANAGE)]
)
async def list_people(
    session: Transaction, actor: CurrentActor, organization_id: OrganizationId
) -> list[UserOut]:
    """The staff of an organisation."""
    found = await manage_people.list_people(session, actor, organization_id)
    return [UserOut.of(user) for user in found]


@router.post(
    "/organizations/{organization_id}/people",
    status_code=201,
    dependencies=[allow(Permission.PEOPLE_MANAGE)],
)
async def invite_person(
    session: Transaction, actor: CurrentActor, organization_id: OrganizationId, body: PersonIn
) -> UserOut:
    """Invite a member of staff by e-mail."""
    return UserOut.of(
        await manage_people.invite_person(
            session, actor, organization_id=organization_id, **dict(body)
        )
    )


@router.patch("/people/{user_id}", dependencies=[allow(Permission.PEOPLE_MANAGE)])
async def change_person(
    session: Transaction, actor: CurrentActor, user_id: UserId, body: PersonChange
) -> UserOut:
    """Give another role, or stop a person from signing in."""
    user = await manage_people.access_person(session, actor, user_id)
    if body.role is not None:
        user = await manage_people.set_role(session, actor, user_id, body.role)
    if body.active is not None:
        user = await manage_people.set_status(session, actor, user_id, active=body.active)
    return UserOut.of(user)
