"""What devices and the server need to agree on the rows."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from classweave.core.model import Base, Json, Now, Row, Tenant

SCHEMA = "attend"
_ZERO = text("0")


class SyncClock(Tenant, Base):
    """An organisation's revision: one more with each transaction that changes what devices see.

    The row lock is held until the commit, so revisions become visible in their own order. A
    restore, or a term's archiving, begins a new ``generation``. No row: Attend is not in use.
    """

    __tablename__ = "sync_clocks"
    __table_args__ = (
        PrimaryKeyConstraint("organization_id"),
        CheckConstraint("generation BETWEEN 1 AND 131071", name="generation"),
        {"schema": SCHEMA},
    )

    rev: Mapped[int] = mapped_column(server_default=_ZERO)
    generation: Mapped[int] = mapped_column(Integer, server_default=text("1"))


class Revision(Tenant, Base):
    """Who made a revision, when, and why, where a correction gave a reason.

    It is what ``created_by`` and ``updated_by`` are for its rows.
    """

    __tablename__ = "revisions"
    __table_args__ = (PrimaryKeyConstraint("organization_id", "rev"), {"schema": SCHEMA})

    rev: Mapped[int]
    made_at: Mapped[Now]
    actor_id: Mapped[UUID | None]
    device_id: Mapped[UUID | None]
    reason: Mapped[str | None]


class Tombstone(Tenant, Base):
    """A deleted id, kept for ever so that no late request brings it back.

    ``merged_into`` is the session that a second one of the same meeting became: records that still
    name the second go there.
    """

    __tablename__ = "tombstones"
    __table_args__ = (
        PrimaryKeyConstraint("organization_id", "table_name", "id"),
        Index("ix_tombstones_class_rev", "class_id", "rev"),
        {"schema": SCHEMA},
    )

    table_name: Mapped[str]
    id: Mapped[str]
    class_id: Mapped[UUID | None]
    rev: Mapped[int]
    merged_into: Mapped[str | None]


class Correction(Tenant, Base):
    """What a device was not allowed to change: its next pull sends the truth again."""

    __tablename__ = "corrections"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "table_name", "id"),
        Index("ix_corrections_user_rev", "user_id", "rev"),
        {"schema": SCHEMA},
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("directory.users.id", ondelete="CASCADE"))
    table_name: Mapped[str]
    id: Mapped[str]
    rev: Mapped[int]
    reason: Mapped[str]
    made_at: Mapped[Now]


class DirectoryChange(Tenant, Base):
    """The newest revision of a row of the directory that devices see."""

    __tablename__ = "directory_changes"
    __table_args__ = (
        PrimaryKeyConstraint("organization_id", "table_name", "id"),
        Index("ix_directory_changes_rev", "organization_id", "rev"),
        {"schema": SCHEMA},
    )

    table_name: Mapped[str]
    id: Mapped[UUID]
    class_id: Mapped[UUID | None]
    rev: Mapped[int]
    deleted: Mapped[bool] = mapped_column(server_default=text("false"))


class Visibility(Tenant, Base):
    """Since which revision a teacher sees a class, or no longer sees it."""

    __tablename__ = "visibility"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "class_id"),
        Index("ix_visibility_organization_id", "organization_id"),
        {"schema": SCHEMA},
    )

    user_id: Mapped[UUID]
    class_id: Mapped[UUID]
    granted: Mapped[bool]
    rev: Mapped[int]


class Device(Row, Tenant, Base):
    """A device of a teacher, with its own token and where its synchronisation stands."""

    __tablename__ = "devices"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        ForeignKeyConstraint(
            ["organization_id", "user_id"],
            ["directory.users.organization_id", "directory.users.id"],
            ondelete="CASCADE",
        ),
        CheckConstraint("length(btrim(name)) BETWEEN 1 AND 80", name="name_length"),
        Index("ix_devices_user_id", "user_id"),
        {"schema": SCHEMA},
    )

    user_id: Mapped[UUID]
    name: Mapped[str]
    platform: Mapped[str | None]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    revoked_at: Mapped[datetime | None]


class SyncMetadata(Tenant, Base):
    """Where a device's synchronisation stands (the reference keeps this per table only)."""

    __tablename__ = "sync_metadata"
    __table_args__ = (
        PrimaryKeyConstraint("device_id"),
        Index("ix_sync_metadata_organization_id", "organization_id"),
        {"schema": SCHEMA, "postgresql_with": {"fillfactor": 50}},
    )

    device_id: Mapped[UUID] = mapped_column(ForeignKey("attend.devices.id", ondelete="CASCADE"))
    last_pulled_at: Mapped[datetime | None]
    last_pushed_at: Mapped[datetime | None]
    cursor: Mapped[int | None]
    pulls: Mapped[int] = mapped_column(server_default=_ZERO)
    pushes: Mapped[int] = mapped_column(server_default=_ZERO)
    mismatches: Mapped[int] = mapped_column(server_default=_ZERO)


class SyncLog(Row, Tenant, Base):
    """What a device was given: which revisions, how many rows. Append-only."""

    __tablename__ = "sync_log"
    __table_args__ = (
        ForeignKeyConstraint(["device_id"], ["attend.devices.id"], ondelete="CASCADE"),
        Index("ix_sync_log_device_id", "device_id"),
        Index("ix_sync_log_organization_id", "organization_id"),
        {"schema": SCHEMA},
    )

    device_id: Mapped[UUID]
    kind: Mapped[str]
    from_rev: Mapped[int | None]
    to_rev: Mapped[int | None]
    details: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
