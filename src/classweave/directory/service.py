"""What other rooms need of the directory: who may see what, and new rows done right."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg import errors as pg
from sqlalchemy import exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import audit, clock
from classweave.core.database import act_as, actor_of
from classweave.core.identifiers import uuid7
from classweave.core.problems import Conflict, Forbidden, Invalid, NotFound
from classweave.core.tenancy import Actor, Role
from classweave.core.text import clean
from classweave.directory.ages import under_13
from classweave.directory.models import (
    ClassTeacher,
    Enrollment,
    Organization,
    OrganizationKind,
    OrganizationSetting,
    PersonRole,
    SchoolClass,
    Student,
    Teacher,
    User,
    UserStatus,
)
from classweave.directory.passwords import hash_password
from classweave.directory.regions import first_settings
from classweave.directory.roster import NewStudent, fold
from classweave.web.i18n import mark

# Neither 0 and O nor 1, I and L nor U and V can be mistaken for each other.
INVITE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
INVITE_LENGTH = 6

_ADMINS = frozenset({Role.SCHOOL_ADMIN, Role.DISTRICT_ADMIN, Role.PLATFORM_ADMIN, Role.SYSTEM})

_SCHOOL_ROLES = frozenset({PersonRole.TEACHER, PersonRole.CURRICULUM, PersonRole.STUDENT})
GRANTABLE: dict[Role, frozenset[PersonRole]] = {
    Role.SCHOOL_ADMIN: _SCHOOL_ROLES | {PersonRole.SCHOOL_ADMIN},
    Role.DISTRICT_ADMIN: _SCHOOL_ROLES | {PersonRole.SCHOOL_ADMIN, PersonRole.DISTRICT_ADMIN},
    Role.PLATFORM_ADMIN: frozenset(PersonRole),
    Role.SYSTEM: frozenset(PersonRole),
}
"""Which roles an administrator may give, and over whom they decide."""


def local_today(actor: Actor) -> date:
    """Today where the actor is."""
    return clock.now().astimezone(ZoneInfo(actor.timezone)).date()


def invalid(field: str, message: str) -> Invalid:
    """A refusal of one field."""
    return Invalid(message, errors=[{"field": field, "message": message}])


def require_name(value: str, field: str = "name", longest: int = 120) -> str:
    """``value`` cleaned; raises :class:`Invalid` when nothing or too much is left."""
    name = clean(value)
    if not name:
        raise invalid(field, mark("A name is needed."))
    if len(name) > longest:
        raise invalid(field, mark("This name is too long."))
    return name


# --- Access -----------------------------------------------------------------------------------
# The database shows no row of another organisation; these add what a role may see within one.


async def access_organization(
    session: AsyncSession, actor: Actor, organization_id: UUID
) -> Organization:
    """An organisation the actor may see: their own, or one below it for administrators."""
    found = await session.scalar(
        select(Organization).where(
            Organization.id == organization_id, Organization.deleted_at.is_(None)
        )
    )
    if found is None:
        raise NotFound(mark("There is no such organisation."))
    return found


async def access_class(session: AsyncSession, actor: Actor, class_id: UUID) -> SchoolClass:
    """A class the actor teaches or administers; raises :class:`NotFound` for any other."""
    wanted = select(SchoolClass).where(SchoolClass.id == class_id, SchoolClass.deleted_at.is_(None))
    if actor.role is Role.TEACHER:
        wanted = wanted.where(
            exists().where(ClassTeacher.class_id == class_id, ClassTeacher.user_id == actor.id)
        )
    found = None
    if actor.role is Role.TEACHER or actor.role in _ADMINS:
        found = await session.scalar(wanted)
    if found is None:
        raise NotFound(mark("There is no such class."))
    return found


async def access_student(session: AsyncSession, actor: Actor, student_id: UUID) -> Student:
    """A student of the actor's classes or school; raises :class:`NotFound` for any other.

    The caller audits what it reads or changes.
    """
    wanted = select(Student).where(Student.id == student_id, Student.deleted_at.is_(None))
    if actor.role is Role.TEACHER:
        wanted = wanted.where(
            exists().where(
                Enrollment.student_id == student_id,
                Enrollment.ends_on.is_(None),
                Enrollment.class_id == SchoolClass.id,
                SchoolClass.deleted_at.is_(None),
                ClassTeacher.class_id == SchoolClass.id,
                ClassTeacher.user_id == actor.id,
            )
        )
    found = None
    if actor.role is Role.TEACHER or actor.role in _ADMINS:
        found = await session.scalar(wanted)
    if found is None:
        raise NotFound(mark("There is no such student."))
    return found


async def class_roster(session: AsyncSession, actor: Actor, class_id: UUID) -> Sequence[Student]:
    """Today's students of a class by name; the reading is audited."""
    school_class = await access_class(session, actor, class_id)
    rows = await session.scalars(
        select(Student)
        .join(Enrollment, Enrollment.student_id == Student.id)
        .where(
            Enrollment.class_id == class_id,
            Enrollment.ends_on.is_(None),
            Student.deleted_at.is_(None),
        )
    )
    students = sorted(rows.all(), key=lambda s: (fold(s.display_name), s.id))
    if students:
        audit.record(
            session,
            "student.read",
            resource="class",
            resource_id=class_id,
            description="Read the list of a class",
            students=[s.id for s in students],
            organization=school_class.organization_id,
        )
    return students


