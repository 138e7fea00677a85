"""One request, one transaction: committed before the answer, or not at all; nobody's by default."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

import httpx
import psycopg
import pytest
from fastapi import APIRouter
from sqlalchemy import text
from structlog.testing import capture_logs

from classweave.app import create_app
from classweave.core.database import Database, act_as, actor_of
from classweave.core.identifiers import uuid7
from classweave.core.permissions import Permission
from classweave.core.postgres import DatabaseUrls
from classweave.core.problems import Conflict
from classweave.core.runtime import Runtime
from classweave.core.tenancy import Role, system_actor
from classweave.web.requests import Transaction, allow
from school_fixtures import School

pytestmark = pytest.mark.anyio

ANYONE = [allow(Permission.ANYONE)]
router = APIRouter(prefix="/api/probe", dependencies=ANYONE)


@router.post("/{number}")
async def insert(number: int, session: Transaction) -> dict[str, int]:
    await session.execute(text("INSERT INTO ops.probe VALUES (:n)"), {"n": number})
    await session.execute(text("INSERT INTO ops.probe VALUES (:n)"), {"n": number + 1000})
    return {"inserted": number}


@router.post("/{number}/refused")
async def refused(number: int, session: Transaction) -> None:
    await session.execute(text("INSERT INTO ops.probe VALUES (:n)"), {"n": number})
    raise Conflict("Not now.")


@router.post("/{number}/broken")
async def broken(number: int, session: Transaction) -> None:
    await session.execute(text("INSERT INTO ops.probe VALUES (:n)"), {"n": number})
    raise ZeroDivisionError


@pytest.fixture
def probe(owner: psycopg.Connection) -> Generator[psycopg.Connection]:
    """A table whose only constraint is looked at when the transaction commits."""
    owner.execute(
        "CREATE TABLE ops.probe (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);"
        "GRANT SELECT, INSERT ON ops.probe TO classweave_app"
    )
    yield owner
    owner.execute("DROP TABLE ops.probe")


@pytest.fixture
async def program(runtime: Runtime, probe: psycopg.Connection) -> AsyncGenerator[httpx.AsyncClient]:
    app = create_app(runtime)
    app.include_router(router)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


def saved(probe: psycopg.Connection) -> list[int]:
    return [row[0] for row in probe.execute("SELECT n FROM ops.probe ORDER BY n")]


async def test_a_failed_commit_is_a_failed_request(
    program: httpx.AsyncClient, probe: psycopg.Connection
) -> None:
    assert (await program.post("/api/probe/1")).json() == {"inserted": 1}
    assert saved(probe) == [1, 1001]
    # 1 is there already, which PostgreSQL only finds at COMMIT, after the route has returned.
    answer = await program.post("/api/probe/1")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:classweave:problem:internal"
    assert "ops.probe" not in answer.text
    assert saved(probe) == [1, 1001]


@pytest.mark.parametrize(("path", "status"), [("refused", 409), ("broken", 500)])
async def test_an_error_saves_nothing(
    program: httpx.AsyncClient, probe: psycopg.Connection, path: str, status: int
) -> None:
    with capture_logs():
        assert (await program.post(f"/api/probe/7/{path}")).status_code == status
    assert saved(probe) == []


async def test_a_connection_does_not_remember_its_last_actor(
    urls: DatabaseUrls, school: School
) -> None:
    narrow = Database(urls.app, pool_size=1)
    count = text("SELECT count(*) FROM directory.students")
    backend = text("SELECT pg_backend_pid()")
    try:
        async with narrow.transaction(school.teacher) as session:
            assert await session.scalar(count) == 8
            first = await session.scalar(backend)
        with pytest.raises(ZeroDivisionError):
            async with narrow.transaction(school.teacher):
                raise ZeroDivisionError
        async with narrow.transaction() as session:
            assert await session.scalar(backend) == first
            assert await session.scalar(count) == 0
            settings = await session.execute(
                text(
                    "SELECT ops.current_actor(), ops.current_role_name(),"
                    " ops.current_organizations()"
                )
            )
            assert settings.one() == (None, "anonymous", [])
            with pytest.raises(LookupError):
                actor_of(session)
    finally:
        await narrow.close()


async def test_the_actor_may_change_within_a_transaction(
    database: Database, school: School
) -> None:
    count = text("SELECT count(*) FROM directory.students")
    async with database.transaction(system_actor()) as session:
        assert await session.scalar(count) == 0
        await act_as(session, school.teacher)
        assert await session.scalar(count) == 8
        assert actor_of(session).role is Role.TEACHER
        await act_as(session, system_actor(uuid7()))
        assert await session.scalar(count) == 0


@pytest.mark.parametrize("role", ["postgres", "classweave_bypass"])
async def test_a_role_that_row_security_does_not_bind_is_refused(
    urls: DatabaseUrls, owner: psycopg.Connection, role: str
) -> None:
    owner.execute(
        "DO $$ BEGIN CREATE ROLE classweave_bypass LOGIN BYPASSRLS;"
        " EXCEPTION WHEN duplicate_object THEN NULL; END $$"
    )
    unbound = Database(urls.app.set(username=role))
    try:
        with pytest.raises(RuntimeError, match="CLASSWEAVE_APP_DATABASE_URL"):
            await unbound.verify_role()
    finally:
        await unbound.close()


async def test_the_applications_role_is_accepted(database: Database) -> None:
    await database.verify_role()
