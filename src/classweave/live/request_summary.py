"""Ask for a session's summary once more, where it was never written."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import audit
from classweave.core.jobs import enqueue
from classweave.core.problems import Conflict
from classweave.core.tenancy import Actor
from classweave.live.access import access_session
from classweave.live.models import ClassroomSession
from classweave.live.states import SessionStatus


async def request_summary(
    session: AsyncSession, actor: Actor, session_id: UUID
) -> ClassroomSession:
    """Have the whole of an ended session measured and summarised again.

    Raises :class:`Conflict` while the session is not over. Asking twice does the work once.
    """
    from classweave.live.jobs import finish_session

    lesson = await access_session(session, actor, session_id)
    if lesson.status not in (SessionStatus.ENDED, SessionStatus.ARCHIVED):
        raise Conflict("The session has not ended.", code="wrong-state")
    await enqueue(
        session, finish_session, queueing_lock=f"finish:{lesson.id}",
        organization=str(lesson.organization_id), session_id=str(lesson.id),
    )  # fmt: skip
    audit.record(
        session, "session.summary_requested", resource="session", resource_id=lesson.id,
        description="asked for the summary to be written again", session_id=lesson.id,
    )  # fmt: skip
    return lesson
