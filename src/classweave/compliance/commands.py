"""``classweave privacy``: export, erase, retain, verify-audit."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar
from uuid import UUID

import orjson
import typer
from sqlalchemy import text

from classweave.compliance import retention, rights
from classweave.compliance.models import DataRequest, RetentionRun
from classweave.compliance.proof import Anchor, Proof, verify_chain
from classweave.core.database import Database
from classweave.core.identifiers import TypeIDError, decode, encode
from classweave.core.personal_data import Subject
from classweave.core.problems import Problem
from classweave.core.runtime import Runtime, open_runtime
from classweave.core.storage import FileStore
from classweave.core.tenancy import Actor, system_actor

app = typer.Typer(
    no_args_is_help=True,
    help="What a person may ask for, what the law asks for: export, erase, retain, verify-audit.",
)

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where this installation lives (CLASSWEAVE_DATA_DIR)."),
]
PersonId = Annotated[str, typer.Argument(help="Whose data: student_… or user_….")]
OrganizationId = Annotated[
    str | None, typer.Option("--organization", help="Only this one: org_…. All by default.")
]
Result = TypeVar("Result")
_KINDS = {"student": Subject.STUDENT, "user": Subject.USER}


@app.command("export")
def export_command(
    person: PersonId,
    out: Annotated[Path, typer.Option(help="The ZIP archive to write; must not exist yet.")],
    data_dir: DataDir = None,
) -> None:
    """Write everything kept about a person to an archive: data, tables to read, stored files."""
    subject, identifier = _person(person)
    if out.exists():
        _fail(f"{out} exists already")

    async def run() -> DataRequest:
        async with _installation(data_dir) as runtime:
            return await export(runtime.database, runtime.files, subject, identifier, out)

    _print(_receipt(_run(run())))


@app.command("erase")
def erase_command(
    person: PersonId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; it cannot be undone.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Erase a person everywhere, in one step, and print the receipt. Repeating it is harmless."""
    subject, identifier = _person(person)
    if not yes:
        typer.confirm(f"Erase {person} for good?", abort=True, err=True)

    async def run() -> DataRequest:
        async with _installation(data_dir) as runtime:
            actor = await everywhere(runtime.database)
            async with runtime.database.transaction(actor) as session:
                made = await rights.erase_person(session, subject, identifier)
            await _delete_condemned(runtime)
            return made

    _print(_receipt(_run(run())))


@app.command("retain")
def retain_command(organization: OrganizationId = None, data_dir: DataDir = None) -> None:
    """Delete what passed its retention policy now, as the nightly run does."""

    async def run() -> list[RetentionRun]:
        async with _installation(data_dir) as runtime:
            found = await organizations(runtime.database, organization)
            runs = [await retention.retain(runtime.database, one) for one in found]
            await _delete_condemned(runtime)
            return runs

    _print(
        [
            {
                "organization": encode("org", made.organization_id),
                "rows": made.counts,
                "files": made.files,
            }
            for made in _run(run())
        ]
    )


@app.command("verify-audit")
def verify_command(
    organization: OrganizationId = None,
    anchor: Annotated[
        str | None,
        typer.Option(
            help="An end of the chain noted earlier, SEQUENCE:HASH; needs --organization."
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Recompute the audit trail's hash chain. Exits 1 when a trail is broken, and says where."""
    if anchor and not organization:
        _fail("--anchor needs --organization")
    try:
        noted = Anchor.parse(anchor) if anchor else None
    except ValueError:
        _fail("the anchor is not SEQUENCE:HASH")

    async def run() -> list[Proof]:
        async with _installation(data_dir) as runtime:
            proofs: list[Proof] = []
            for one in await organizations(runtime.database, organization):
                async with runtime.database.transaction(system_actor(one)) as session:
                    proofs.append(await verify_chain(session, one, noted))
            return proofs

    proofs = _run(run())
    _print(
        [
            {
                "organization": encode("org", proof.organization),
                "whole": proof.whole,
                "lines": proof.lines,
                "head": str(proof.head) if proof.head else None,
                "fault": proof.fault,
                "sequence": proof.sequence,
            }
            for proof in proofs
        ]
    )
    if not all(proof.whole for proof in proofs):
        raise typer.Exit(1)


async def organizations(database: Database, only: str | None = None) -> Sequence[UUID]:
    """The organisations of an installation, or the one named ``org_…``."""
    if only is not None:
        return [decode("org", only)]
    async with database.transaction(system_actor()) as session:
        found = await session.scalars(
            text("SELECT id FROM directory.all_organizations() ORDER BY id")
        )
        return found.all()


async def everywhere(database: Database) -> Actor:
    """The installation's operator: sees every organisation, so that a person can be found."""
    return system_actor(*await organizations(database))


async def export(
    database: Database, files: FileStore, subject: Subject, person: UUID, out: Path
) -> DataRequest:
    """Export ``person`` to ``out``; a failure leaves no half-written archive behind."""
    part = out.with_name(f".{out.name}.part")
    try:
        with part.open("xb") as archive:
            async with database.transaction(await everywhere(database)) as session:
                made = await rights.export_person(session, files, subject, person, archive)
        part.rename(out)
    finally:
        part.unlink(missing_ok=True)
    return made


@asynccontextmanager
async def _installation(data_dir: Path | None) -> AsyncGenerator[Runtime]:
    async with open_runtime(data_dir) as runtime:
        async with runtime.database.transaction(system_actor()) as session:
            await rights.require_whole_register(session)
        yield runtime


async def _delete_condemned(runtime: Runtime) -> None:
    """Delete the files that wait for it now, instead of when a worker comes by."""
    await runtime.jobs.run_worker_async(
        queues=["files"], wait=False, install_signal_handlers=False, listen_notify=False
    )


def _person(written: str) -> tuple[Subject, UUID]:
    prefix = written.partition("_")[0]
    if prefix not in _KINDS:
        _fail(f"{written} is neither student_… nor user_…")
    try:
        return _KINDS[prefix], decode(prefix, written)
    except TypeIDError as error:
        _fail(f"{written}: {error}")


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    try:
        return asyncio.run(work)
    except (Problem, TypeIDError) as error:
        _fail(str(error))


def _receipt(request: DataRequest) -> dict[str, Any]:
    return {"receipt": request.receipt, "sha256": request.receipt_hash}


def _print(value: object) -> None:
    print(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _fail(message: str) -> NoReturn:
    print(f"classweave: {message}", file=sys.stderr)
    raise typer.Exit(2)
