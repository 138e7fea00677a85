"""The commands on an installation of their own, as an operator runs them."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import zipfile
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from classweave.compliance.commands import app
from classweave.compliance.rights import request_erasure
from classweave.core.database import Database, dsn
from classweave.core.identifiers import encode, uuid7
from classweave.core.personal_data import Subject
from classweave.core.postgres import DatabaseUrls
from classweave.core.tenancy import system_actor
from classweave.directory.models import Organization, OrganizationKind, Student
from classweave.schema import ROOMS
from database_server import Server

for room in ROOMS:
    importlib.import_module(f"classweave.{room}.personal_data")


@pytest.fixture(scope="module")
def installation(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Generator[DatabaseUrls]:
    """A database of its own, named by the environment."""
    urls = server.clone(f"commands_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLASSWEAVE_DATA_DIR", str(tmp_path_factory.mktemp("commands")))
        patch.setenv("CLASSWEAVE_DATABASE_URL", dsn(urls.owner))
        patch.setenv("CLASSWEAVE_APP_DATABASE_URL", dsn(urls.app))
        yield urls


@pytest.fixture
def student(installation: DatabaseUrls) -> str:
    """A student of a new school; the public identifier."""
    organization, person = uuid7(), uuid7()

    async def make() -> None:
        database = Database(installation.app)
        async with database.transaction(system_actor(organization)) as session:
            session.add(
                Organization(id=organization, kind=OrganizationKind.SCHOOL, name="Linden School")
            )
            await session.flush()
            session.add(Student(id=person, organization_id=organization, display_name="Ada"))
            await session.flush()
            await request_erasure(session, Subject.STUDENT, person)
        await database.close()

    asyncio.run(make())
    return encode("student", person)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_export_then_erase_and_the_trail_stays_whole(student: str, tmp_path: Path) -> None:
    archive = tmp_path / "ada.zip"
    exported = run("export", student, "--out", str(archive))
    assert exported.exit_code == 0, exported.output
    with zipfile.ZipFile(archive) as opened:
        data = json.loads(opened.read("data.json"))
    assert data["directory.students"][0]["display_name"] == "Ada"
    assert [path.name for path in tmp_path.iterdir()] == ["ada.zip"]

    erased = run("erase", student, "--yes")
    assert erased.exit_code == 0, erased.output
    receipt = json.loads(erased.stdout)
    assert receipt["receipt"]["rows"]["directory.students"] == 1
    assert json.loads(run("erase", student, "--yes").stdout) == receipt

    proof = run("verify-audit")
    assert proof.exit_code == 0, proof.output
    assert all(one["whole"] for one in json.loads(proof.stdout))


def test_a_broken_trail_exits_with_one_and_says_where(
    installation: DatabaseUrls, student: str
) -> None:
    (proof,) = [p for p in json.loads(run("verify-audit").stdout) if p["lines"] == 1][-1:]
    organization = proof["organization"]
    anchored = run("verify-audit", "--organization", organization, "--anchor", proof["head"])
    assert anchored.exit_code == 0, anchored.output
    with psycopg.connect(dsn(installation.owner.set(username="postgres"))) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE compliance.audit_log SET description = '' WHERE sequence = 1")
    broken = run("verify-audit", "--organization", organization)
    assert broken.exit_code == 1
    assert json.loads(broken.stdout)[0]["fault"] == "changed"
    assert json.loads(broken.stdout)[0]["sequence"] == 1


def test_retain_reports_each_organisation(student: str) -> None:
    result = run("retain")
    assert result.exit_code == 0, result.output
    assert all(one["rows"] == {} for one in json.loads(result.stdout))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("export", "class_01h455vb4pex5vsknk084sn02q", "--out", "x.zip"), "neither student_"),
        (("export", "student_nonsense", "--out", "x.zip"), "not an identifier"),
        (("verify-audit", "--anchor", "1:00"), "needs --organization"),
        (("verify-audit", "--organization", "org_x", "--anchor", "??"), "SEQUENCE:HASH"),
    ],
)
def test_bad_arguments_get_one_clear_line(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.usefixtures("installation")
def test_somebody_unknown_is_refused() -> None:
    result = run("erase", encode("student", uuid7()), "--yes")
    assert result.exit_code == 2
    assert "nobody here" in result.stderr
