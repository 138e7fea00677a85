"""The student's own pages: checking in, and the attendance so far."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from classweave.attend.api.check_in import device_of, remember_device
from classweave.attend.check_in import check_in, latest_check_in, own_student
from classweave.attend.check_in_code import read_code
from classweave.attend.own_attendance import own_attendance
from classweave.attend.pages.forms import Short, mistakes, show
from classweave.core.permissions import Permission
from classweave.core.problems import Conflict, Forbidden, NotFound, Problem
from classweave.web.i18n import mark
from classweave.web.pages import redirect, say_when
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/attend", include_in_schema=False)
OWN = [allow(Permission.ATTEND_OWN)]

CodeInAddress = Annotated[str, Query(max_length=80)]
# These a student mends by typing; the others by talking to somebody.
_OF_THE_CODE = ("wrong-code", "too-many-requests")


@router.get("/check-in", dependencies=OWN)
async def code_page(request: Request, actor: CurrentActor, code: CodeInAddress = "") -> Response:
    """The field for the code. A QR code brings it along; then the page sends it by itself."""
    own_student(actor)
    code = read_code(code)[:12]
    answer = show(request, "check_in.html", code=code, sends=bool(code), refusal=None, reason=None)
    return remember_device(request, answer, device_of(request))


@router.post("/check-in", dependencies=OWN)
async def send_code(
    request: Request, session: Transaction, actor: CurrentActor, code: Short = ""
) -> Response:
    """Check in, or say why not with what was typed kept."""
    device = device_of(request)
    try:
        # What is refused half way is undone; what is returned, such as a count, is kept.
        async with session.begin_nested():
            made = await check_in(session, actor, code, device)
    except (Conflict, Forbidden) as refusal:
        made = refusal
    if isinstance(made, Problem):
        return remember_device(request, _refused(request, code, made), device)
    note = None
    if made.already:
        note = mark("You had checked in already. There is nothing more to do.")
    elif made.by_lecturer:
        note = mark("Your lecturer had marked you already. That mark stands.")
    return remember_device(request, redirect("/attend/check-in/done", note, "info"), device)


@router.get("/check-in/done", dependencies=OWN)
async def done_page(request: Request, session: Transaction, actor: CurrentActor) -> Response:
    """What is said of the student now."""
    try:
        made = await latest_check_in(session, actor)
    except NotFound:
        return redirect("/attend/check-in")
    return show(request, "checked_in.html", made=made)


@router.get("/mine", dependencies=OWN)
async def own_page(request: Request, session: Transaction, actor: CurrentActor) -> Response:
    """The student's attendance by class."""
    return show(request, "mine.html", classes=await own_attendance(session, actor))


def _refused(request: Request, code: str, problem: Problem) -> Response:
    answer = show(
        request, "check_in.html", status=problem.status, code=read_code(code)[:12], sends=False,
        refusal=mistakes(request, problem, "code")["code"],
        reason=None if problem.code in _OF_THE_CODE else problem.code,
    )  # fmt: skip
    return say_when(answer, problem)
