"""Lists of sessions, and the plan of one: what it is about, when, with which switches."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.identifiers import encode
from classweave.core.permissions import Permission, allowed
from classweave.core.problems import Invalid
from classweave.core.tenancy import Actor
from classweave.directory.ids import ClassId
from classweave.directory.manage_classes import list_classes
from classweave.directory.service import access_class
from classweave.live.access import access_session
from classweave.live.ids import SessionId
from classweave.live.models import ClassroomSession
from classweave.live.pages.forms import in_readers_words, known_id, mistakes, show
from classweave.live.pages.plan_form import (
    LANGUAGES,
    SUBJECT_NAMES,
    read_plan,
    typed_in,
    typed_of,
)
from classweave.live.prepare_session import (
    EDITABLE,
    Plan,
    create_session,
    schedule_session,
    update_session,
)
from classweave.live.states import SessionStatus
from classweave.live.views.lessons import lesson_href, read_lessons
from classweave.live.views.plan import plan_of
from classweave.web.i18n import mark
from classweave.web.pages import redirect
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/live", include_in_schema=False)

_READ = [allow(Permission.SESSION_READ)]
_PREPARE = [allow(Permission.SESSION_PREPARE)]
_SAVED = mark("Saved.")


@router.get("", dependencies=_READ)
async def lessons_page(request: Request, session: Transaction, actor: CurrentActor) -> Response:
    """My sessions: live now, upcoming, past."""
    return show(
        request,
        "lessons.html",
        lessons=await read_lessons(session, actor, None),
        school_class=None,
        teaches=allowed(actor.role, Permission.SESSION_PREPARE),
    )


@router.get("/classes/{class_id}", dependencies=_READ)
async def class_lessons_page(
    request: Request, class_id: ClassId, session: Transaction, actor: CurrentActor
) -> Response:
    """The sessions of one class."""
    school_class = await access_class(session, actor, class_id)
    return show(
        request,
        "lessons.html",
        lessons=await read_lessons(session, actor, class_id),
        school_class=school_class,
        teaches=allowed(actor.role, Permission.SESSION_PREPARE),
    )


@router.get("/sessions/new", dependencies=_PREPARE)
async def new_session_page(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    chosen: Annotated[str, Query(alias="class", max_length=80)] = "",
) -> Response:
    """The form for a new session."""
    typed = typed_of(Plan(title=""), actor) | {"class": chosen}
    return await _form(request, session, actor, typed, {}, None)


@router.post("/sessions/new", dependencies=_PREPARE)
async def create(request: Request, session: Transaction, actor: CurrentActor) -> Response:
    """Make a draft, then go on to its groups."""
    typed = typed_in(await request.form())
    plan, errors = read_plan(typed, Plan(title=""), actor, start_stands=False)
    class_id = known_id("class", typed["class"])
    if not errors:
        try:
            lesson = await create_session(session, actor, class_id, plan)
            if plan.scheduled_start is not None:
                await schedule_session(session, actor, lesson.id, plan.scheduled_start)
        except Invalid as problem:
            errors = mistakes(request, problem, "title")
        else:
            return redirect(f"{_url(lesson)}/groups")
    return await _form(request, session, actor, typed, errors, None)


@router.get("/sessions/{session_id}", dependencies=_READ)
async def session_page(
    session_id: SessionId, session: Transaction, actor: CurrentActor
) -> Response:
    """Go to the page where work on this session goes on."""
    return redirect(lesson_href(await access_session(session, actor, session_id)))


@router.get("/sessions/{session_id}/edit", dependencies=_PREPARE)
async def edit_page(
    request: Request, session_id: SessionId, session: Transaction, actor: CurrentActor
) -> Response:
    """The plan of a session that has not started."""
    lesson = await access_session(session, actor, session_id)
    if lesson.status not in EDITABLE:
        return redirect(lesson_href(lesson))
    return await _form(request, session, actor, typed_of(plan_of(lesson), actor), {}, lesson)


@router.post("/sessions/{session_id}/edit", dependencies=_PREPARE)
async def save(
    request: Request, session_id: SessionId, session: Transaction, actor: CurrentActor
) -> Response:
    """Keep the changed plan."""
    lesson = await access_session(session, actor, session_id)
    typed = typed_in(await request.form())
    opened = lesson.status is SessionStatus.OPEN
    plan, errors = read_plan(typed, plan_of(lesson), actor, start_stands=opened)
    if lesson.status is SessionStatus.SCHEDULED and plan.scheduled_start is None:
        errors.setdefault("scheduled_start", mark("A scheduled session needs its start."))
    if not errors:
        try:
            await update_session(session, actor, session_id, plan)
            if lesson.status is SessionStatus.DRAFT and plan.scheduled_start is not None:
                await schedule_session(session, actor, session_id, plan.scheduled_start)
        except Invalid as problem:
            errors = mistakes(request, problem, "title")
        else:
            return redirect(f"{_url(lesson)}/groups", _SAVED)
    return await _form(request, session, actor, typed, errors, lesson)


def _url(lesson: ClassroomSession) -> str:
    return f"/live/sessions/{encode('session', lesson.id)}"


async def _form(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    typed: dict[str, str],
    errors: dict[str, str],
    lesson: ClassroomSession | None,
) -> Response:
    classes: list[tuple[str, str]] = []
    if lesson is None:
        found = await list_classes(session, actor, archived=False)
        classes = [(encode("class", x.school_class.id), x.school_class.name) for x in found]
    return show(
        request,
        "plan.html",
        status=422 if errors else 200,
        lesson=lesson,
        typed=typed,
        errors={name: in_readers_words(request, text) for name, text in errors.items()},
        classes=classes,
        subjects=SUBJECT_NAMES,
        languages=LANGUAGES,
        action="/live/sessions/new" if lesson is None else f"{_url(lesson)}/edit",
        back="/live/" if lesson is None else lesson_href(lesson),
        asks_start=lesson is None or lesson.status is not SessionStatus.OPEN,
    )
