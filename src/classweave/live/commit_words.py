"""One utterance becomes a row: words, cursor, event and clean-up in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import clock
from classweave.core.database import Database
from classweave.core.events import emit
from classweave.core.identifiers import encode, uuid7
from classweave.core.jobs import enqueue
from classweave.core.tenancy import system_actor
from classweave.language.concepts import terms
from classweave.language.lexis import is_academic
from classweave.language.words import tokens
from classweave.live.models import Transcription
from classweave.live.topics import STAFF, session_topic, to_group
from classweave.speech.decode import Codec
from classweave.speech.recogniser import Recognition
from classweave.speech.segmenter import Cut


class LeaseLost(Exception):
    """Another worker owns the track now; nothing was written."""


@dataclass(slots=True)
class TrackFacts:
    """What a worker needs to know of a track.

    ``cuts`` counts the committed utterances, and ``said`` are the words of the last of them.
    """

    id: UUID
    organization_id: UUID
    session_id: UUID
    group_id: UUID | None
    participant_id: UUID
    codec: Codec
    sample_rate: int
    started_at: datetime
    session_start: datetime | None
    language: str | None
    known_language: str | None
    speaker_name: str
    shared: bool
    record: bool
    transcribe: bool
    cuts: int
    said: str | None
    model: str
    last_error: str | None = None

    @classmethod
    def of(cls, row: dict[str, Any], model: str) -> TrackFacts:
        """The facts in a row of the lease query."""
        declared = row["language"] if row["language"] != "xx" else None
        return cls(
            id=row["id"],
            organization_id=row["organization_id"],
            session_id=row["session_id"],
            group_id=row["group_id"],
            participant_id=row["participant_id"],
            codec=row["codec"],
            sample_rate=row["sample_rate"],
            started_at=row["started_at"],
            session_start=row["actual_start"],
            language=declared or row["language_code"],
            known_language=row["language_code"],
            speaker_name=row["display_name"],
            shared=row["is_shared"],
            record=row["recording_enabled"],
            transcribe=row["transcription_enabled"],
            cuts=row["cuts"],
            said=row["said"],
            model=model,
        )

    def moment(self, track_seconds: float) -> datetime:
        """When a point of the track was, on the server's clock."""
        return self.started_at + timedelta(seconds=track_seconds)

    def session_seconds(self, track_seconds: float) -> float:
        """The same point in seconds since the session began."""
        start = self.session_start or self.started_at
        return (self.moment(track_seconds) - start).total_seconds()


_ADVANCE = text(
    "UPDATE live.tracks SET cursor = CAST(:cursor AS jsonb), cursor_seq = :seq, cuts = cuts + 1,"
    " language_code = coalesce(:language, language_code), last_error = :error,"
    " failures = failures + :failed"
    " WHERE id = :track AND leased_by = :worker AND cuts = :cuts RETURNING id"
)


async def commit_cut(
    database: Database,
    track: TrackFacts,
    worker: str,
    cut: Cut,
    recognition: Recognition | None,
) -> None:
    """Commit one cut: its words if it has any, and the cursor behind it.

    Raises :class:`LeaseLost` when the track is another worker's by now.
    """
    from classweave.live.measure_groups import request_measures

    words = recognition if recognition is not None and recognition.text.strip() else None
    async with database.transaction(system_actor(track.organization_id)) as session:
        advanced = await session.scalar(
            _ADVANCE,
            {
                "track": track.id,
                "worker": worker,
                "cuts": track.cuts,
                "seq": cut.cursor.seq,
                "cursor": orjson.dumps(cut.cursor.to_dict()).decode(),
                "language": words.language if words else None,
                "error": track.last_error,
                "failed": int(track.last_error is not None and recognition is None),
            },
        )
        if advanced is None:
            raise LeaseLost
        if words is not None:
            row = _transcription(track, cut, words)
            session.add(row)
            await session.flush()
            _tell(session, track, row, cut.speech_end_s)
            if track.group_id is not None:
                await request_measures(session, track.group_id)
        if not track.record:
            await session.execute(
                text("DELETE FROM live.audio_chunks WHERE track_id = :track AND seq < :seq"),
                {"track": track.id, "seq": cut.cursor.seq},
            )
    track.cuts += 1
    track.said = words.text.strip() if words is not None else None
    track.last_error = None
    if words is not None and track.known_language is None:
        track.known_language = words.language


