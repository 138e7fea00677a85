"""Students who check in by themselves."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from classweave.core.model import Base, Row, Tenant

SCHEMA = "attend"


class CheckInWindow(Row, Tenant, Base):
    """While it is open, students of the class check in by a code that changes every few seconds."""

    __tablename__ = "check_in_windows"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "class_id"],
            ["directory.classes.organization_id", "directory.classes.id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(["session_no"], ["attend.attendance_sessions.no"], ondelete="CASCADE"),
        CheckConstraint("closes_at > opens_at", name="closes_after_opening"),
        Index("ix_check_in_windows_session_no", "session_no"),
        Index("ix_check_in_windows_class_id", "class_id"),
        {"schema": SCHEMA},
    )

    class_id: Mapped[UUID]
    session_no: Mapped[int]
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    opens_at: Mapped[datetime]
    closes_at: Mapped[datetime]
    late_after: Mapped[datetime | None]
    opened_by: Mapped[UUID]


class CheckIn(Row, Tenant, Base):
    """A student's check-in: one a student and one a device in a session."""

    __tablename__ = "check_ins"
    __table_args__ = (
        UniqueConstraint("session_no", "student_id"),
        UniqueConstraint("session_no", "device_hash"),
        ForeignKeyConstraint(
            ["organization_id", "student_id"],
            ["directory.students.organization_id", "directory.students.id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(["session_no"], ["attend.attendance_sessions.no"], ondelete="CASCADE"),
        Index("ix_check_ins_student_id", "student_id"),
        {"schema": SCHEMA},
    )

    session_no: Mapped[int]
    student_id: Mapped[UUID]
    device_hash: Mapped[bytes] = mapped_column(LargeBinary)
    challenged_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
