"""The demo school in a database: made once, found again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance.consent import Evidence, record_consents
from classweave.compliance.models import ConsentKind, ConsentMethod, ConsentState
from classweave.core.database import Database
from classweave.core.tenancy import ANONYMOUS, Actor, Role, system_actor
from classweave.demonstration.seed_attendance import seed_attendance
from classweave.directory.models import (
    Organization,
    OrganizationKind,
    PersonRole,
    SchoolClass,
    Student,
    User,
)
from classweave.directory.roster import NewStudent
from classweave.directory.service import (
    add_students,
    create_class,
    create_organization,
    create_user,
    local_today,
)
from classweave.directory.sign_in import start_session
from classweave.live.demo.lesson import DemoSchool, DemoStaff, DemoStudent

_KINDS = {
    "participation": ConsentKind.TAKE_PART,
    "recording": ConsentKind.RECORDING,
    "analysis": ConsentKind.ANALYSIS,
}


@dataclass(frozen=True, slots=True)
class SeededSchool:
    """The demo school as it stands. ``students`` maps the lesson's keys to rows."""

    organization: UUID
    teacher: User
    administrator: User
    student: User
    class_id: UUID
    students: dict[str, UUID]

    @property
    def teacher_actor(self) -> Actor:
        """The teacher, as the author of a transaction."""
        return Actor(
            role=Role.TEACHER,
            id=self.teacher.id,
            organization=self.organization,
            organizations=(self.organization,),
        )


async def seed_school(database: Database, plan: DemoSchool) -> SeededSchool:
    """Make the demo school, or find the one that an earlier run made."""
    async with database.transaction(system_actor()) as session:
        known = await session.scalars(text("SELECT id FROM directory.all_organizations()"))
        organizations = tuple(known)
    everywhere = Actor(role=Role.SYSTEM, organizations=organizations)
    async with database.transaction(everywhere) as session:
        school_id = await session.scalar(
            select(Organization.id).where(Organization.name == plan.school)
        )
    if school_id is None:
        school_id = await _make(database, plan)
    return await _find(database, plan, school_id)


async def _make(database: Database, plan: DemoSchool) -> UUID:
    async with database.transaction(system_actor()) as session:
        district = await create_organization(
            session, name=plan.district, kind=OrganizationKind.DISTRICT
        )
        school = await create_organization(
            session, name=plan.school, kind=OrganizationKind.SCHOOL, parent_id=district.id
        )
    system = system_actor(school.id, district.id)
    async with database.transaction(system) as session:
        teacher = await create_user(
            session, system, role=PersonRole.TEACHER, **_staff(plan.teacher)
        )
        await create_user(
            session, system, role=PersonRole.SCHOOL_ADMIN, **_staff(plan.administrator)
        )
        first = plan.students[0]
        account = await create_user(
            session, system, role=PersonRole.STUDENT, name=f"{first.given_name} {first.family_name}"
        )
        account_id = account.id
    actor = Actor(
        role=Role.TEACHER, id=teacher.id, organization=school.id, organizations=(school.id,)
    )
    async with database.transaction(actor) as session:
        made = await create_class(
            session, actor, name=plan.class_name, subject=plan.subject, grade_level=plan.grade
        )
        rows = [
            NewStudent(s.given_name, s.family_name, birth_year=s.birth_year) for s in plan.students
        ]
        students = await add_students(session, actor, made.id, rows, ages_verified=True)
        students[0].user_id = account_id
        await session.flush()
        for student, planned in zip(students, plan.students, strict=True):
            await _record_consents(session, actor, student, planned)
    ids = [student.id for student in students]
    await seed_attendance(database, actor, made.id, ids, local_today(actor))
    return school.id


def _staff(person: DemoStaff) -> dict[str, Any]:
    return {
        "name": f"{person.title} {person.given_name} {person.family_name}",
        "given_name": person.given_name,
        "family_name": person.family_name,
        "email": person.email,
    }


async def _record_consents(
    session: AsyncSession, actor: Actor, student: Student, plan: DemoStudent
) -> None:
    for purpose, state in plan.consent.items():
        await record_consents(
            session,
            actor,
            [student.id],
            [_KINDS[purpose]],
            ConsentState(state),
            Evidence(method=ConsentMethod.PAPER_FORM, parent_name="A parent of the demo school"),
        )


async def _find(database: Database, plan: DemoSchool, school_id: UUID) -> SeededSchool:
    async with database.transaction(system_actor(school_id)) as session:
        users = {
            user.role: user
            for user in await session.scalars(
                select(User).where(User.organization_id == school_id).order_by(User.created_at)
            )
        }
        class_id = await session.scalar(
            select(SchoolClass.id).where(
                SchoolClass.organization_id == school_id, SchoolClass.name == plan.class_name
            )
        )
        assert class_id is not None
        rows = list(
            await session.scalars(select(Student).where(Student.organization_id == school_id))
        )
    by_name = {(row.given_name, row.family_name): row.id for row in rows}
    return SeededSchool(
        organization=school_id,
        teacher=users[PersonRole.TEACHER],
        administrator=users[PersonRole.SCHOOL_ADMIN],
        student=users[PersonRole.STUDENT],
        class_id=class_id,
        students={
            planned.key: by_name[planned.given_name, planned.family_name]
            for planned in plan.students
        },
    )


async def bearer_token(database: Database, user: User) -> str:
    """A signed-in session of ``user`` for a program."""
    async with database.transaction(ANONYMOUS) as session:
        return (await start_session(session, ANONYMOUS, user.id, user.organization_id)).token