def _transcription(track: TrackFacts, cut: Cut, words: Recognition) -> Transcription:
    # The first and last word bound the utterance more closely than the cut does.
    start = cut.start_s + (words.words[0].start if words.words else 0.0)
    end = cut.start_s + (words.words[-1].end if words.words else cut.end_s - cut.start_s)
    end = max(start, min(end, cut.end_s))
    offset = track.session_seconds(0.0) + cut.start_s
    return Transcription(
        id=uuid7(),
        organization_id=track.organization_id,
        session_id=track.session_id,
        group_id=track.group_id,
        track_id=track.id,
        cut=track.cuts,
        speaker_id=None if track.shared else track.participant_id,
        speaker_type="group" if track.shared else "student",
        speaker_name=track.speaker_name,
        content=words.text.strip(),
        words=[
            {
                "text": word.text,
                "start": round(offset + word.start, 3),
                "end": round(offset + word.end, 3),
                "probability": round(word.probability, 3),
            }
            for word in words.words
        ],
        language_code=words.language,
        start_time=track.moment(start),
        end_time=track.moment(end),
        start_seconds=_milliseconds(track.session_seconds(start)),
        end_seconds=_milliseconds(track.session_seconds(end)),
        duration_seconds=_milliseconds(end - start),
        confidence_score=Decimal(str(round(words.confidence or 0.0, 4))),
        key_phrases=list(dict.fromkeys(terms(words.text, words.language)))[:8],
        academic_vocabulary_detected=words.language == "en"
        and any(is_academic(token) for token in tokens(words.text)),
        model_version=track.model,
    )


def _milliseconds(seconds: float) -> Decimal:
    return Decimal(str(round(seconds, 3)))


def _tell(session: AsyncSession, track: TrackFacts, row: Transcription, heard_until: float) -> None:
    emit(
        session,
        session_topic(track.session_id),
        "caption",
        {
            "id": encode("utterance", row.id),
            "track": encode("track", track.id),
            "group": encode("group", track.group_id) if track.group_id else None,
            "participant": None if track.shared else encode("participant", track.participant_id),
            "name": row.speaker_name,
            "text": row.content,
            "start": float(row.start_seconds),
            "end": float(row.end_seconds),
            "at": row.end_time.isoformat(),
            "confidence": float(row.confidence_score),
            # The last sound on the track's own clock: what a caption's delay is counted from.
            "heard_until": round(heard_until, 3),
        },
        audience=(STAFF, to_group(track.group_id)) if track.group_id else (STAFF,),
        organization=track.organization_id,
    )


async def finish_track(database: Database, track: TrackFacts, worker: str) -> None:
    """The last sound of a track has become words; what is to be kept is stored by a job."""
    from classweave.live.jobs import store_recording

    async with database.transaction(system_actor(track.organization_id)) as session:
        finished = await session.scalar(
            text(
                "UPDATE live.tracks SET finished_at = :now, leased_by = NULL, leased_until = NULL"
                " WHERE id = :track AND leased_by = :worker RETURNING id"
            ),
            {"now": clock.now(), "track": track.id, "worker": worker},
        )
        if finished is None:
            return
        if track.record:
            await enqueue(
                session, store_recording, queueing_lock=f"recording:{track.id}",
                organization=str(track.organization_id), track_id=str(track.id),
            )  # fmt: skip
        else:
            await session.execute(
                text("DELETE FROM live.audio_chunks WHERE track_id = :track"), {"track": track.id}
            )
