"""Between opening and starting: the code on the wall, and who has come."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.events import last_sequence
from classweave.core.permissions import Permission, allowed
from classweave.core.problems import Conflict
from classweave.core.tenancy import Actor
from classweave.live import prepare_session, run_session
from classweave.live.access import access_session
from classweave.live.ids import SessionId
from classweave.live.models import ClassroomSession
from classweave.live.pages.forms import in_readers_words, join_address, show
from classweave.live.states import JOINABLE, SessionStatus
from classweave.live.topics import session_topic
from classweave.live.views.groups import read_groups
from classweave.live.views.lessons import lesson_href
from classweave.web.i18n import mark
from classweave.web.pages import redirect
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/live/sessions/{session_id}", include_in_schema=False)

_RUN = [allow(Permission.SESSION_RUN)]
_READ = [allow(Permission.SESSION_READ)]


@router.get("/lobby", dependencies=_READ)
async def lobby_page(
    request: Request, session_id: SessionId, session: Transaction, actor: CurrentActor
) -> Response:
    """The teacher's view of who has joined and who is ready."""
    lesson = await access_session(session, actor, session_id)
    if lesson.status not in JOINABLE:
        return redirect(lesson_href(lesson))
    return await _show(request, session, actor, lesson, "lobby.html")


@router.get("/board", dependencies=_READ)
async def board_page(
    request: Request, session_id: SessionId, session: Transaction, actor: CurrentActor
) -> Response:
    """The code and the groups alone, for the projector."""
    lesson = await access_session(session, actor, session_id)
    if lesson.status not in JOINABLE:
        return redirect(lesson_href(lesson))
    return await _show(request, session, actor, lesson, "board.html")


@router.get("/lobby/groups", dependencies=_READ)
async def lobby_part(
    request: Request, session_id: SessionId, session: Transaction, actor: CurrentActor
) -> Response:
    """The groups of the lobby, as they are now."""
    lesson = await access_session(session, actor, session_id)
    return await _show(request, session, actor, lesson, "parts/lobby_groups.html")


@router.get("/board/groups", dependencies=_READ)
async def board_part(
    request: Request, session_id: SessionId, session: Transaction, actor: CurrentActor
) -> Response:
    """The groups of the projector, as they are now."""
    lesson = await access_session(session, actor, session_id)
    return await _show(request, session, actor, lesson, "parts/board_groups.html")


@router.post("/open", dependencies=_RUN)
async def open_for_joining(
    request: Request, session_id: SessionId, session: Transaction, actor: CurrentActor
) -> Response:
    """Give the session its code and let devices join."""
    try:
        await prepare_session.open_session(session, actor, session_id)
    except Conflict as problem:
        if problem.code != "no-groups":
            raise
        return redirect(
            str(request.url.path).removesuffix("open") + "groups",
            in_readers_words(request, problem.detail),
            "warning",
        )
    return redirect(str(request.url.path).removesuffix("open") + "lobby")


@router.post("/start", dependencies=_RUN)
async def start(session_id: SessionId, session: Transaction, actor: CurrentActor) -> Response:
    """Start listening."""
    lesson = await run_session.start_session(session, actor, session_id)
    return redirect(lesson_href(lesson), mark("The session is live."))


async def _show(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    lesson: ClassroomSession,
    template: str,
) -> Response:
    last = await last_sequence(session, session_topic(lesson.id))
    groups = await read_groups(session, lesson)
    address = join_address(request)
    return show(
        request,
        template,
        lesson=lesson,
        groups=groups,
        ready=sum(group.ready for group in groups),
        joined=sum(len(group.present) for group in groups),
        expected=sum(group.expected for group in groups),
        without_sound=[m.name for group in groups for m in group.members if not m.may_send],
        address=address.partition("://")[2],
        link=f"{address}/{lesson.access_code}",
        last=last,
        may_run=allowed(actor.role, Permission.SESSION_RUN),
        starts=lesson.status is SessionStatus.OPEN,
    )