# --- New rows ---------------------------------------------------------------------------------


async def create_organization(
    session: AsyncSession,
    *,
    name: str,
    kind: OrganizationKind,
    parent_id: UUID | None = None,
    timezone: str = "UTC",
    locale: str = "en",
    **details: Any,
) -> Organization:
    """Add an organisation below ``parent_id``, which the transaction's actor must see.

    ``details`` are further columns. From here on the transaction's actor sees the organisation;
    later ones see it as their role allows. Raises :class:`Conflict` when the parent cannot hold it.
    """
    actor = actor_of(session)
    if actor.role not in (Role.SYSTEM, Role.PLATFORM_ADMIN, Role.DISTRICT_ADMIN):
        raise Forbidden(mark("Your role does not allow this."))
    if parent_id is None and actor.role is not Role.SYSTEM:
        parent_id = actor.home
    if parent_id is not None:
        await access_organization(session, actor, parent_id)
    identifier = uuid7()
    seen = replace(
        actor,
        organization=actor.organization or identifier,
        organizations=(*actor.organizations, identifier),
    )
    await act_as(session, seen)
    made = Organization(
        id=identifier,
        name=require_name(name, longest=200),
        kind=kind,
        parent_id=parent_id,
        timezone=timezone,
        locale=locale,
        **details,
    )
    session.add(made)
    try:
        async with session.begin_nested():
            await session.flush()
    except IntegrityError as error:
        if isinstance(error.orig, pg.CheckViolation):
            raise Conflict(mark("This kind of organisation cannot stand here.")) from error
        raise
    session.add_all(
        OrganizationSetting(
            organization_id=identifier,
            setting_key=key,
            setting_value=value,
            setting_type=setting_type,
            description=description,
        )
        for key, value, setting_type, description in first_settings(made.region)
    )
    audit.record(
        session,
        "organization.created",
        resource="organization",
        resource_id=identifier,
        description=f"Added a {kind.value}",
        organization=identifier,
    )
    return made


async def create_user(
    session: AsyncSession,
    actor: Actor,
    *,
    role: PersonRole,
    name: str,
    email: str | None = None,
    organization_id: UUID | None = None,
    password: str | None = None,
    status: UserStatus = UserStatus.ACTIVE,
    **details: Any,
) -> User:
    """Add a person to ``organization_id`` (the actor's own by default).

    ``details`` are further columns of the user. Raises :class:`Forbidden` for a role that the
    actor may not give, :class:`Invalid` for an e-mail in use and :class:`Conflict` when the
    subscription has no place for another teacher.
    """
    if role not in GRANTABLE.get(actor.role, frozenset()):
        raise Forbidden(mark("You may not give this role."))
    home = await access_organization(session, actor, organization_id or actor.home)
    if (
        role is PersonRole.TEACHER
        and home.max_teachers is not None
        and home.current_teachers >= home.max_teachers
    ):
        raise Conflict(mark("The subscription has no place for another teacher."))
    made = User(
        organization_id=home.id,
        role=role,
        name=require_name(name, longest=200),
        email=clean(email) if email else None,
        password_hash=await hash_password(password) if password else None,
        status=status,
        **details,
    )
    session.add(made)
    try:
        async with session.begin_nested():
            await session.flush()
    except IntegrityError as error:
        if isinstance(error.orig, pg.UniqueViolation):
            raise invalid("email", mark("This e-mail address has an account already.")) from error
        if isinstance(error.orig, pg.CheckViolation):
            # The database's own guard of student accounts.
            message = mark("Of a student under 13 this is kept only with a parent’s consent.")
            raise invalid("email", message) from error
        raise
    if role is PersonRole.TEACHER:
        session.add(Teacher(user_id=made.id, organization_id=home.id))
    audit.record(
        session,
        "user.created",
        resource="user",
        resource_id=made.id,
        description=f"Added a person as {role.value}",
        organization=home.id,
    )
    return made


