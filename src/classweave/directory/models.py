"""The directory: one tree of organisations, the people in it, and the classes they share."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from classweave.core.model import Base, Changing, Json, Now, Row, Tenant, pg_enum

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


class PersonRole(StrEnum):
    """The roles of ``core.tenancy.Role`` that a person can be given."""

    STUDENT = "student"
    TEACHER = "teacher"
    SCHOOL_ADMIN = "school_admin"
    DISTRICT_ADMIN = "district_admin"
    PLATFORM_ADMIN = "platform_admin"
    OPS = "ops"
    CURRICULUM = "curriculum"


class UserStatus(StrEnum):
    """``invited`` has no password yet; ``inactive`` may not sign in."""

    INVITED = "invited"
    ACTIVE = "active"
    INACTIVE = "inactive"


class StudentStatus(StrEnum):
    """Whether a student still belongs to the school."""

    ACTIVE = "active"
    INACTIVE = "inactive"


class ClassRole(StrEnum):
    """The owner answers for a class; a co-teacher may do the same things in it."""

    OWNER = "owner"
    CO = "co"


class EnrollmentStatus(StrEnum):
    """An enrolment is open, or ended by leaving or by moving to another class."""

    ACTIVE = "active"
    WITHDRAWN = "withdrawn"
    MOVED = "moved"


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


class User(Row, Changing, Tenant, Base):
    """A person who signs in. ``organization_id`` is their home.

    A student's account holds an e-mail, family name or external id only while the student's
    own record may (see ``policies``).
    """

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        Index(
            "uq_users_email_lower",
            func.lower(text("email")),
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "uq_users_google_id",
            "google_id",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        CheckConstraint(
            "email IS NOT NULL OR role = 'student' OR deleted_at IS NOT NULL", name="staff_email"
        ),
        CheckConstraint("length(btrim(name)) BETWEEN 1 AND 200", name="name_length"),
        {"schema": SCHEMA},
    )

    role: Mapped[PersonRole] = mapped_column(pg_enum(PersonRole, SCHEMA, "person_role"))
    email: Mapped[str | None]
    name: Mapped[str]
    given_name: Mapped[str | None]
    family_name: Mapped[str | None]
    picture: Mapped[str | None]
    google_id: Mapped[str | None]
    password_hash: Mapped[str | None]
    status: Mapped[UserStatus] = mapped_column(
        pg_enum(UserStatus, SCHEMA, "user_status"), server_default="active"
    )
    locale: Mapped[str | None]
    timezone: Mapped[str | None]
    last_login: Mapped[datetime | None]
    login_count: Mapped[int] = mapped_column(server_default=_ZERO)
    deleted_at: Mapped[datetime | None]


class Teacher(Changing, Tenant, Base):
    """What a user who teaches has besides. The session counters are kept by Live's triggers."""

    __tablename__ = "teachers"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "user_id"],
            ["directory.users.organization_id", "directory.users.id"],
            ondelete="CASCADE",
        ),
        CheckConstraint("current_sessions >= 0", name="current_sessions_not_negative"),
        CheckConstraint("max_concurrent_sessions > 0", name="max_sessions_positive"),
        Index("ix_teachers_organization_id", "organization_id"),
        {"schema": SCHEMA},
    )

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    access_level: Mapped[str] = mapped_column(server_default="full")
    max_concurrent_sessions: Mapped[int] = mapped_column(server_default=text("5"))
    current_sessions: Mapped[int] = mapped_column(server_default=_ZERO)
    grade: Mapped[str | None]
    subject: Mapped[str | None]
    features_enabled: Mapped[Json] = mapped_column(server_default=_EMPTY)
    total_sessions_created: Mapped[int] = mapped_column(server_default=_ZERO)
    created_at: Mapped[Now]


class Student(Row, Changing, Tenant, Base):
    """A student, who need not have an account.

    ``is_under_13`` is computed by a trigger from ``birth_year`` and ``teacher_verified_age``;
    an unknown age counts as under 13. The consent columns are caches: only recording a consent
    changes them. While a student under 13 is without parental consent, the database refuses an
    e-mail, a family name, an external id and a parent's address.
    """

    __tablename__ = "students"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        ForeignKeyConstraint(
            ["organization_id", "user_id"],
            ["directory.users.organization_id", "directory.users.id"],
        ),
        Index(
            "uq_students_user_id",
            "user_id",
            unique=True,
            postgresql_where=text("user_id IS NOT NULL"),
        ),
        CheckConstraint(
            "NOT is_under_13 OR has_parental_consent OR (email IS NULL AND family_name IS NULL"
            " AND google_id IS NULL AND parent_email IS NULL)",
            name="under_13_without_consent",
        ),
        CheckConstraint("length(btrim(display_name)) BETWEEN 1 AND 120", name="display_name"),
        CheckConstraint("birth_year BETWEEN 1900 AND 2200", name="birth_year"),
        {"schema": SCHEMA},
    )

    user_id: Mapped[UUID | None]
    display_name: Mapped[str]
    given_name: Mapped[str | None]
    family_name: Mapped[str | None]
    preferred_name: Mapped[str | None]
    email: Mapped[str | None]
    google_id: Mapped[str | None]
    status: Mapped[StudentStatus] = mapped_column(
        pg_enum(StudentStatus, SCHEMA, "student_status"), server_default="active"
    )
    grade_level: Mapped[str | None]
    birth_year: Mapped[int | None] = mapped_column(SmallInteger)
    is_under_13: Mapped[bool] = mapped_column(server_default=_TRUE)
    teacher_verified_age: Mapped[bool] = mapped_column(server_default=_FALSE)
    has_parental_consent: Mapped[bool] = mapped_column(server_default=_FALSE)
    consent_date: Mapped[datetime | None]
    parent_email: Mapped[str | None]
    data_sharing_consent: Mapped[bool] = mapped_column(server_default=_FALSE)
    audio_recording_consent: Mapped[bool] = mapped_column(server_default=_FALSE)
    email_consent: Mapped[bool] = mapped_column(server_default=_FALSE)
    coppa_compliant: Mapped[bool] = mapped_column(server_default=_FALSE)
    deleted_at: Mapped[datetime | None]


