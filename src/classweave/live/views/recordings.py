"""The sound that was kept, as a player takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.identifiers import encode
from classweave.live.models import ClassroomSession, Participant, Recording


@dataclass(frozen=True, slots=True)
class RecordingView:
    """One track that can be played. ``start`` is seconds into the session."""

    href: str
    name: str
    group_id: UUID | None
    start: float
    seconds: int


async def read_recordings(
    session: AsyncSession, lesson: ClassroomSession, base: str, group_id: UUID | None = None
) -> Sequence[RecordingView]:
    """The recordings of a session, or of one of its groups, in the order they began."""
    query = (
        select(Recording, Participant.display_name)
        .join(Participant, Participant.id == Recording.participant_id)
        .where(Recording.session_id == lesson.id)
        .order_by(Recording.starts_at)
    )
    if group_id is not None:
        query = query.where(Recording.group_id == group_id)
    rows = await session.execute(query)
    return [
        RecordingView(
            href=f"{base}/recordings/{encode('recording', recording.id)}",
            name=name,
            group_id=recording.group_id,
            start=(recording.starts_at - (lesson.actual_start or recording.starts_at))
            .total_seconds(),
            seconds=recording.duration_seconds,
        )
        for recording, name in rows
    ]  # fmt: skip
