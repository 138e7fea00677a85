"""Prompts to the teacher: their whole life, what they led to, and the rules that make them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, Numeric, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from classweave.core.model import Base, Changing, Json, Now, Row, Tenant, pg_enum
from classweave.live.models.sessions import SCHEMA, session_fk
from classweave.live.states import Phase, PromptStatus

Rate = Numeric(7, 4)


class PromptCategory(StrEnum):
    """What kind of step a prompt suggests."""

    FACILITATION = "facilitation"
    DEEPENING = "deepening"
    REDIRECTION = "redirection"
    COLLABORATION = "collaboration"
    ASSESSMENT = "assessment"
    ENERGY = "energy"
    CLARITY = "clarity"


class Priority(StrEnum):
    """How soon it matters."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Timing(StrEnum):
    """When the step is best taken."""

    IMMEDIATE = "immediate"
    NEXT_BREAK = "next_break"
    SESSION_END = "session_end"


class TeacherGuidanceMetrics(Row, Changing, Tenant, Base):
    """One prompt from its making to its effect."""

    __tablename__ = "teacher_guidance_metrics"
    __table_args__ = (
        Index("ix_teacher_guidance_metrics_teacher", "teacher_id", "generated_at"),
        Index(
            "uq_teacher_guidance_metrics_standing",
            "group_id",
            unique=True,
            postgresql_where=text("status IN ('generated', 'acknowledged')"),
        ),
        CheckConstraint("feedback_rating BETWEEN 1 AND 5", name="feedback_rating"),
        {"schema": SCHEMA},
    )

    session_id: Mapped[UUID] = session_fk()
    teacher_id: Mapped[UUID] = mapped_column(ForeignKey("directory.users.id", ondelete="CASCADE"))
    group_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("live.student_groups.id", ondelete="CASCADE")
    )
    # The rule that made it.
    prompt_id: Mapped[str]
    status: Mapped[PromptStatus] = mapped_column(
        pg_enum(PromptStatus, SCHEMA, "prompt_status"), default=PromptStatus.GENERATED
    )
    prompt_category: Mapped[PromptCategory] = mapped_column(
        pg_enum(PromptCategory, SCHEMA, "prompt_category")
    )
    priority_level: Mapped[Priority] = mapped_column(pg_enum(Priority, SCHEMA, "priority"))
    prompt_message: Mapped[str]
    prompt_context: Mapped[str]
    suggested_timing: Mapped[Timing] = mapped_column(pg_enum(Timing, SCHEMA, "timing"))
    session_phase: Mapped[Phase] = mapped_column(pg_enum(Phase, SCHEMA, "phase"))
    subject_area: Mapped[str]
    target_metric: Mapped[str]
    metric_before: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    metric_after: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    evidence: Mapped[list[Json]] = mapped_column(server_default=text("'[]'::jsonb"))
    learning_objectives: Mapped[list[str]] = mapped_column(server_default=text("'[]'::jsonb"))
    generated_at: Mapped[datetime]
    acknowledged_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    dismissed_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    feedback_rating: Mapped[int | None]
    feedback_text: Mapped[str | None]
    effectiveness_score: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    learning_outcome_improvement: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    response_time_seconds: Mapped[int | None]
    educational_purpose: Mapped[str]
    compliance_basis: Mapped[str]
    data_retention_date: Mapped[date | None] = mapped_column(Date)


class GuidanceEvent(Row, Tenant, Base):
    """One step in the life of a prompt."""

    __tablename__ = "guidance_events"
    __table_args__ = ({"schema": SCHEMA},)

    session_id: Mapped[UUID] = session_fk()
    group_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("live.student_groups.id", ondelete="CASCADE")
    )
    teacher_id: Mapped[UUID] = mapped_column(ForeignKey("directory.users.id", ondelete="CASCADE"))
    prompt_row_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("live.teacher_guidance_metrics.id", ondelete="CASCADE"), index=True
    )
    event_type: Mapped[str]
    payload: Mapped[Json]
    event_timestamp: Mapped[Now]


