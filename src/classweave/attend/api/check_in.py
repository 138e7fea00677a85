"""Check-in as JSON: a teacher opens, watches, challenges and closes; a student checks in."""

from __future__ import annotations

import datetime
import re
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from classweave.attend import challenge_check_in, check_in, open_check_in
from classweave.attend.access_check_in import (
    STAFF,
    OpenedFor,
    access_window,
    check_in_topic,
)
from classweave.attend.check_in_board import Line, note_reading, read_standing, shown_code
from classweave.attend.ids import CheckInId
from classweave.attend.models import Status
from classweave.core import clock
from classweave.core.permissions import Permission
from classweave.core.problems import Invalid, Problem
from classweave.core.secrets import new_token
from classweave.directory.ids import ClassId, StudentId
from classweave.web.body import Body
from classweave.web.errors import respond
from classweave.web.events import event_stream
from classweave.web.requests import CurrentActor, Transaction, allow
from classweave.web.services import services_of

router = APIRouter(prefix="/api/attend/check-ins", tags=["attend: check-in"])
TAKE = [allow(Permission.ATTEND_TAKE)]
OWN = [allow(Permission.ATTEND_OWN)]

COOKIE = "cw_check_in"
_TOKEN = re.compile("[A-Za-z0-9_-]{43}")
_KEPT_S = 400 * 24 * 3600  # as long as browsers keep any cookie


class OpenIn(Body):
    """Which session: by the id its device gave it, or the meeting of a class that begins then."""

    session_id: Annotated[str | None, Field(pattern="^[A-Za-z0-9._-]{1,64}$")] = None
    class_id: ClassId | None = None
    date: datetime.date | None = None
    start_time: Annotated[str | None, Field(max_length=5)] = None
    minutes: int = 10
    late_after: int | None = None


class WindowOut(Body):
    """A check-in. ``code`` turns into ``next_code`` after ``changes_in_ms``; closed: no code."""

    id: CheckInId
    class_id: ClassId
    session_id: str
    opens_at: datetime.datetime
    closes_at: datetime.datetime
    late_after: datetime.datetime | None
    server_time: datetime.datetime
    code: str | None
    next_code: str | None
    changes_in_ms: int | None


class LineOut(Body):
    """A student who checked in."""

    student: StudentId
    name: str
    at: datetime.datetime
    status: Status | None
    minutes: int | None
    challenged_at: datetime.datetime | None
    withdrawn_at: datetime.datetime | None


class BoardOut(WindowOut):
    """A check-in and who has come."""

    count: int
    enrolled: int
    students: list[LineOut]


class ChallengeIn(Body):
    """How many students to call by name."""

    number: int = 3


class StudentIn(Body):
    """Whose check-in is taken back."""

    student: StudentId


class CodeIn(Body):
    """The code on the board."""

    code: Annotated[str, Field(max_length=80)]


class CheckedInOut(Body):
    """What is said of the student now."""

    class_name: str
    status: Status | None
    minutes: int | None
    at: datetime.datetime
    already: bool
    by_lecturer: bool


@router.post("", dependencies=TAKE, status_code=201)
async def open_window(session: Transaction, actor: CurrentActor, body: OpenIn) -> WindowOut:
    """Let the students of a class check in; a window that is open already stays as it is."""
    span = open_check_in.Span(body.minutes, body.late_after)
    if body.session_id is not None:
        opened = await open_check_in.open_for_session(session, actor, body.session_id, span)
    elif body.class_id is not None:
        opened = await open_check_in.open_for_meeting(
            session, actor, body.class_id, body.start_time, span, body.date
        )
    else:
        message = "Say which session or which class."
        raise Invalid(message, errors=[{"field": "session_id", "message": message}])
    return _window(opened)


@router.post("/own", dependencies=OWN, response_model=CheckedInOut)
async def check_in_self(
    request: Request, session: Transaction, actor: CurrentActor, body: CodeIn
) -> CheckedInOut | Response:
    """Check in by the code; the device is told by a cookie that it is given."""
    device = device_of(request)
    made = await check_in.check_in(session, actor, body.code, device)
    if isinstance(made, Problem):
        return remember_device(request, await respond(request, made), device)
    out = CheckedInOut(
        class_name=made.class_name, status=made.status, minutes=made.minutes, at=made.at,
        already=made.already, by_lecturer=made.by_lecturer,
    )  # fmt: skip
    answer = Response(out.model_dump_json(), media_type="application/json")
    return remember_device(request, answer, device)


@router.get("/{window}", dependencies=TAKE)
async def status(session: Transaction, actor: CurrentActor, window: CheckInId) -> BoardOut:
    """The code of this moment, how many have checked in, and who."""
    opened = await access_window(session, actor, window)
    standing = await read_standing(session, opened)
    note_reading(session, opened, standing)
    return BoardOut(
        **_window(opened).model_dump(), count=standing.count, enrolled=standing.enrolled,
        students=[_line(one) for one in standing.lines],
    )  # fmt: skip


@router.post("/{window}/close", dependencies=TAKE)
async def close(session: Transaction, actor: CurrentActor, window: CheckInId) -> WindowOut:
    """Close it before its time."""
    return _window(await open_check_in.close_window(session, actor, window))


@router.post("/{window}/challenge", dependencies=TAKE)
async def challenge(
    session: Transaction, actor: CurrentActor, window: CheckInId, body: ChallengeIn
) -> list[LineOut]:
    """Students picked at random, to be called by name."""
    called = await challenge_check_in.challenge(session, actor, window, body.number)
    return [_line(one) for one in called]


@router.post("/{window}/withdraw", dependencies=TAKE, status_code=204)
async def withdraw(
    session: Transaction, actor: CurrentActor, window: CheckInId, body: StudentIn
) -> None:
    """Take back the check-in of a student who is not in the room."""
    await challenge_check_in.withdraw(session, actor, window, body.student)


@router.get("/{window}/events", dependencies=TAKE)
async def events(
    request: Request, session: Transaction, actor: CurrentActor, window: CheckInId
) -> StreamingResponse:
    """Follow who checks in."""
    opened = await access_window(session, actor, window)
    return event_stream(
        request, check_in_topic(window), opened.window.organization_id, frozenset({STAFF})
    )


def device_of(request: Request) -> str:
    """What tells this device from others: random, kept by the device alone."""
    known = request.cookies.get(COOKIE, "")
    return known if _TOKEN.fullmatch(known) else new_token()


def remember_device(request: Request, response: Response, device: str) -> Response:
    """``response``, with the cookie that scripts cannot read, for as long as browsers allow."""
    response.set_cookie(
        COOKIE, device, httponly=True, samesite="lax", max_age=_KEPT_S,
        secure=services_of(request).settings.secure_cookies,
    )  # fmt: skip
    return response


def _window(opened: OpenedFor) -> WindowOut:
    window, shown = opened.window, shown_code(opened)
    return WindowOut(
        id=window.id, class_id=window.class_id, session_id=opened.held.id,
        opens_at=window.opens_at, closes_at=window.closes_at, late_after=window.late_after,
        server_time=clock.now(), code=shown.code if shown else None,
        next_code=shown.next_code if shown else None,
        changes_in_ms=int(shown.left.total_seconds() * 1000) if shown else None,
    )  # fmt: skip


def _line(one: Line) -> LineOut:
    return LineOut(
        student=one.student_id, name=one.name, at=one.at, status=one.status, minutes=one.minutes,
        challenged_at=one.challenged_at, withdrawn_at=one.withdrawn_at,
    )  # fmt: skip
