"""Check-in as the lecturer sees it: opening it, and the board."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response
from starlette.requests import HTTPConnection

from classweave.attend import challenge_check_in, open_check_in
from classweave.attend.access_check_in import OpenedFor, access_window, check_in_topic
from classweave.attend.check_in_board import note_reading, read_standing, shown_code
from classweave.attend.ids import CheckInId
from classweave.attend.open_check_in import Span
from classweave.attend.pages.forms import Short, mistakes, show, whole_number
from classweave.attend.todays_meetings import Choice, likely, todays_meetings
from classweave.core.events import last_sequence
from classweave.core.identifiers import TypeIDError, decode, encode
from classweave.core.permissions import Permission
from classweave.core.problems import Conflict, Invalid, Problem
from classweave.directory.ids import StudentId
from classweave.directory.service import invalid
from classweave.web.i18n import mark
from classweave.web.pages import redirect
from classweave.web.requests import CurrentActor, Transaction, allow
from classweave.web.services import services_of

router = APIRouter(prefix="/attend/check-in", include_in_schema=False)
TAKE = [allow(Permission.ATTEND_TAKE)]

SessionKey = Annotated[str, Query(alias="session", max_length=64)]
_DEFAULTS = {"minutes": "10", "late_after": ""}


@router.get("/new", dependencies=TAKE)
async def new_page(
    request: Request, session: Transaction, actor: CurrentActor, session_id: SessionKey = ""
) -> Response:
    """Which meeting, and for how long; the one that is on stands first."""
    choices = await todays_meetings(session, actor)
    chosen = likely(actor, choices, session_id)
    values = _DEFAULTS | {"meeting": _key(chosen) if chosen else ""}
    return _new(request, choices, values, {})


@router.post("/new", dependencies=TAKE)
async def open_window(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    meeting: Short = "",
    minutes: Short = "",
    late_after: Short = "",
) -> Response:
    """Open the check-in and show its board."""
    values = {"meeting": meeting, "minutes": minutes, "late_after": late_after}
    try:
        key, _, start = meeting.partition(" ")
        try:
            class_id = decode("class", key)
        except TypeIDError as error:
            raise invalid("meeting", mark("Choose a meeting.")) from error
        late = whole_number(late_after)
        if late is None and late_after.strip():
            raise invalid("late_after", mark("Give a whole number of minutes."))
        span = Span(whole_number(minutes) or 0, late)
        opened = await open_check_in.open_for_meeting(session, actor, class_id, start or None, span)
    except (Invalid, Conflict) as problem:
        choices = await todays_meetings(session, actor)
        return _new(request, choices, values, mistakes(request, problem, "meeting"), problem)
    return redirect(_board(opened))


@router.get("/{window}", dependencies=TAKE)
async def board_page(
    request: Request, session: Transaction, actor: CurrentActor, window: CheckInId
) -> Response:
    """The code as large as the screen is, and who has checked in."""
    # Read before what the page shows: whatever happens meanwhile is told twice, not never.
    last = await last_sequence(session, check_in_topic(window))
    opened = await access_window(session, actor, window)
    standing = await read_standing(session, opened)
    note_reading(session, opened, standing)
    return show(
        request, "check_in_board.html", base=_board(opened), last=last, standing=standing,
        **_seen(request, opened),
    )  # fmt: skip


@router.get("/{window}/code", dependencies=TAKE)
async def code_part(
    request: Request, session: Transaction, actor: CurrentActor, window: CheckInId
) -> Response:
    """The code of this moment and the next one."""
    opened = await access_window(session, actor, window)
    return show(request, "parts_check_in_code.html", **_seen(request, opened))


@router.get("/{window}/list", dependencies=TAKE)
async def list_part(
    request: Request, session: Transaction, actor: CurrentActor, window: CheckInId
) -> Response:
    """Who has checked in by now."""
    opened = await access_window(session, actor, window)
    return show(
        request, "parts_check_in_list.html", base=_board(opened), opened=opened,
        standing=await read_standing(session, opened),
    )  # fmt: skip


@router.post("/{window}/close", dependencies=TAKE)
async def close(session: Transaction, actor: CurrentActor, window: CheckInId) -> Response:
    """Close it before its time."""
    return redirect(_board(await open_check_in.close_window(session, actor, window)))


@router.post("/{window}/challenge", dependencies=TAKE)
async def challenge(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    window: CheckInId,
    number: Short = "",
) -> Response:
    """Pick students at random, to be called by name."""
    back = f"/attend/check-in/{encode('checkin', window)}#people"
    try:
        await challenge_check_in.challenge(session, actor, window, whole_number(number) or 0)
    except (Invalid, Conflict) as problem:
        return redirect(back, problem.detail, "warning")
    return redirect(back)


@router.post("/{window}/withdraw", dependencies=TAKE)
async def withdraw(
    session: Transaction,
    actor: CurrentActor,
    window: CheckInId,
    student: Annotated[StudentId, Form()],
) -> Response:
    """Take back the check-in of a student who is not in the room."""
    await challenge_check_in.withdraw(session, actor, window, student)
    return redirect(f"/attend/check-in/{encode('checkin', window)}#people")


def _seen(connection: HTTPConnection, opened: OpenedFor) -> dict[str, Any]:
    """What the board shows of the code; ``address`` is how students' browsers reach the field."""
    public = services_of(connection).settings.public_url
    base = str(public) if public is not None else str(connection.base_url)
    address = base.rstrip("/") + "/attend/check-in"
    return {
        "opened": opened, "shown": shown_code(opened), "link": address,
        "address": address.partition("://")[2],
    }  # fmt: skip


def _board(opened: OpenedFor) -> str:
    return f"/attend/check-in/{encode('checkin', opened.window.id)}"


def _key(choice: Choice) -> str:
    return f"{encode('class', choice.class_id)} {choice.start_time or ''}".strip()


def _new(
    request: Request,
    choices: Sequence[Choice],
    values: dict[str, str],
    errors: dict[str, str],
    problem: Problem | None = None,
) -> Response:
    return show(
        request, "check_in_new.html", status=problem.status if problem else 200, values=values,
        errors=errors, choices=[(_key(one), one) for one in choices],
    )  # fmt: skip
