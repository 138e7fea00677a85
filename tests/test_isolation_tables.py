"""Two schools with a row in every table: the database shows and takes none of the other's."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator

import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from classweave.core.database import Database
from classweave.core.tenancy import Actor, Role
from furnished_school import RECORDS, Furnished, digest, furnish, tenant_tables

pytestmark = pytest.mark.anyio

# Row-level security, a missing right, or a trigger that looks first.
REFUSALS = (
    "row-level security",
    "permission denied",
    "belongs to another organisation",
    "consent changes only by recording a consent",
    "a recorded decision is not edited",
    "is append-only",
)

Two = tuple[Furnished, Furnished]


@pytest.fixture
async def schools(
    database: Database, app: FastAPI, owner: psycopg.Connection
) -> AsyncGenerator[Two]:
    mine, theirs = await furnish(database, app, owner), await furnish(database, app, owner)
    before = digest(owner, theirs)
    yield mine, theirs
    assert digest(owner, theirs) == before


def actors(mine: Furnished) -> list[Actor]:
    """Everyone of the school as the database sees them, whatever their role."""
    return [dataclasses.replace(mine.school.teacher, role=role) for role in Role]


async def test_no_row_is_seen(schools: Two, database: Database, owner: psycopg.Connection) -> None:
    mine, theirs = schools
    tables = tenant_tables(owner)
    assert len(tables) > 55
    own, other = mine.school.organization_id, theirs.school.organization_id
    for table in tables:
        row = owner.execute(
            f"SELECT count(*) FROM {table} WHERE organization_id = %s", (other,)
        ).fetchone()
        assert row is not None
        assert row[0] > 0, f"{table} is empty, so its test would prove nothing"
    for actor in actors(mine):
        async with database.transaction(actor) as session:
            for table in tables:
                seen = await session.execute(text(f"SELECT DISTINCT organization_id FROM {table}"))
                assert [row[0] for row in seen] == [own], (actor.role, table)
            organizations = await session.scalars(text("SELECT id FROM directory.organizations"))
            assert list(organizations) == [own]


async def test_no_row_is_taken(schools: Two, database: Database, owner: psycopg.Connection) -> None:
    """A row that another organisation might have written is refused, and so is one's own row
    given to it."""
    mine, theirs = schools
    own, other = mine.school.organization_id, theirs.school.organization_id
    for table, oid in tenant_tables(owner).items():
        columns = ", ".join(
            row[0]
            for row in owner.execute(
                "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = %s AND attnum > 0"
                " AND NOT attisdropped AND attgenerated = ''",
                (oid,),
            )
        )
        row = owner.execute(
            f"SELECT to_jsonb(r)::text FROM {table} r WHERE organization_id = %s LIMIT 1", (other,)
        ).fetchone()
        assert row is not None
        insert = (
            f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns}"
            f" FROM jsonb_populate_record(NULL::{table}, CAST(:row AS jsonb))"
        )
        update = f"UPDATE {table} SET organization_id = :other WHERE organization_id = :own"
        for statement, values in (
            (insert, {"row": row[0]}),
            (update, {"other": other, "own": own}),
        ):
            refusal = await attempt(database, mine.school.teacher, statement, values)
            assert any(reason in refusal for reason in REFUSALS), (statement, refusal)


async def test_what_names_no_organisation_reaches_only_ones_own(
    schools: Two, database: Database, owner: psycopg.Connection
) -> None:
    """UPDATE and DELETE without a condition: the other school's rows are not there to be hit."""
    mine, theirs = schools
    other = theirs.school.organization_id
    for table in tenant_tables(owner):
        for statement in (
            f"UPDATE {table} SET organization_id = organization_id WHERE organization_id = :other",
            f"DELETE FROM {table} WHERE organization_id = :other",
        ):
            refusal = await attempt(database, mine.school.admin, statement, {"other": other})
            assert refusal in ("0 rows", "permission denied"), (statement, refusal)


async def test_records_of_attendance_are_under_row_security_by_their_term(
    schools: Two, database: Database, owner: psycopg.Connection
) -> None:
    mine, theirs = schools
    terms: dict[str, int] = {}
    for name, who in (("own", mine), ("other", theirs)):
        row = owner.execute(
            f"SELECT max(r.term), count(*) {RECORDS}", (who.school.organization_id,)
        ).fetchone()
        assert row is not None
        assert row[1] == 1
        terms[name] = row[0]
    records, columns = "attend.attendance_records", "session_no, rev, marked_at, created_at, place"
    for actor in actors(mine):
        async with database.transaction(actor) as session:
            seen = await session.execute(text(f"SELECT term FROM {records}"))
            assert [row[0] for row in seen] == [terms["own"]], actor.role
            visible = await session.scalar(text("SELECT attend.visible_terms()"))
            assert visible == [terms["own"]]
    insert = (
        f"INSERT INTO {records} ({columns}, term, status, id)"
        f" SELECT {columns}, :other, 1, 'x' FROM {records}"
    )
    given = f"UPDATE {records} SET term = :other WHERE term = :own"
    for statement, values in ((insert, {"other": terms["other"]}), (given, terms)):
        refusal = await attempt(database, mine.school.teacher, statement, dict(values))
        assert "row-level security" in refusal, (statement, refusal)
    for statement, expected in (
        (f"UPDATE {records} SET status = 3 WHERE term = :other", "0 rows"),
        (f"DELETE FROM {records} WHERE term = :other", "0 rows"),
        # A partition by itself has no policy, and no right to it either.
        (f"SELECT * FROM attend.records_{terms['other']} WHERE term = :other", "permission denied"),
        (f"DELETE FROM attend.records_{terms['own']} WHERE term <> :other", "permission denied"),
    ):
        said = await attempt(database, mine.school.admin, statement, {"other": terms["other"]})
        assert said == expected, statement
    # Not even an archived term of another is dropped.
    archive = "UPDATE attend.terms SET archived_at = {} WHERE number = %s"
    owner.execute("SET session_replication_role = replica")  # updated_at stays
    owner.execute(archive.format("now()"), (terms["other"],))
    drop = "SELECT attend.drop_records(:other)"
    refusal = await attempt(database, mine.school.admin, drop, {"other": terms["other"]})
    owner.execute(archive.format("NULL"), (terms["other"],))
    owner.execute("SET session_replication_role = origin")
    assert "only the records of an archived term" in refusal


async def attempt(
    database: Database, actor: Actor, statement: str, values: dict[str, object]
) -> str:
    """What the database says to ``statement``; nothing is kept."""
    async with database.engine.connect() as connection:
        await connection.execute(
            text(
                "SELECT set_config('classweave.actor', :actor, true),"
                " set_config('classweave.role', :role, true),"
                " set_config('classweave.organizations', :organizations, true)"
            ),
            {
                "actor": str(actor.id),
                "role": actor.role.value,
                "organizations": ",".join(map(str, actor.organizations)),
            },
        )
        try:
            result = await connection.execute(text(statement), values)
        except DBAPIError as error:
            said = str(error.orig)
            return "permission denied" if "permission denied" in said else said
        finally:
            await connection.rollback()
        return f"{result.rowcount} rows"
