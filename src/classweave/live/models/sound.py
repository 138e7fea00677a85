"""Tracks, their chunks on the way to words, the words, and the sound that is kept."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from classweave.core.model import Base, Changing, Json, Now, Row, Tenant, pg_enum
from classweave.live.models.sessions import SCHEMA, session_fk


class Codec(StrEnum):
    """How a chunk's sound is encoded."""

    OPUS = "opus"
    PCM16 = "pcm16"


class Track(Row, Changing, Tenant, Base):
    """One device's stream of sound: what has arrived, how well, and how far it has been read.

    ``next_seq`` is the chunk awaited from the device. A speech worker owns the track while
    ``leased_until`` is in the future; ``cursor`` is where its reading stands and moves in the same
    transaction as the words it read.
    """

    __tablename__ = "tracks"
    __table_args__ = (
        Index("ix_tracks_unfinished", "leased_until", postgresql_where=text("finished_at IS NULL")),
        {"schema": SCHEMA},
    )

    session_id: Mapped[UUID] = session_fk()
    group_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("live.student_groups.id", ondelete="SET NULL"), index=True
    )
    participant_id: Mapped[UUID] = mapped_column(
        ForeignKey("live.participants.id", ondelete="CASCADE"), index=True
    )
    codec: Mapped[Codec] = mapped_column(pg_enum(Codec, SCHEMA, "codec"))
    sample_rate: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime]
    last_chunk_at: Mapped[datetime | None]
    next_seq: Mapped[int] = mapped_column(default=0, server_default="0")
    end_ms: Mapped[int] = mapped_column(default=0, server_default="0")
    closed_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    # Capture health, in seconds of the track.
    connected_seconds: Mapped[Decimal] = mapped_column(Numeric(12, 3), server_default="0")
    heard_seconds: Mapped[Decimal] = mapped_column(Numeric(12, 3), server_default="0")
    muted_seconds: Mapped[Decimal] = mapped_column(Numeric(12, 3), server_default="0")
    clipping_seconds: Mapped[Decimal] = mapped_column(Numeric(12, 3), server_default="0")
    gap_seconds: Mapped[Decimal] = mapped_column(Numeric(12, 3), server_default="0")
    peak_dbfs: Mapped[Decimal | None] = mapped_column(Numeric(5, 1))
    rms_dbfs: Mapped[Decimal | None] = mapped_column(Numeric(5, 1))
    # The reader's side.
    leased_by: Mapped[str | None]
    leased_until: Mapped[datetime | None]
    cursor_seq: Mapped[int] = mapped_column(default=0, server_default="0")
    cursor: Mapped[Json | None]
    language_code: Mapped[str | None]
    cuts: Mapped[int] = mapped_column(default=0, server_default="0")
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    last_error: Mapped[str | None]


class AudioChunk(Tenant, Base):
    """Sound that waits to become words; deleted when it has, unless it is to be kept."""

    __tablename__ = "audio_chunks"
    __table_args__ = (
        PrimaryKeyConstraint("track_id", "seq"),
        CheckConstraint("octet_length(payload) <= 65536", name="payload_size"),
        {"schema": SCHEMA},
    )

    track_id: Mapped[UUID] = mapped_column(ForeignKey("live.tracks.id", ondelete="CASCADE"))
    seq: Mapped[int]
    start_ms: Mapped[int] = mapped_column(BigInteger)
    duration_ms: Mapped[int] = mapped_column(Integer)
    is_silent: Mapped[bool] = mapped_column(Boolean)
    is_muted: Mapped[bool] = mapped_column(Boolean)
    peak_dbfs: Mapped[int] = mapped_column(SmallInteger)
    rms_dbfs: Mapped[int] = mapped_column(SmallInteger)
    payload: Mapped[bytes | None] = mapped_column(LargeBinary)
    received_at: Mapped[Now]


class Transcription(Row, Tenant, Base):
    """One utterance in words. ``cut`` numbers the utterances of a track: none can stand twice."""

    __tablename__ = "transcriptions"
    __table_args__ = (
        UniqueConstraint("track_id", "cut"),
        Index("ix_transcriptions_group_time", "group_id", "start_time"),
        Index("ix_transcriptions_session_time", "session_id", "start_time"),
        CheckConstraint("end_time >= start_time", name="ends_after_start"),
        {"schema": SCHEMA},
    )

    session_id: Mapped[UUID] = session_fk(index=False)
    group_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("live.student_groups.id", ondelete="SET NULL")
    )
    track_id: Mapped[UUID] = mapped_column(ForeignKey("live.tracks.id", ondelete="CASCADE"))
    cut: Mapped[int]
    # The participant who spoke; NULL when a shared device heard the group.
    speaker_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("live.participants.id", ondelete="CASCADE"), index=True
    )
    speaker_type: Mapped[str]
    speaker_name: Mapped[str]
    content: Mapped[str]
    words: Mapped[list[Json]] = mapped_column(server_default=text("'[]'::jsonb"))
    language_code: Mapped[str]
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]
    # Seconds since the session began.
    start_seconds: Mapped[Decimal] = mapped_column(Numeric(10, 3))
    end_seconds: Mapped[Decimal] = mapped_column(Numeric(10, 3))
    duration_seconds: Mapped[Decimal] = mapped_column(Numeric(10, 3))
    confidence_score: Mapped[Decimal] = mapped_column(Numeric(5, 4))
    is_final: Mapped[bool] = mapped_column(default=True, server_default="true")
    key_phrases: Mapped[list[str]] = mapped_column(default=list, server_default=text("'[]'::jsonb"))
    academic_vocabulary_detected: Mapped[bool] = mapped_column(
        default=False, server_default="false"
    )
    model_version: Mapped[str] = mapped_column(default="", server_default="")


class Recording(Row, Tenant, Base):
    """Sound that is kept, because recording was on and consented."""

    __tablename__ = "recordings"
    __table_args__ = ({"schema": SCHEMA},)

    session_id: Mapped[UUID] = session_fk()
    group_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("live.student_groups.id", ondelete="SET NULL")
    )
    participant_id: Mapped[UUID] = mapped_column(
        ForeignKey("live.participants.id", ondelete="CASCADE"), index=True
    )
    track_id: Mapped[UUID] = mapped_column(
        ForeignKey("live.tracks.id", ondelete="CASCADE"), unique=True
    )
    file_path: Mapped[str]
    file_size_bytes: Mapped[int]
    duration_seconds: Mapped[int]
    starts_at: Mapped[datetime]
    format: Mapped[str]
    sample_rate: Mapped[int]
    channels: Mapped[int]
    codec: Mapped[str]
    is_processed: Mapped[bool] = mapped_column(default=True, server_default="true")
    transcription_status: Mapped[str] = mapped_column(default="done", server_default="done")
    processing_attempts: Mapped[int] = mapped_column(default=1, server_default="1")
    last_error: Mapped[str | None]
    processed_at: Mapped[datetime | None]
