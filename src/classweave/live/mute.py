"""A device mutes itself; its group and the console see it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.events import emit
from classweave.core.identifiers import encode
from classweave.live.models import Participant
from classweave.live.topics import STAFF, session_topic, to_participant


async def set_muted(session: AsyncSession, participant_id: UUID, muted: bool) -> None:
    """Remember that the device is muted (or not) and tell who shows it."""
    participant = await session.get_one(Participant, participant_id)
    if participant.is_muted == muted:
        return
    participant.is_muted = muted
    emit(
        session,
        session_topic(participant.session_id),
        "mute",
        {"participant": encode("participant", participant_id), "muted": muted},
        audience=(STAFF, to_participant(participant_id)),
    )
