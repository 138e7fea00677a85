"""One PostgreSQL for the run, one migrated database a worker, fresh schools for each test."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack
from pathlib import Path

import fasteners
import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy.engine import URL

from classweave.core.database import Database, dsn
from classweave.core.postgres import DatabaseUrls, EmbeddedPostgres
from classweave.core.runtime import Runtime, connect
from classweave.core.settings import Settings
from classweave.migrations import migrate
from database_server import Server
from school_fixtures import School, make_school

pytest_plugins = ["anyio"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real recordings and texts; beside the checkout unless CLASSWEAVE_SHARED_DATA says where."""
    default = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("CLASSWEAVE_SHARED_DATA", default))
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"no shared data at {folder}")
        pytest.skip(f"no shared data at {folder}; set CLASSWEAVE_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    # The server drops root by itself and must be able to reach its files.
    folder.chmod(0o755)
    with fasteners.InterProcessLock(folder / "server.lock"):
        postgres = EmbeddedPostgres(folder / "classweave-data")
        urls = postgres.start()
        migrate(urls.owner)
    yield Server(postgres, urls, folder)
    postgres.stop()


@pytest.fixture(scope="session")
def urls(server: Server) -> DatabaseUrls:
    return server.clone(f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}")


@pytest.fixture(scope="session")
async def runtime(
    urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncGenerator[Runtime]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("installation"))
    async with connect(settings, urls) as opened:
        yield opened


@pytest.fixture
def database(runtime: Runtime) -> Database:
    """The application's own view: the role classweave_app."""
    return runtime.database


@pytest.fixture
def owner(urls: DatabaseUrls) -> Generator[psycopg.Connection]:
    """The superuser's view, for white-box checks."""
    admin: URL = urls.owner.set(username="postgres")
    with psycopg.connect(dsn(admin), autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
async def app(runtime: Runtime) -> AsyncGenerator[FastAPI]:
    from classweave.app import create_app

    made = create_app(runtime)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(made.router.lifespan_context(made))
        yield made


@pytest.fixture
async def client(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    """A browser that is not signed in."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as browser:
        yield browser


@pytest.fixture
async def school(database: Database, client: httpx.AsyncClient, app: FastAPI) -> School:
    """A complete school of its own: administrator, teacher, class, students."""
    return await make_school(database, app)


@pytest.fixture
async def other_school(database: Database, client: httpx.AsyncClient, app: FastAPI) -> School:
    """Another one, whose rows nobody of the first may ever see."""
    return await make_school(database, app)
