"""Administrators: people and their roles, an organisation's details and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import audit
from classweave.core.jobs import enqueue
from classweave.core.problems import Conflict, Forbidden, Invalid, NotFound
from classweave.core.tenancy import Actor
from classweave.directory.jobs import mail_invitation
from classweave.directory.models import (
    ClassTeacher,
    Organization,
    OrganizationSetting,
    PersonRole,
    SettingType,
    Teacher,
    User,
    UserStatus,
)
from classweave.directory.service import (
    GRANTABLE,
    access_organization,
    create_user,
    invalid,
    require_name,
)
from classweave.directory.sign_in import revoke_all_sessions
from classweave.web.i18n import mark


async def list_people(session: AsyncSession, actor: Actor, organization_id: UUID) -> Sequence[User]:
    """The staff of one organisation, by name."""
    await access_organization(session, actor, organization_id)
    rows = await session.scalars(
        select(User)
        .where(
            User.organization_id == organization_id,
            User.role != PersonRole.STUDENT,
            User.deleted_at.is_(None),
        )
        .order_by(func.lower(User.name), User.id)
    )
    return rows.all()


async def access_person(session: AsyncSession, actor: Actor, user_id: UUID) -> User:
    """A person over whom the actor decides; raises :class:`NotFound` for anybody else."""
    found = await session.scalar(select(User).where(User.id == user_id, User.deleted_at.is_(None)))
    if found is None or found.role not in GRANTABLE.get(actor.role, frozenset()):
        raise NotFound(mark("There is no such person."))
    return found


async def invite_person(
    session: AsyncSession,
    actor: Actor,
    *,
    organization_id: UUID,
    role: PersonRole,
    name: str,
    email: str,
    **details: Any,
) -> User:
    """Add a member of staff and mail them a link to choose a password."""
    if "@" not in email.strip("@ "):
        raise invalid("email", mark("This is not an e-mail address."))
    user = await create_user(
        session,
        actor,
        organization_id=organization_id,
        role=role,
        name=name,
        email=email,
        status=UserStatus.INVITED,
        **details,
    )
    await enqueue(
        session,
        mail_invitation,
        user_id=str(user.id),
        organization_id=str(user.organization_id),
    )
    return user


async def set_status(session: AsyncSession, actor: Actor, user_id: UUID, *, active: bool) -> User:
    """Let a person sign in, or stop them: their sessions end at once."""
    user = await access_person(session, actor, user_id)
    if user.id == actor.id:
        raise Conflict(mark("You cannot deactivate your own account."))
    user.status = (
        UserStatus.INACTIVE
        if not active
        else UserStatus.ACTIVE
        if user.last_login
        else UserStatus.INVITED
    )
    if not active:
        await revoke_all_sessions(session, user.id)
    _record(session, user, "user.activated" if active else "user.deactivated", "Changed a status")
    return user


async def set_role(session: AsyncSession, actor: Actor, user_id: UUID, role: PersonRole) -> User:
    """Give a member of staff another role, one that the actor may give."""
    user = await access_person(session, actor, user_id)
    if user.id == actor.id:
        raise Conflict(mark("You cannot change your own role."))
    if role not in GRANTABLE.get(actor.role, frozenset()) or PersonRole.STUDENT in (
        role,
        user.role,
    ):
        raise Forbidden(mark("You may not give this role."))
    if user.role is PersonRole.TEACHER and role is not PersonRole.TEACHER:
        taught = await session.scalar(select(func.count()).where(ClassTeacher.user_id == user.id))
        if taught:
            raise Conflict(mark("This person teaches classes. Give them to another teacher first."))
    user.role = role
    if role is PersonRole.TEACHER:
        await session.execute(
            insert(Teacher)
            .values(user_id=user.id, organization_id=user.organization_id)
            .on_conflict_do_nothing()
        )
    # What an open page may do must not outlive the role.
    await revoke_all_sessions(session, user.id)
    _record(session, user, "user.role_changed", f"Gave the role {role.value}")
    return user


async def allow_link(session: AsyncSession, actor: Actor, user_id: UUID) -> User:
    """Note that the actor makes a sign-in link for a person, and return the person."""
    user = await access_person(session, actor, user_id)
    if user.status is UserStatus.INACTIVE:
        raise Conflict(mark("This account is deactivated."))
    _record(session, user, "sign_in.link_made", "Made a one-time sign-in link for a person")
    return user


async def organizations_below(session: AsyncSession, parent_id: UUID) -> Sequence[Organization]:
    """The visible organisations right below ``parent_id``, by name."""
    rows = await session.scalars(
        select(Organization)
        .where(Organization.parent_id == parent_id, Organization.deleted_at.is_(None))
        .order_by(func.lower(Organization.name), Organization.id)
    )
    return rows.all()


ORGANIZATION_EDITABLE = (
    "name",
    "state",
    "region",
    "superintendent_name",
    "contact_email",
    "contact_phone",
    "website",
    "domain",
    "admin_email",
    "data_retention_days",
    "timezone",
    "locale",
)


async def update_organization(
    session: AsyncSession, actor: Actor, organization_id: UUID, changes: Mapping[str, Any]
) -> Organization:
    """Set any of :data:`ORGANIZATION_EDITABLE`; the subscription is not the school's to change."""
    organization = await access_organization(session, actor, organization_id)
    for name, value in changes.items():
        if name not in ORGANIZATION_EDITABLE:
            raise KeyError(name)
        setattr(organization, name, require_name(value, longest=200) if name == "name" else value)
    audit.record(
        session,
        "organization.updated",
        resource="organization",
        resource_id=organization_id,
        description="Changed an organisation",
        data_accessed={"fields": sorted(changes)},
        organization=organization_id,
    )
    return organization


async def list_settings(
    session: AsyncSession, actor: Actor, organization_id: UUID
) -> Sequence[OrganizationSetting]:
    """An organisation's own settings, by key."""
    await access_organization(session, actor, organization_id)
    rows = await session.scalars(
        select(OrganizationSetting)
        .where(OrganizationSetting.organization_id == organization_id)
        .order_by(OrganizationSetting.setting_key)
    )
    return rows.all()


async def change_setting(
    session: AsyncSession, actor: Actor, organization_id: UUID, key: str, value: str
) -> OrganizationSetting:
    """Set an existing setting; raises :class:`Invalid` when ``value`` is not of its type."""
    await access_organization(session, actor, organization_id)
    found = await session.scalar(
        select(OrganizationSetting).where(
            OrganizationSetting.organization_id == organization_id,
            OrganizationSetting.setting_key == key,
        )
    )
    if found is None:
        raise NotFound(mark("There is no such setting."))
    if not found.is_editable:
        raise Forbidden(mark("This setting is decided by the operator."))
    _check_type(key, value, found.setting_type)
    found.setting_value = value
    audit.record(
        session,
        "organization.setting_changed",
        resource="organization",
        resource_id=organization_id,
        description=f"Changed the setting {key}",
        organization=organization_id,
    )
    return found


def _check_type(key: str, value: str, kind: SettingType) -> None:
    right = {
        SettingType.BOOLEAN: value in ("true", "false"),
        SettingType.INTEGER: value.removeprefix("-").isdecimal(),
    }.get(kind, True)
    if not right:
        raise Invalid(
            mark("This value does not suit the setting."),
            errors=[{"field": key, "message": mark("This value does not suit the setting.")}],
        )


def _record(session: AsyncSession, user: User, event: str, description: str) -> None:
    audit.record(
        session,
        event,
        resource="user",
        resource_id=user.id,
        description=description,
        organization=user.organization_id,
    )
