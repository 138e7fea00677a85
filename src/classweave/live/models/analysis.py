"""What was measured and summarised, in the reference's tables."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Numeric, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from classweave.core.model import Base, Json, Now, Row, Tenant
from classweave.live.models.sessions import SCHEMA, Score, session_fk

Ratio = Numeric(6, 4)


def group_fk() -> Mapped[UUID]:
    """A column that names the group a row belongs to and goes with it."""
    return mapped_column(ForeignKey("live.student_groups.id", ondelete="CASCADE"), index=True)


class AnalysisResult(Row, Tenant, Base):
    """One run of an analysis: what ran, how long it took, on how much."""

    __tablename__ = "analysis_results"
    __table_args__ = ({"schema": SCHEMA},)

    session_id: Mapped[UUID] = session_fk()
    analysis_type: Mapped[str]
    analysis_timestamp: Mapped[Now]
    processing_time_ms: Mapped[int]
    result_data: Mapped[Json]
    confidence_score: Mapped[Decimal | None] = mapped_column(Numeric(5, 4))
    model_version: Mapped[str]


class Tier1Analysis(Row, Tenant, Base):
    """The measures of one group over one window. ``insights`` holds every measure with its n,
    coverage and evidence."""

    __tablename__ = "tier1_analysis"
    __table_args__ = (
        UniqueConstraint("group_id", "window_end"),
        {"schema": SCHEMA},
    )

    session_id: Mapped[UUID] = session_fk()
    group_id: Mapped[UUID] = group_fk()
    # Seconds since the session began.
    window_start: Mapped[Decimal] = mapped_column(Numeric(10, 3))
    window_end: Mapped[Decimal] = mapped_column(Numeric(10, 3))
    phase: Mapped[str]
    insights: Mapped[Json]
    analysis_timestamp: Mapped[Now]


class Tier2Analysis(Row, Tenant, Base):
    """The groups of a session side by side: who needs the teacher first, and why."""

    __tablename__ = "tier2_analysis"
    __table_args__ = ({"schema": SCHEMA},)

    session_id: Mapped[UUID] = session_fk()
    insights: Mapped[Json]
    analysis_timestamp: Mapped[Now]


class GroupMetrics(Row, Tenant, Base):
    """The measures of one group over the whole session so far."""

    __tablename__ = "group_metrics"
    __table_args__ = (UniqueConstraint("group_id"), {"schema": SCHEMA})

    group_id: Mapped[UUID] = mapped_column(ForeignKey("live.student_groups.id", ondelete="CASCADE"))
    session_id: Mapped[UUID] = session_fk()
    calculation_timestamp: Mapped[Now]
    participation_equality_index: Mapped[Decimal | None] = mapped_column(Numeric(5, 4))
    dominant_speaker_percentage: Mapped[Decimal | None] = mapped_column(Score)
    silent_members_count: Mapped[int | None]
    turn_taking_score: Mapped[Decimal | None] = mapped_column(Score)
    interruption_rate: Mapped[Decimal | None] = mapped_column(Score)
    supportive_interactions_count: Mapped[int | None]
    topic_coherence_score: Mapped[Decimal | None] = mapped_column(Score)
    vocabulary_diversity_score: Mapped[Decimal | None] = mapped_column(Score)
    academic_discourse_score: Mapped[Decimal | None] = mapped_column(Score)
    average_sentiment_score: Mapped[Decimal | None] = mapped_column(Score)
    emotional_support_instances: Mapped[int | None]
    conflict_instances: Mapped[int | None]
    configured_name: Mapped[str]
    configured_size: Mapped[int]
    leader_assigned: Mapped[bool]
    leader_ready_at: Mapped[datetime | None]
    members_configured: Mapped[int]
    members_present: Mapped[int]
    measures: Mapped[Json]


class SessionMetrics(Row, Tenant, Base):
    """Planned against actual, readiness, and the session's measures as a whole."""

    __tablename__ = "session_metrics"
    __table_args__ = (UniqueConstraint("session_id"), {"schema": SCHEMA})

    session_id: Mapped[UUID] = session_fk(index=False)
    calculation_timestamp: Mapped[Now]
    total_students: Mapped[int | None]
    active_students: Mapped[int | None]
    participation_rate: Mapped[Decimal | None] = mapped_column(Score)
    average_speaking_time_seconds: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    speaking_time_std_dev: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    overall_engagement_score: Mapped[Decimal | None] = mapped_column(Score)
    interaction_score: Mapped[Decimal | None] = mapped_column(Score)
    collaboration_score: Mapped[Decimal | None] = mapped_column(Score)
    on_topic_percentage: Mapped[Decimal | None] = mapped_column(Score)
    academic_vocabulary_usage: Mapped[Decimal | None] = mapped_column(Score)
    question_asking_rate: Mapped[Decimal | None] = mapped_column(Score)
    group_formation_time_seconds: Mapped[int | None]
    average_group_size: Mapped[Decimal | None] = mapped_column(Score)
    group_stability_score: Mapped[Decimal | None] = mapped_column(Score)
    average_connection_quality: Mapped[Decimal | None] = mapped_column(Score)
    technical_issues_count: Mapped[int | None]
    planned_groups: Mapped[int | None]
    planned_group_size: Mapped[int | None]
    planned_duration_minutes: Mapped[int | None]
    planned_members: Mapped[int | None]
    planned_leaders: Mapped[int | None]
    planned_scheduled_start: Mapped[datetime | None]
    configured_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    started_without_ready_groups: Mapped[bool | None]
    ready_groups_at_start: Mapped[int | None]
    ready_groups_at_5m: Mapped[int | None]
    ready_groups_at_10m: Mapped[int | None]
    adherence_members_ratio: Mapped[Decimal | None] = mapped_column(Ratio)
    measures: Mapped[Json | None]


