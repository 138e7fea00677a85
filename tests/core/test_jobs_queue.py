"""A job exists if and only if the transaction that asked for it committed."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import text

from classweave.core.database import Database
from classweave.core.identifiers import uuid7
from classweave.core.jobs import enqueue, jobs
from classweave.core.tenancy import ANONYMOUS

pytestmark = pytest.mark.anyio


@jobs.task(queue="test", name="test.note")
async def note(key: str) -> None:
    """Never run here."""


def waiting(owner: psycopg.Connection, key: str) -> int:
    row = owner.execute(
        "SELECT count(*) FROM procrastinate_jobs WHERE args ->> 'key' = %s AND status = 'todo'",
        (key,),
    ).fetchone()
    assert row is not None
    return row[0]


async def test_a_committed_job_exists_once(database: Database, owner: psycopg.Connection) -> None:
    key = str(uuid7())
    async with database.transaction(ANONYMOUS) as session:
        await enqueue(session, note, key=key)
        assert waiting(owner, key) == 0
    assert waiting(owner, key) == 1


async def test_a_rolled_back_job_never_was(database: Database, owner: psycopg.Connection) -> None:
    key = str(uuid7())

    async def fail() -> None:
        async with database.transaction(ANONYMOUS) as session:
            await enqueue(session, note, key=key)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert waiting(owner, key) == 0


async def test_one_waiting_job_does_the_work_of_both(
    database: Database, owner: psycopg.Connection
) -> None:
    key = str(uuid7())
    async with database.transaction(ANONYMOUS) as session:
        await enqueue(session, note, queueing_lock=key, key=key)
        await enqueue(session, note, queueing_lock=key, key=key)
        # The refused one left the transaction usable.
        assert await session.scalar(text("SELECT 1")) == 1
    async with database.transaction(ANONYMOUS) as session:
        await enqueue(session, note, queueing_lock=key, key=key)
    assert waiting(owner, key) == 1


async def test_a_job_may_wait_for_its_time(database: Database, owner: psycopg.Connection) -> None:
    key = str(uuid7())
    async with database.transaction(ANONYMOUS) as session:
        await enqueue(session, note, in_seconds=3600, lock=key, key=key)
    row = owner.execute(
        "SELECT scheduled_at BETWEEN now() + '59 minutes' AND now() + '61 minutes', lock"
        " FROM procrastinate_jobs WHERE args ->> 'key' = %s",
        (key,),
    ).fetchone()
    assert row == (True, key)