class SchoolClass(Row, Changing, Tenant, Base):
    """A class: ``teacher_id`` owns it (and is its ``owner`` in ``class_teachers``, by trigger)."""

    __tablename__ = "classes"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        UniqueConstraint("invite_code"),
        ForeignKeyConstraint(
            ["organization_id", "teacher_id"],
            ["directory.users.organization_id", "directory.users.id"],
        ),
        CheckConstraint("length(btrim(name)) BETWEEN 1 AND 120", name="name_length"),
        CheckConstraint("invite_code ~ '^[2-9A-HJKMNP-TV-Z]{6}$'", name="invite_code_form"),
        Index("ix_classes_teacher_id", "teacher_id"),
        {"schema": SCHEMA},
    )

    teacher_id: Mapped[UUID]
    name: Mapped[str]
    subject: Mapped[str | None]
    grade_level: Mapped[str | None]
    academic_term: Mapped[str | None]
    language: Mapped[str] = mapped_column(server_default="en")
    invite_code: Mapped[str]
    archived_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    created_by: Mapped[UUID | None] = mapped_column(
        ForeignKey("directory.users.id", ondelete="SET NULL")
    )
    updated_by: Mapped[UUID | None] = mapped_column(
        ForeignKey("directory.users.id", ondelete="SET NULL")
    )


class ClassTeacher(Tenant, Base):
    """Who teaches a class."""

    __tablename__ = "class_teachers"
    __table_args__ = (
        PrimaryKeyConstraint("class_id", "user_id"),
        ForeignKeyConstraint(
            ["organization_id", "class_id"],
            ["directory.classes.organization_id", "directory.classes.id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["organization_id", "user_id"],
            ["directory.users.organization_id", "directory.users.id"],
            ondelete="CASCADE",
        ),
        Index(
            "uq_class_teachers_owner",
            "class_id",
            unique=True,
            postgresql_where=text("role = 'owner'"),
        ),
        Index("ix_class_teachers_user_id", "user_id"),
        {"schema": SCHEMA},
    )

    class_id: Mapped[UUID]
    user_id: Mapped[UUID]
    role: Mapped[ClassRole] = mapped_column(pg_enum(ClassRole, SCHEMA, "class_role"))
    created_at: Mapped[Now]


class Enrollment(Row, Changing, Tenant, Base):
    """A student in a class on the days ``starts_on <= day < ends_on``."""

    __tablename__ = "enrollments"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "class_id"],
            ["directory.classes.organization_id", "directory.classes.id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["organization_id", "student_id"],
            ["directory.students.organization_id", "directory.students.id"],
            ondelete="CASCADE",
        ),
        Index(
            "uq_enrollments_open",
            "class_id",
            "student_id",
            unique=True,
            postgresql_where=text("ends_on IS NULL"),
        ),
        CheckConstraint("ends_on >= starts_on", name="ends_after_start"),
        CheckConstraint("(status = 'active') = (ends_on IS NULL)", name="open_is_active"),
        Index("ix_enrollments_student_id", "student_id"),
        Index("ix_enrollments_organization_id", "organization_id"),
        {"schema": SCHEMA},
    )

    class_id: Mapped[UUID]
    student_id: Mapped[UUID]
    starts_on: Mapped[date] = mapped_column(server_default=text("CURRENT_DATE"))
    ends_on: Mapped[date | None]
    status: Mapped[EnrollmentStatus] = mapped_column(
        pg_enum(EnrollmentStatus, SCHEMA, "enrollment_status"), server_default="active"
    )


class SignInSession(Row, Tenant, Base):
    """One sign-in of one browser or program; the token itself is never stored."""

    __tablename__ = "sign_in_sessions"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        ForeignKeyConstraint(
            ["organization_id", "user_id"],
            ["directory.users.organization_id", "directory.users.id"],
            ondelete="CASCADE",
        ),
        Index("ix_sign_in_sessions_user_id", "user_id"),
        {"schema": SCHEMA},
    )

    user_id: Mapped[UUID]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime]
    last_seen_at: Mapped[Now]
    revoked_at: Mapped[datetime | None]
    ip_address: Mapped[str | None]
    user_agent: Mapped[str | None]


class PasswordReset(Row, Tenant, Base):
    """A mailed permission to set a password, once."""

    __tablename__ = "password_resets"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        ForeignKeyConstraint(
            ["organization_id", "user_id"],
            ["directory.users.organization_id", "directory.users.id"],
            ondelete="CASCADE",
        ),
        Index("ix_password_resets_user_id", "user_id"),
        {"schema": SCHEMA},
    )

    user_id: Mapped[UUID]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SignInThrottle(Base):
    """Failed sign-ins per address and per e-mail, under a digest: no person can be read here."""

    __tablename__ = "sign_in_throttle"
    __table_args__ = ({"schema": SCHEMA},)

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    failures: Mapped[int] = mapped_column(server_default=_ZERO)
    window_started_at: Mapped[Now]
    blocked_until: Mapped[datetime | None]
