"""The audit trail under many writers: one chain, no gap, no change, nothing without its cause."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from classweave.core import audit
from classweave.core.database import Database
from classweave.core.tenancy import ANONYMOUS
from school_fixtures import School

pytestmark = pytest.mark.anyio

CHAIN = """
SELECT count(*), bool_and(sequence = number), bool_and(row_hash = compliance.audit_digest(line)),
  bool_and(previous_hash = before)
FROM (
  SELECT line, line.sequence, line.row_hash, line.previous_hash,
    row_number() OVER (ORDER BY sequence) AS number,
    coalesce(lag(row_hash) OVER (ORDER BY sequence), sha256('')) AS before
  FROM compliance.audit_log line WHERE organization_id = %s) AS lines
"""


async def write(school: School, number: int) -> None:
    async with school.database.transaction(school.teacher) as session:
        for part in range(3):
            audit.record(
                session,
                "probe.written",
                resource="probe",
                description=f"{number}.{part} 🎈",
                data_accessed={"field": [1.5, None]},
                students=school.student_ids[:2],
            )


async def test_eight_writers_make_one_chain(school: School, owner: psycopg.Connection) -> None:
    before = owner.execute(CHAIN, (school.organization_id,)).fetchone()
    assert before is not None
    await asyncio.gather(*(write(school, number) for number in range(8)))
    after = owner.execute(CHAIN, (school.organization_id,)).fetchone()
    assert after == (before[0] + 24, True, True, True)
    head = owner.execute(
        "SELECT sequence = (SELECT max(sequence) FROM compliance.audit_log l"
        " WHERE l.organization_id = h.organization_id) FROM compliance.audit_heads h"
        " WHERE organization_id = %s",
        (school.organization_id,),
    ).fetchone()
    assert head == (True,)


async def test_a_line_lives_and_dies_with_its_change(
    school: School, owner: psycopg.Connection
) -> None:
    before = owner.execute(CHAIN, (school.organization_id,)).fetchone()

    async def fail() -> None:
        async with school.database.transaction(school.teacher) as session:
            audit.record(session, "probe.written", resource="probe", description="never")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert owner.execute(CHAIN, (school.organization_id,)).fetchone() == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE compliance.audit_log SET description = 'nothing happened'",
        "DELETE FROM compliance.audit_log",
        "TRUNCATE compliance.audit_log",
        "UPDATE compliance.audit_heads SET sequence = 0",
        "DELETE FROM compliance.audit_heads",
    ],
)
async def test_the_application_cannot_change_the_trail(school: School, statement: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with school.database.transaction(school.teacher) as session:
            await session.execute(text(statement))


def test_even_the_owner_meets_the_trigger(school: School, owner: psycopg.Connection) -> None:
    for statement in ("UPDATE compliance.audit_log SET description = ''",
                      "DELETE FROM compliance.audit_log"):  # fmt: skip
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            owner.execute(statement)


async def test_nobody_without_an_organisation_writes_a_line(database: Database) -> None:
    with pytest.raises(LookupError):
        async with database.transaction(ANONYMOUS) as session:
            audit.record(session, "probe.written", resource="probe", description="whose?")
