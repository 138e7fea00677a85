"""Consent, the protection of children under 13, retention, and requests about one's own data.

The audit trail's tables live in :mod:`classweave.core.audit`, because every room writes to them.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from classweave.core.model import Base, Changing, Json, Row, Tenant, pg_enum
from classweave.core.personal_data import Subject

_SCHEMA = "compliance"


class ConsentKind(StrEnum):
    """What is consented to. Each stands alone: collecting is not disclosing."""

    TAKE_PART = "take_part"
    RECORDING = "recording"
    ANALYSIS = "analysis"
    DATA_SHARING = "data_sharing"
    EMAIL = "email"
    DISCLOSURE = "disclosure"
    AI_TRAINING = "ai_training"


class ConsentState(StrEnum):
    """What was decided. A student without a row was never asked, which is not consent."""

    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class ConsentMethod(StrEnum):
    """How the decision reached the school."""

    PAPER_FORM = "paper_form"
    IN_PERSON = "in_person"
    E_MAIL = "e_mail"
    PHONE = "phone"
    STUDENT_OF_AGE = "student_of_age"


class ParentalConsent(Row, Changing, Tenant, Base):
    """One decision about one kind of consent.

    Decisions are added, never edited: a new one supersedes the last (``superseded_at``), and the
    row that is not superseded *stands*. ``consent_date`` is when the family decided, ``created_at``
    when staff recorded it.
    """

    __tablename__ = "parental_consents"
    __table_args__ = (
        Index(
            "uq_parental_consents_standing",
            "student_id",
            "consent_type",
            unique=True,
            postgresql_where=text("superseded_at IS NULL"),
        ),
        Index("ix_parental_consents_student_id", "student_id", "created_at"),
        Index(
            "ix_parental_consents_expires_at",
            "organization_id",
            "expires_at",
            postgresql_where=text("superseded_at IS NULL AND state = 'given'"),
        ),
        CheckConstraint("consent_given = (state = 'given')", name="given_is_state"),
        CheckConstraint(
            "(revoked_at IS NOT NULL) = (state = 'withdrawn')", name="revoked_when_withdrawn"
        ),
        CheckConstraint(
            "expires_at IS NULL OR expires_at > consent_date", name="expires_after_consent"
        ),
        {"schema": _SCHEMA},
    )

    student_id: Mapped[UUID] = mapped_column(
        ForeignKey("directory.students.id", ondelete="CASCADE")
    )
    consent_type: Mapped[ConsentKind] = mapped_column(pg_enum(ConsentKind, _SCHEMA, "consent_kind"))
    state: Mapped[ConsentState] = mapped_column(pg_enum(ConsentState, _SCHEMA, "consent_state"))
    consent_given: Mapped[bool]
    consent_date: Mapped[datetime]
    parent_name: Mapped[str | None]
    parent_email: Mapped[str | None]
    relationship: Mapped[str | None]
    verification_method: Mapped[ConsentMethod | None] = mapped_column(
        pg_enum(ConsentMethod, _SCHEMA, "consent_method")
    )
    verification_token: Mapped[str | None]
    verified_at: Mapped[datetime | None]
    ip_address: Mapped[str | None]
    user_agent: Mapped[str | None]
    consent_text_version: Mapped[str]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    superseded_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(server_default="")
    recorded_by: Mapped[UUID | None] = mapped_column(
        ForeignKey("directory.users.id", ondelete="SET NULL")
    )


class CoppaCompliance(Row, Changing, Tenant, Base):
    """The protection of one student under the COPPA rule.

    The database makes the row with the student and keeps ``birth_year`` and ``is_under_13`` equal
    to the directory's. ``student_id`` is no foreign key: after an erasure the row remains without
    birth year, as the proof that, and when, the record was deleted.
    """

    __tablename__ = "coppa_compliance"
    __table_args__ = (
        UniqueConstraint("student_id"),
        CheckConstraint("no_behavioral_targeting", name="never_targeted"),
        CheckConstraint("delete_after_days > 0", name="delete_after_days_positive"),
        {"schema": _SCHEMA},
    )

    student_id: Mapped[UUID]
    birth_year: Mapped[int | None]
    is_under_13: Mapped[bool]
    age_verification_method: Mapped[str | None]
    age_verified_at: Mapped[datetime | None]
    data_collection_limited: Mapped[bool]
    no_behavioral_targeting: Mapped[bool] = mapped_column(server_default=text("true"))
    no_third_party_sharing: Mapped[bool] = mapped_column(server_default=text("true"))
    auto_delete_enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    delete_after_days: Mapped[int] = mapped_column(server_default=text("365"))
    deletion_requested_at: Mapped[datetime | None]
    deletion_completed_at: Mapped[datetime | None]
    parent_access_enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    parent_last_reviewed: Mapped[datetime | None]


class PolicyType(StrEnum):
    """A kind of data with one retention period."""

    SOUND = "sound"
    WORDS = "words"
    MEASURES = "measures"
    PROMPTS = "prompts"
    MESSAGES = "messages"
    EVENTS = "events"
    SIGN_IN_SESSIONS = "sign_in_sessions"
    CONSENT_HISTORY = "consent_history"
    AUDIT = "audit"


class RetentionPolicy(Row, Changing, Tenant, Base):
    """How long an organisation keeps one kind of data, and why.

    ``retention_days`` is the period in use, as the notice to families states it. What is older
    than ``delete_after_days`` is deleted by the daily run. ``archive_after_days`` is for rooms that
    move things out of the everyday lists; it stays empty where none does. The audit trail is never
    deleted by a run: cutting its start would break its proof.
    """

    __tablename__ = "retention_policies"
    __table_args__ = (
        UniqueConstraint("organization_id", "policy_type"),
        CheckConstraint("retention_days >= 0", name="retention_days"),
        CheckConstraint("delete_after_days >= retention_days", name="delete_after_retention"),
        CheckConstraint(
            "archive_after_days IS NULL OR archive_after_days BETWEEN 0 AND delete_after_days",
            name="archive_before_deletion",
        ),
        CheckConstraint("policy_type <> 'audit' OR NOT auto_delete_enabled", name="audit_is_kept"),
        CheckConstraint("legal_basis <> ''", name="legal_basis"),
        {"schema": _SCHEMA},
    )

    policy_type: Mapped[PolicyType] = mapped_column(pg_enum(PolicyType, _SCHEMA, "policy_type"))
    retention_days: Mapped[int]
    delete_after_days: Mapped[int]
    archive_after_days: Mapped[int | None]
    legal_basis: Mapped[str]
    auto_delete_enabled: Mapped[bool] = mapped_column(server_default=text("true"))


class RetentionRun(Row, Tenant, Base):
    """One daily deletion: how many rows each table lost. Unfinished when ``completed_at`` is null.

    ``counts`` grows in the same transactions as the deletions, so it is right after a crash too.
    """

    __tablename__ = "retention_runs"
    __table_args__ = (
        Index("ix_retention_runs_organization_id", "organization_id", "created_at"),
        {"schema": _SCHEMA},
    )

    counts: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    files: Mapped[int] = mapped_column(server_default=text("0"))
    completed_at: Mapped[datetime | None]


class RequestKind(StrEnum):
    """Which right is exercised."""

    EXPORT = "export"
    ERASE = "erase"


class RequestStatus(StrEnum):
    """Where the request stands. It is recorded with the deed, so a failed one leaves no trace."""

    REQUESTED = "requested"
    COMPLETED = "completed"


class DataRequest(Row, Changing, Tenant, Base):
    """A request to receive or erase everything about a person, and its receipt.

    ``subject_id`` is no foreign key: the proof of an erasure outlives the erased.
    ``receipt_hash`` is the SHA-256 of the receipt's canonical JSON.
    """

    __tablename__ = "data_requests"
    __table_args__ = (
        Index("ix_data_requests_subject_id", "subject_id"),
        Index("ix_data_requests_organization_id", "organization_id", "created_at"),
        Index(
            "uq_data_requests_erased",
            "subject_id",
            unique=True,
            postgresql_where=text("request_type = 'erase'"),
        ),
        CheckConstraint(
            "(status = 'completed') = (completed_at IS NOT NULL AND receipt_hash IS NOT NULL)",
            name="completed_has_receipt",
        ),
        {"schema": _SCHEMA},
    )

    request_type: Mapped[RequestKind] = mapped_column(pg_enum(RequestKind, _SCHEMA, "request_kind"))
    subject_type: Mapped[Subject] = mapped_column(pg_enum(Subject, _SCHEMA, "subject_kind"))
    subject_id: Mapped[UUID]
    status: Mapped[RequestStatus] = mapped_column(pg_enum(RequestStatus, _SCHEMA, "request_status"))
    requested_by: Mapped[UUID | None] = mapped_column(
        ForeignKey("directory.users.id", ondelete="SET NULL")
    )
    completed_at: Mapped[datetime | None]
    counts: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    receipt: Mapped[Json | None]
    receipt_hash: Mapped[str | None]
