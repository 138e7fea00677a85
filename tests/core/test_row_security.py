"""Which tables row-level security guards: all, but for a short list with reasons."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from classweave.core.database import Database
from classweave.core.model import Base
from classweave.core.tenancy import ANONYMOUS, system_actor
from classweave.schema import load_models
from school_fixtures import School

pytestmark = pytest.mark.anyio

# Tables without an organisation, and why nothing of a person can be read in them.
WITHOUT_ORGANIZATION = {
    "directory.sign_in_throttle": "counts failures under a digest, before anyone is known",
    "ops.alembic_version": "the number of the schema; the application has no right to it",
    "public.procrastinate_jobs": "jobs name organisations and rows by id only",
    "public.procrastinate_events": "when a job was taken and done",
    "public.procrastinate_periodic_defers": "when a periodic job was last due",
    "public.procrastinate_workers": "which workers live",
}

# What runs as the owner, and what it gives away to somebody who holds nothing.
DEFINERS = {
    "attend.drop_records(integer)": "refuses a term that is not the actor's own and archived",
    "attend.identify_device(bytea)": "needs the token",
    "attend.make_partition()": "trigger",
    "attend.organization_above(uuid)": "one name, to who sees the organisation below",
    "compliance.begin_retention()": "trigger",
    "compliance.chain_audit()": "trigger",
    "directory.add_counts(uuid,bigint,bigint,bigint)": "returns nothing; not callable by others",
    "directory.all_organizations()": "ids and time zones, for the daily jobs",
    "directory.count_schools()": "trigger",
    "directory.count_students()": "trigger",
    "directory.count_teachers()": "trigger",
    "directory.find_class_by_invite(text)": "needs the code",
    "directory.find_credentials(text)": "needs the address; sign-in",
    "directory.identify(bytea,timestamp with time zone)": "needs the token",
    "directory.place_organization()": "trigger",
    "directory.use_password_reset(bytea,timestamp with time zone)": "needs the token",
    "live.find_session_by_code(text)": "needs the code",
    "live.identify_device(bytea)": "needs the token",
    "live.tracks_to_read(timestamp with time zone,integer)": "ids, for the speech workers",
}

# Records of attendance are guarded by their term, which belongs to one organisation.
TABLES = """
SELECT n.nspname || '.' || c.relname AS name,
  c.relrowsecurity AND c.relforcerowsecurity OR reads_as_caller AS forced,
  EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd = '*')
    OR reads_as_caller AS policy,
  EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
    AND a.attname = 'organization_id') OR c.oid IN ('directory.organizations'::regclass,
    'attend.attendance_records'::regclass) AS tenant
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  -- Such a view shows what its tables show to whoever asks.
  CROSS JOIN LATERAL (SELECT c.relkind = 'v'
    AND coalesce('security_invoker=true' = ANY (c.reloptions), false) AS reads_as_caller) v
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema' AND NOT c.relispartition
ORDER BY 1
"""


def test_every_table_of_an_organisation_forces_row_security(owner: psycopg.Connection) -> None:
    rows = owner.execute(TABLES).fetchall()
    assert len(rows) > 40
    assert [
        name for name, forced, policy, tenant in rows if tenant and not (forced and policy)
    ] == []
    assert {name for name, *_rest, tenant in rows if not tenant} == set(WITHOUT_ORGANIZATION)


def test_every_model_with_rows_of_an_organisation_says_so(owner: psycopg.Connection) -> None:
    load_models()
    tenant = {name for name, *_rest, is_tenant in owner.execute(TABLES).fetchall() if is_tenant}
    modelled = {table.fullname for table in Base.metadata.sorted_tables}
    assert modelled - tenant == {"directory.sign_in_throttle"}


async def test_a_partition_is_read_through_its_table_alone(
    owner: psycopg.Connection, school: School
) -> None:
    """Of its own it has no policy, so nobody whom row-level security binds sees a row of it."""
    owner.execute(
        "INSERT INTO attend.terms (organization_id, name, starts_on, ends_on)"
        " VALUES (%s, 'probe', '2000-01-01', '2000-01-02')",
        (school.organization_id,),
    )
    partitions = owner.execute(
        "SELECT c.oid::regclass::text, c.relrowsecurity AND c.relforcerowsecurity,"
        " has_table_privilege('classweave_app', c.oid, 'SELECT, INSERT, UPDATE, DELETE'),"
        " EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)"
        " FROM pg_class c WHERE c.relispartition AND c.relkind = 'r'"
    ).fetchall()
    assert partitions
    assert [name for name, forced, granted, policy in partitions
            if not forced or granted or policy] == []  # fmt: skip


async def test_without_an_actor_there_are_no_rows(
    database: Database, owner: psycopg.Connection, school: School
) -> None:
    tenants = [row[0] for row in owner.execute(TABLES).fetchall() if row[3]]
    assert owner.execute("SELECT count(*) FROM directory.students").fetchone() != (0,)
    for actor in (None, ANONYMOUS, system_actor()):
        async with database.transaction(actor) as session:
            for table in tenants:
                assert await session.scalar(text(f"SELECT count(*) FROM {table}")) == 0, table


def test_the_application_owns_nothing_and_may_not_truncate(owner: psycopg.Connection) -> None:
    assert owner.execute(
        "SELECT count(*) FROM pg_class WHERE pg_get_userbyid(relowner) = 'classweave_app'"
    ).fetchone() == (0,)
    assert owner.execute(
        "SELECT count(*) FROM information_schema.role_table_grants WHERE grantee ="
        " 'classweave_app' AND privilege_type IN ('TRUNCATE', 'TRIGGER', 'REFERENCES')"
        " AND table_schema <> 'public'"
    ).fetchone() == (0,)
    assert owner.execute(
        "SELECT has_table_privilege('classweave_app', 'ops.alembic_version', 'SELECT')"
    ).fetchone() == (False,)


def test_functions_that_run_as_the_owner_are_known(owner: psycopg.Connection) -> None:
    rows = owner.execute(
        "SELECT p.oid::regprocedure::text, p.prorettype = 'trigger'::regtype, p.proconfig,"
        " has_function_privilege('classweave_app', p.oid, 'EXECUTE')"
        " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
        " WHERE p.prosecdef AND n.nspname !~ '^pg_'"
    ).fetchall()
    assert {row[0] for row in rows} == set(DEFINERS)
    for name, trigger, config, callable_by_app in rows:
        assert config == ["search_path=pg_catalog"], name
        assert trigger == (DEFINERS[name] == "trigger"), name
        if "not callable" in DEFINERS[name]:
            assert not callable_by_app, name


async def test_functions_that_run_as_the_owner_tell_a_guesser_nothing(
    database: Database, school: School
) -> None:
    guesses = {
        "attend.identify_device(bytea)": "''::bytea",
        "directory.find_class_by_invite(text)": "'%'",
        "directory.find_credentials(text)": "'%'",
        "directory.identify(bytea,timestamp with time zone)": "''::bytea",
        "directory.use_password_reset(bytea,timestamp with time zone)": "''::bytea",
        "live.find_session_by_code(text)": "NULL",
        "live.identify_device(bytea)": "''::bytea",
    }
    assert set(guesses) == {name for name, why in DEFINERS.items() if "needs the" in why}
    async with database.transaction(ANONYMOUS) as session:
        for name, guess in guesses.items():
            for argument in (guess, "NULL"):
                found = await session.execute(
                    text(f"SELECT * FROM {name.partition('(')[0]}({argument})")
                )
                assert found.all() == [], name


async def test_the_organisation_above_is_named_to_those_below_alone(
    database: Database, owner: psycopg.Connection, school: School
) -> None:
    made: list[UUID] = []
    for kind in ("university", "faculty"):
        row = owner.execute(
            "INSERT INTO directory.organizations (name, kind, parent_id) VALUES (%s, %s, %s)"
            " RETURNING id",
            (kind, kind, made[-1] if made else None),
        ).fetchone()
        assert row is not None
        made.append(row[0])
    university, faculty = made
    above = text("SELECT id FROM attend.organization_above(:below)")
    for actor, seen in (
        (system_actor(faculty), [university]),
        (system_actor(university), []),
        (school.admin, []),
        (ANONYMOUS, []),
    ):
        async with database.transaction(actor) as session:
            assert list(await session.scalars(above, {"below": faculty})) == seen


async def test_what_everybody_may_list_is_ids(database: Database, school: School) -> None:
    async with database.transaction(ANONYMOUS) as session:
        organizations = await session.execute(text("SELECT * FROM directory.all_organizations()"))
        assert set(organizations.keys()) == {"id", "timezone"}
        assert school.organization_id in {row.id for row in organizations}
        tracks = await session.execute(text("SELECT * FROM live.tracks_to_read(now(), 5)"))
        assert set(tracks.keys()) == {"id", "organization_id"}
