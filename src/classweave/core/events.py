"""Domain events: rows first, wake-ups second, so that a follower who reconnects misses nothing.

Each event belongs to a *topic* (``live.session:UUID``) and has the next number of that topic. The
number is taken under a row lock that is held until the commit: numbers have no gaps and become
visible in order, so "everything after N" is exact. ``NOTIFY`` carries topic and number only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Index, PrimaryKeyConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Text

from classweave.core.database import actor_of
from classweave.core.model import Base, Json, Now, Tenant

CHANNEL = "classweave_events"
EVERYONE = "everyone"
_QUEUE = "events"


class EventTopic(Tenant, Base):
    """The last number of each topic; its row lock orders the writers."""

    __tablename__ = "event_topics"
    __table_args__ = ({"schema": "ops"},)

    topic: Mapped[str] = mapped_column(primary_key=True)
    last_sequence: Mapped[int]


class EventRow(Tenant, Base):
    """One event, for as long as a follower may come back for it."""

    __tablename__ = "events"
    __table_args__ = (
        PrimaryKeyConstraint("topic", "sequence"),
        Index("ix_events_created_at", "created_at"),
        {"schema": "ops"},
    )

    topic: Mapped[str]
    sequence: Mapped[int]
    type: Mapped[str]
    audience: Mapped[list[str]] = mapped_column(ARRAY(Text))
    payload: Mapped[Json]
    created_at: Mapped[Now]


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One event as followers receive it; the same object for all of them."""

    topic: str
    sequence: int
    type: str
    audience: frozenset[str]
    payload: dict[str, Any]


def emit(
    session: AsyncSession,
    topic: str,
    type: str,
    payload: dict[str, Any],
    *,
    audience: Sequence[str] = (EVERYONE,),
    organization: UUID | None = None,
) -> None:
    """Queue an event; it is written with the transaction or not at all.

    ``audience`` names who may follow it: :data:`EVERYONE` who follows the topic, or words that
    the topic's owner defines, such as ``staff`` or ``group:UUID``.
    """
    session.info.setdefault(_QUEUE, []).append(
        (topic, type, payload, list(audience), organization or actor_of(session).home)
    )


async def write_events(session: AsyncSession) -> None:
    """Number and write what was queued. Called by the transaction, just before its commit."""
    queued: list[tuple[str, str, dict[str, Any], list[str], UUID]] = session.info.pop(_QUEUE, [])
    if not queued:
        return
    by_topic: dict[str, list[tuple[str, dict[str, Any], list[str], UUID]]] = {}
    for topic, kind, payload, audience, organization in queued:
        by_topic.setdefault(topic, []).append((kind, payload, audience, organization))
    for topic in sorted(by_topic):
        rows = by_topic[topic]
        last = await session.scalar(
            text(
                "INSERT INTO ops.event_topics (topic, organization_id, last_sequence)"
                " VALUES (:topic, :organization, :count)"
                " ON CONFLICT (topic) DO UPDATE"
                " SET last_sequence = ops.event_topics.last_sequence + :count"
                " RETURNING last_sequence"
            ),
            {"topic": topic, "organization": rows[0][3], "count": len(rows)},
        )
        assert isinstance(last, int)
        first = last - len(rows) + 1
        await session.execute(
            text(
                "INSERT INTO ops.events (topic, sequence, organization_id, type, audience, payload)"
                " VALUES (:topic, :sequence, :organization, :type, :audience,"
                " CAST(:payload AS jsonb))"
            ),
            [
                {
                    "topic": topic,
                    "sequence": first + index,
                    "organization": organization,
                    "type": kind,
                    "audience": audience,
                    "payload": orjson.dumps(payload).decode(),
                }
                for index, (kind, payload, audience, organization) in enumerate(rows)
            ],
        )
        await session.execute(
            text("SELECT pg_notify(:channel, :message)"),
            {"channel": CHANNEL, "message": f"{topic} {last}"},
        )


async def read_events(
    session: AsyncSession, topic: str, after: int, limit: int = 1000
) -> list[Event]:
    """Events of ``topic`` numbered above ``after``, in order."""
    rows = await session.execute(
        text(
            "SELECT topic, sequence, type, audience, payload FROM ops.events"
            " WHERE topic = :topic AND sequence > :after ORDER BY sequence LIMIT :limit"
        ),
        {"topic": topic, "after": after, "limit": limit},
    )
    return [
        Event(row.topic, row.sequence, row.type, frozenset(row.audience), row.payload)
        for row in rows
    ]


async def last_sequence(session: AsyncSession, topic: str) -> int:
    """The number of the newest event of ``topic``; 0 when there is none yet."""
    found = await session.scalar(
        text("SELECT last_sequence FROM ops.event_topics WHERE topic = :topic"), {"topic": topic}
    )
    return int(found or 0)
