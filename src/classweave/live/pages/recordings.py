"""Kept sound as a stream that a player can seek in. Each opening is in the audit trail."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import select

from classweave.core import audit
from classweave.core.permissions import Permission
from classweave.core.problems import NotFound
from classweave.live.access import access_session
from classweave.live.ids import RecordingId, SessionId
from classweave.live.models import Participant, Recording
from classweave.web.requests import CurrentActor, Transaction, allow
from classweave.web.services import services_of

router = APIRouter(prefix="/live/sessions/{session_id}/recordings", include_in_schema=False)

# A range may be answered by less of it: the player asks for the rest when it gets there.
_MOST_AT_ONCE = 1024 * 1024
_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")


@router.get("/{recording_id}", dependencies=[allow(Permission.SESSION_READ)])
async def recording(
    request: Request,
    session_id: SessionId,
    recording_id: RecordingId,
    session: Transaction,
    actor: CurrentActor,
) -> Response:
    """A track's sound, whole or the range (RFC 9110) that is asked for."""
    lesson = await access_session(session, actor, session_id)
    found = await session.scalar(
        select(Recording).where(Recording.id == recording_id, Recording.session_id == lesson.id)
    )
    if found is None:
        raise NotFound("There is no such recording.")
    files = services_of(request).files
    try:
        size = await files.size(found.file_path)
    except FileNotFoundError:
        raise NotFound("The sound is not kept any more.") from None
    wanted = byte_range(request.headers.get("range"), size)
    if wanted is None:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    first, end = wanted
    if first == 0:  # the beginning of a listening, not each of its ranges
        participant = await session.get_one(Participant, found.participant_id)
        audit.record(
            session, "recording.read", resource="recording", resource_id=found.id,
            description="opened a recording", session_id=lesson.id,
            students=[participant.student_id] if participant.student_id else [],
            organization=lesson.organization_id,
        )  # fmt: skip
    content = await files.get_range(found.file_path, first, end)
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-store",
        "Content-Disposition": "inline",
    }
    part = _RANGE.match(request.headers.get("range", "")) is not None
    if part:
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    return Response(content, 206 if part else 200, headers, media_type="audio/ogg")


def byte_range(asked: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last; ``None`` when the range cannot be served.

    What is not a single range of bytes is ignored, as RFC 9110 asks.
    """
    found = _RANGE.match(asked or "")
    if found is None or found[0] == "bytes=-":
        return (0, size)
    if not found[1]:
        return (max(0, size - int(found[2])), size) if int(found[2]) else None
    first = int(found[1])
    end = min(size, int(found[2]) + 1) if found[2] else size
    if first >= end:
        return None
    return first, min(end, first + _MOST_AT_ONCE)
