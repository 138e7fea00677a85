"""Guessing is slowed down: per account, and per address from which the guesses come."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import clock
from classweave.core.problems import TooMany
from classweave.web.i18n import mark


@dataclass(frozen=True, slots=True)
class Limit:
    """More than ``attempts`` within ``window`` block for as long again."""

    attempts: int
    window: timedelta = timedelta(minutes=15)


ACCOUNT = Limit(8)
# A whole school may share one address.
ADDRESS = Limit(100)

_COUNT = text(
    """
INSERT INTO directory.sign_in_throttle AS t (key, failures, window_started_at)
VALUES (:key, 1, :at)
ON CONFLICT (key) DO UPDATE SET
  failures = CASE
    WHEN t.blocked_until > :at THEN t.failures
    WHEN t.blocked_until IS NOT NULL OR t.window_started_at <= :since THEN 1
    ELSE t.failures + 1 END,
  window_started_at = CASE
    WHEN t.blocked_until > :at THEN t.window_started_at
    WHEN t.blocked_until IS NOT NULL OR t.window_started_at <= :since THEN :at
    ELSE t.window_started_at END,
  blocked_until = CASE
    WHEN t.blocked_until > :at THEN t.blocked_until
    WHEN t.blocked_until IS NULL AND t.window_started_at > :since AND t.failures >= :attempts
      THEN :until END
RETURNING blocked_until
"""
)


def throttle_key(kind: str, value: str) -> bytes:
    """What is stored of an e-mail or address: a digest that cannot be read back casually."""
    return hashlib.sha256(f"{kind}:{value.strip().casefold()}".encode()).digest()


async def count_attempt(session: AsyncSession, key: bytes, limit: Limit) -> None:
    """Count one attempt; its row stays locked until the transaction ends.

    Guesses at one account therefore wait for each other and cannot pass the limit side by side.
    Raises :class:`TooMany` with ``retry_after`` in seconds.
    """
    at = clock.now()
    blocked = await session.scalar(
        _COUNT,
        {
            "key": key,
            "at": at,
            "since": at - limit.window,
            "until": at + limit.window,
            "attempts": limit.attempts,
        },
    )
    _refuse_until(blocked, at)


async def check_blocked(session: AsyncSession, key: bytes) -> None:
    """Raise :class:`TooMany` while ``key`` is blocked, without counting."""
    blocked = await session.scalar(
        text("SELECT blocked_until FROM directory.sign_in_throttle WHERE key = :key"), {"key": key}
    )
    _refuse_until(blocked, clock.now())


async def forget_attempts(session: AsyncSession, key: bytes) -> None:
    """Start afresh after a success."""
    await session.execute(
        text("DELETE FROM directory.sign_in_throttle WHERE key = :key"), {"key": key}
    )


def _refuse_until(blocked: object, at: datetime) -> None:
    if isinstance(blocked, datetime) and blocked > at:
        raise TooMany(
            mark("There were too many tries. Wait a few minutes, then try again."),
            retry_after=max(1, round((blocked - at).total_seconds())),
        )