class InterventionSuggestion(Row, Tenant, Base):
    """A step the teacher may take with a group, and whether it was taken and helped."""

    __tablename__ = "intervention_suggestions"
    __table_args__ = ({"schema": SCHEMA},)

    session_id: Mapped[UUID] = session_fk()
    group_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("live.student_groups.id", ondelete="CASCADE")
    )
    teacher_id: Mapped[UUID] = mapped_column(ForeignKey("directory.users.id", ondelete="CASCADE"))
    prompt_row_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("live.teacher_guidance_metrics.id", ondelete="CASCADE"), unique=True
    )
    intervention_type: Mapped[str]
    urgency: Mapped[str]
    reason: Mapped[str]
    suggested_action: Mapped[str]
    target_type: Mapped[str]
    target_student_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("directory.students.id", ondelete="SET NULL")
    )
    status: Mapped[str]
    acted_upon: Mapped[bool]
    acted_at: Mapped[datetime | None]
    was_effective: Mapped[bool | None]


class GuidanceRules(Row, Changing, Tenant, Base):
    """An organisation's own edition of the rules, as TOML; the newest stands."""

    __tablename__ = "guidance_rules"
    __table_args__ = (UniqueConstraint("organization_id", "version"), {"schema": SCHEMA})

    version: Mapped[int]
    rules_toml: Mapped[str]
    created_by: Mapped[UUID | None]


class TeacherPromptEffectiveness(Row, Changing, Tenant, Base):
    """How prompts of one kind fared, over a period."""

    __tablename__ = "teacher_prompt_effectiveness"
    __table_args__ = (
        UniqueConstraint(
            "organization_id", "prompt_category", "subject_area", "session_phase",
            "priority_level", "calculation_period_start",
            name="uq_teacher_prompt_effectiveness_kind",
        ),
        {"schema": SCHEMA},
    )  # fmt: skip

    prompt_category: Mapped[str]
    subject_area: Mapped[str]
    session_phase: Mapped[str]
    priority_level: Mapped[str]
    total_generated: Mapped[int]
    total_acknowledged: Mapped[int]
    total_used: Mapped[int]
    total_dismissed: Mapped[int]
    acknowledgment_rate: Mapped[Decimal | None] = mapped_column(Rate)
    usage_rate: Mapped[Decimal | None] = mapped_column(Rate)
    dismissal_rate: Mapped[Decimal | None] = mapped_column(Rate)
    avg_effectiveness_score: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    avg_feedback_rating: Mapped[Decimal | None] = mapped_column(Numeric(4, 2))
    avg_response_time_seconds: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    avg_learning_impact: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    std_dev_effectiveness: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    confidence_interval_lower: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    confidence_interval_upper: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    data_points: Mapped[int]
    calculation_period_start: Mapped[datetime]
    calculation_period_end: Mapped[datetime]
    last_calculated: Mapped[Now]


class SessionGuidanceAnalytics(Row, Changing, Tenant, Base):
    """The prompts of one session, counted."""

    __tablename__ = "session_guidance_analytics"
    __table_args__ = (UniqueConstraint("session_id"), {"schema": SCHEMA})

    session_id: Mapped[UUID] = session_fk(index=False)
    teacher_id: Mapped[UUID] = mapped_column(ForeignKey("directory.users.id", ondelete="CASCADE"))
    session_date: Mapped[date] = mapped_column(Date)
    subject_area: Mapped[str]
    session_duration_minutes: Mapped[int | None]
    total_groups: Mapped[int]
    total_students: Mapped[int]
    total_prompts_generated: Mapped[int]
    total_prompts_acknowledged: Mapped[int]
    total_prompts_used: Mapped[int]
    total_prompts_dismissed: Mapped[int]
    total_prompts_expired: Mapped[int]
    acknowledgment_rate: Mapped[Decimal | None] = mapped_column(Rate)
    usage_rate: Mapped[Decimal | None] = mapped_column(Rate)
    effectiveness_rate: Mapped[Decimal | None] = mapped_column(Rate)
    avg_feedback_rating: Mapped[Decimal | None] = mapped_column(Numeric(4, 2))
    avg_effectiveness_score: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    avg_response_time_seconds: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    session_improvement_score: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    student_engagement_improvement: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    discussion_quality_improvement: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    learning_objective_completion_rate: Mapped[Decimal | None] = mapped_column(Rate)
    category_breakdown: Mapped[Json]
    priority_breakdown: Mapped[Json]
    phase_breakdown: Mapped[Json]
    teacher_satisfaction_rating: Mapped[int | None]
    teacher_feedback_text: Mapped[str | None]
    would_recommend_system: Mapped[bool | None]
    ai_analysis_latency_ms: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    prompt_generation_latency_ms: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    system_uptime_percentage: Mapped[Decimal | None] = mapped_column(Numeric(5, 2))
    error_count: Mapped[int]
    compliance_violations: Mapped[int]
    data_retention_compliance: Mapped[bool]
    privacy_safeguards_applied: Mapped[bool]
