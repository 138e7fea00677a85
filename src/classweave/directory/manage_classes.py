"""Classes: listed, changed, archived, shared with a co-teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import audit, clock
from classweave.core.problems import Conflict, Forbidden, NotFound
from classweave.core.tenancy import Actor, Role
from classweave.directory.models import (
    ClassRole,
    ClassTeacher,
    Enrollment,
    Organization,
    PersonRole,
    SchoolClass,
    User,
    UserStatus,
)
from classweave.directory.service import (
    access_class,
    invalid,
    new_invite_code,
    require_name,
)
from classweave.web.i18n import mark


@dataclass(frozen=True, slots=True)
class ClassOverview:
    """A class as lists show it."""

    school_class: SchoolClass
    teacher_name: str
    organization_name: str
    students: int


async def list_classes(
    session: AsyncSession, actor: Actor, *, archived: bool = False
) -> Sequence[ClassOverview]:
    """The classes the actor teaches or administers, by name."""
    students = (
        select(func.count())
        .where(Enrollment.class_id == SchoolClass.id, Enrollment.ends_on.is_(None))
        .scalar_subquery()
    )
    wanted = (
        select(SchoolClass, User.name, Organization.name, students)
        .join(User, User.id == SchoolClass.teacher_id)
        .join(Organization, Organization.id == SchoolClass.organization_id)
        .where(
            SchoolClass.deleted_at.is_(None),
            SchoolClass.archived_at.is_not(None) if archived else SchoolClass.archived_at.is_(None),
        )
        .order_by(func.lower(SchoolClass.name), SchoolClass.id)
    )
    if actor.role is Role.TEACHER:
        wanted = wanted.where(
            SchoolClass.id.in_(
                select(ClassTeacher.class_id).where(ClassTeacher.user_id == actor.id)
            )
        )
    rows = await session.execute(wanted)
    return [ClassOverview(*row) for row in rows]


async def class_teachers(session: AsyncSession, class_id: UUID) -> Sequence[tuple[User, ClassRole]]:
    """Who teaches a class, its owner first."""
    rows = await session.execute(
        select(User, ClassTeacher.role)
        .join(ClassTeacher, ClassTeacher.user_id == User.id)
        .where(ClassTeacher.class_id == class_id)
        .order_by(ClassTeacher.role, User.name)
    )
    return [(user, role) for user, role in rows]


async def available_teachers(session: AsyncSession) -> Sequence[User]:
    """Teachers of the visible organisations who can be given a class, by name."""
    rows = await session.scalars(
        select(User)
        .where(
            User.role == PersonRole.TEACHER,
            User.status != UserStatus.INACTIVE,
            User.deleted_at.is_(None),
        )
        .order_by(func.lower(User.name), User.id)
    )
    return rows.all()


EDITABLE = ("name", "subject", "grade_level", "academic_term", "language")


async def update_class(
    session: AsyncSession, actor: Actor, class_id: UUID, changes: Mapping[str, Any]
) -> SchoolClass:
    """Set any of :data:`EDITABLE`; raises :class:`Invalid` for an empty name."""
    school_class = await access_class(session, actor, class_id)
    for name, value in changes.items():
        if name not in EDITABLE:
            raise KeyError(name)
        setattr(school_class, name, require_name(value) if name == "name" else value)
    school_class.updated_by = actor.id
    _record(session, school_class, "class.updated", "Changed a class")
    return school_class


async def archive_class(
    session: AsyncSession, actor: Actor, class_id: UUID, *, archived: bool
) -> SchoolClass:
    """Put a class away at the end of its time, or take it out again. Nothing is deleted."""
    school_class = await access_class(session, actor, class_id)
    if (school_class.archived_at is not None) != archived:
        school_class.archived_at = clock.now() if archived else None
        school_class.updated_by = actor.id
        event = "class.archived" if archived else "class.restored"
        _record(session, school_class, event, "Archived or restored a class")
    return school_class


async def renew_invite_code(session: AsyncSession, actor: Actor, class_id: UUID) -> SchoolClass:
    """Give a class a new code; the old one stops working at once."""
    school_class = await access_class(session, actor, class_id)
    school_class.invite_code = new_invite_code()
    _record(session, school_class, "class.code_renewed", "Renewed the invite code")
    return school_class


async def add_co_teacher(
    session: AsyncSession, actor: Actor, class_id: UUID, email: str
) -> SchoolClass:
    """Share a class with another teacher of the same school, found by e-mail."""
    school_class = await _owned_class(session, actor, class_id)
    teacher = await session.scalar(
        select(User).where(
            func.lower(User.email) == email.strip().lower(),
            User.organization_id == school_class.organization_id,
            User.role == PersonRole.TEACHER,
            User.status != UserStatus.INACTIVE,
            User.deleted_at.is_(None),
        )
    )
    if teacher is None:
        raise invalid("email", mark("No teacher of this school has this e-mail address."))
    await session.execute(
        insert(ClassTeacher)
        .values(
            organization_id=school_class.organization_id,
            class_id=class_id,
            user_id=teacher.id,
            role=ClassRole.CO,
        )
        .on_conflict_do_nothing()
    )
    _record(session, school_class, "class.shared", "Shared a class with a co-teacher")
    return school_class


async def remove_co_teacher(
    session: AsyncSession, actor: Actor, class_id: UUID, user_id: UUID
) -> SchoolClass:
    """Stop sharing a class with ``user_id``; the owner cannot be removed."""
    school_class = await _owned_class(session, actor, class_id)
    if user_id == school_class.teacher_id:
        raise Conflict(mark("The owner of a class cannot be removed from it."))
    removed = await session.scalar(
        delete(ClassTeacher)
        .where(ClassTeacher.class_id == class_id, ClassTeacher.user_id == user_id)
        .returning(ClassTeacher.user_id)
    )
    if removed is None:
        raise NotFound(mark("This person does not teach the class."))
    _record(session, school_class, "class.unshared", "Removed a co-teacher")
    return school_class


async def _owned_class(session: AsyncSession, actor: Actor, class_id: UUID) -> SchoolClass:
    school_class = await access_class(session, actor, class_id)
    if actor.role is Role.TEACHER and school_class.teacher_id != actor.id:
        raise Forbidden(mark("Only the owner of a class may share it."))
    return school_class


def _record(session: AsyncSession, school_class: SchoolClass, event: str, description: str) -> None:
    audit.record(
        session,
        event,
        resource="class",
        resource_id=school_class.id,
        description=description,
        organization=school_class.organization_id,
    )
