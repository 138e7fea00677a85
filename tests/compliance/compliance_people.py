"""A small organisation made straight in the database, for tests below the pages."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from uuid import UUID

from classweave.core.database import Database
from classweave.core.identifiers import uuid7
from classweave.core.tenancy import Actor, Role
from classweave.directory.models import Organization, OrganizationKind, PersonRole, Student, User
from classweave.schema import ROOMS

# An erasure walks every room's declarations, so every room must have made them.
for room in ROOMS:
    importlib.import_module(f"classweave.{room}.personal_data")


@dataclass(frozen=True)
class Place:
    """One organisation, its administrator, a child and a student of age."""

    organization: UUID
    admin: Actor
    child: UUID
    adult: UUID


async def make_place(database: Database) -> Place:
    organization, user, child, adult = (uuid7() for _ in range(4))
    admin = Actor(
        role=Role.SCHOOL_ADMIN,
        id=user,
        organization=organization,
        organizations=(organization,),
        ip_address="192.0.2.7",
    )
    async with database.transaction(admin) as session:
        session.add(
            Organization(id=organization, kind=OrganizationKind.SCHOOL, name="Linden School")
        )
        await session.flush()
        session.add(
            User(
                id=user,
                organization_id=organization,
                role=PersonRole.SCHOOL_ADMIN,
                email=f"{user}@example.org",
                name="Office",
            )
        )
        session.add(
            Student(id=child, organization_id=organization, display_name="Ada", birth_year=2018)
        )
        session.add(
            Student(
                id=adult,
                organization_id=organization,
                display_name="Grace",
                birth_year=2004,
                email=f"{adult}@example.org",
            )
        )
    return Place(organization, admin, child, adult)
