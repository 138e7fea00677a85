"""The tree of organisations and their settings."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from classweave.core.model import Base, Changing, Json, Row, Tenant, pg_enum

SCHEMA = "directory"
_TRUE = text("true")
_FALSE = text("false")
_ZERO = text("0")
_EMPTY = text("'{}'::jsonb")


class OrganizationKind(StrEnum):
    """What an organisation is. A district holds schools, a university holds faculties."""

    DISTRICT = "district"
    SCHOOL = "school"
    UNIVERSITY = "university"
    FACULTY = "faculty"


class SubscriptionTier(StrEnum):
    """How much of Classweave an organisation has agreed to."""

    FREE = "free"
    BASIC = "basic"
    PREMIUM = "premium"
    ENTERPRISE = "enterprise"


class SubscriptionStatus(StrEnum):
    """Where the agreement stands."""

    TRIAL = "trial"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class SettingType(StrEnum):
    """How ``setting_value`` is to be read."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    JSON = "json"


class Organization(Row, Changing, Base):
    """A district, school, university or faculty. Its place in the tree never changes.

    ``student_count``, ``teacher_count``, ``current_teachers`` and ``school_count`` include all
    organisations below and are kept by triggers.
    """

    __tablename__ = "organizations"
    __table_args__ = (
        CheckConstraint("length(btrim(name)) BETWEEN 1 AND 200", name="name_length"),
        CheckConstraint("data_retention_days > 0", name="retention_positive"),
        CheckConstraint("max_teachers >= 0", name="max_teachers_not_negative"),
        CheckConstraint("parent_id <> id", name="not_its_own_parent"),
        Index("ix_organizations_parent_id", "parent_id"),
        {"schema": SCHEMA},
    )

    kind: Mapped[OrganizationKind] = mapped_column(
        pg_enum(OrganizationKind, SCHEMA, "organization_kind")
    )
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("directory.organizations.id"))
    name: Mapped[str]
    code: Mapped[str | None]
    state: Mapped[str | None]
    region: Mapped[str | None]
    superintendent_name: Mapped[str | None]
    contact_email: Mapped[str | None]
    contact_phone: Mapped[str | None]
    website: Mapped[str | None]
    student_count: Mapped[int] = mapped_column(server_default=_ZERO)
    school_count: Mapped[int] = mapped_column(server_default=_ZERO)
    teacher_count: Mapped[int] = mapped_column(server_default=_ZERO)
    domain: Mapped[str | None]
    google_workspace_id: Mapped[str | None]
    admin_email: Mapped[str | None]
    subscription_tier: Mapped[SubscriptionTier] = mapped_column(
        pg_enum(SubscriptionTier, SCHEMA, "subscription_tier"), server_default="free"
    )
    subscription_status: Mapped[SubscriptionStatus] = mapped_column(
        pg_enum(SubscriptionStatus, SCHEMA, "subscription_status"), server_default="active"
    )
    max_teachers: Mapped[int | None]
    current_teachers: Mapped[int] = mapped_column(server_default=_ZERO)
    stripe_customer_id: Mapped[str | None]
    subscription_start_date: Mapped[datetime | None]
    subscription_end_date: Mapped[datetime | None]
    trial_ends_at: Mapped[datetime | None]
    ferpa_agreement: Mapped[bool] = mapped_column(server_default=_FALSE)
    coppa_compliant: Mapped[bool] = mapped_column(server_default=_FALSE)
    data_retention_days: Mapped[int] = mapped_column(server_default=text("365"))
    contract_details: Mapped[Json] = mapped_column(server_default=_EMPTY)
    is_active: Mapped[bool] = mapped_column(server_default=_TRUE)
    timezone: Mapped[str] = mapped_column(server_default="UTC")
    locale: Mapped[str] = mapped_column(server_default="en")
    deleted_at: Mapped[datetime | None]


class OrganizationSetting(Row, Changing, Tenant, Base):
    """One setting of one organisation, such as ``sentiment_allowed``."""

    __tablename__ = "organization_settings"
    __table_args__ = (
        UniqueConstraint("organization_id", "setting_key"),
        CheckConstraint("setting_key ~ '^[a-z][a-z0-9_.]{0,63}$'", name="key_form"),
        {"schema": SCHEMA},
    )

    setting_key: Mapped[str]
    setting_value: Mapped[str]
    setting_type: Mapped[SettingType] = mapped_column(pg_enum(SettingType, SCHEMA, "setting_type"))
    description: Mapped[str] = mapped_column(server_default="")
    is_editable: Mapped[bool] = mapped_column(server_default=_TRUE)
