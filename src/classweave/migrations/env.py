"""Alembic's entry point: one connection, one lock, one transaction per migration."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, text

from classweave.core.postgres import OWNER_ROLE

engine = create_engine(context.config.attributes["url"])
with engine.connect() as connection:
    connection.execute(text("SELECT pg_advisory_lock(hashtext('classweave.migrate'))"))
    connection.execute(text(f"SET ROLE {OWNER_ROLE}"))
    # A migration that waits for a lock would stop every request behind it.
    connection.execute(text("SET lock_timeout = '4s'"))
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS ops"))
    connection.commit()
    context.configure(
        connection=connection,
        transaction_per_migration=True,
        version_table_schema="ops",
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
engine.dispose()
