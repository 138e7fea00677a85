from __future__ import annotations

import asyncio
from uuid import UUID

import psycopg
import pytest
from compliance_people import Place, make_place
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from classweave.compliance.proof import Anchor, Fault, Proof, verify_chain
from classweave.core import audit
from classweave.core.database import Database

pytestmark = pytest.mark.anyio


async def write_line(database: Database, place: Place, number: int) -> None:
    async with database.transaction(place.admin) as session:
        audit.record(
            session,
            "student.read",
            resource="student",
            resource_id=place.child,
            description=f"line {number}",
            students=[place.child],
            data_accessed={"fields": ["display_name"]},
        )


async def write_and_fail(database: Database, place: Place) -> None:
    async with database.transaction(place.admin) as session:
        audit.record(session, "student.read", resource="student", description="undone")
        await audit.write_audit(session)
        await session.execute(text("SELECT 1 / 0"))


async def verify(database: Database, place: Place, anchor: Anchor | None = None) -> Proof:
    async with database.transaction(place.admin) as session:
        return await verify_chain(session, place.organization, anchor)


@pytest.fixture
async def place(database: Database) -> Place:
    """An organisation with a trail of eight lines."""
    made = await make_place(database)
    for number in range(8):
        await write_line(database, made, number)
    return made


def tamper(owner: psycopg.Connection, statement: str, organization: UUID) -> None:
    """What a superuser can do: switch the guards off, change, switch them on again."""
    with owner.transaction():
        owner.execute("SET LOCAL session_replication_role = replica")
        changed = owner.execute(statement, {"o": organization})  # type: ignore[arg-type]
        assert changed.rowcount > 0


async def test_an_untouched_trail_is_whole(database: Database, place: Place) -> None:
    proof = await verify(database, place)
    assert proof.whole
    assert proof.lines == 8
    assert proof.head is not None
    assert proof.head.sequence == 8
    assert (await verify(database, place, Anchor.parse(str(proof.head)))).whole


async def test_a_trail_without_lines_is_whole(database: Database) -> None:
    proof = await verify(database, await make_place(database))
    assert proof.whole
    assert (proof.lines, proof.head) == (0, None)


@pytest.mark.parametrize(
    ("statement", "fault", "sequence"),
    [
        (
            "UPDATE compliance.audit_log SET description = 'nothing' WHERE sequence = 3",
            "changed",
            3,
        ),
        (
            "UPDATE compliance.audit_log SET affected_student_ids = '{}' WHERE sequence = 5",
            "changed",
            5,
        ),
        (
            "UPDATE compliance.audit_log SET event_timestamp = event_timestamp"
            " - interval '1 microsecond' WHERE sequence = 4",
            "changed",
            4,
        ),
        ("UPDATE compliance.audit_log SET ip_address = NULL WHERE sequence = 2", "changed", 2),
        ("DELETE FROM compliance.audit_log WHERE sequence = 6", "missing", 6),
        ("DELETE FROM compliance.audit_log WHERE sequence = 1", "missing", 1),
        ("DELETE FROM compliance.audit_log WHERE sequence > 6", "cut", 7),
        (
            "UPDATE compliance.audit_heads SET sequence = 7, row_hash = (SELECT row_hash FROM"
            " compliance.audit_log WHERE organization_id = %(o)s AND sequence = 7) WHERE true",
            "cut",
            9,
        ),
        ("DELETE FROM compliance.audit_heads WHERE true", "cut", 9),
    ],
)
async def test_tampering_by_a_superuser_is_found(
    database: Database,
    owner: psycopg.Connection,
    place: Place,
    statement: str,
    fault: str,
    sequence: int,
) -> None:
    tamper(owner, f"{statement} AND organization_id = %(o)s", place.organization)
    proof = await verify(database, place)
    assert proof.fault is Fault(fault)
    assert proof.sequence == sequence


async def test_a_changed_line_whose_hash_was_made_anew_breaks_the_next_link(
    database: Database, owner: psycopg.Connection, place: Place
) -> None:
    tamper(
        owner,
        "UPDATE compliance.audit_log SET description = 'nothing'"
        " WHERE sequence = 3 AND organization_id = %(o)s",
        place.organization,
    )
    tamper(
        owner,
        "UPDATE compliance.audit_log AS line SET row_hash = compliance.audit_digest(line)"
        " WHERE sequence = 3 AND organization_id = %(o)s",
        place.organization,
    )
    proof = await verify(database, place)
    assert proof.fault is Fault.UNLINKED
    assert proof.sequence == 4


async def test_a_forged_whole_shows_only_against_an_anchor(
    database: Database, owner: psycopg.Connection, place: Place
) -> None:
    before = (await verify(database, place)).head
    tamper(
        owner,
        "DELETE FROM compliance.audit_log WHERE sequence > 6 AND organization_id = %(o)s",
        place.organization,
    )
    tamper(
        owner,
        "UPDATE compliance.audit_heads SET sequence = 6, row_hash = (SELECT row_hash FROM"
        " compliance.audit_log WHERE organization_id = %(o)s AND sequence = 6)"
        " WHERE organization_id = %(o)s",
        place.organization,
    )
    assert (await verify(database, place)).whole
    assert (await verify(database, place, before)).fault is Fault.ANCHOR


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE compliance.audit_log SET description = ''",
        "DELETE FROM compliance.audit_log",
        "TRUNCATE compliance.audit_log",
        "UPDATE compliance.audit_heads SET sequence = 1",
        "DELETE FROM compliance.audit_heads",
        "INSERT INTO compliance.audit_heads VALUES (gen_random_uuid(), 0, '')",
    ],
)
async def test_the_application_can_only_append(
    database: Database, place: Place, statement: str
) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with database.transaction(place.admin) as session:
            await session.execute(text(statement))
    assert (await verify(database, place)).whole


async def test_the_owner_cannot_edit_the_trail_either(
    owner: psycopg.Connection, place: Place
) -> None:
    for statement in (
        "UPDATE compliance.audit_log SET description = '' WHERE organization_id = %s",
        "DELETE FROM compliance.audit_log WHERE organization_id = %s",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            owner.execute(statement, (place.organization,))


async def test_concurrent_writers_make_one_chain(database: Database) -> None:
    place = await make_place(database)
    await asyncio.gather(*(write_line(database, place, number) for number in range(40)))
    proof = await verify(database, place)
    assert proof.whole
    assert proof.lines == 40


async def test_a_line_undone_with_its_transaction_leaves_no_gap(
    database: Database, place: Place
) -> None:
    with pytest.raises(DBAPIError):
        await write_and_fail(database, place)
    await write_line(database, place, 9)
    proof = await verify(database, place)
    assert proof.whole
    assert proof.lines == 9
