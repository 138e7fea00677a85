"""A device in a session: its microphone, its group, its words. Comes back after a reload."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from classweave.core.events import last_sequence
from classweave.core.permissions import Permission
from classweave.core.problems import NotFound
from classweave.core.tenancy import Role
from classweave.live import join_session
from classweave.live.access import own_participation
from classweave.live.pages.forms import Ticked, done, show
from classweave.live.topics import session_topic
from classweave.live.views.here import read_here
from classweave.live.views.talk import public_threads
from classweave.web.i18n import mark
from classweave.web.pages import redirect
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/live/here", include_in_schema=False)

HERE = "/live/here"
_AGAIN = mark("Enter the code on the board to take part.")
_TAKE_PART = [allow(Permission.SESSION_TAKE_PART)]


# Anyone may ask: a device whose key no longer counts is sent to the code, not to a sign-in page.
@router.get("", dependencies=[allow(Permission.ANYONE)])
async def here_page(request: Request, session: Transaction, actor: CurrentActor) -> Response:
    """The page a student has open during the whole lesson."""
    if actor.role is not Role.PARTICIPANT:
        return redirect("/join", _AGAIN, "info")
    try:
        lesson, me = await own_participation(session, actor)
    except NotFound:
        return redirect("/join", _AGAIN, "info")
    if me.leave_time is not None:
        return redirect(f"{HERE}/left")
    # Read before what the page shows: whatever happens meanwhile is told twice, not never.
    last = await last_sequence(session, session_topic(lesson.id))
    here = await read_here(session, lesson, me)
    return show(request, "here.html", here=here, last=last, threads=public_threads(here.threads))


@router.get("/group", dependencies=_TAKE_PART)
async def group_part(request: Request, session: Transaction, actor: CurrentActor) -> Response:
    """Who is in the group."""
    lesson, me = await own_participation(session, actor)
    return show(request, "parts/here_group.html", here=await read_here(session, lesson, me))


@router.get("/dock", dependencies=_TAKE_PART)
async def dock_part(request: Request, session: Transaction, actor: CurrentActor) -> Response:
    """The buttons of this device."""
    lesson, me = await own_participation(session, actor)
    return show(request, "parts/here_dock.html", here=await read_here(session, lesson, me))


@router.get("/messages", dependencies=_TAKE_PART)
async def messages_part(request: Request, session: Transaction, actor: CurrentActor) -> Response:
    """What the teacher wrote."""
    lesson, me = await own_participation(session, actor)
    return show(request, "parts/here_messages.html", here=await read_here(session, lesson, me))


# Its device may just have been removed, so it asks nothing of who comes.
@router.get("/again", dependencies=[allow(Permission.ANYONE)])
async def again() -> Response:
    """Tell the page to load itself again: the device was moved, or sent out."""
    return Response(status_code=200, headers={"HX-Refresh": "true", "Cache-Control": "no-store"})


@router.post("/checked", dependencies=_TAKE_PART)
async def checked(request: Request, session: Transaction, actor: CurrentActor) -> Response:
    """The microphone was heard."""
    await join_session.pass_microphone_check(session, actor)
    return done(request, HERE)


@router.post("/hand", dependencies=_TAKE_PART)
async def hand(
    request: Request, session: Transaction, actor: CurrentActor, raised: Ticked = False
) -> Response:
    """Ask for the teacher, or take the hand down."""
    await join_session.raise_hand(session, actor, raised)
    return done(request, HERE)


@router.post("/ready", dependencies=_TAKE_PART)
async def ready(
    request: Request, session: Transaction, actor: CurrentActor, ready: Ticked = False
) -> Response:
    """The group is ready, or not yet."""
    await join_session.mark_ready(session, actor, ready)
    return done(request, HERE)


@router.post("/leave", dependencies=_TAKE_PART)
async def leave(session: Transaction, actor: CurrentActor) -> Response:
    """Leave; the same device may come back."""
    await join_session.leave(session, actor)
    return redirect(f"{HERE}/left")


@router.get("/left", dependencies=[allow(Permission.ANYONE)])
async def left_page(request: Request, session: Transaction, actor: CurrentActor) -> Response:
    """Goodbye, and the way back."""
    if actor.role is not Role.PARTICIPANT:
        return redirect("/join")
    lesson, me = await own_participation(session, actor)
    if me.leave_time is None:
        return redirect(HERE)
    return show(request, "left.html", lesson=lesson, me=me)


@router.post("/back", dependencies=_TAKE_PART)
async def back(session: Transaction, actor: CurrentActor) -> Response:
    """Come back with the key that this device still has."""
    await join_session.come_back(session, actor)
    return redirect(HERE)
