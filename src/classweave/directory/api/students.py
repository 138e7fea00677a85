"""Students of a class, and one student's record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from classweave.core.permissions import Permission
from classweave.directory import manage_students, service
from classweave.directory.api.schemas import Body, Email, Grade, Name, Out, Text, Year
from classweave.directory.ids import ClassId, OrganizationId, StudentId
from classweave.directory.models import StudentStatus
from classweave.directory.roster import MAXIMUM_ROWS, NewStudent
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/api/directory", tags=["directory"])


class StudentIn(Body):
    """A student to add. What may not be kept of a child under 13 is dropped."""

    given_name: Name
    family_name: Name | None = None
    preferred_name: Name | None = None
    email: Email | None = None
    grade_level: Grade | None = None
    birth_year: Year | None = None


class StudentsIn(Body):
    """Students to add. ``ages_verified``: the teacher says that all of them are 13 or older."""

    students: Annotated[list[StudentIn], Field(min_length=1, max_length=MAXIMUM_ROWS)]
    ages_verified: bool = False


class StudentChange(Body):
    """Fields of a student's record to set."""

    display_name: Text = ""
    given_name: Name | None = None
    family_name: Name | None = None
    preferred_name: Name | None = None
    email: Email | None = None
    parent_email: Email | None = None
    grade_level: Grade | None = None
    birth_year: Year | None = None
    teacher_verified_age: bool = False


class StudentOut(Out):
    """A student as staff see one. Consents are recorded in compliance; these are their state."""

    id: StudentId
    organization_id: OrganizationId
    display_name: str
    given_name: str | None
    family_name: str | None
    preferred_name: str | None
    email: str | None
    status: StudentStatus
    grade_level: str | None
    birth_year: int | None
    is_under_13: bool
    teacher_verified_age: bool
    has_parental_consent: bool
    audio_recording_consent: bool


class EnrollmentOut(Out):
    """A student in a class on the days ``starts_on <= day < ends_on``."""

    class_id: ClassId
    class_name: str
    starts_on: date
    ends_on: date | None


class StudentRecord(StudentOut):
    """A student with all classes, past ones too."""

    enrollments: Sequence[EnrollmentOut] = ()


class Move(Body):
    """From which class to which."""

    from_class: ClassId
    to_class: ClassId


@router.get("/classes/{class_id}/students", dependencies=[allow(Permission.STUDENT_READ)])
async def list_students(
    session: Transaction, actor: CurrentActor, class_id: ClassId
) -> list[StudentOut]:
    """Today's students of a class. Audited."""
    return [StudentOut.of(s) for s in await service.class_roster(session, actor, class_id)]


@router.post(
    "/classes/{class_id}/students",
    status_code=201,
    dependencies=[allow(Permission.CLASS_MANAGE)],
)
async def add_students(
    session: Transaction, actor: CurrentActor, class_id: ClassId, body: StudentsIn
) -> list[StudentOut]:
    """Add students to a class, all or none."""
    rows = [NewStudent(**dict(student)) for student in body.students]
    made = await service.add_students(
        session, actor, class_id, rows, ages_verified=body.ages_verified
    )
    return [StudentOut.of(student) for student in made]


@router.delete(
    "/classes/{class_id}/students/{student_id}",
    status_code=204,
    dependencies=[allow(Permission.CLASS_MANAGE)],
)
async def remove_student(
    session: Transaction, actor: CurrentActor, class_id: ClassId, student_id: StudentId
) -> None:
    """End a student's enrolment in a class; the record stays."""
    await manage_students.end_enrollment(session, actor, class_id, student_id)


@router.get("/students/{student_id}", dependencies=[allow(Permission.STUDENT_READ)])
async def read_student(
    session: Transaction, actor: CurrentActor, student_id: StudentId
) -> StudentRecord:
    """A student's record. Audited."""
    student, enrollments = await manage_students.read_student(session, actor, student_id)
    return StudentRecord(
        **StudentOut.of(student).model_dump(),
        enrollments=[
            EnrollmentOut(
                class_id=school_class.id,
                class_name=school_class.name,
                starts_on=enrollment.starts_on,
                ends_on=enrollment.ends_on,
            )
            for enrollment, school_class in enrollments
        ],
    )


@router.patch("/students/{student_id}", dependencies=[allow(Permission.CLASS_MANAGE)])
async def change_student(
    session: Transaction, actor: CurrentActor, student_id: StudentId, body: StudentChange
) -> StudentOut:
    """Correct a student's record."""
    return StudentOut.of(
        await manage_students.update_student(session, actor, student_id, body.changes())
    )


@router.post("/students/{student_id}/move", dependencies=[allow(Permission.CLASS_MANAGE)])
async def move_student(
    session: Transaction, actor: CurrentActor, student_id: StudentId, body: Move
) -> StudentOut:
    """Move a student to another class of the same school."""
    return StudentOut.of(
        await manage_students.move_student(
            session, actor, student_id, body.from_class, body.to_class
        )
    )
