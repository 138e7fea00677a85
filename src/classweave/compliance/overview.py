"""What an administrator sees at a glance: who lacks consent, and lines of the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import clock
from classweave.core.audit import AuditLog
from classweave.directory.models import User

PAGE_LINES = 50


@dataclass(frozen=True, slots=True)
class ClassConsents:
    """How many of a class's students have what it takes. ``class_id`` is ``None`` for no class."""

    class_id: UUID | None
    name: str
    students: int
    captured: int
    analysed: int

    @property
    def lacking(self) -> int:
        """Students whose voice may not be captured."""
        return self.students - self.captured


# Aggregated per student before it is joined to classes, so that nobody counts twice.
_JUDGED = """
WITH standing AS (
  SELECT student_id, array_agg(consent_type::text) AS given
  FROM compliance.parental_consents
  WHERE superseded_at IS NULL AND state = 'given' AND (expires_at IS NULL OR expires_at > :at)
  GROUP BY student_id
), judged AS (
  SELECT s.id,
    coalesce(given @> '{take_part,recording}', false) AS captured,
    coalesce(given @> '{take_part,analysis}', false) AS analysed
  FROM directory.students s LEFT JOIN standing ON standing.student_id = s.id
  WHERE s.status = 'active' AND s.deleted_at IS NULL
), placed AS (
  SELECT e.student_id, c.id, c.name FROM directory.enrollments e
  JOIN directory.classes c ON c.id = e.class_id
  WHERE e.ends_on IS NULL AND c.archived_at IS NULL AND c.deleted_at IS NULL
)
"""
_COUNTS = """
count(judged.id) AS students, count(*) FILTER (WHERE captured) AS captured,
count(*) FILTER (WHERE analysed) AS analysed
"""
_BY_CLASS = text(
    f"""{_JUDGED} SELECT placed.id, coalesce(placed.name, '') AS name, {_COUNTS}
FROM judged LEFT JOIN placed ON placed.student_id = judged.id
GROUP BY placed.id, placed.name
ORDER BY count(*) FILTER (WHERE NOT captured) DESC, placed.name, placed.id
"""
)
_EVERYONE = text(f"{_JUDGED} SELECT NULL, '', {_COUNTS} FROM judged")


async def consents_by_class(session: AsyncSession) -> Sequence[ClassConsents]:
    """Every class the actor's organisations have, those that lack most consents first."""
    rows = await session.execute(_BY_CLASS, {"at": clock.now()})
    return [ClassConsents(*row) for row in rows]


async def consents_of_everyone(session: AsyncSession) -> ClassConsents:
    """All students of the actor's organisations, each counted once."""
    return ClassConsents(*(await session.execute(_EVERYONE, {"at": clock.now()})).one())


@dataclass(frozen=True, slots=True)
class TrailFilter:
    """Which lines of the trail. ``before`` is a sequence number: older lines only."""

    category: str | None = None
    student: UUID | None = None
    person: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None


async def audit_lines(
    session: AsyncSession, organization: UUID, wanted: TrailFilter
) -> Sequence[tuple[AuditLog, str | None]]:
    """At most :data:`PAGE_LINES` lines, the newest first, each with its author's name."""
    query = (
        select(AuditLog, User.name)
        .outerjoin(User, User.id == AuditLog.actor_id)
        .where(AuditLog.organization_id == organization)
        .order_by(AuditLog.sequence.desc())
        .limit(PAGE_LINES)
    )
    if wanted.category:
        query = query.where(AuditLog.event_category == wanted.category)
    if wanted.student:
        query = query.where(AuditLog.affected_student_ids.contains([wanted.student]))
    if wanted.person:
        query = query.where(AuditLog.actor_id == wanted.person)
    if wanted.since:
        query = query.where(AuditLog.event_timestamp >= wanted.since)
    if wanted.until:
        query = query.where(AuditLog.event_timestamp < wanted.until)
    if wanted.before:
        query = query.where(AuditLog.sequence < wanted.before)
    return [(line, name) for line, name in await session.execute(query)]


async def audit_categories(session: AsyncSession, organization: UUID) -> Sequence[str]:
    """The kinds of event that the trail holds."""
    found = await session.scalars(
        select(AuditLog.event_category)
        .distinct()
        .where(AuditLog.organization_id == organization)
        .order_by(AuditLog.event_category)
    )
    return found.all()