class StudentMetrics(Row, Tenant, Base):
    """One participant's share in the talk. Nothing here infers a feeling."""

    __tablename__ = "student_metrics"
    __table_args__ = (UniqueConstraint("participant_id"), {"schema": SCHEMA})

    participant_id: Mapped[UUID] = mapped_column(
        ForeignKey("live.participants.id", ondelete="CASCADE")
    )
    session_id: Mapped[UUID] = session_fk()
    calculation_timestamp: Mapped[Now]
    total_speaking_time_seconds: Mapped[int]
    speaking_turns_count: Mapped[int]
    average_turn_duration_seconds: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    participation_score: Mapped[Decimal | None] = mapped_column(Score)
    initiative_score: Mapped[Decimal | None] = mapped_column(Score)
    responsiveness_score: Mapped[Decimal | None] = mapped_column(Score)
    vocabulary_complexity_score: Mapped[Decimal | None] = mapped_column(Score)
    fluency_score: Mapped[Decimal | None] = mapped_column(Score)
    peer_interaction_count: Mapped[int]
    supportive_comments_count: Mapped[int]
    questions_asked_count: Mapped[int]
    heard_share: Mapped[Decimal | None] = mapped_column(Ratio)


class GroupSummary(Row, Tenant, Base):
    """What a group discussed, and how."""

    __tablename__ = "group_summaries"
    __table_args__ = (
        Index("uq_group_summaries_group", "group_id", unique=True),
        {"schema": SCHEMA},
    )

    session_id: Mapped[UUID] = session_fk()
    group_id: Mapped[UUID] = mapped_column(ForeignKey("live.student_groups.id", ondelete="CASCADE"))
    summary_json: Mapped[Json]
    written_by: Mapped[str]
    analysis_timestamp: Mapped[Now]


class SessionSummary(Row, Tenant, Base):
    """The session as a whole."""

    __tablename__ = "session_summaries"
    __table_args__ = (UniqueConstraint("session_id"), {"schema": SCHEMA})

    session_id: Mapped[UUID] = session_fk(index=False)
    summary_json: Mapped[Json]
    written_by: Mapped[str]
    analysis_timestamp: Mapped[Now]


class EducationalInsight(Row, Tenant, Base):
    """One thing worth doing next, drawn from a summary and applying to a group or the session."""

    __tablename__ = "educational_insights"
    __table_args__ = ({"schema": SCHEMA},)

    session_id: Mapped[UUID] = session_fk()
    insight_type: Mapped[str]
    title: Mapped[str]
    description: Mapped[str]
    recommendations: Mapped[list[str]]
    impact_score: Mapped[Decimal | None] = mapped_column(Score)
    confidence_level: Mapped[Decimal | None] = mapped_column(Score)
    applies_to_type: Mapped[str]
    applies_to_id: Mapped[UUID]
