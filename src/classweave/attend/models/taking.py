"""Terms, meetings, sessions and records of attendance.

A record is small on purpose: there are ten million of them in a term of a large university. It
names its student by the *place* in the class's roll and its session by a number, and who wrote it
and when stands once per revision.
"""

from __future__ import annotations

from datetime import date, datetime, time
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from classweave.core.model import Base, Changing, Now, Row, Tenant

SCHEMA = "attend"
_ZERO = text("0")
CLIENT_ID = "id ~ '^[A-Za-z0-9._-]{1,64}$'"


class Status(StrEnum):
    """What a record says. Absence is no record, in a session whose roll is taken."""

    PRESENT = "present"
    LATE = "late"
    EXCUSED = "excused"
    LEFT_EARLY = "left_early"


STATUS_NUMBERS = {status: number for number, status in enumerate(Status, start=1)}
"""How records store a status."""


class Term(Row, Changing, Tenant, Base):
    """A term. Its records are a partition of their own, ``number``, which archiving drops."""

    __tablename__ = "terms"
    __table_args__ = (
        UniqueConstraint("number"),
        UniqueConstraint("organization_id", "number"),
        UniqueConstraint("organization_id", "name"),
        CheckConstraint("ends_on >= starts_on", name="ends_after_start"),
        CheckConstraint("length(btrim(name)) BETWEEN 1 AND 80", name="name_length"),
        {"schema": SCHEMA},
    )

    number: Mapped[int] = mapped_column(Integer, Identity(always=True))
    name: Mapped[str]
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    archived_at: Mapped[datetime | None]
    archive_path: Mapped[str | None]


class Meeting(Row, Changing, Tenant, Base):
    """One entry of the timetable. ``uid`` names it in the calendar that it came from."""

    __tablename__ = "meetings"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "class_id"],
            ["directory.classes.organization_id", "directory.classes.id"],
            ondelete="CASCADE",
        ),
        UniqueConstraint("class_id", "date", "start_time"),
        CheckConstraint("end_time IS NULL OR end_time > start_time", name="ends_after_start"),
        Index("ix_meetings_class_rev", "class_id", "rev"),
        {"schema": SCHEMA},
    )

    class_id: Mapped[UUID]
    date: Mapped[date]
    start_time: Mapped[time]
    end_time: Mapped[time | None]
    room: Mapped[str | None]
    title: Mapped[str | None]
    uid: Mapped[str | None]
    rev: Mapped[int] = mapped_column(server_default=_ZERO)


class Place(Tenant, Base):
    """A student's place in a class's roll. Everybody enrolled has one; its number never changes."""

    __tablename__ = "places"
    __table_args__ = (
        PrimaryKeyConstraint("class_id", "number"),
        UniqueConstraint("class_id", "student_id"),
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
        Index("ix_places_student_id", "student_id"),
        Index("ix_places_organization_id", "organization_id"),
        {"schema": SCHEMA},
    )

    class_id: Mapped[UUID]
    number: Mapped[int] = mapped_column(SmallInteger)
    student_id: Mapped[UUID]


class Tally(Tenant, Base):
    """The students' counters of a class, over the sessions whose roll is taken.

    Five cells a place, in the order of the places: ``held`` (the sessions on days on which the
    student was enrolled), then one for each status. One row a class, because a push changes all of
    them at once; the view ``attend.standings`` has them by student. Kept by triggers.
    """

    __tablename__ = "tallies"
    __table_args__ = (
        PrimaryKeyConstraint("class_id"),
        ForeignKeyConstraint(
            ["organization_id", "class_id"],
            ["directory.classes.organization_id", "directory.classes.id"],
            ondelete="CASCADE",
        ),
        Index("ix_tallies_organization_id", "organization_id"),
        {"schema": SCHEMA, "postgresql_with": {"fillfactor": 50}},
    )

    class_id: Mapped[UUID]
    counts: Mapped[list[int]] = mapped_column(ARRAY(Integer))


