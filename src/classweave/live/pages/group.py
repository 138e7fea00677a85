"""One group's own page: all its words, measures and prompts."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from classweave.core import audit
from classweave.core.events import last_sequence
from classweave.core.identifiers import encode
from classweave.core.permissions import Permission, allowed
from classweave.core.problems import NotFound
from classweave.live.access import access_session
from classweave.live.ids import GroupId, SessionId
from classweave.live.pages.forms import show
from classweave.live.topics import session_topic
from classweave.live.views.group import read_group_page
from classweave.live.views.recordings import read_recordings
from classweave.live.views.talk import public_threads
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/live/sessions/{session_id}/groups", include_in_schema=False)


@router.get("/{group_id}", dependencies=[allow(Permission.SESSION_READ)])
async def group_page(
    request: Request,
    session_id: SessionId,
    group_id: GroupId,
    session: Transaction,
    actor: CurrentActor,
) -> Response:
    """Who talked when and said what, with every measure and the words behind it."""
    lesson = await access_session(session, actor, session_id)
    base = f"/live/sessions/{encode('session', lesson.id)}"
    last = await last_sequence(session, session_topic(lesson.id))
    found = await read_group_page(session, lesson, group_id, request.url.path)
    if found is None:
        raise NotFound("There is no such group.")
    audit.record(
        session, "transcript.read", resource="group", resource_id=group_id,
        description="read the words of a group", session_id=lesson.id,
        students=[m.student_id for m in found.group.members if m.student_id],
        organization=lesson.organization_id,
    )  # fmt: skip
    return show(
        request,
        "group.html",
        lesson=lesson,
        base=base,
        found=found,
        recordings=await read_recordings(session, lesson, base, group_id),
        threads=public_threads(found.threads),
        last=last,
        running=lesson.status.value in ("live", "paused"),
        may_run=allowed(actor.role, Permission.SESSION_RUN),
    )
