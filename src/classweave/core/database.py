"""One transaction per request or job, with its actor stated to the database first."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg
import psycopg_pool
from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from classweave.core.tenancy import Actor

_SET_ACTOR = text(
    "SELECT set_config('classweave.actor', :actor, true),"
    " set_config('classweave.role', :role, true),"
    " set_config('classweave.organizations', :organizations, true)"
)


async def act_as(session: AsyncSession, actor: Actor) -> None:
    """State who acts in this transaction. Without it, tenant tables show no rows."""
    session.info["actor"] = actor
    await session.execute(
        _SET_ACTOR,
        {
            "actor": str(actor.id or ""),
            "role": actor.role.value,
            "organizations": ",".join(str(o) for o in actor.organizations),
        },
    )


def actor_of(session: AsyncSession) -> Actor:
    """The actor stated for this transaction; raises ``LookupError`` when there is none."""
    actor = session.info.get("actor")
    if not isinstance(actor, Actor):
        raise LookupError("no actor was stated for this transaction")
    return actor


async def driver_connection(session: AsyncSession) -> psycopg.AsyncConnection[Any]:
    """The psycopg connection under ``session``, inside the same transaction."""
    raw = await (await session.connection()).get_raw_connection()
    connection = raw.driver_connection
    assert isinstance(connection, psycopg.AsyncConnection)
    return cast("psycopg.AsyncConnection[Any]", connection)


class Database:
    """The application's pool of connections, as the role that cannot bypass row security."""

    def __init__(self, url: URL, *, pool_size: int = 10) -> None:
        self.url = url
        # Pre-ping: a restart of PostgreSQL must not cost the next request an error.
        # Hidden parameters: an error's text goes to the log, and people's data must not.
        self.engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=True,
            hide_parameters=True,
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self._bare = psycopg_pool.AsyncConnectionPool(
            dsn(url),
            min_size=0,
            max_size=pool_size,
            open=False,
            kwargs={
                "autocommit": True,
                "prepare_threshold": 0,
                "options": "-c plan_cache_mode=force_generic_plan -c jit=off -c enable_seqscan=off",
            },
        )

    @asynccontextmanager
    async def transaction(self, actor: Actor | None = None) -> AsyncGenerator[AsyncSession]:
        """A transaction that commits at the end of the block and rolls back on any error.

        What was queued by :func:`classweave.core.audit.record` and
        :func:`classweave.core.events.emit` is written just before the commit, in a fixed order,
        so that two transactions never wait for each other in a circle.
        """
        from classweave.core.audit import write_audit
        from classweave.core.events import write_events

        async with self._sessions() as session, session.begin():
            if actor is not None:
                await act_as(session, actor)
            yield session
            await session.flush()
            await write_audit(session)
            await write_events(session)

    @asynccontextmanager
    async def bare_connection(self) -> AsyncGenerator[psycopg.AsyncConnection[Any]]:
        """A driver's connection outside any transaction, for a path where each round trip counts.

        The user begins, states the actor, and commits. What is left open is rolled back. Plans are
        generic: made once a connection, from indexes, for none of it may read a table through.
        Raises ``psycopg.OperationalError`` after a restart of the server; the next one is good.
        """
        if self._bare.closed:
            await self._bare.open()
        async with self._bare.connection() as connection:
            try:
                yield connection
            except psycopg.OperationalError:
                if connection.closed:
                    # The others have probably gone with it.
                    await self._bare.check()
                raise

    async def verify_role(self) -> None:
        """Refuse to run as a role that row-level security does not bind.

        Raises ``RuntimeError`` when the connection is a superuser or may bypass row security.
        """
        async with self._sessions() as session:
            unbound = await session.scalar(
                text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
            )
        if unbound:
            raise RuntimeError(
                "the application's database role can bypass row-level security; "
                "set CLASSWEAVE_APP_DATABASE_URL to the role classweave_app"
            )

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()
        await self._bare.close()


def dsn(url: URL) -> str:
    """``url`` as psycopg understands it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