class AttendanceSession(Changing, Tenant, Base):
    """A meeting of a class as it was held. ``id`` is the device's own, ``marked_at`` the roll.

    The totals (of those enrolled on its day), ``digest`` and ``records_rev`` (the newest revision
    among its records) are kept by triggers. ``total_absent`` counts only once the roll is taken.
    """

    __tablename__ = "attendance_sessions"
    __table_args__ = (
        PrimaryKeyConstraint("no"),
        UniqueConstraint("organization_id", "id"),
        ForeignKeyConstraint(
            ["organization_id", "class_id"],
            ["directory.classes.organization_id", "directory.classes.id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["organization_id", "term"],
            ["attend.terms.organization_id", "attend.terms.number"],
        ),
        CheckConstraint(CLIENT_ID, name="id_form"),
        CheckConstraint("length(note) <= 2000", name="note_length"),
        Index(
            "uq_attendance_sessions_meeting",
            "class_id",
            "date",
            text("coalesce(start_time, '00:00')"),
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index("ix_attendance_sessions_class_rev", "class_id", "rev"),
        Index("ix_attendance_sessions_class_records_rev", "class_id", "records_rev"),
        Index("ix_attendance_sessions_organization_date", "organization_id", "date"),
        {"schema": SCHEMA, "postgresql_with": {"fillfactor": 80}},
    )

    no: Mapped[int] = mapped_column(Identity())
    id: Mapped[str]
    class_id: Mapped[UUID]
    term: Mapped[int] = mapped_column(Integer)
    date: Mapped[date]
    start_time: Mapped[str | None]
    end_time: Mapped[str | None]
    note: Mapped[str | None]
    marked_by: Mapped[UUID | None]
    marked_at: Mapped[datetime | None]
    total_enrolled: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    total_present: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    total_late: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    total_excused: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    total_left_early: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    total_absent: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    digest: Mapped[int] = mapped_column(server_default=_ZERO)
    rev: Mapped[int] = mapped_column(server_default=_ZERO)
    records_rev: Mapped[int] = mapped_column(server_default=_ZERO)
    created_at: Mapped[Now]
    created_by: Mapped[UUID | None]
    updated_by: Mapped[UUID | None]
    deleted_at: Mapped[datetime | None]


class AttendanceRecord(Base):
    """That a student was there, late, excused or left early. Partitioned by term."""

    __tablename__ = "attendance_records"
    __table_args__ = (
        PrimaryKeyConstraint("term", "session_no", "place"),
        Index("uq_attendance_records_id", "term", "id", unique=True),
        CheckConstraint("status BETWEEN 1 AND 4", name="status"),
        CheckConstraint("minutes BETWEEN 0 AND 1440", name="minutes"),
        CheckConstraint("length(notes) <= 2000", name="notes_length"),
        {"schema": SCHEMA, "postgresql_partition_by": "LIST (term)"},
    )

    # In the order that wastes no padding.
    session_no: Mapped[int]
    rev: Mapped[int]
    marked_at: Mapped[datetime]
    created_at: Mapped[datetime]
    term: Mapped[int] = mapped_column(Integer)
    place: Mapped[int] = mapped_column(SmallInteger)
    status: Mapped[int] = mapped_column(SmallInteger)
    minutes: Mapped[int | None] = mapped_column(SmallInteger)
    id: Mapped[str]
    notes: Mapped[str | None]


class RecordHistory(Tenant, Base):
    """What a record said before it was changed or cleared; ``until_rev`` is the change."""

    __tablename__ = "record_history"
    __table_args__ = (
        PrimaryKeyConstraint("session_no", "place", "until_rev", "rev"),
        Index("ix_record_history_organization_id", "organization_id"),
        {"schema": SCHEMA},
    )

    session_no: Mapped[int]
    place: Mapped[int] = mapped_column(SmallInteger)
    rev: Mapped[int]
    until_rev: Mapped[int]
    id: Mapped[str]
    status: Mapped[int] = mapped_column(SmallInteger)
    minutes: Mapped[int | None] = mapped_column(SmallInteger)
    marked_at: Mapped[datetime]
    notes: Mapped[str | None]


class RiskRule(Changing, Tenant, Base):
    """When a student counts as at risk in an organisation."""

    __tablename__ = "risk_rules"
    __table_args__ = (
        PrimaryKeyConstraint("organization_id"),
        CheckConstraint("below BETWEEN 0 AND 100", name="below"),
        CheckConstraint("at_least BETWEEN 1 AND 1000", name="at_least"),
        {"schema": SCHEMA},
    )

    below: Mapped[int] = mapped_column(SmallInteger, server_default=text("75"))
    at_least: Mapped[int] = mapped_column(SmallInteger, server_default=text("5"))
    excused_counts: Mapped[bool] = mapped_column(server_default=text("true"))
