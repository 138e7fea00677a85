"""Background work in PostgreSQL, enqueued in the transaction that asks for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import procrastinate
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.tasks import Task
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.database import Database, driver_connection, dsn

if TYPE_CHECKING:
    from classweave.core.runtime import Runtime

# Rooms register their tasks here when they are imported; a process opens it on its own database.
jobs = procrastinate.App(connector=procrastinate.PsycopgConnector())

_runtime: Runtime | None = None


@contextmanager
def use_runtime(runtime: Runtime) -> Generator[None]:
    """Give the tasks of this process their installation for the duration of the block."""
    global _runtime
    before, _runtime = _runtime, runtime
    try:
        yield
    finally:
        _runtime = before


def job_runtime() -> Runtime:
    """The installation a running task works on: its settings, database and files."""
    if _runtime is None:
        raise RuntimeError("no installation was given to the jobs of this process")
    return _runtime


def job_database() -> Database:
    """The database a running task works on."""
    return job_runtime().database


@asynccontextmanager
async def open_jobs(url: URL) -> AsyncGenerator[procrastinate.App]:
    """The job application on the database at ``url``, for as long as the block lasts."""
    connector = procrastinate.PsycopgConnector(conninfo=dsn(url), min_size=1, max_size=6)
    with jobs.replace_connector(connector):
        async with jobs.open_async():
            yield jobs


async def enqueue(
    session: AsyncSession,
    task: Task[Any, Any, Any],
    *,
    lock: str | None = None,
    queueing_lock: str | None = None,
    in_seconds: int | None = None,
    **arguments: Any,
) -> None:
    """Enqueue ``task`` in ``session``'s transaction: it exists if and only if that commits.

    With ``queueing_lock``, a second waiting job of the same lock is dropped silently: one will do
    the work of both.
    """
    options: dict[str, Any] = {}
    if lock is not None:
        options["lock"] = lock
    if queueing_lock is not None:
        options["queueing_lock"] = queueing_lock
    if in_seconds is not None:
        options["schedule_in"] = {"seconds": in_seconds}
    # A refused queueing lock is an error to PostgreSQL: a savepoint keeps the transaction usable.
    with suppress(AlreadyEnqueued):
        async with session.begin_nested():
            # Asked for within the savepoint: SQLAlchemy sets it when the connection is first used.
            connection = await driver_connection(session)
            await task.configure(connection=connection, **options).defer_async(**arguments)
