"""What a pull answers, rule by rule: docs/attendance-sync.md says them in short."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import psycopg
import pytest
from devices import (
    DAY,
    TABLES,
    TestDevice,
    colleague,
    pulled,
    record_row,
    register,
    session_row,
    with_session,
)

from classweave.compliance.rights import erase_person
from classweave.core.database import dsn
from classweave.core.personal_data import Subject
from classweave.core.postgres import DatabaseUrls
from classweave.core.tenancy import Role
from classweave.directory.manage_classes import (
    add_co_teacher,
    archive_class,
    remove_co_teacher,
    update_class,
)
from classweave.directory.manage_students import enrol_student
from classweave.directory.models import User
from school_fixtures import School

pytestmark = pytest.mark.anyio

SESSIONS, RECORDS = "attendance_sessions", "attendance_records"
URL = "/api/attend/sync"


async def agrees(device: TestDevice, school: School) -> None:
    """After a pull the device holds what a new device of the same teacher is given."""
    # To register is to sign in, which changes the teacher's row: so this comes first.
    fresh = await pulled(school)
    await device.pull()
    for table in TABLES:
        assert device.table(table) == fresh.table(table), table


def nothing_in(body: dict[str, Any]) -> bool:
    """Whether an answer has no row and no id."""
    return all(part["updated"] == part["deleted"] == [] for part in body["changes"].values())


async def email_of(school: School, owner: School) -> str:
    """The address of a teacher, by which a class is shared."""
    async with owner.database.transaction(owner.admin) as session:
        return (await session.get_one(User, school.teacher_id)).email or ""


async def share(school: School, other: School) -> None:
    """Let the other teacher teach the class, too."""
    address = await email_of(other, school)
    async with school.database.transaction(school.teacher) as session:
        await add_co_teacher(session, school.teacher, school.class_id, address)


async def unshare(school: School, other: School) -> None:
    """Take it away again."""
    async with school.database.transaction(school.teacher) as session:
        await remove_co_teacher(session, school.teacher, school.class_id, other.teacher_id)


# P1, P2: the cursor -----------------------------------------------------------------------------


async def test_p2_forms_of_a_cursor(school: School) -> None:
    phone = await pulled(school)
    await with_session(school, phone)
    for cursor in (None, "null", "", "0", "undefined", " "):
        answer = await phone.client.get(
            URL, params={} if cursor is None else {"last_pulled_at": cursor}
        )
        body = answer.json()
        assert "experimentalStrategy" not in body, cursor
        for table in (*TABLES[2:6], SESSIONS, RECORDS):
            part = body["changes"][table]
            assert part["created"] == part["deleted"] == []
            assert {row["id"] for row in part["updated"]} == set(phone.table(table)), table
    for cursor in ("garbage", "-1", "1.5", "1e9", "٣", "0x1", "null\0", str(2**53), "9" * 5000):
        answer = await phone.client.get(URL, params={"last_pulled_at": cursor})
        assert answer.status_code == 400, cursor
    for version, status in (("1", 200), ("7", 200), ("0", 400), ("-1", 400), ("x", 400)):
        answer = await phone.client.get(URL, params={"schema_version": version})
        assert answer.status_code == status, version


async def test_p2_an_old_cursor_is_good_for_ever(school: School) -> None:
    phone, old = await pulled(school), await pulled(school)
    _session, records = await with_session(school, phone, marked=2)
    for status in ("late", "excused", "present"):
        await phone.sync(attendance_records={"updated": [records[0] | {"status": status}]})
    gone, _ = await with_session(school, phone, start_time="12:00")
    await phone.sync(attendance_sessions={"deleted": [gone["id"]]})
    body = await old.pull()
    assert "experimentalStrategy" not in body
    assert old.rows[RECORDS] == phone.rows[RECORDS]
    assert old.rows[SESSIONS] == phone.rows[SESSIONS]
    await agrees(old, school)


@pytest.mark.parametrize("how", ["future", "generation", "largest"])
async def test_p2_a_cursor_that_is_not_of_this_line_of_time(
    school: School, owner: psycopg.Connection, how: str
) -> None:
    phone = await pulled(school)
    session, _ = await with_session(school, phone)
    assert phone.cursor is not None
    if how == "future":
        phone.cursor += 1000
    elif how == "largest":
        phone.cursor = 2**53 - 1
    else:
        owner.execute("SELECT attend.begin_generation(%s)", (school.organization_id,))
    refused = await phone.push(attendance_sessions={"updated": [session | {"note": "x"}]})
    assert refused.status_code == 409
    before = dict(phone.rows)
    body = await phone.pull()
    assert body["experimentalStrategy"] == "replacement"
    assert all(part["deleted"] == [] for part in body["changes"].values())
    assert {t: phone.table(t) for t in before} == before
    await phone.sync(attendance_sessions={"updated": [session | {"note": "y"}]})
    assert phone.table(SESSIONS)[session["id"]]["note"] == "y"


async def test_p1_nothing_is_missed_beside_an_open_transaction(
    school: School, urls: DatabaseUrls
) -> None:
    phone = await pulled(school)
    async with await psycopg.AsyncConnection.connect(dsn(urls.app)) as slow:
        # The first revision is taken by a transaction that commits later than everybody else.
        for name, value in (
            ("actor", school.teacher_id), ("organizations", school.organization_id),
            ("role", "teacher"),
        ):  # fmt: skip
            await slow.execute(
                "SELECT set_config(%s, %s, false)", (f"classweave.{name}", str(value))
            )
        await slow.commit()
        await slow.execute("SELECT attend.next_revision(%s)", (school.organization_id,))
        await slow.execute(
            "UPDATE directory.classes SET name = 'Slow' WHERE id = %s", (school.class_id,)
        )
        body = await phone.pull()
        assert body["changes"] == {}
        session = session_row(school)
        push = asyncio.create_task(phone.push(attendance_sessions={"created": [session]}))
        await asyncio.sleep(0.3)
        # A push waits rather than overtake; a pull waits for nobody.
        assert not push.done()
        assert (await phone.pull())["changes"] == {}
        await slow.commit()
    assert (await push).status_code == 200
    body = await phone.pull()
    assert [row["name"] for row in body["changes"]["classes"]["updated"]] == ["Slow"]
    assert session["id"] in phone.table(SESSIONS)
    assert (await phone.pull())["changes"] == {}


async def test_p1_an_abandoned_revision_leaves_no_trace(school: School, urls: DatabaseUrls) -> None:
    phone = await pulled(school)
    async with await psycopg.AsyncConnection.connect(dsn(urls.app)) as slow:
        await slow.execute(
            "SELECT set_config('classweave.organizations', %s, true)",
            (str(school.organization_id),),
        )
        await slow.execute("SELECT attend.next_revision(%s)", (school.organization_id,))
        await slow.rollback()
    before = phone.cursor
    await phone.pull()
    assert phone.cursor == before
    await with_session(school, phone)


# P3, P4: created is empty, and no id is there twice: TestDevice looks at every pull ---------------


async def test_p4_made_and_deleted_since_the_cursor(school: School) -> None:
    phone, old = await pulled(school), await pulled(school)
    session, (record,) = await with_session(school, phone)
    await phone.sync(attendance_records={"deleted": [record["id"]]})
    again = record_row(session, school.student_ids[0])
    await phone.sync(attendance_records={"created": [again]})
    part = (await old.pull())["changes"][RECORDS]
    assert [row["id"] for row in part["updated"]] == [again["id"]]
    assert part["deleted"] == [record["id"]]


# P5: what is seen changes -----------------------------------------------------------------------


async def test_p5_a_class_shared_and_taken_away(school: School) -> None:
    theirs = await colleague(school)
    phone, other = await pulled(school), await pulled(theirs)
    own = {table: set(other.table(table)) for table in TABLES}
    session, records = await with_session(school, phone, marked=3)
    assert nothing_in(await other.pull())
    await share(school, theirs)
    await agrees(other, theirs)
    assert set(other.table(RECORDS)) == {r["id"] for r in records}
    assert set(other.table("students")) == {
        str(s) for s in (*school.student_ids, *theirs.student_ids)
    }
    await agrees(phone, school)
    assert str(theirs.teacher_id) in phone.table("users")
    await other.sync(attendance_records={"updated": [records[0] | {"status": "late"}]})
    # What went before the class was taken away goes, too.
    away = await pulled(theirs)
    await phone.pull()
    await phone.sync(attendance_records={"deleted": [records[1]["id"]]})
    await unshare(school, theirs)
    for device in (away, other):
        await device.pull()
        assert {table: set(device.table(table)) for table in TABLES} == own
    await agrees(phone, school)
    assert str(theirs.teacher_id) not in phone.table("users")
    refused = records[2] | {"status": "excused"}
    assert (await other.push(attendance_records={"updated": [refused]})).status_code == 200
    await phone.pull()
    assert phone.table(RECORDS)[refused["id"]]["status"] == "present"
    await share(school, theirs)
    for device in (away, other):
        await agrees(device, theirs)
    assert session["id"] in other.table(SESSIONS)


async def test_p5_a_student_enrolled_later(school: School) -> None:
    theirs = await colleague(school)
    phone = await pulled(school)
    await with_session(school, phone)
    (new,) = theirs.student_ids
    assert str(new) not in phone.table("students")
    async with school.database.transaction(school.admin) as session:
        await enrol_student(session, school.admin, new, school.class_id)
    await agrees(phone, school)
    assert str(new) in phone.table("students")
    assert str(new) in {e["student_id"] for e in phone.table("enrollments").values()}
    (held,) = phone.table(SESSIONS).values()
    assert held["total_enrolled"] == 9


async def test_p5_an_erased_student_disappears_from_those_who_saw_them(school: School) -> None:
    theirs = await colleague(school)
    phone, other = await pulled(school), await pulled(theirs)
    gone = school.student_ids[0]
    await with_session(school, phone, marked=2)
    async with school.database.transaction(school.admin) as session:
        await erase_person(session, Subject.STUDENT, gone)
    await agrees(phone, school)
    assert str(gone) not in json.dumps(phone.rows)
    # Others never knew of them, and do not learn of them now.
    body = await other.pull()
    assert str(gone) not in json.dumps(body)
    assert all(part["deleted"] == [] for part in body["changes"].values())


async def test_p5_rows_of_another_school_are_never_sent(
    school: School, other_school: School
) -> None:
    foreign, fresh = await pulled(other_school), await register(school)
    phone = await pulled(school)
    await with_session(other_school, foreign)
    text = json.dumps(await fresh.pull())
    for key in (other_school.class_id, other_school.teacher_id, *other_school.student_ids):
        assert str(key) not in text
    # Nor does their writing move the revision here.
    assert nothing_in(await phone.pull())


async def test_p5_an_archived_class_and_a_deleted_meeting(
    school: School, owner: psycopg.Connection
) -> None:
    phone = await pulled(school)
    made = owner.execute(
        "INSERT INTO attend.meetings (organization_id, class_id, date, start_time, end_time, room)"
        " VALUES (%s, %s, %s, '09:00', '10:30', 'A1') RETURNING id",
        (school.organization_id, school.class_id, DAY),
    ).fetchone()
    assert made is not None
    await agrees(phone, school)
    meeting = phone.table("meetings")[str(made[0])]
    assert (meeting["start_time"], meeting["end_time"], meeting["room"]) == ("09:00", "10:30", "A1")
    owner.execute("DELETE FROM attend.meetings WHERE id = %s", made)
    async with school.database.transaction(school.teacher) as session:
        await archive_class(session, school.teacher, school.class_id, archived=True)
    body = await phone.pull()
    assert body["changes"]["meetings"]["deleted"] == [str(made[0])]
    assert phone.table("classes")[str(school.class_id)]["is_active"] is False
    await agrees(phone, school)


async def test_p5_a_class_renamed_by_hand(school: School) -> None:
    phone = await pulled(school)
    async with school.database.transaction(school.teacher) as session:
        await update_class(session, school.teacher, school.class_id, {"name": "Renamed"})
    body = await phone.pull()
    assert list(body["changes"]["classes"]["updated"][0].values()).count("Renamed") == 1
    assert "students" not in body["changes"] or body["changes"]["students"]["updated"] == []


# P6, P7: columns and migrations -----------------------------------------------------------------


async def test_p3_a_sign_in_is_no_change_to_devices(
    school: School, owner: psycopg.Connection
) -> None:
    phone = await pulled(school)
    seen = phone.cursor
    async with await school.sign_in(Role.TEACHER):
        pass
    owner.execute(
        "UPDATE directory.users SET last_login = now() WHERE id = %s", (school.teacher_id,)
    )
    assert (await phone.pull())["changes"] == {}
    assert phone.cursor == seen
    owner.execute("UPDATE directory.users SET name = 'Ada B' WHERE id = %s", (school.teacher_id,))
    assert [u["name"] for u in (await phone.pull())["changes"]["users"]["updated"]] == ["Ada B"]


async def test_p6_only_the_columns_of_the_protocol(school: School) -> None:
    phone = await pulled(school)
    await with_session(school, phone, marked_at=1_764_000_000_000)
    for table, rows in phone.rows.items():
        for row in rows.values():
            assert not {"_status", "_changed", "rev", "invite_code", "token_hash"} & row.keys()
            for column, value in row.items():
                kinds = str | int | float | bool | None
                assert isinstance(value, kinds), (table, column)


async def test_p7_migrations(school: School) -> None:
    phone = await pulled(school)
    await with_session(school, phone, marked=2)

    async def migrate(migration: Any) -> tuple[int, dict[str, Any]]:
        text = migration if isinstance(migration, str) else json.dumps(migration)
        query = {"last_pulled_at": str(phone.cursor), "migration": text}
        answer = await phone.client.get(URL, params=query)
        return answer.status_code, answer.json().get("changes", {})

    whole = {"from": 1, "tables": [RECORDS, "students"], "columns": []}
    by_column = {
        "from": 1, "tables": [], "columns": [{"table": RECORDS, "columns": ["minutes", "no such"]}],
    }  # fmt: skip
    for migration, tables in (
        (whole, {RECORDS, "students"}), (by_column, {RECORDS}),
        ({"from": 1, "tables": [SESSIONS], "columns": []}, {SESSIONS}),
    ):  # fmt: skip
        status, changes = await migrate(migration)
        assert status == 200
        for table in TABLES:
            rows = changes.get(table, {}).get("updated", [])
            wanted = phone.table(table) if table in tables else {}
            assert {row["id"]: row for row in rows} == wanted, table
    unknown = {"from": 1, "tables": ["__proto__", "pg_class", "x\0"], "columns": []}
    for nothing in (unknown, {}, "null", "", "undefined", {"tables": []}):
        status, changes = await migrate(nothing)
        assert status == 200, nothing
        assert all(part["updated"] == [] for part in changes.values())
    for garbage in ("{", "5", "[]", {"tables": "students"}, {"tables": [5]}, {"columns": [{}]}):
        assert (await migrate(garbage))[0] == 400, garbage
    assert (await migrate("x" * 20_001))[0] in (400, 413, 422)
