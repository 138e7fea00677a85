"""The first administrator of a new installation."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select, text

from classweave.core.database import Database, act_as
from classweave.core.tenancy import system_actor
from classweave.directory.models import OrganizationKind, PersonRole, User
from classweave.directory.service import create_organization, create_user
from classweave.directory.sign_in import create_sign_in_link

FIRST_LINK_VALID = timedelta(days=1)
FIRST_EMAIL = "administrator@localhost"


async def first_administrator_link(database: Database, key: bytes, base_url: str) -> str | None:
    """A link that signs in the first administrator, for as long as nobody ever signed in.

    Makes the root of the tree and its platform administrator on the first call. ``None`` once
    somebody has signed in: from then on administrators invite each other.
    """
    async with database.transaction(system_actor()) as session:
        await session.execute(
            text("SELECT pg_advisory_xact_lock(hashtext('classweave.first_administrator'))")
        )
        found = await session.execute(text("SELECT id FROM directory.all_organizations() LIMIT 2"))
        organizations = [row.id for row in found]
        if not organizations:
            root = await create_organization(
                session, name="Classweave", kind=OrganizationKind.DISTRICT
            )
            user = await create_user(
                session,
                system_actor(root.id),
                role=PersonRole.PLATFORM_ADMIN,
                name="Administrator",
                email=FIRST_EMAIL,
            )
            return create_sign_in_link(key, base_url, user, valid=FIRST_LINK_VALID)
        if len(organizations) > 1:
            return None
        await act_as(session, system_actor(*organizations))
        sign_ins = await session.scalar(select(func.sum(User.login_count)))
        administrator = await session.scalar(
            select(User).where(User.role == PersonRole.PLATFORM_ADMIN).limit(1)
        )
        if sign_ins or administrator is None:
            return None
        return create_sign_in_link(key, base_url, administrator, valid=FIRST_LINK_VALID)
