"""Adding students to a class, and one student's record."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import clock
from classweave.core.identifiers import TypeIDError, decode, encode
from classweave.core.permissions import Permission
from classweave.core.problems import TooLarge
from classweave.core.tenancy import Actor
from classweave.directory import manage_classes, manage_students, service
from classweave.directory.ages import under_13
from classweave.directory.ids import ClassId, StudentId
from classweave.directory.pages.classes import class_url
from classweave.directory.pages.forms import (
    Field,
    Ticked,
    field_errors,
    filled,
    in_readers_language,
    show,
)
from classweave.directory.roster import (
    MAXIMUM_BYTES,
    NewStudent,
    Roster,
    decode_roster,
    fold,
    parse_roster,
    write_roster,
)
from classweave.web.i18n import mark
from classweave.web.pages import redirect
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(include_in_schema=False)

Rows = Annotated[str, Form(max_length=MAXIMUM_BYTES)]


async def _add_form(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    class_id: ClassId,
    *,
    text: str = "",
    refusal: str | None = None,
    status: int = 200,
) -> Response:
    if refusal is not None:
        refusal = in_readers_language(request, {"text": refusal})["text"]
    return show(
        request,
        "directory/students_add.html",
        status=status,
        school_class=await service.access_class(session, actor, class_id),
        text=text,
        refusal=refusal,
    )


@router.get("/classes/{class_id}/students/add", dependencies=[allow(Permission.CLASS_MANAGE)])
async def add_students_page(
    request: Request, session: Transaction, actor: CurrentActor, class_id: ClassId
) -> Response:
    """Type, paste, or choose a file."""
    return await _add_form(request, session, actor, class_id)


@router.post("/classes/{class_id}/students/preview", dependencies=[allow(Permission.CLASS_MANAGE)])
async def preview_students(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    class_id: ClassId,
    text: Rows = "",
    roster: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Show what was understood, line by line; nothing is saved yet."""
    school_class = await service.access_class(session, actor, class_id)
    try:
        if roster is not None and roster.filename:
            # One byte more than allowed tells "too large" without reading a huge file whole.
            text = decode_roster(await roster.read(MAXIMUM_BYTES + 1))
    except TooLarge as problem:
        return await _add_form(
            request, session, actor, class_id, text=text, refusal=problem.detail, status=413
        )
    found = parse_roster(text, clock.now().year)
    if not found.rows and not found.problems:
        refusal = mark("There are no names here yet. Type one, paste a list, or choose a file.")
        return await _add_form(
            request, session, actor, class_id, text=text, refusal=refusal, status=422
        )
    classmates = await service.class_roster(session, actor, class_id)
    present = {fold(student.display_name) for student in classmates}
    return show(
        request,
        "directory/students_preview.html",
        school_class=school_class,
        entries=_entries(found, present),
        problems=[
            (problem, in_readers_language(request, {"text": problem.message})["text"])
            for problem in found.problems
        ],
        ignored=found.ignored,
        rows=write_roster(row.student for row in found.rows),
        text=text if len(text) < 100_000 else "",
    )


def _entries(found: Roster, present: set[str]) -> list[dict[str, Any]]:
    year = clock.now().year
    entries: list[dict[str, Any]] = []
    for row in found.rows:
        student = row.student
        in_class = fold(student.display_name) in present
        entries.append(
            {
                "line": row.line,
                "student": student,
                "in_class": in_class,
                "duplicate_of": row.duplicate_of,
                "chosen": not in_class and row.duplicate_of is None,
                "under_13": under_13(student.birth_year, False, year),
                "open_age": under_13(student.birth_year, False, year)
                and not under_13(student.birth_year, True, year),
            }
        )
    return entries


@router.post("/classes/{class_id}/students", dependencies=[allow(Permission.CLASS_MANAGE)])
async def submit_students(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    class_id: ClassId,
    rows: Rows = "",
    chosen: Annotated[list[int] | None, Form()] = None,
    ages_verified: Ticked = "",
) -> Response:
    """Add the students that were ticked in the preview."""
    found = parse_roster(rows, clock.now().year)
    wanted = set(chosen or ())
    students: list[NewStudent] = [
        row.student for index, row in enumerate(found.rows) if index in wanted
    ]
    if not students:
        return await _add_form(
            request,
            session,
            actor,
            class_id,
            text=rows,
            refusal=mark("Nobody was ticked, so nobody was added."),
            status=422,
        )
    await service.add_students(
        session, actor, class_id, students, ages_verified=bool(ages_verified)
    )
    return redirect(class_url(class_id), mark("The students are in the class."))


# --- One student ------------------------------------------------------------------------------


