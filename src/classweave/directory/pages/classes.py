"""Classes: the list, a new one, one class with its students."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.identifiers import TypeIDError, decode, encode
from classweave.core.permissions import Permission
from classweave.core.tenancy import Actor, Role
from classweave.directory import manage_classes, service
from classweave.directory.ids import ClassId, UserId
from classweave.directory.pages.forms import Field, field_errors, filled, show
from classweave.web.i18n import mark
from classweave.web.pages import redirect
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(include_in_schema=False)


def class_url(class_id: ClassId) -> str:
    """The page of a class."""
    return f"/classes/{encode('class', class_id)}"


@router.get("/classes", dependencies=[allow(Permission.CLASS_READ)])
async def classes_page(
    request: Request, session: Transaction, actor: CurrentActor, archived: bool = False
) -> Response:
    """The classes that the reader teaches or administers."""
    return show(
        request,
        "directory/classes.html",
        classes=await manage_classes.list_classes(session, actor, archived=archived),
        archived=archived,
        teaches=actor.role is Role.TEACHER,
        several_schools=len(actor.organizations) > 1,
    )


async def _form(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    values: dict[str, Any],
    *,
    class_id: ClassId | None = None,
    errors: dict[str, str] | None = None,
) -> Response:
    teachers: list[tuple[str, str]] = []
    if class_id is None and actor.role is not Role.TEACHER:
        found = await manage_classes.available_teachers(session)
        teachers = [(encode("user", teacher.id), teacher.name) for teacher in found]
    return show(
        request,
        "directory/class_form.html",
        status=422 if errors else 200,
        values=values,
        errors=errors or {},
        teachers=teachers,
        choose_teacher=class_id is None and actor.role is not Role.TEACHER,
        action="/classes/new" if class_id is None else f"{class_url(class_id)}/edit",
        back="/classes" if class_id is None else class_url(class_id),
        is_new=class_id is None,
    )


_EMPTY = {"name": "", "subject": "", "grade_level": "", "academic_term": "", "teacher": ""}


@router.get("/classes/new", dependencies=[allow(Permission.CLASS_MANAGE)])
async def new_class_page(request: Request, session: Transaction, actor: CurrentActor) -> Response:
    """The form for a new class."""
    return await _form(request, session, actor, dict(_EMPTY))


@router.post("/classes/new", dependencies=[allow(Permission.CLASS_MANAGE)])
async def submit_new_class(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    name: Field = "",
    subject: Field = "",
    grade_level: Field = "",
    academic_term: Field = "",
    teacher: Field = "",
) -> Response:
    """Make the class and go on to its students."""
    values = {
        "name": name,
        "subject": subject,
        "grade_level": grade_level,
        "academic_term": academic_term,
    }
    try:
        teacher_id = decode("user", teacher) if teacher else None
    except TypeIDError:
        teacher_id = None
    made: list[ClassId] = []

    async def make() -> None:
        created = await service.create_class(
            session,
            actor,
            name=name,
            teacher_id=teacher_id,
            subject=filled(subject),
            grade_level=filled(grade_level),
            academic_term=filled(academic_term),
        )
        made.append(created.id)

    errors = await field_errors(request, session, make())
    if errors:
        if "teacher_id" in errors:
            errors["teacher"] = errors.pop("teacher_id")
        return await _form(request, session, actor, {**values, "teacher": teacher}, errors=errors)
    return redirect(f"{class_url(made[0])}/students/add", mark("The class is made."))


@router.get("/classes/{class_id}", dependencies=[allow(Permission.CLASS_READ)])
async def class_page(
    request: Request, session: Transaction, actor: CurrentActor, class_id: ClassId
) -> Response:
    """One class: its students, their consent, its code, what can be done."""
    return await show_class(request, session, actor, class_id)


async def show_class(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    class_id: ClassId,
    *,
    errors: dict[str, str] | None = None,
    email: str = "",
) -> Response:
    """The page of a class, also when a form on it comes back."""
    found = await service.access_class(session, actor, class_id)
    students = await service.class_roster(session, actor, class_id)
    return show(
        request,
        "directory/class.html",
        status=422 if errors else 200,
        school_class=found,
        students=students,
        recording=sum(student.audio_recording_consent for student in students),
        teachers=await manage_classes.class_teachers(session, class_id),
        owns=actor.role is not Role.TEACHER or found.teacher_id == actor.id,
        runs_sessions=actor.role is Role.TEACHER,
        errors=errors or {},
        email=email,
    )


@router.get("/classes/{class_id}/edit", dependencies=[allow(Permission.CLASS_MANAGE)])
async def edit_class_page(
    request: Request, session: Transaction, actor: CurrentActor, class_id: ClassId
) -> Response:
    """The form to rename or describe a class."""
    found = await service.access_class(session, actor, class_id)
    values = {name: getattr(found, name) or "" for name in _EMPTY if name != "teacher"}
    return await _form(request, session, actor, {**values, "teacher": ""}, class_id=class_id)


@router.post("/classes/{class_id}/edit", dependencies=[allow(Permission.CLASS_MANAGE)])
async def submit_edit_class(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    class_id: ClassId,
    name: Field = "",
    subject: Field = "",
    grade_level: Field = "",
    academic_term: Field = "",
) -> Response:
    """Save what was changed."""
    typed = {
        "name": name,
        "subject": subject,
        "grade_level": grade_level,
        "academic_term": academic_term,
    }
    changes = {key: value if key == "name" else filled(value) for key, value in typed.items()}
    work = manage_classes.update_class(session, actor, class_id, changes)
    errors = await field_errors(request, session, work)
    if errors:
        values = {**typed, "teacher": ""}
        return await _form(request, session, actor, values, class_id=class_id, errors=errors)
    return redirect(class_url(class_id), mark("The class was changed."))


@router.post("/classes/{class_id}/archive", dependencies=[allow(Permission.CLASS_MANAGE)])
async def archive_class(
    session: Transaction, actor: CurrentActor, class_id: ClassId, restore: Field = ""
) -> Response:
    """Put a class away, or take it out again."""
    await manage_classes.archive_class(session, actor, class_id, archived=not restore)
    if restore:
        return redirect(class_url(class_id), mark("The class is back among your classes."))
    return redirect("/classes", mark("The class is archived. Nothing in it was deleted."))


@router.post("/classes/{class_id}/code", dependencies=[allow(Permission.CLASS_MANAGE)])
async def renew_code(session: Transaction, actor: CurrentActor, class_id: ClassId) -> Response:
    """Give the class a new invite code."""
    await manage_classes.renew_invite_code(session, actor, class_id)
    return redirect(class_url(class_id), mark("The class has a new code. The old one is void."))


@router.post("/classes/{class_id}/teachers", dependencies=[allow(Permission.CLASS_MANAGE)])
async def share_class(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    class_id: ClassId,
    email: Field = "",
) -> Response:
    """Share a class with a co-teacher."""
    work = manage_classes.add_co_teacher(session, actor, class_id, email)
    errors = await field_errors(request, session, work)
    if errors:
        return await show_class(request, session, actor, class_id, errors=errors, email=email)
    return redirect(class_url(class_id), mark("The class is shared."))


@router.post(
    "/classes/{class_id}/teachers/{user_id}/remove", dependencies=[allow(Permission.CLASS_MANAGE)]
)
async def unshare_class(
    session: Transaction, actor: CurrentActor, class_id: ClassId, user_id: UserId
) -> Response:
    """Stop sharing it."""
    await manage_classes.remove_co_teacher(session, actor, class_id, user_id)
    return redirect(class_url(class_id), mark("The class is no longer shared with this person."))
