"""Sign-ins, mailed permissions to set a password, and failed tries."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from classweave.core.model import Base, Now, Row, Tenant

SCHEMA = "directory"
_ZERO = text("0")


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
