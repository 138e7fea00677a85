"""Classes, who teaches them, and who is in them on which days."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from classweave.core.model import Base, Changing, Now, Row, Tenant, pg_enum

SCHEMA = "directory"


class ClassRole(StrEnum):
    """The owner answers for a class; a co-teacher may do the same things in it."""

    OWNER = "owner"
    CO = "co"


class EnrollmentStatus(StrEnum):
    """An enrolment is open, or ended by leaving or by moving to another class."""

    ACTIVE = "active"
    WITHDRAWN = "withdrawn"
    MOVED = "moved"


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
    code: Mapped[str | None]
    academic_term: Mapped[str | None]
    year: Mapped[int | None] = mapped_column(SmallInteger)
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
        Index("ix_enrollments_class_id", "class_id"),
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
