"""How the rows of a session are reached: by these functions, or not at all."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.problems import NotFound
from classweave.core.tenancy import Actor, Role
from classweave.live.models import ClassroomSession, Participant, StudentGroup


async def access_session(
    session: AsyncSession, actor: Actor, session_id: UUID, *, lock: bool = False
) -> ClassroomSession:
    """The session, for its teacher, and for administrators of its organisation.

    Raises :class:`NotFound` for everybody else. ``lock`` takes the row ``FOR NO KEY UPDATE``.
    """
    query = select(ClassroomSession).where(ClassroomSession.id == session_id)
    if actor.role is Role.TEACHER:
        query = query.where(ClassroomSession.teacher_id == actor.id)
    elif actor.role not in (Role.SCHOOL_ADMIN, Role.DISTRICT_ADMIN, Role.PLATFORM_ADMIN):
        raise NotFound("There is no such session.")
    if lock:
        query = query.with_for_update(key_share=True)
    found = await session.scalar(query)
    if found is None:
        raise NotFound("There is no such session.")
    return found


async def access_group(
    session: AsyncSession, actor: Actor, group_id: UUID
) -> tuple[ClassroomSession, StudentGroup]:
    """A group and its session, for those who may see the session."""
    group = await session.get(StudentGroup, group_id)
    if group is None:
        raise NotFound("There is no such group.")
    return await access_session(session, actor, group.session_id), group


async def own_participation(
    session: AsyncSession, actor: Actor
) -> tuple[ClassroomSession, Participant]:
    """The session that this device takes part in, and its row there."""
    participant = await session.get(Participant, actor.id)
    if participant is None or not participant.is_active:
        raise NotFound("This device is not in a session.")
    lesson = await session.get_one(ClassroomSession, participant.session_id)
    return lesson, participant


async def groups_of(session: AsyncSession, session_id: UUID) -> list[StudentGroup]:
    """The groups of a session by their number."""
    found = await session.scalars(
        select(StudentGroup)
        .where(StudentGroup.session_id == session_id)
        .order_by(StudentGroup.group_number)
    )
    return list(found)
