"""Whose rows a push may change, and how the rest is put right without a word about others."""

from __future__ import annotations

from uuid import uuid4

import pytest
from devices import (
    Row,
    colleague,
    pulled,
    record_row,
    session_row,
    taken,
    with_session,
)

from school_fixtures import School

pytestmark = pytest.mark.anyio

SESSIONS, RECORDS = "attendance_sessions", "attendance_records"
ROLL = 1_764_000_100_000


async def test_7_rows_of_a_colleague_stay_and_are_not_revealed(school: School) -> None:
    theirs = await colleague(school)
    other, phone = await pulled(theirs), await pulled(school)
    session, (record,) = await with_session(theirs, other)
    before = dict(other.rows[RECORDS]), dict(other.rows[SESSIONS])
    own = session_row(school)
    # The phone's cursor is older than the colleague's rows, and yet nothing conflicts.
    await taken(
        phone,
        attendance_sessions={
            "created": [own, session | {"class_id": str(school.class_id), "start_time": "15:00"}],
            "updated": [session | {"note": "Mine"}],
        },
        attendance_records={
            "created": [record_row(session, theirs.student_ids[0])],
            "updated": [
                record | {"status": "excused"},
                record_row(own, school.student_ids[0], id=record["id"]),
            ],
        },
        classes={"updated": [{"id": str(theirs.class_id), "name": "Mine"}]},
    )
    await taken(
        phone,
        attendance_sessions={"deleted": [session["id"]]},
        attendance_records={"deleted": [record["id"]]},
    )
    assert list(phone.table(SESSIONS)) == [own["id"]]
    assert phone.table(RECORDS) == {}
    assert list(phone.table("classes")) == [str(school.class_id)]
    await other.pull()
    assert (other.rows[RECORDS], other.rows[SESSIONS]) == before
    assert other.table("classes")[str(theirs.class_id)]["name"] == "9C History"


async def test_7_another_school_is_out_of_reach(school: School, other_school: School) -> None:
    foreign, phone = await pulled(other_school), await pulled(school)
    session, (record,) = await with_session(other_school, foreign)
    before = dict(foreign.rows)
    await taken(
        phone,
        attendance_sessions={"updated": [session], "created": [session_row(other_school)]},
        attendance_records={"updated": [record], "created": [record_row(session, uuid4())]},
        classes={"updated": [{"id": str(other_school.class_id), "name": "Mine"}]},
    )
    assert phone.table(SESSIONS) == phone.table(RECORDS) == {}
    await foreign.pull()
    assert foreign.rows == before
    # The same ids are free in one's own organisation: they say nothing about another one.
    again, twin = await pulled(school), session_row(school, id=session["id"])
    await taken(again, attendance_sessions={"created": [twin]})
    assert list(again.table(SESSIONS)) == [session["id"]]
    await foreign.pull()
    assert foreign.rows == before


async def test_7_references_never_change(school: School) -> None:
    theirs = await colleague(school)
    phone = await pulled(school)
    session, (record,) = await with_session(school, phone)
    second, _ = await with_session(school, phone, marked=0, start_time="11:00")
    truth = {t: dict(phone.rows[t]) for t in (SESSIONS, RECORDS)}
    moved = [
        (RECORDS, record | {"session_id": second["id"]}),
        (RECORDS, record | {"student_id": str(school.student_ids[3])}),
        (RECORDS, record | {"class_id": str(theirs.class_id)}),
        (SESSIONS, session | {"class_id": str(theirs.class_id)}),
    ]
    for table, row in moved:
        phone.rows[table][row["id"]] = row
        await taken(phone, **{table: {"updated": [row]}})
        assert phone.rows[table] == truth[table]


async def test_7_who_marked_is_the_token_s(school: School) -> None:
    phone = await pulled(school)
    session, _ = await with_session(school, phone, marked_at=ROLL, marked_by=str(uuid4()))
    assert phone.table(SESSIONS)[session["id"]]["marked_by"] == str(school.teacher_id)


async def test_7_read_only_tables_are_corrected_by_the_next_pull(school: School) -> None:
    phone = await pulled(school)
    await with_session(school, phone)
    tables = ("organizations", "users", "classes", "students", "enrollments")
    truth = {table: dict(phone.rows[table]) for table in tables}
    for table in tables:
        key, row = next(iter(truth[table].items()))
        spoilt: Row = {**row, "is_active": False, "created_at": 0}
        made = str(uuid4())
        phone.rows[table] |= {key: spoilt | {"email": "x"}, made: spoilt | {"id": made}}
        kind = "created" if table == "classes" else "updated"
        rows = [spoilt] if table != "classes" else [{**spoilt, "id": made}]
        await taken(phone, **{table: {kind: [*rows, {**spoilt, "id": made}], "deleted": [key]}})
        assert phone.rows[table] == truth[table], table


async def test_7_a_class_is_renamed_by_who_teaches_it(school: School) -> None:
    theirs = await colleague(school)
    phone, other = await pulled(school), await pulled(theirs)
    row = phone.table("classes")[str(school.class_id)]
    await phone.sync(classes={"updated": [row | {"name": "Année\u200b 8\0B", "code": "X1"}]})
    named = phone.table("classes")[row["id"]]
    assert (named["name"], named["code"]) == ("Année 8B", row["code"])
    await taken(other, classes={"updated": [row | {"name": "Theirs now"}]})
    assert row["id"] not in other.table("classes")
    for wrong in ("", " ", "\0", 7, None, "n" * 121):
        phone.rows["classes"][row["id"]] = row
        await taken(phone, classes={"updated": [row | {"name": wrong}]})
        assert phone.table("classes")[row["id"]]["name"] == "Année 8B"
