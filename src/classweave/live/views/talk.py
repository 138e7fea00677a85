"""Words of a group as a page shows them: who, when, in which colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.identifiers import encode
from classweave.live.models import Participant, Transcription

THREADS = 6
# Below this mean word probability the page says that it is unsure.
DOUBTFUL = 0.6


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance. ``thread`` is the voice's colour (1-6; 0 for a shared device), times are
    seconds into the session, ``key`` is the public id that events carry."""

    id: UUID
    key: str
    group_id: UUID | None
    participant_id: UUID | None
    speaker: str
    thread: int
    start: float
    end: float
    words: str
    status: str


def threads_of(participants: Sequence[Participant]) -> dict[UUID, int]:
    """A colour for each voice of one group, the same on every page: in the order of joining."""
    ordered = sorted(participants, key=lambda p: (p.join_time, p.id))
    voices = [p.id for p in ordered if not p.is_shared]
    return {voice: index % THREADS + 1 for index, voice in enumerate(voices)}


def public_threads(threads: Mapping[UUID, int]) -> dict[str, int]:
    """The same by public id, as the captions island takes it."""
    return {encode("participant", voice): thread for voice, thread in threads.items()}


async def read_lines(
    session: AsyncSession, group_id: UUID, threads: Mapping[UUID, int], newest: int | None = None
) -> list[Line]:
    """What a group said in time order, all of it or its ``newest`` utterances."""
    query = select(Transcription).where(Transcription.group_id == group_id)
    if newest is None:
        rows = list(await session.scalars(query.order_by(Transcription.start_time)))
    else:
        last = query.order_by(Transcription.start_time.desc()).limit(newest)
        rows = list(await session.scalars(last))[::-1]
    return [line_of(row, threads) for row in rows]


def line_of(row: Transcription, threads: Mapping[UUID, int]) -> Line:
    """One stored utterance as a line."""
    return Line(
        id=row.id,
        key=encode("utterance", row.id),
        group_id=row.group_id,
        participant_id=row.speaker_id,
        speaker=row.speaker_name,
        thread=threads.get(row.speaker_id, 0) if row.speaker_id else 0,
        start=float(row.start_seconds),
        end=float(row.end_seconds),
        words=row.content,
        status="doubtful" if float(row.confidence_score) < DOUBTFUL else "final",
    )
