"""Sessions, groups, members, participants, messages and the session's own log."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    Numeric,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from classweave.core.model import Base, Changing, Json, Now, Row, Tenant, pg_enum
from classweave.live.states import CODE_TAKEN, GroupStatus, SessionStatus

SCHEMA = "live"
Score = Numeric(5, 2)


def session_fk(*, index: bool = True) -> Mapped[UUID]:
    """A column that names the session a row belongs to and goes with it."""
    return mapped_column(ForeignKey("live.classroom_sessions.id", ondelete="CASCADE"), index=index)


class ClassroomSession(Row, Changing, Tenant, Base):
    """One lesson of group discussions."""

    __tablename__ = "classroom_sessions"
    __table_args__ = (
        Index(
            "uq_classroom_sessions_access_code",
            "access_code",
            unique=True,
            postgresql_where=text(
                "status IN (" + ", ".join(f"'{status.value}'" for status in CODE_TAKEN) + ")"
            ),
        ),
        Index("ix_classroom_sessions_teacher", "teacher_id", "created_at"),
        CheckConstraint("planned_duration_minutes BETWEEN 1 AND 480", name="planned_duration"),
        CheckConstraint("target_group_size BETWEEN 1 AND 12", name="target_group_size"),
        CheckConstraint("max_students BETWEEN 1 AND 500", name="max_students"),
        CheckConstraint(
            "actual_end IS NULL OR actual_start IS NULL OR actual_end >= actual_start",
            name="ends_after_start",
        ),
        {"schema": SCHEMA},
    )

    title: Mapped[str]
    description: Mapped[str] = mapped_column(default="", server_default="")
    goal: Mapped[str] = mapped_column(default="", server_default="")
    subject: Mapped[str] = mapped_column(default="general", server_default="general")
    concepts: Mapped[list[str]] = mapped_column(default=list, server_default=text("'[]'::jsonb"))
    language: Mapped[str] = mapped_column(default="en", server_default="en")
    status: Mapped[SessionStatus] = mapped_column(
        pg_enum(SessionStatus, SCHEMA, "session_status"), default=SessionStatus.DRAFT
    )
    teacher_id: Mapped[UUID] = mapped_column(
        ForeignKey("directory.users.id", ondelete="RESTRICT"), index=True
    )
    class_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("directory.classes.id", ondelete="SET NULL"), index=True
    )
    access_code: Mapped[str | None]
    scheduled_start: Mapped[datetime | None]
    configured_at: Mapped[datetime | None]
    actual_start: Mapped[datetime | None]
    actual_end: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    paused_seconds: Mapped[int] = mapped_column(default=0, server_default="0")
    planned_duration_minutes: Mapped[int] = mapped_column(default=45, server_default="45")
    actual_duration_minutes: Mapped[int | None]
    end_reason: Mapped[str | None]
    max_students: Mapped[int] = mapped_column(default=60, server_default="60")
    target_group_size: Mapped[int] = mapped_column(default=4, server_default="4")
    auto_group_enabled: Mapped[bool] = mapped_column(default=False, server_default="false")
    allow_display_names: Mapped[bool] = mapped_column(default=False, server_default="false")
    recording_enabled: Mapped[bool] = mapped_column(default=False, server_default="false")
    transcription_enabled: Mapped[bool] = mapped_column(default=True, server_default="true")
    ai_analysis_enabled: Mapped[bool] = mapped_column(default=True, server_default="true")
    # The teacher's word that guests who joined by display name may be heard.
    recording_consent_obtained: Mapped[bool] = mapped_column(default=False, server_default="false")
    ferpa_compliant: Mapped[bool] = mapped_column(default=True, server_default="true")
    coppa_compliant: Mapped[bool] = mapped_column(default=True, server_default="true")
    data_retention_date: Mapped[datetime | None]
    started_without_ready_groups: Mapped[bool | None]
    teacher_notes: Mapped[str] = mapped_column(default="", server_default="")
    total_groups: Mapped[int] = mapped_column(default=0, server_default="0")
    total_students: Mapped[int] = mapped_column(default=0, server_default="0")
    engagement_score: Mapped[Decimal | None] = mapped_column(Score)
    participation_rate: Mapped[Decimal | None] = mapped_column(Score)


class CaptureMode(StrEnum):
    """How a group is heard."""

    PER_STUDENT = "per_student"
    SHARED_DEVICE = "shared_device"


class StudentGroup(Row, Changing, Tenant, Base):
    """A group of a session. The newest measures of the group stand on it."""

    __tablename__ = "student_groups"
    __table_args__ = (
        UniqueConstraint("session_id", "group_number"),
        CheckConstraint("current_size >= 0 AND max_size BETWEEN 1 AND 30", name="size"),
        {"schema": SCHEMA},
    )

    session_id: Mapped[UUID] = session_fk()
    name: Mapped[str]
    group_number: Mapped[int]
    status: Mapped[GroupStatus] = mapped_column(
        pg_enum(GroupStatus, SCHEMA, "group_status"), default=GroupStatus.FORMING
    )
    capture_mode: Mapped[CaptureMode] = mapped_column(
        pg_enum(CaptureMode, SCHEMA, "capture_mode"), default=CaptureMode.PER_STUDENT
    )
    max_size: Mapped[int] = mapped_column(default=8, server_default="8")
    current_size: Mapped[int] = mapped_column(default=0, server_default="0")
    auto_managed: Mapped[bool] = mapped_column(default=False, server_default="false")
    start_time: Mapped[datetime | None]
    end_time: Mapped[datetime | None]
    leader_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("directory.students.id", ondelete="SET NULL")
    )
    is_ready: Mapped[bool] = mapped_column(default=False, server_default="false")
    leader_ready_at: Mapped[datetime | None]
    total_speaking_time_seconds: Mapped[Decimal] = mapped_column(
        Numeric(12, 3), default=Decimal(0), server_default="0"
    )
    collaboration_score: Mapped[Decimal | None] = mapped_column(Score)
    topic_focus_score: Mapped[Decimal | None] = mapped_column(Score)
    topical_cohesion: Mapped[Decimal | None] = mapped_column(Score)
    argumentation_quality: Mapped[Decimal | None] = mapped_column(Score)
    sentiment_arc: Mapped[list[Json] | None]
    conceptual_density: Mapped[Decimal | None] = mapped_column(Score)


class StudentGroupMember(Row, Tenant, Base):
    """Who is planned to be in which group."""

    __tablename__ = "student_group_members"
    __table_args__ = (UniqueConstraint("session_id", "student_id"), {"schema": SCHEMA})

    session_id: Mapped[UUID] = session_fk(index=False)
    group_id: Mapped[UUID] = mapped_column(
        ForeignKey("live.student_groups.id", ondelete="CASCADE"), index=True
    )
    student_id: Mapped[UUID] = mapped_column(
        ForeignKey("directory.students.id", ondelete="CASCADE"), index=True
    )


class Participant(Row, Changing, Tenant, Base):
    """A device in a session: a student's own, a guest's, or one that a whole group shares."""

    __tablename__ = "participants"
    __table_args__ = (
        Index(
            "uq_participants_student",
            "session_id",
            "student_id",
            unique=True,
            postgresql_where=text("student_id IS NOT NULL AND is_active"),
        ),
        Index(
            "uq_participants_shared",
            "group_id",
            unique=True,
            postgresql_where=text("is_shared AND is_active"),
        ),
        CheckConstraint("NOT is_shared OR student_id IS NULL", name="shared_is_nobody"),
        {"schema": SCHEMA},
    )

    session_id: Mapped[UUID] = session_fk()
    group_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("live.student_groups.id", ondelete="SET NULL"), index=True
    )
    student_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("directory.students.id", ondelete="CASCADE"), index=True
    )
    anonymous_id: Mapped[str | None]
    display_name: Mapped[str]
    is_shared: Mapped[bool] = mapped_column(default=False, server_default="false")
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    join_time: Mapped[datetime]
    leave_time: Mapped[datetime | None]
    last_seen_at: Mapped[datetime | None]
    is_active: Mapped[bool] = mapped_column(default=True, server_default="true")
    device_type: Mapped[str | None]
    browser_info: Mapped[str | None]
    connection_quality: Mapped[str | None]
    can_speak: Mapped[bool] = mapped_column(default=False, server_default="false")
    can_hear: Mapped[bool] = mapped_column(default=True, server_default="true")
    is_muted: Mapped[bool] = mapped_column(default=False, server_default="false")
    microphone_checked_at: Mapped[datetime | None]
    hand_raised_at: Mapped[datetime | None]
    total_speaking_time_seconds: Mapped[Decimal] = mapped_column(
        Numeric(12, 3), default=Decimal(0), server_default="0"
    )
    message_count: Mapped[int] = mapped_column(default=0, server_default="0")
    interaction_count: Mapped[int] = mapped_column(default=0, server_default="0")


class Message(Row, Tenant, Base):
    """A message within a session: from the teacher to a group or to all, or a raised hand."""

    __tablename__ = "messages"
    __table_args__ = (
        CheckConstraint("char_length(content) BETWEEN 1 AND 2000", name="content"),
        {"schema": SCHEMA},
    )

    session_id: Mapped[UUID] = session_fk()
    sender_id: Mapped[UUID]
    sender_type: Mapped[str]
    recipient_id: Mapped[UUID | None]
    recipient_type: Mapped[str]
    message_type: Mapped[str] = mapped_column(default="note", server_default="note")
    subject: Mapped[str | None]
    content: Mapped[str]
    # The reference calls it ``metadata``, a name SQLAlchemy keeps for itself.
    details: Mapped[Json] = mapped_column(
        "metadata", default=dict, server_default=text("'{}'::jsonb")
    )
    is_read: Mapped[bool] = mapped_column(default=False, server_default="false")
    is_archived: Mapped[bool] = mapped_column(default=False, server_default="false")
    is_deleted: Mapped[bool] = mapped_column(default=False, server_default="false")
    read_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]


class SessionEvent(Row, Tenant, Base):
    """The session's own log: configured, opened, started, leader_ready, member_join, …, ended."""

    __tablename__ = "session_events"
    __table_args__ = (
        Index("ix_session_events_session", "session_id", "event_time"),
        {"schema": SCHEMA},
    )

    session_id: Mapped[UUID] = session_fk(index=False)
    teacher_id: Mapped[UUID]
    event_type: Mapped[str]
    event_time: Mapped[Now]
    payload: Mapped[Json] = mapped_column(default=dict, server_default=text("'{}'::jsonb"))
