"""One student's record: read, corrected, moved to another class, taken out of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import audit, clock
from classweave.core.problems import Conflict, NotFound
from classweave.core.tenancy import Actor
from classweave.directory.ages import under_13
from classweave.directory.models import (
    Enrollment,
    EnrollmentStatus,
    SchoolClass,
    Student,
)
from classweave.directory.service import (
    access_class,
    access_student,
    invalid,
    local_today,
    require_name,
)
from classweave.web.i18n import mark

EDITABLE = (
    "display_name",
    "given_name",
    "family_name",
    "preferred_name",
    "email",
    "parent_email",
    "grade_level",
    "birth_year",
    "teacher_verified_age",
)
GUARDED = ("family_name", "email", "google_id", "parent_email")
"""What is not kept of a student under 13 without parental consent."""


async def read_student(
    session: AsyncSession, actor: Actor, student_id: UUID
) -> tuple[Student, Sequence[tuple[Enrollment, SchoolClass]]]:
    """A student's record with all enrolments, the newest first; the reading is audited."""
    student = await access_student(session, actor, student_id)
    rows = await session.execute(
        select(Enrollment, SchoolClass)
        .join(SchoolClass, SchoolClass.id == Enrollment.class_id)
        .where(Enrollment.student_id == student_id)
        .order_by(Enrollment.ends_on.is_not(None), Enrollment.starts_on.desc(), Enrollment.id)
    )
    _record(session, student, "student.read", "Read a student's record", None)
    return student, [(enrollment, school_class) for enrollment, school_class in rows]


async def update_student(
    session: AsyncSession, actor: Actor, student_id: UUID, changes: Mapping[str, Any]
) -> Student:
    """Set any of :data:`EDITABLE`.

    Making a student younger drops what may no longer be kept. Raises :class:`Invalid` when
    ``changes`` themselves hold something that is not kept of a child without parental consent.
    """
    student = await access_student(session, actor, student_id)
    for name, value in changes.items():
        if name not in EDITABLE:
            raise KeyError(name)
        if name == "display_name":
            value = require_name(value, name)
        setattr(student, name, value)
    child = under_13(student.birth_year, student.teacher_verified_age, clock.now().year)
    if child and not student.has_parental_consent:
        for name in GUARDED:
            if changes.get(name):
                raise invalid(
                    name,
                    mark("Of a student under 13 this is kept only with a parent’s consent."),
                )
            setattr(student, name, None)
    await session.flush()
    _record(session, student, "student.updated", "Changed a student's record", sorted(changes))
    await session.refresh(student)
    return student


async def end_enrollment(
    session: AsyncSession,
    actor: Actor,
    class_id: UUID,
    student_id: UUID,
    status: EnrollmentStatus = EnrollmentStatus.WITHDRAWN,
) -> Student:
    """Take a student out of a class from today on; the days before stay on record."""
    await access_class(session, actor, class_id)
    student = await access_student(session, actor, student_id)
    enrollment = await session.scalar(
        select(Enrollment)
        .where(
            Enrollment.class_id == class_id,
            Enrollment.student_id == student_id,
            Enrollment.ends_on.is_(None),
        )
        .with_for_update()
    )
    if enrollment is None:
        raise NotFound(mark("This student is not in the class."))
    # Who was enrolled from tomorrow, by another time zone's date, was never in it.
    enrollment.ends_on = max(local_today(actor), enrollment.starts_on)
    enrollment.status = status
    await session.flush()
    _record(session, student, f"student.{status.value}", "Ended an enrolment", None)
    return student


async def move_student(
    session: AsyncSession, actor: Actor, student_id: UUID, from_class: UUID, to_class: UUID
) -> Student:
    """Move a student to another class of the same school, from today on."""
    target = await access_class(session, actor, to_class)
    if target.archived_at is not None:
        raise Conflict(mark("This class is archived. Restore it first."))
    student = await end_enrollment(session, actor, from_class, student_id, EnrollmentStatus.MOVED)
    if student.organization_id != target.organization_id:
        raise Conflict(mark("A student can only be moved within one school."))
    await _enrol(session, actor, student, target)
    return student


async def enrol_student(
    session: AsyncSession, actor: Actor, student_id: UUID, class_id: UUID
) -> Student:
    """Put a student of the school into one more class, from today on."""
    target = await access_class(session, actor, class_id)
    student = await access_student(session, actor, student_id)
    if student.organization_id != target.organization_id:
        raise Conflict(mark("A student can only be moved within one school."))
    await _enrol(session, actor, student, target)
    return student


async def _enrol(
    session: AsyncSession, actor: Actor, student: Student, target: SchoolClass
) -> None:
    session.add(
        Enrollment(
            organization_id=target.organization_id,
            class_id=target.id,
            student_id=student.id,
            starts_on=local_today(actor),
        )
    )
    try:
        async with session.begin_nested():
            await session.flush()
    except IntegrityError as error:
        raise Conflict(mark("This student is in the class already.")) from error
    _record(session, student, "student.enrolled", "Enrolled a student in a class", None)


def _record(
    session: AsyncSession,
    student: Student,
    event: str,
    description: str,
    fields: Sequence[str] | None,
) -> None:
    audit.record(
        session,
        event,
        resource="student",
        resource_id=student.id,
        description=description,
        students=[student.id],
        data_accessed={"fields": list(fields)} if fields else None,
        organization=student.organization_id,
    )
