"""Who sits with whom: by hand, or by the button."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData

from classweave.core.identifiers import encode
from classweave.core.permissions import Permission
from classweave.core.problems import Invalid
from classweave.core.tenancy import Actor
from classweave.live.access import access_session
from classweave.live.ids import SessionId
from classweave.live.models import ClassroomSession
from classweave.live.models.sessions import CaptureMode
from classweave.live.pages.forms import Short, in_readers_words, mistakes, show
from classweave.live.prepare_session import (
    EDITABLE,
    PlannedGroup,
    auto_group,
    open_session,
    set_groups,
    update_session,
)
from classweave.live.views.lessons import lesson_href
from classweave.live.views.plan import GroupPlan, Table, plan_of, read_group_plan
from classweave.web.i18n import mark
from classweave.web.pages import redirect
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/live/sessions/{session_id}/groups", include_in_schema=False)

_PREPARE = [allow(Permission.SESSION_PREPARE)]
MOST_GROUPS = 40
_TWO_LEADERS = mark("A group has one leader. Choose one in each group.")
_SIZE = mark("1 to 12 students.")


@router.get("", dependencies=_PREPARE)
async def groups_page(
    request: Request, session_id: SessionId, session: Transaction, actor: CurrentActor
) -> Response:
    """The groups as they stand."""
    lesson = await access_session(session, actor, session_id)
    if lesson.status not in EDITABLE:
        return redirect(lesson_href(lesson))
    plan = await read_group_plan(session, lesson)
    if not plan.tables:
        plan = replace(plan, tables=[_empty(1), _empty(2)])
    return _show(request, lesson, plan, {})


@router.post("", dependencies=_PREPARE)
async def save_groups(
    request: Request, session_id: SessionId, session: Transaction, actor: CurrentActor
) -> Response:
    """Keep the groups as the form says; then stay, add one more, or open the session."""
    lesson = await access_session(session, actor, session_id)
    form = await request.form()
    plan = _typed(form, await read_group_plan(session, lesson))
    if form.get("then") == "add":
        more = [*plan.tables, _empty(len(plan.tables) + 1)][:MOST_GROUPS]
        return _show(request, lesson, replace(plan, tables=more), {})
    errors: dict[str, str] = {}
    if _has_two_leaders(plan):
        errors["groups"] = in_readers_words(request, _TWO_LEADERS)
    if not errors:
        try:
            await set_groups(session, actor, session_id, _planned(plan))
        except Invalid as problem:
            errors = mistakes(request, problem, "groups")
    if errors:
        return _show(request, lesson, plan, errors)
    base = f"/live/sessions/{encode('session', lesson.id)}"
    if form.get("then") == "open":
        return await _open(request, session, actor, lesson, base)
    return redirect(f"{base}/groups", mark("The groups are saved."))


@router.post("/auto", dependencies=_PREPARE)
async def make_groups(
    request: Request,
    session_id: SessionId,
    session: Transaction,
    actor: CurrentActor,
    size: Short = "",
) -> Response:
    """Mix the class into groups of about the wanted size."""
    lesson = await access_session(session, actor, session_id)
    if not (students := _number(size.strip(), 12)):
        plan = await read_group_plan(session, lesson)
        return _show(request, lesson, plan, {"size": in_readers_words(request, _SIZE)}, size)
    wanted = replace(plan_of(lesson), target_group_size=students)
    await update_session(session, actor, session_id, wanted)
    await auto_group(session, actor, session_id)
    return redirect(
        request.url.path.removesuffix("/auto"), mark("New groups are made. You can change them.")
    )


async def _open(
    request: Request, session: AsyncSession, actor: Actor, lesson: ClassroomSession, base: str
) -> Response:
    if not _planned(await read_group_plan(session, lesson)):
        text = in_readers_words(request, mark("Make at least one group first."))
        return _show(request, lesson, await read_group_plan(session, lesson), {"groups": text})
    await open_session(session, actor, lesson.id)
    return redirect(f"{base}/lobby")


def _empty(number: int) -> Table:
    return Table(number, "", shared=False)


def _typed(form: FormData, known: GroupPlan) -> GroupPlan:
    """The groups as the form has them, for the students that the class really has."""
    count = 0
    while count < MOST_GROUPS and f"name-{count + 1}" in form:
        count += 1
    tables = [
        Table(n, str(form.get(f"name-{n}", "")).strip(), form.get(f"shared-{n}") == "1")
        for n in range(1, count + 1)
    ]
    seats = [
        replace(
            seat,
            group=_number(str(form.get(f"group-{seat.key}", "")), count),
            leads=form.get(f"leads-{seat.key}") == "1",
        )
        for seat in known.seats
    ]
    return GroupPlan(seats, tables)


def _number(written: str, most: int) -> int:
    """The number that is written, from 1 to ``most``; 0 for anything else."""
    return next((number for number in range(1, most + 1) if written == str(number)), 0)


def _has_two_leaders(plan: GroupPlan) -> bool:
    leading = [seat.group for seat in plan.seats if seat.leads and seat.group]
    return len(leading) != len(set(leading))


def _planned(plan: GroupPlan) -> Sequence[PlannedGroup]:
    """The groups to keep: those with a member, or with a name of their own."""
    made: list[PlannedGroup] = []
    for table in plan.tables:
        members = [seat for seat in plan.seats if seat.group == table.number]
        if not members and not table.name:
            continue
        leader = next((seat.id for seat in members if seat.leads), None)
        mode = CaptureMode.SHARED_DEVICE if table.shared else CaptureMode.PER_STUDENT
        made.append(
            PlannedGroup(
                table.name or f"Group {len(made) + 1}", tuple(s.id for s in members), leader, mode
            )
        )
    return made


def _show(
    request: Request,
    lesson: ClassroomSession,
    plan: GroupPlan,
    errors: dict[str, str],
    size: str | None = None,
) -> Response:
    return show(
        request,
        "groups.html",
        status=422 if errors else 200,
        lesson=lesson,
        plan=plan,
        errors=errors,
        size=size if size is not None else str(lesson.target_group_size),
    )
