"""Who is there: accounts, teachers, students."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
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
        Index(
            "uq_students_student_number",
            "organization_id",
            "student_number",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
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
    student_number: Mapped[str | None]
    enrollment_year: Mapped[int | None] = mapped_column(SmallInteger)
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
