"""The whole schema as SQL, from the rooms' models and policies.

The migrations are what a database is built from. This is what they must add up to: the check
``classweave db drift`` compares the two.
"""

from __future__ import annotations

import difflib
import importlib
import subprocess
from collections.abc import Iterable

import psycopg
from sqlalchemy import create_mock_engine
from sqlalchemy.engine import URL
from sqlalchemy.schema import DDL

from classweave.core import audit, ddl
from classweave.core.database import dsn
from classweave.core.model import Base
from classweave.core.postgres import (
    APP_ROLE,
    EmbeddedPostgres,
    create_roles_and_database,
    postgres_program,
)

ROOMS = ("directory", "compliance", "live", "attend")
SCHEMAS = ("ops", "directory", "compliance", "live", "attend")


def load_models() -> None:
    """Import every table of every room."""
    importlib.import_module("classweave.core.events")
    load_all("models")


def load_all(part: str) -> None:
    """Import one part (``models``, ``jobs``, ``personal_data``) of every room."""
    for room in ROOMS:
        importlib.import_module(f"classweave.{room}.{part}")


def statements() -> Iterable[str]:
    """Every statement that makes the schema, in order."""
    load_models()
    for schema in SCHEMAS:
        yield f"CREATE SCHEMA IF NOT EXISTS {schema}"
        yield f"GRANT USAGE ON SCHEMA {schema} TO {APP_ROLE}"
    yield from ddl.FUNCTIONS
    tables: list[str] = []

    def keep(statement: DDL, *_args: object, **_options: object) -> None:
        tables.append(str(statement.compile(dialect=engine.dialect)).strip())

    engine = create_mock_engine("postgresql+psycopg://", keep)
    Base.metadata.create_all(engine, checkfirst=False)
    # SQLAlchemy keeps a table's indexes in a set: sorted, so that the script is the same each time.
    indexes = [
        statement for statement in tables if statement.startswith(("CREATE INDEX", "CREATE UNIQUE"))
    ]
    yield from (statement for statement in tables if statement not in indexes)
    yield from sorted(indexes)
    yield from ddl.all_table_ddl(Base.metadata)
    yield from audit.POLICIES
    for room in ROOMS:
        yield from importlib.import_module(f"classweave.{room}.policies").POLICIES


def script() -> str:
    """The statements as one SQL file."""
    return "".join(f"{statement.strip()};\n\n" for statement in statements())


def drift(server: EmbeddedPostgres) -> list[str]:
    """Lines by which the migrated schema differs from the rooms' own; empty when they agree.

    ``server`` is a scratch server that was started and is empty.
    """
    from classweave.migrations import migrate

    urls = server.urls
    migrate(urls.owner)
    wanted = urls.owner.set(database="wanted")
    create_roles_and_database(urls.owner.set(username="postgres", database="postgres"), "wanted")
    with psycopg.connect(dsn(wanted), autocommit=True) as connection:
        connection.execute(script().encode())
    migrated, modelled = _dump(urls.owner), _dump(wanted)
    return [
        line
        for line in difflib.unified_diff(migrated, modelled, "migrations", "models", n=0)
        if not line.startswith("@@")
    ]


def _dump(url: URL) -> list[str]:
    """The schema as sorted statements, without what is not ours to migrate."""
    text = subprocess.run(
        [postgres_program("pg_dump"), "--schema-only", "--no-comments",
         *(f"--schema={schema}" for schema in SCHEMAS), "--exclude-table=ops.alembic_version",
         dsn(url)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    lines = (line.strip().rstrip(",") for line in text.splitlines())
    return sorted(line for line in lines if line and not line.startswith(("--", "\\", "SET ")))
