"""After the session: its summary, the exports, the teacher's notes."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from classweave.core import audit
from classweave.core.events import last_sequence
from classweave.core.identifiers import encode
from classweave.core.permissions import Permission, allowed
from classweave.live import run_session
from classweave.live.access import access_session
from classweave.live.ids import SessionId
from classweave.live.models import ClassroomSession
from classweave.live.pages.forms import Text, show
from classweave.live.request_summary import request_summary
from classweave.live.states import SessionStatus
from classweave.live.topics import session_topic
from classweave.live.views.lessons import lesson_href
from classweave.live.views.recordings import read_recordings
from classweave.live.views.summary import is_written, read_progress, read_summary
from classweave.web.i18n import mark
from classweave.web.pages import redirect
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/live/sessions/{session_id}", include_in_schema=False)

_READ = [allow(Permission.SESSION_READ)]
_RUN = [allow(Permission.SESSION_RUN)]
_OVER = (SessionStatus.ENDED, SessionStatus.ARCHIVED)


@router.get("/summary", dependencies=_READ)
async def summary_page(
    request: Request, session_id: SessionId, session: Transaction, actor: CurrentActor
) -> Response:
    """What was discussed and how, and what came of the plan and the prompts."""
    lesson = await access_session(session, actor, session_id)
    if lesson.status not in _OVER:
        return redirect(lesson_href(lesson))
    last = await last_sequence(session, session_topic(lesson.id))
    base = f"/live/sessions/{encode('session', lesson.id)}"
    recordings = await read_recordings(session, lesson, base)
    found = await read_summary(session, lesson, base, playable=bool(recordings))
    members = [m.student_id for part in found.parts for m in part.group.members]
    audit.record(
        session, "transcript.read", resource="session", resource_id=lesson.id,
        description="read the summary of a session", session_id=lesson.id,
        students=[student for student in members if student], organization=lesson.organization_id,
    )  # fmt: skip
    return show(
        request,
        "summary.html",
        lesson=lesson,
        base=base,
        found=found,
        progress=found.progress,
        recordings=recordings,
        last=last,
        may_run=allowed(actor.role, Permission.SESSION_RUN),
    )


@router.get("/summary/progress", dependencies=_READ)
async def progress_part(
    request: Request, session_id: SessionId, session: Transaction, actor: CurrentActor
) -> Response:
    """How far the writing is; once it is done, the page is loaded again."""
    lesson = await access_session(session, actor, session_id)
    answer = show(
        request, "parts/summary_progress.html", progress=await read_progress(session, lesson)
    )
    if await _is_complete(session, lesson):
        answer.headers["HX-Refresh"] = "true"
    return answer


async def _is_complete(session: Transaction, lesson: ClassroomSession) -> bool:
    return lesson.status in _OVER and await is_written(session, lesson)


@router.post("/summary/again", dependencies=_RUN)
async def write_again(session_id: SessionId, session: Transaction, actor: CurrentActor) -> Response:
    """Have a missing summary written."""
    lesson = await request_summary(session, actor, session_id)
    return redirect(lesson_href(lesson), mark("The summary is being written."))


@router.post("/notes", dependencies=_RUN)
async def notes(
    session_id: SessionId, session: Transaction, actor: CurrentActor, notes: Text = ""
) -> Response:
    """Keep the teacher's notes."""
    lesson = await run_session.write_notes(session, actor, session_id, notes)
    return redirect(f"{lesson_href(lesson)}#notes", mark("Your notes are saved."))
