"""A finished track becomes a file that can be played, where recording is on and consented."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance.file_deletion import delete_files_later
from classweave.core import audit, clock
from classweave.core.database import Database
from classweave.core.storage import FileStore
from classweave.core.tenancy import system_actor
from classweave.live.models import Participant, Recording, Track
from classweave.live.receive_sound import consents_to_sound
from classweave.speech.decode import Chunk
from classweave.speech.encode import write_ogg_opus


async def store_track(
    database: Database, files: FileStore, organization: UUID, track_id: UUID
) -> None:
    """Write the track's chunks to a file, record it, and delete the chunks.

    May run again after a failure: the file has the track's name and is written whole. Without a
    standing consent nothing is kept and the chunks are deleted all the same.
    """
    actor = system_actor(organization)
    async with database.transaction(actor) as session:
        track = await session.get(Track, track_id)
        if track is None:
            return
        participant = await session.get_one(Participant, track.participant_id)
        consented = await consents_to_sound(session, participant)
        chunks = await _chunks(session, track) if consented else []
    path = f"{organization}/recordings/{track.session_id}/{track.id}.ogg"
    size, seconds = 0, 0.0
    if any(chunk.payload for chunk in chunks):
        content, seconds = await asyncio.to_thread(_encode, chunks)
        await files.put(path, content)
        size = len(content)
    async with database.transaction(actor) as session:
        # A withdrawal changes this row: it comes before and is seen here, or it comes after and
        # deletes what is written here.
        participant = await session.scalar(
            select(Participant)
            .where(Participant.id == track.participant_id)
            .with_for_update(key_share=True)
        )
        if participant is None or not await consents_to_sound(session, participant):
            await delete_files_later(session, [path])
        elif size:
            session.add(
                Recording(
                    organization_id=organization,
                    session_id=track.session_id,
                    group_id=track.group_id,
                    participant_id=track.participant_id,
                    track_id=track.id,
                    file_path=path,
                    file_size_bytes=size,
                    duration_seconds=round(seconds),
                    starts_at=track.started_at,
                    format="ogg",
                    sample_rate=48_000,
                    channels=1,
                    codec="opus",
                    processed_at=clock.now(),
                )
            )
            audit.record(
                session, "recording.stored", resource="track", resource_id=track.id,
                description="stored a recording", session_id=track.session_id,
                students=[participant.student_id] if participant.student_id else [],
                compliance_basis="consent to recording",
            )  # fmt: skip
        await session.execute(
            text("DELETE FROM live.audio_chunks WHERE track_id = :track"), {"track": track.id}
        )


async def _chunks(session: AsyncSession, track: Track) -> list[Chunk]:
    rows = await session.execute(
        text(
            "SELECT seq, start_ms, duration_ms, payload FROM live.audio_chunks"
            " WHERE track_id = :track ORDER BY seq"
        ),
        {"track": track.id},
    )
    return [
        Chunk(row.seq, row.start_ms, row.duration_ms, track.codec.value, row.payload,
              track.sample_rate)
        for row in rows
    ]  # fmt: skip


def _encode(chunks: list[Chunk]) -> tuple[bytes, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "track.ogg"
        seconds = write_ogg_opus(path, chunks)
        return path.read_bytes(), seconds
