"""Devices that must begin anew: the server was restored, a term was archived, the app has grown."""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import Any

import psycopg
import pytest
from devices import TestDevice
from node_clients import Clients, open_client, settle

from classweave.attend.archive_term import archive_term
from classweave.attend.models import Meeting
from classweave.attend.plan_terms import Plan, create_term
from classweave.core import clock
from classweave.core.runtime import Runtime
from classweave.core.tenancy import system_actor
from school_fixtures import School

pytestmark = pytest.mark.anyio

# The students were enrolled the moment their school was made.
DAYS = tuple((clock.now().date() + timedelta(days)).isoformat() for days in range(1, 5))


async def begun(clients: Clients, school: School, name: str, day: str) -> str:
    """The session of that day on a device."""
    return await clients.ask(
        name, "start", class_id=str(school.class_id), date=day, start_time="09:00"
    )


async def mark(clients: Clients, name: str, session: str, student: object, status: str) -> None:
    await clients.ask(name, "mark", session=session, student=str(student), status=status)


def forget(owner: psycopg.Connection, sessions: list[str], organization: object) -> None:
    """The server goes back to a moment at which these sessions were not there yet."""
    with owner.transaction():
        owner.execute("SET LOCAL session_replication_role = replica")
        owner.execute(
            "DELETE FROM attend.attendance_records WHERE session_no IN"
            " (SELECT no FROM attend.attendance_sessions WHERE id = ANY (%s))",
            (sessions,),
        )
        owner.execute("DELETE FROM attend.attendance_sessions WHERE id = ANY (%s)", (sessions,))
        owner.execute("SELECT attend.begin_generation(%s)", (organization,))


def said(rows: dict[str, Any]) -> dict[tuple[str, str], str]:
    """Day and student to what is stored about them."""
    days = {key: row["date"] for key, row in rows.get("attendance_sessions", {}).items()}
    records = rows.get("attendance_records", {}).values()
    found = {(days[r["session_id"]], r["student_id"]): r["status"] for r in records}
    assert len(found) == len(records), "two records of one student"
    return found


async def everyone_has(clients: Clients, witness: TestDevice, names: tuple[str, ...]) -> Any:
    """Synchronise all; every device holds what the server has. What that is."""
    dumps = await settle(clients, names)
    await witness.pull()
    for dump in dumps:
        assert dump["unsynced"] == 0
        for table, rows in dump["tables"].items():
            there = witness.table(table)
            assert rows.keys() == there.keys(), table
            for key, row in rows.items():
                assert {column: row[column] for column in there[key]} == there[key]
    return said(witness.rows)


async def test_a_restored_server_is_given_what_it_did_not_have_yet(
    school: School,
    address: str,
    clients: Clients,
    witness: TestDevice,
    owner: psycopg.Connection,
) -> None:
    ada, ben, chloe, dmitri = (str(s) for s in school.student_ids[:4])
    kept, touched, quiet, new = DAYS
    for name in ("ana", "ben"):
        await open_client(clients, school, address, name)
    sessions = {day: await begun(clients, school, "ana", day) for day in (kept, touched, quiet)}
    for session in sessions.values():
        for student in (ada, ben, chloe):
            await mark(clients, "ana", session, student, "present")
    await settle(clients, ("ana", "ben"))
    # Offline, Ana changes, adds and takes back marks, and begins a session.
    await mark(clients, "ana", sessions[kept], ada, "excused")
    await mark(clients, "ana", sessions[kept], dmitri, "present")
    await clients.ask("ana", "mark", session=sessions[kept], student=ben, status=None)
    await mark(clients, "ana", sessions[touched], ada, "excused")
    await mark(clients, "ana", sessions[touched], dmitri, "present")
    await mark(clients, "ana", await begun(clients, school, "ana", new), chloe, "late")
    # Two sessions are younger than the backup.
    forget(owner, [sessions[touched], sessions[quiet]], school.organization_id)
    outcome = await clients.ask("ana", "sync")
    assert outcome["refused"] == []
    assert await everyone_has(clients, witness, ("ana", "ben")) == {
        (kept, ada): "excused", (kept, chloe): "present", (kept, dmitri): "present",
        # A roll that was changed is wanted whole; one that nobody has touched is as restored.
        (touched, ada): "excused", (touched, ben): "present", (touched, chloe): "present",
        (touched, dmitri): "present", (new, chloe): "late",
    }  # fmt: skip


