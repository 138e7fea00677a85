"""Complete schools for tests, made through the rooms' own functions."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import httpx
from fastapi import FastAPI

from classweave.compliance.consent import Evidence, record_consents
from classweave.compliance.models import ConsentKind, ConsentMethod, ConsentState
from classweave.core.database import Database
from classweave.core.identifiers import encode
from classweave.core.tenancy import ANONYMOUS, Actor, Role, system_actor
from classweave.directory.models import OrganizationKind, PersonRole
from classweave.directory.roster import NewStudent
from classweave.directory.service import (
    add_students,
    create_class,
    create_organization,
    create_user,
)
from classweave.directory.sign_in import start_session

NAMES = ("Ada", "Ben", "Chloé", "Dmitri", "Eun-ji", "فاطمة", "Gwen", "Hugo 🎈")


@dataclass(frozen=True)
class School:
    """One school with an administrator, a teacher, a class and eight consenting students."""

    database: Database
    app: FastAPI
    organization_id: UUID
    admin_id: UUID
    teacher_id: UUID
    class_id: UUID
    student_ids: tuple[UUID, ...]

    def actor(self, role: Role) -> Actor:
        """The administrator or the teacher as the database sees them."""
        person = {Role.TEACHER: self.teacher_id, Role.SCHOOL_ADMIN: self.admin_id}[role]
        return Actor(
            role=role,
            id=person,
            organization=self.organization_id,
            organizations=(self.organization_id,),
        )

    @property
    def teacher(self) -> Actor:
        return self.actor(Role.TEACHER)

    @property
    def admin(self) -> Actor:
        return self.actor(Role.SCHOOL_ADMIN)

    async def token(self, user_id: UUID) -> str:
        """A bearer token of a signed-in person."""
        async with self.database.transaction(ANONYMOUS) as session:
            signed = await start_session(session, ANONYMOUS, user_id, self.organization_id)
            return signed.token

    async def sign_in(self, role: Role = Role.TEACHER) -> httpx.AsyncClient:
        """A program signed in as the teacher (or administrator) by bearer token."""
        person = {Role.TEACHER: self.teacher_id, Role.SCHOOL_ADMIN: self.admin_id}[role]
        return self.program(await self.token(person))

    def program(self, token: str | None = None) -> httpx.AsyncClient:
        """A program with (or without) a bearer token; close it with ``aclose``."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://testserver",
            headers={"authorization": f"Bearer {token}"} if token else {},
        )

    def student(self, index: int) -> str:
        """The public id of a student."""
        return encode("student", self.student_ids[index])

    async def consent(
        self,
        kinds: Sequence[ConsentKind],
        state: ConsentState = ConsentState.GIVEN,
        students: Sequence[UUID] | None = None,
    ) -> None:
        """Record a decision of families."""
        async with self.database.transaction(self.teacher) as session:
            await record_consents(
                session,
                self.teacher,
                self.student_ids if students is None else students,
                kinds,
                state,
                Evidence(method=ConsentMethod.PAPER_FORM, parent_name="A Parent"),
            )


async def make_school(database: Database, app: FastAPI) -> School:
    """A school that no other test uses."""
    tag = secrets.token_hex(4)
    async with database.transaction(system_actor()) as session:
        organization = await create_organization(
            session, name=f"School {tag}", kind=OrganizationKind.SCHOOL
        )
    system = system_actor(organization.id)
    async with database.transaction(system) as session:
        admin = await create_user(
            session,
            system,
            role=PersonRole.SCHOOL_ADMIN,
            name="Admin",
            email=f"a-{tag}@test.invalid",
        )
        teacher = await create_user(
            session, system, role=PersonRole.TEACHER, name="Teacher", email=f"t-{tag}@test.invalid"
        )
    school = School(database, app, organization.id, admin.id, teacher.id, UUID(int=0), ())
    async with database.transaction(school.teacher) as session:
        made = await create_class(session, school.teacher, name="8B Science")
        students = await add_students(
            session,
            school.teacher,
            made.id,
            [NewStudent(given_name=name, birth_year=2010) for name in NAMES],
        )
    school = replace(school, class_id=made.id, student_ids=tuple(s.id for s in students))
    await school.consent([ConsentKind.TAKE_PART, ConsentKind.RECORDING, ConsentKind.ANALYSIS])
    return school
