"""Single students: a sheet, the roll of a session, a record with its history and correction."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from classweave.attend.correct_record import Correction, correct_record, read_record
from classweave.attend.models import Status
from classweave.attend.pages.forms import Short, in_readers_words, mistakes, show, whole_number
from classweave.attend.read_sheet import access_held_session, read_roll, read_sheet
from classweave.core.identifiers import encode
from classweave.core.permissions import Permission
from classweave.core.problems import Conflict, Invalid
from classweave.directory.ids import ClassId, StudentId
from classweave.web.i18n import mark
from classweave.web.pages import redirect
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/attend/reports")
READ = [allow(Permission.ATTEND_REPORT)]
WRITE = [allow(Permission.ATTEND_REPORT)]

SessionKey = Annotated[str, Path(pattern="^[A-Za-z0-9._-]{1,64}$")]
_ABSENT = "absent"


@router.get("/students/{student_id}", dependencies=READ)
async def student_sheet(
    request: Request, session: Transaction, actor: CurrentActor, student_id: StudentId
) -> Response:
    """All sessions of a student with what is said of each."""
    sheet = await read_sheet(session, actor, student_id)
    return show(
        request,
        "student.html",
        sheet=sheet,
        classes={one.id: one for one in sheet.classes},
        key=encode("student", student_id),
    )


@router.get("/classes/{class_id}/sessions/{session_id}", dependencies=READ)
async def session_roll(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    class_id: ClassId,
    session_id: SessionKey,
) -> Response:
    """Who was there in one session."""
    held = await access_held_session(session, actor, class_id, session_id)
    lines = await read_roll(session, held)
    return show(request, "roll.html", held=held, lines=lines, class_key=encode("class", class_id))


@router.get("/classes/{class_id}/sessions/{session_id}/students/{student_id}", dependencies=READ)
async def record_page(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    class_id: ClassId,
    session_id: SessionKey,
    student_id: StudentId,
) -> Response:
    """One record: its history, and the form that corrects it."""
    return await _record(request, session, actor, class_id, session_id, student_id, None, {})


@router.post("/classes/{class_id}/sessions/{session_id}/students/{student_id}", dependencies=WRITE)
async def correct(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    class_id: ClassId,
    session_id: SessionKey,
    student_id: StudentId,
    status: Short = "",
    minutes: Short = "",
    reason: Short = "",
) -> Response:
    """Set or clear what is said of a student, with a reason."""
    errors: dict[str, str] = {}
    typed = {"status": status, "minutes": minutes, "reason": reason}
    if status not in (_ABSENT, *Status):
        errors["status"] = mark("Choose what the record shall say.")
    number = whole_number(minutes)
    if minutes.strip() and number is None:
        errors["minutes"] = mark("Give a whole number of minutes.")
    if not errors:
        wanted = Correction(None if status == _ABSENT else Status(status), number, reason)
        try:
            held = await correct_record(session, actor, class_id, session_id, student_id, wanted)
        except (Invalid, Conflict) as problem:
            errors = mistakes(request, problem, "status")
        else:
            return redirect(
                f"/attend/reports/classes/{encode('class', class_id)}/sessions/{held.id}"
                f"/students/{encode('student', student_id)}",
                mark("The record is corrected. Devices receive it when they next synchronise."),
            )
    else:
        errors = in_readers_words(request, errors)
    return await _record(request, session, actor, class_id, session_id, student_id, typed, errors)


async def _record(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    class_id: ClassId,
    session_id: str,
    student_id: StudentId,
    typed: dict[str, str] | None,
    errors: dict[str, str],
) -> Response:
    view = await read_record(session, actor, class_id, session_id, student_id)
    if typed is None:
        known = view.line.said in (_ABSENT, *Status)
        typed = {
            "status": view.line.said if known else "",
            "minutes": "" if view.line.minutes is None else str(view.line.minutes),
            "reason": "",
        }
    return show(
        request,
        "record.html",
        status=422 if errors else 200,
        view=view,
        held=view.held,
        line=view.line,
        typed=typed,
        errors=errors,
        class_key=encode("class", class_id),
        student_key=encode("student", student_id),
    )
