"""What a command or a worker needs of an installation, opened and closed in one place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import procrastinate

from classweave.core.database import Database
from classweave.core.jobs import open_jobs, use_runtime
from classweave.core.postgres import DatabaseUrls, EmbeddedPostgres, external_urls
from classweave.core.settings import Settings
from classweave.core.storage import FileStore, open_storage
from classweave.migrations import migrate


@dataclass(frozen=True, slots=True)
class Runtime:
    """An open installation."""

    settings: Settings
    urls: DatabaseUrls
    database: Database
    files: FileStore
    jobs: procrastinate.App


def settings_for(data_dir: Path | None, **overrides: Any) -> Settings:
    """Settings from the environment, with what the command line says instead."""
    if data_dir is not None:
        overrides["data_dir"] = data_dir
    return Settings(**{key: value for key, value in overrides.items() if value is not None})


@contextmanager
def open_postgres(settings: Settings) -> Generator[tuple[DatabaseUrls, EmbeddedPostgres | None]]:
    """The database server of ``settings``: started or joined if embedded, migrated either way."""
    if not settings.embedded_database:
        urls = external_urls(settings)
        migrate(urls.owner)
        yield urls, None
        return
    server = EmbeddedPostgres(settings.data_dir)
    urls = server.start()
    try:
        migrate(urls.owner)
        yield urls, server
    finally:
        server.stop()


@asynccontextmanager
async def connect(settings: Settings, urls: DatabaseUrls) -> AsyncGenerator[Runtime]:
    """Connect to a database that is already up and migrated."""
    database = Database(urls.app)
    try:
        await database.verify_role()
        async with open_jobs(urls.app) as jobs:
            runtime = Runtime(settings, urls, database, open_storage(settings), jobs)
            with use_runtime(runtime):
                yield runtime
    finally:
        await database.close()


@asynccontextmanager
async def open_runtime(data_dir: Path | None = None, **overrides: Any) -> AsyncGenerator[Runtime]:
    """Open an installation for one command; works beside a running ``classweave up``."""
    settings = settings_for(data_dir, **overrides)
    entered = open_postgres(settings)
    urls, _server = await asyncio.to_thread(entered.__enter__)
    try:
        async with connect(settings, urls) as runtime:
            yield runtime
    finally:
        await asyncio.to_thread(entered.__exit__, None, None, None)