async def create_class(
    session: AsyncSession,
    actor: Actor,
    *,
    name: str,
    teacher_id: UUID | None = None,
    subject: str | None = None,
    grade_level: str | None = None,
    academic_term: str | None = None,
    language: str = "en",
) -> SchoolClass:
    """Add a class owned by ``teacher_id``: the actor, or a teacher the actor administers."""
    if actor.role is Role.TEACHER:
        if teacher_id not in (None, actor.id):
            raise Forbidden(mark("You may only make classes of your own."))
        teacher_id = actor.id
    teacher = await session.scalar(
        select(User).where(
            User.id == teacher_id,
            User.role == PersonRole.TEACHER,
            User.status != UserStatus.INACTIVE,
            User.deleted_at.is_(None),
        )
    )
    if teacher is None:
        raise invalid("teacher_id", mark("Choose who teaches the class."))
    made = SchoolClass(
        organization_id=teacher.organization_id,
        teacher_id=teacher.id,
        name=require_name(name),
        subject=subject,
        grade_level=grade_level,
        academic_term=academic_term,
        language=language,
        invite_code=new_invite_code(),
        created_by=actor.id,
        updated_by=actor.id,
    )
    session.add(made)
    # 30^6 codes: a clash is one in millions, and the unique constraint turns it into an error.
    await session.flush()
    audit.record(
        session,
        "class.created",
        resource="class",
        resource_id=made.id,
        description="Added a class",
        organization=made.organization_id,
    )
    return made


def new_invite_code() -> str:
    """A code for a class that can be read aloud and typed without doubt."""
    return "".join(secrets.choice(INVITE_ALPHABET) for _ in range(INVITE_LENGTH))


async def add_students(
    session: AsyncSession,
    actor: Actor,
    class_id: UUID,
    rows: Sequence[NewStudent],
    *,
    ages_verified: bool = False,
) -> list[Student]:
    """Add new students to the school and enrol them from today, in the order of ``rows``.

    ``ages_verified``: the teacher says that those whose year of birth leaves it open are 13 or
    older. Of a student under 13 neither family name nor e-mail is kept; a consent recorded later
    allows them.
    """
    school_class = await access_class(session, actor, class_id)
    if school_class.archived_at is not None:
        raise Conflict(mark("This class is archived. Restore it first."))
    taken = {s.display_name for s in await class_roster(session, actor, class_id)}
    made: list[Student] = []
    for row in rows:
        child = under_13(row.birth_year, ages_verified, clock.now().year)
        made.append(
            Student(
                id=uuid7(),
                organization_id=school_class.organization_id,
                display_name=_distinct(row.display_name, taken),
                given_name=row.given_name,
                family_name=None if child else row.family_name,
                preferred_name=row.preferred_name,
                email=None if child else row.email,
                grade_level=row.grade_level or school_class.grade_level,
                birth_year=row.birth_year,
                teacher_verified_age=ages_verified,
            )
        )
    session.add_all(made)
    await session.flush()
    session.add_all(
        Enrollment(
            organization_id=school_class.organization_id,
            class_id=class_id,
            student_id=student.id,
            starts_on=local_today(actor),
        )
        for student in made
    )
    await session.flush()
    if made:
        audit.record(
            session,
            "student.created",
            resource="class",
            resource_id=class_id,
            description="Added students to a class",
            students=[s.id for s in made],
            organization=school_class.organization_id,
        )
    return made


def _distinct(name: str, taken: set[str]) -> str:
    """``name``, numbered if a classmate has it already; the result counts as taken."""
    chosen, number = name, 2
    while chosen in taken:
        chosen, number = f"{name} ({number})", number + 1
    taken.add(chosen)
    return chosen
