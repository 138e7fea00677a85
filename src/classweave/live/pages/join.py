"""Joining: the code, then who you are. Open to anyone who has the code."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response

from classweave.core.identifiers import encode
from classweave.core.permissions import Permission
from classweave.core.problems import Conflict, Invalid, NotFound, Problem
from classweave.live import join_session
from classweave.live.api.device import remember_device
from classweave.live.grouping import read_access_code
from classweave.live.join_session import Device, Door, Joined, Seat, find_by_code
from classweave.live.models import StudentGroup
from classweave.live.models.sessions import CaptureMode
from classweave.live.pages.forms import Short, Ticked, in_readers_words, known_id, show
from classweave.web.i18n import mark
from classweave.web.pages import redirect
from classweave.web.requests import Transaction, allow

router = APIRouter(include_in_schema=False)

_REFUSALS = (NotFound, Conflict, Invalid)
_WHO = mark("Say who joins: choose a name, type one, or choose a group.")


@router.get("/join", dependencies=[allow(Permission.ANYONE)])
async def join_page(request: Request) -> Response:
    """Enter the code that the board shows."""
    return show(request, "join.html", code="", refusal=None, reason=None)


@router.post("/join", dependencies=[allow(Permission.ANYONE)])
async def submit_code(request: Request, session: Transaction, code: Short = "") -> Response:
    """Go on to the names behind the code, or say what is wrong with it."""
    try:
        await find_by_code(session, code)
    except _REFUSALS as problem:
        return _refused(request, code, problem)
    return redirect(f"/join/{read_access_code(code)}")


@router.get("/join/{code}", dependencies=[allow(Permission.ANYONE)])
async def names_page(request: Request, session: Transaction, code: str) -> Response:
    """Choose who you are."""
    try:
        door = await find_by_code(session, code)
    except _REFUSALS as problem:
        return _refused(request, code, problem)
    return _names(request, code, door)


@router.post("/join/{code}", dependencies=[allow(Permission.ANYONE)])
async def submit_name(
    request: Request,
    session: Transaction,
    code: str,
    student: Short = "",
    display_name: Short = "",
    group: Short = "",
    shared: Ticked = False,
) -> Response:
    """Join as a student of the list, by a display name, or as a group's shared device."""
    device = Device(browser=request.headers.get("user-agent"))
    student_id, group_id = known_id("student", student), known_id("group", group)
    try:
        joined: Joined
        if student_id is not None:
            joined = await join_session.join_as_student(session, code, student_id, device)
        elif shared and group_id is not None:
            joined = await join_session.join_as_shared_device(session, code, group_id, device)
        elif display_name.strip():
            joined = await join_session.join_as_guest(session, code, display_name, group_id, device)
        else:
            raise Invalid(_WHO, code="nobody")
    except _REFUSALS as problem:
        if problem.code in ("wrong-code", "not-open", "session-over"):
            return _refused(request, code, problem)
        door = await find_by_code(session, code)
        return _names(request, code, door, problem, display_name)
    response = redirect("/live/here")
    remember_device(request, response, joined.token)
    return response


def _refused(request: Request, code: str, problem: Problem) -> Response:
    return show(
        request,
        "join.html",
        status=problem.status,
        code=code,
        refusal=in_readers_words(request, problem.detail),
        reason=problem.code,
    )


def _names(
    request: Request, code: str, door: Door, problem: Problem | None = None, typed: str = ""
) -> Response:
    shared = [g for g in door.groups if g.capture_mode is CaptureMode.SHARED_DEVICE]
    covered = {g.id for g in shared}
    seats = [seat for seat in door.seats if seat.group_id not in covered]
    return show(
        request,
        "join_names.html",
        status=problem.status if problem else 200,
        code=read_access_code(code),
        lesson=door.session,
        free=_options([seat for seat in seats if not seat.taken]),
        taken=_options([seat for seat in seats if seat.taken]),
        shared=[(value, name, False) for value, name in _choices(shared)],
        groups=_choices([g for g in door.groups if g.id not in covered]),
        display_name=typed,
        refusal=in_readers_words(request, problem.detail) if problem else None,
    )


def _options(seats: Sequence[Seat]) -> list[tuple[str, str, bool]]:
    return [(encode("student", seat.student_id), seat.name, False) for seat in seats]


def _choices(groups: Sequence[StudentGroup]) -> list[tuple[str, str]]:
    return [(encode("group", group.id), group.name) for group in groups]
