"""The audit trail: append-only, one hash chain per organisation, written with the change itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint, insert
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from classweave.core.database import actor_of
from classweave.core.model import Base, Json, Now, Row, Tenant
from classweave.core.tenancy import Actor

_QUEUE = "audit"


class AuditLog(Row, Tenant, Base):
    """One line of the trail. ``sequence`` and the hashes are set by the database."""

    __tablename__ = "audit_log"
    __table_args__ = (
        UniqueConstraint("organization_id", "sequence"),
        Index("ix_audit_log_affected_student_ids", "affected_student_ids", postgresql_using="gin"),
        Index("ix_audit_log_resource", "organization_id", "resource_type", "resource_id"),
        {"schema": "compliance"},
    )

    sequence: Mapped[int]
    actor_id: Mapped[UUID | None]
    actor_type: Mapped[str]
    event_type: Mapped[str]
    event_category: Mapped[str]
    event_timestamp: Mapped[Now]
    resource_type: Mapped[str]
    resource_id: Mapped[UUID | None]
    session_id: Mapped[UUID | None]
    description: Mapped[str]
    ip_address: Mapped[str | None]
    user_agent: Mapped[str | None]
    compliance_basis: Mapped[str]
    data_accessed: Mapped[Json | None]
    affected_student_ids: Mapped[list[UUID]] = mapped_column(ARRAY(PgUUID(as_uuid=True)))
    previous_hash: Mapped[bytes] = mapped_column(LargeBinary)
    row_hash: Mapped[bytes] = mapped_column(LargeBinary)


class AuditHead(Base):
    """The end of each organisation's chain; its row lock orders the writers."""

    __tablename__ = "audit_heads"
    __table_args__ = ({"schema": "compliance"},)

    organization_id: Mapped[UUID] = mapped_column(
        ForeignKey("directory.organizations.id", ondelete="CASCADE"), primary_key=True
    )
    sequence: Mapped[int]
    row_hash: Mapped[bytes] = mapped_column(LargeBinary)


def record(
    session: AsyncSession,
    event_type: str,
    *,
    resource: str,
    resource_id: UUID | None = None,
    description: str,
    students: Sequence[UUID] = (),
    data_accessed: dict[str, Any] | None = None,
    compliance_basis: str = "legitimate educational interest",
    session_id: UUID | None = None,
    organization: UUID | None = None,
) -> None:
    """Queue one line of the audit trail; it is written with the transaction or not at all.

    ``event_type`` reads ``thing.action`` (``consent.withdrawn``); its first word is the category.
    ``description`` and ``data_accessed`` hold no names: people are ids, fields are field names.
    """
    actor = actor_of(session)
    session.info.setdefault(_QUEUE, []).append(
        {
            "organization_id": organization or actor.home,
            "actor_id": actor.id,
            "actor_type": actor.role.value,
            "event_type": event_type,
            "event_category": event_type.partition(".")[0],
            "resource_type": resource,
            "resource_id": resource_id,
            "session_id": session_id,
            "description": description,
            "ip_address": actor.ip_address,
            "user_agent": actor.user_agent,
            "compliance_basis": compliance_basis,
            "data_accessed": data_accessed,
            "affected_student_ids": sorted(set(students)),
        }
    )


async def record_directly(
    connection: psycopg.AsyncConnection[Any],
    actor: Actor,
    event_type: str,
    *,
    resource: str,
    description: str,
    students: Sequence[UUID] = (),
    data_accessed: dict[str, Any] | None = None,
) -> None:
    """The same at once, on a driver's connection in whose transaction ``actor`` was stated."""
    await connection.execute(
        "INSERT INTO compliance.audit_log (organization_id, actor_id, actor_type, event_type,"
        " event_category, resource_type, session_id, description, ip_address, user_agent,"
        " compliance_basis, data_accessed, affected_student_ids)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'legitimate educational interest', %s,"
        " %s)",
        (
            actor.home, actor.id, actor.role.value, event_type, event_type.partition(".")[0],
            resource, actor.session, description, actor.ip_address, actor.user_agent,
            Jsonb(data_accessed), sorted(set(students)),
        ),
    )  # fmt: skip


async def write_audit(session: AsyncSession) -> None:
    """Write what was queued. Called by the transaction itself, just before its commit."""
    queued: list[dict[str, Any]] = session.info.pop(_QUEUE, [])
    for row in sorted(queued, key=lambda r: str(r["organization_id"])):
        await session.execute(insert(AuditLog).values(**row))


POLICIES = (
    """
CREATE FUNCTION compliance.audit_digest(line compliance.audit_log) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
  SELECT sha256(line.previous_hash || convert_to(jsonb_build_array(
    line.id, line.organization_id, line.sequence, line.actor_id, line.actor_type,
    line.event_type, line.event_category, extract(epoch FROM line.event_timestamp),
    line.resource_type, line.resource_id, line.session_id, line.description, line.ip_address,
    line.user_agent, line.compliance_basis, line.data_accessed,
    to_jsonb(line.affected_student_ids))::text, 'UTF8'))
$$
""",
    """
CREATE FUNCTION compliance.chain_audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE head compliance.audit_heads;
BEGIN
  INSERT INTO compliance.audit_heads (organization_id, sequence, row_hash)
    VALUES (NEW.organization_id, 0, sha256(''::bytea))
    ON CONFLICT (organization_id) DO NOTHING;
  SELECT * INTO head FROM compliance.audit_heads
    WHERE organization_id = NEW.organization_id FOR UPDATE;
  NEW.sequence := head.sequence + 1;
  NEW.previous_hash := head.row_hash;
  NEW.row_hash := compliance.audit_digest(NEW);
  UPDATE compliance.audit_heads SET sequence = NEW.sequence, row_hash = NEW.row_hash
    WHERE organization_id = NEW.organization_id;
  RETURN NEW;
END $$
""",
    "CREATE TRIGGER chain BEFORE INSERT ON compliance.audit_log "
    "FOR EACH ROW EXECUTE FUNCTION compliance.chain_audit()",
    "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON compliance.audit_log "
    "FOR EACH ROW EXECUTE FUNCTION ops.refuse_change()",
    "REVOKE UPDATE, DELETE, TRUNCATE ON compliance.audit_log FROM classweave_app",
)