async def test_a_roll_that_somebody_took_again_after_a_restore_is_one_roll(
    school: School,
    address: str,
    clients: Clients,
    witness: TestDevice,
    owner: psycopg.Connection,
) -> None:
    ada, ben, chloe = (str(s) for s in school.student_ids[:3])
    for name in ("ana", "ben"):
        await open_client(clients, school, address, name)
    session = await begun(clients, school, "ana", DAYS[0])
    for student in (ada, ben):
        await mark(clients, "ana", session, student, "present")
    await clients.ask("ana", "sync")
    await mark(clients, "ana", session, ada, "late")
    await mark(clients, "ana", session, chloe, "excused")
    forget(owner, [session], school.organization_id)
    # The other never had the first one.
    again = await begun(clients, school, "ben", DAYS[0])
    await mark(clients, "ben", again, ben, "excused")
    await clients.ask("ben", "sync")
    outcome = await clients.ask("ana", "sync")
    assert outcome["refused"] == []
    assert await everyone_has(clients, witness, ("ana", "ben")) == {
        (DAYS[0], ada): "late", (DAYS[0], ben): "excused", (DAYS[0], chloe): "excused",
    }  # fmt: skip


async def test_marks_in_an_archived_term_are_told_as_refused(
    runtime: Runtime,
    school: School,
    address: str,
    clients: Clients,
    witness: TestDevice,
    owner: psycopg.Connection,
) -> None:
    ada, ben = (str(s) for s in school.student_ids[:2])
    async with school.database.transaction(school.admin) as transaction:
        plan = Plan("Spring 2026", date(2026, 2, 1), date(2026, 7, 31))
        term = (await create_term(transaction, school.admin, plan)).id
    owner.execute(
        "UPDATE directory.enrollments SET starts_on = '2026-01-01' WHERE class_id = %s",
        (school.class_id,),
    )
    await open_client(clients, school, address, "ana")
    old = await begun(clients, school, "ana", "2026-03-02")
    await mark(clients, "ana", old, ada, "present")
    await clients.ask("ana", "sync")
    await mark(clients, "ana", old, ada, "excused")
    await mark(clients, "ana", old, ben, "present")
    await mark(clients, "ana", await begun(clients, school, "ana", DAYS[0]), ada, "present")
    async with school.database.transaction(school.admin) as transaction:
        await archive_term(transaction, runtime.files, school.admin, term)
    outcome = await clients.ask("ana", "sync")
    told = {(one["date"], one["student"]) for one in outcome["refused"]}
    assert told == {("2026-03-02", student) for student in (None, ada, ben)}
    assert {one["class_id"] for one in outcome["refused"]} == {str(school.class_id)}
    assert await everyone_has(clients, witness, ("ana",)) == {(DAYS[0], ada): "present"}


async def test_a_mark_in_a_session_that_was_deleted_is_told_as_refused(
    school: School, address: str, clients: Clients, witness: TestDevice
) -> None:
    ada = str(school.student_ids[0])
    for name in ("ana", "ben"):
        await open_client(clients, school, address, name)
    session = await begun(clients, school, "ana", DAYS[0])
    await settle(clients, ("ana", "ben"))
    await clients.ask("ben", "delete", session=session)
    await clients.ask("ben", "sync")
    await mark(clients, "ana", session, ada, "present")
    outcome = await clients.ask("ana", "sync")
    assert [(one["date"], one["student"]) for one in outcome["refused"]] == [(DAYS[0], ada)]
    assert await everyone_has(clients, witness, ("ana", "ben")) == {}


async def test_a_newer_app_asks_for_the_tables_and_columns_that_it_lacks(
    school: School, address: str, clients: Clients, witness: TestDevice
) -> None:
    ada, ben = (str(s) for s in school.student_ids[:2])
    await open_client(clients, school, address, "ana", before=True)
    system = system_actor(school.organization_id)
    async with school.database.transaction(system) as transaction:
        transaction.add(
            Meeting(
                organization_id=school.organization_id, class_id=school.class_id,
                date=date.fromisoformat(DAYS[0]), start_time=time(9), end_time=time(10),
            )
        )  # fmt: skip
    session = await begun(clients, school, "ana", DAYS[0])
    await mark(clients, "ana", session, ada, "present")
    await clients.ask("ana", "sync")
    old = await clients.ask("ana", "dump")
    assert "meetings" not in old["tables"]
    assert "total_enrolled" not in old["tables"]["attendance_sessions"][session]
    # Not yet synced when the new version comes: a change, a new row, a deletion.
    await clients.ask("ana", "note", session=session, note="Fire drill")
    await mark(clients, "ana", session, ben, "late")
    await clients.ask("ana", "mark", session=session, student=ada, status=None)
    await clients.ask("ana", "upgrade")
    assert (await clients.ask("ana", "dump"))["unsynced"] == 3
    await clients.ask("ana", "sync")
    assert await everyone_has(clients, witness, ("ana",)) == {(DAYS[0], ben): "late"}
    assert len(witness.table("meetings")) == 1
    (taken,) = witness.table("attendance_sessions").values()
    assert (taken["note"], taken["total_enrolled"]) == ("Fire drill", len(school.student_ids))
