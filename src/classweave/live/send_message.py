"""Messages within a session: the teacher to a group or to all."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import audit, clock
from classweave.core.events import EVERYONE, emit
from classweave.core.identifiers import encode
from classweave.core.problems import Invalid, NotFound
from classweave.core.tenancy import Actor
from classweave.live.access import access_session
from classweave.live.models import Message, StudentGroup
from classweave.live.topics import STAFF, session_topic, to_group


async def send_message(
    session: AsyncSession, actor: Actor, session_id: UUID, group_id: UUID | None, content: str
) -> Message:
    """Send ``content`` to one group, or to all when ``group_id`` is ``None``."""
    lesson = await access_session(session, actor, session_id)
    content = content.strip()
    if not 1 <= len(content) <= 2000:
        message = "A message has 1 to 2,000 letters."
        errors = [{"field": "content", "message": message}]
        raise Invalid(message, code="bad-message", errors=errors)
    if group_id is not None:
        group = await session.get(StudentGroup, group_id)
        if group is None or group.session_id != lesson.id:
            raise NotFound("There is no such group in this session.")
    assert actor.id is not None
    message = Message(
        organization_id=lesson.organization_id,
        session_id=lesson.id,
        sender_id=actor.id,
        sender_type="teacher",
        recipient_id=group_id,
        recipient_type="group" if group_id else "session",
        content=content,
        created_at=clock.now(),
    )
    session.add(message)
    await session.flush()
    audit.record(
        session, "message.sent", resource="message", resource_id=message.id,
        description="sent a message to a group" if group_id else "sent a message to all groups",
        session_id=lesson.id,
    )  # fmt: skip
    emit(
        session,
        session_topic(lesson.id),
        "message",
        {
            "id": encode("message", message.id),
            "text": content,
            "group": encode("group", group_id) if group_id else None,
            "at": message.created_at.isoformat(),
        },
        audience=(STAFF, to_group(group_id)) if group_id else (EVERYONE,),
        organization=lesson.organization_id,
    )
    return message


async def messages_for(
    session: AsyncSession, session_id: UUID, group_id: UUID | None, limit: int = 50
) -> list[Message]:
    """The newest messages that a group has received, oldest first."""
    found = await session.scalars(
        select(Message)
        .where(
            Message.session_id == session_id,
            Message.is_deleted.is_(False),
            Message.recipient_id.is_(None) | (Message.recipient_id == group_id),
        )
        .order_by(Message.created_at.desc())
        .limit(limit)
    )
    return list(found)[::-1]