def student_url(student_id: StudentId) -> str:
    """The page of a student."""
    return f"/students/{encode('student', student_id)}"


@router.get("/students/{student_id}", dependencies=[allow(Permission.STUDENT_READ)])
async def student_page(
    request: Request, session: Transaction, actor: CurrentActor, student_id: StudentId
) -> Response:
    """A student's record; the reading is audited."""
    return await _show_student(request, session, actor, student_id)


async def _show_student(
    request: Request, session: AsyncSession, actor: Actor, student_id: StudentId
) -> Response:
    student, enrollments = await manage_students.read_student(session, actor, student_id)
    current = [c for enrollment, c in enrollments if enrollment.ends_on is None]
    return show(
        request,
        "directory/student.html",
        student=student,
        enrollments=enrollments,
        current=current,
        leaving=[(encode("class", c.id), c.name) for c in current],
        targets=[
            (encode("class", entry.school_class.id), entry.school_class.name)
            for entry in await manage_classes.list_classes(session, actor)
            if entry.school_class.id not in {c.id for c in current}
            and entry.school_class.organization_id == student.organization_id
        ],
    )


_TEXTS = ("display_name", "given_name", "family_name", "preferred_name", "grade_level", "email")


@router.get("/students/{student_id}/edit", dependencies=[allow(Permission.CLASS_MANAGE)])
async def edit_student_page(
    request: Request, session: Transaction, actor: CurrentActor, student_id: StudentId
) -> Response:
    """The form to correct a record."""
    student, _ = await manage_students.read_student(session, actor, student_id)
    values = {name: getattr(student, name) or "" for name in _TEXTS}
    values["birth_year"] = student.birth_year or ""
    values["teacher_verified_age"] = student.teacher_verified_age
    return show(request, "directory/student_form.html", student=student, values=values, errors={})


@router.post("/students/{student_id}/edit", dependencies=[allow(Permission.CLASS_MANAGE)])
async def submit_edit_student(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    student_id: StudentId,
    display_name: Field = "",
    given_name: Field = "",
    family_name: Field = "",
    preferred_name: Field = "",
    grade_level: Field = "",
    email: Field = "",
    birth_year: Field = "",
    teacher_verified_age: Ticked = "",
) -> Response:
    """Save the corrections."""
    typed = {
        "display_name": display_name,
        "given_name": given_name,
        "family_name": family_name,
        "preferred_name": preferred_name,
        "grade_level": grade_level,
        "email": email,
    }
    changes: dict[str, Any] = {
        key: value if key == "display_name" else filled(value) for key, value in typed.items()
    }
    changes["teacher_verified_age"] = bool(teacher_verified_age)

    async def save() -> None:
        year = birth_year.strip()
        this_year = clock.now().year
        if year and not (year.isdecimal() and this_year - 110 <= int(year) <= this_year - 2):
            raise service.invalid("birth_year", mark("This is not a year of birth."))
        changes["birth_year"] = int(year) if year else None
        await manage_students.update_student(session, actor, student_id, changes)

    errors = await field_errors(request, session, save())
    if errors:
        student = await service.access_student(session, actor, student_id)
        await session.refresh(student)
        values = {**typed, "birth_year": birth_year, "teacher_verified_age": teacher_verified_age}
        return show(
            request,
            "directory/student_form.html",
            status=422,
            student=student,
            values=values,
            errors=errors,
        )
    return redirect(student_url(student_id), mark("The record was changed."))


@router.post("/students/{student_id}/move", dependencies=[allow(Permission.CLASS_MANAGE)])
async def move_student(
    session: Transaction,
    actor: CurrentActor,
    student_id: StudentId,
    from_class: Field = "",
    to_class: Field = "",
) -> Response:
    """Move a student to another class, or add one more class when ``from_class`` is empty."""
    try:
        target = decode("class", to_class)
        origin = decode("class", from_class) if from_class else None
    except TypeIDError:
        return redirect(student_url(student_id), mark("Choose a class first."), "error")
    if origin is None:
        await manage_students.enrol_student(session, actor, student_id, target)
    else:
        await manage_students.move_student(session, actor, student_id, origin, target)
    return redirect(class_url(target), mark("The student is in this class from today."))


@router.post(
    "/classes/{class_id}/students/{student_id}/remove",
    dependencies=[allow(Permission.CLASS_MANAGE)],
)
async def remove_student(
    session: Transaction, actor: CurrentActor, class_id: ClassId, student_id: StudentId
) -> Response:
    """Take a student out of a class."""
    await manage_students.end_enrollment(session, actor, class_id, student_id)
    return redirect(class_url(class_id), mark("The student is no longer in this class."))
