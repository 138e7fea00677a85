"""Terms are planned, overlap, are archived; reports go on and devices start anew."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import date

import httpx
import psycopg
import pytest
import zstandard
from devices import TestDevice, record_row, register, session_row
from rolls import browser, class_key, take

from classweave.attend.archive_term import archive_term
from classweave.attend.open_term import term_on
from classweave.attend.plan_terms import Plan, create_term
from classweave.core.database import driver_connection
from classweave.core.identifiers import decode, encode
from classweave.core.problems import Conflict, Invalid, NotFound
from classweave.core.runtime import Runtime
from classweave.core.tenancy import Role
from school_fixtures import School

pytestmark = pytest.mark.anyio

PAST = {"name": "Spring 2026", "starts_on": "2026-02-01", "ends_on": "2026-07-31"}


async def term_key(school: School, **more: str) -> str:
    async with school.database.transaction(school.admin) as session:
        plan = PAST | more
        made = await create_term(
            session, school.admin,
            Plan(plan["name"], date.fromisoformat(plan["starts_on"]),
                 date.fromisoformat(plan["ends_on"])),
        )  # fmt: skip
        return encode("term", made.id)


async def test_a_term_is_planned_changed_and_starts_the_clock(
    school: School, owner: psycopg.Connection
) -> None:
    async with await browser(school) as admin:
        assert (await admin.post("/attend/terms", data=PAST)).status_code == 303
        listed = (await admin.get("/attend/terms")).text
        assert "Spring 2026" in listed
        clock = owner.execute(
            "SELECT count(*) FROM attend.sync_clocks WHERE organization_id = %s",
            (school.organization_id,),
        ).fetchone()
        assert clock == (1,)
        again = await admin.post("/attend/terms", data=PAST)
        assert again.status_code == 422
        assert "There is a term of this name already." in again.text
        backwards = await admin.post(
            "/attend/terms", data=PAST | {"name": "X", "ends_on": "2026-01-01"}
        )
        assert "A term ends after it starts." in backwards.text
        never = await admin.post("/attend/terms", data=PAST | {"name": "Y", "ends_on": "soon"})
        assert "Write the date as year-month-day." in never.text
        key = owner.execute(
            "SELECT id FROM attend.terms WHERE organization_id = %s", (school.organization_id,)
        ).fetchone()
        assert key is not None
        address = f"/attend/terms/{encode('term', key[0])}"
        changed = await admin.post(address, data=PAST | {"name": "Spring"})
        assert changed.status_code == 303
    async with await browser(school, Role.TEACHER) as teacher:
        assert (await teacher.get("/attend/terms")).status_code == 403


async def test_a_day_belongs_to_the_shortest_term_that_holds_it(school: School) -> None:
    await term_key(school, name="Year", starts_on="2026-01-01", ends_on="2026-12-31")
    await term_key(school, name="Block", starts_on="2026-03-01", ends_on="2026-03-31")
    async with school.database.transaction(school.admin) as session:
        connection = await driver_connection(session)
        inside = await term_on(connection, school.organization_id, date(2026, 3, 5))
        outside = await term_on(connection, school.organization_id, date(2026, 4, 5))
    assert inside != outside


async def test_another_schools_term_is_not_there(school: School, other_school: School) -> None:
    key = await term_key(other_school)
    async with await browser(school) as admin:
        for path in ("", "/archive", "/archive/records.csv.zst"):
            assert (await admin.get(f"/attend/terms/{key}{path}")).status_code == 404
        assert (await admin.post(f"/attend/terms/{key}", data=PAST)).status_code == 404
        assert (await admin.post(f"/attend/terms/{key}/archive")).status_code == 404


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    with zstandard.ZstdDecompressor().stream_reader(answer.content) as stream:
        return list(csv.DictReader(io.StringIO(stream.read().decode())))


async def test_an_archived_term_leaves_files_totals_and_a_replacement(
    runtime: Runtime, school: School, owner: psycopg.Connection
) -> None:
    key = await term_key(school)
    enrol_early(owner, school)
    phone = await register(school)
    old = await take(school, {"2026-03-02": {0: "present", 1: "late", 2: "excused"}}, phone)
    new = await take(school, {"2026-11-25": {0: "present"}}, phone)
    assert {row["id"] for row in old + new} == set(phone.table("attendance_sessions"))
    async with await browser(school) as admin:
        before = (await admin.get(f"/api/attend/reports/classes/{class_key(school)}")).json()
        page = await admin.get(f"/attend/terms/{key}/archive")
        assert "This cannot be undone." in page.text
        assert (await admin.post(f"/attend/terms/{key}/archive")).status_code == 303
        records = rows_of(await admin.get(f"/attend/terms/{key}/archive/records.csv.zst"))
        sessions = rows_of(await admin.get(f"/attend/terms/{key}/archive/sessions.csv.zst"))
        after = (await admin.get(f"/api/attend/reports/classes/{class_key(school)}")).json()
        again = await admin.post(f"/attend/terms/{key}/archive")
        assert again.status_code == 409
        sheet = await admin.get(f"/api/attend/reports/students/{school.student(0)}")
        changed = await admin.post(f"/attend/terms/{key}", data=PAST)
        assert changed.status_code == 409
        roll = await admin.get(
            f"/attend/reports/classes/{class_key(school)}/sessions/{old[0]['id']}"
        )
        assert "archived" in roll.text
        corrected = await admin.post(
            f"/attend/reports/classes/{class_key(school)}/sessions/{old[0]['id']}"
            f"/students/{school.student(0)}",
            data={"status": "late", "reason": "too late"},
        )
        assert corrected.status_code == 422
    assert {(row["session_id"], row["status"]) for row in records} == {
        (old[0]["id"], status) for status in ("present", "late", "excused")
    }
    assert {row["student_id"] for row in records} == {str(s) for s in school.student_ids[:3]}
    assert [(row["id"], row["total_present"]) for row in sessions] == [(old[0]["id"], "2")]
    assert after["total"] == before["total"]
    assert after["students"] == before["students"]
    assert [line["status"] for line in sheet.json()["sessions"]] == ["present", "archived"]
    partition = owner.execute(
        "SELECT to_regclass('attend.records_' || number) FROM attend.terms"
        " WHERE organization_id = %s AND archived_at IS NOT NULL",
        (school.organization_id,),
    ).fetchall()
    assert partition == [(None,)]
    body = await phone.pull()
    assert body["experimentalStrategy"] == "replacement"
    assert set(phone.table("attendance_sessions")) == {new[0]["id"]}
    assert len(phone.table("attendance_records")) == 1


async def test_a_late_push_into_an_archived_term_breaks_nothing(
    runtime: Runtime, school: School, owner: psycopg.Connection
) -> None:
    key = await term_key(school)
    enrol_early(owner, school)
    phone = await register(school)
    (old,) = await take(school, {"2026-03-02": {0: "present"}}, phone)
    async with await browser(school) as admin:
        assert (await admin.post(f"/attend/terms/{key}/archive")).status_code == 303
    late = record_row(old, school.student_ids[1])
    assert (await phone.push(attendance_records={"created": [late]})).status_code == 409
    await phone.pull()
    answer = await phone.push(attendance_records={"created": [late]})
    assert answer.status_code == 200, answer.text
    await phone.pull()
    assert phone.table("attendance_records") == {}


async def test_a_new_session_at_an_archived_ones_time_changes_nothing_of_it(
    runtime: Runtime, school: School, owner: psycopg.Connection
) -> None:
    key = await term_key(school)
    enrol_early(owner, school)
    phone = await register(school)
    (old,) = await take(school, {"2026-03-02": {0: "present"}}, phone)
    async with school.database.transaction(school.admin) as session:
        await archive_term(session, runtime.files, school.admin, decode("term", key))
    await phone.pull()
    kept = "SELECT note, end_time, total_absent FROM attend.attendance_sessions WHERE id = %s"
    before = owner.execute(kept, (old["id"],)).fetchone()
    held = "SELECT number, held, present FROM attend.standings WHERE class_id = %s ORDER BY 1"
    counted = owner.execute(held, (school.class_id,)).fetchall()
    twin = session_row(school, "2026-03-02", start_time=old["start_time"], end_time="11:11")
    twin |= {"note": "MINE", "marked_at": 1_764_000_100_000}
    mark = record_row(twin, school.student_ids[1])
    phone.rows["attendance_sessions"] = {twin["id"]: twin}
    phone.rows["attendance_records"] = {mark["id"]: mark}
    pushed = await phone.push(
        attendance_sessions={"created": [twin]}, attendance_records={"created": [mark]}
    )
    assert pushed.status_code == 200
    await phone.pull()
    assert phone.table("attendance_sessions") == phone.table("attendance_records") == {}
    assert owner.execute(kept, (old["id"],)).fetchone() == before
    assert owner.execute(held, (school.class_id,)).fetchall() == counted


async def test_archiving_and_pushes_wait_for_each_other(
    runtime: Runtime, school: School, owner: psycopg.Connection
) -> None:
    key = await term_key(school)
    enrol_early(owner, school)
    phones = [await register(school, name=f"Phone {n}") for n in range(4)]
    await take(school, {"2026-03-23": {0: "present"}}, phones[0])

    async def archive() -> None:
        async with school.database.transaction(school.admin) as session:
            await archive_term(session, runtime.files, school.admin, decode("term", key))

    async def push(phone: TestDevice, number: int) -> int:
        await phone.pull()
        roll = session_row(school, f"2026-03-{number + 2:02d}")
        answer = await phone.push(attendance_sessions={"created": [roll]})
        return answer.status_code

    _archived, *statuses = await asyncio.gather(
        archive(), *(push(phone, number) for number, phone in enumerate(phones))
    )
    # Who pulled before another's push pulls again; nobody is told to wait.
    assert set(statuses) <= {200, 409}


async def test_a_term_keeps_the_days_of_its_sessions_and_an_empty_one_stays(
    school: School, owner: psycopg.Connection
) -> None:
    key = await term_key(school)
    empty = await term_key(school, name="Nothing", starts_on="2025-01-01", ends_on="2025-02-01")
    enrol_early(owner, school)
    phone = await register(school)
    await take(school, {"2026-03-02": {0: "present"}, "2026-06-01": {0: "present"}}, phone)
    open_roll = session_row(school, "2026-06-02")
    await phone.sync(attendance_sessions={"created": [open_roll]})
    async with await browser(school) as admin:
        for change in ({"ends_on": "2026-05-30"}, {"starts_on": "2026-03-03"}):
            refused = await admin.post(f"/attend/terms/{key}", data=PAST | change)
            assert refused.status_code == 422
            assert "Its days must hold them all." in refused.text
        narrower = PAST | {"starts_on": "2026-03-02", "ends_on": "2026-06-02"}
        assert (await admin.post(f"/attend/terms/{key}", data=narrower)).status_code == 303
        assert "1 roll was not taken." in (await admin.get(f"/attend/terms/{key}/archive")).text
        assert "nothing to archive" in (await admin.get(f"/attend/terms/{empty}/archive")).text
        assert (await admin.post(f"/attend/terms/{empty}/archive")).status_code == 409


async def test_the_years_own_term_takes_the_first_name_that_is_free(school: School) -> None:
    await term_key(school, name="2026 (2)")
    await term_key(school, name="2026 (3)", starts_on="2026-02-02")
    phone = await register(school)
    await phone.pull()
    roll = session_row(school, "2026-09-07")
    await phone.sync(attendance_sessions={"created": [roll]})
    assert set(phone.table("attendance_sessions")) == {roll["id"]}


async def test_a_term_that_goes_on_is_not_archived(runtime: Runtime, school: School) -> None:
    await term_key(school, ends_on="2099-01-01", starts_on="2098-01-01")
    async with school.database.transaction(school.admin) as session:
        with pytest.raises(Invalid):
            await create_term(session, school.admin, Plan("", None, None))
    async with school.database.transaction(school.admin) as session:
        from classweave.attend.plan_terms import list_terms

        (one,) = await list_terms(session)
        with pytest.raises(Conflict):
            await archive_term(session, runtime.files, school.admin, one.term.id)
        with pytest.raises(NotFound):
            await archive_term(session, runtime.files, school.admin, school.class_id)


def enrol_early(owner: psycopg.Connection, school: School) -> None:
    """Everyone was in the class since January."""
    owner.execute(
        "UPDATE directory.enrollments SET starts_on = '2026-01-01' WHERE class_id = %s",
        (school.class_id,),
    )
