"""What the server does with a push, rule by rule: docs/attendance-sync.md says them in short."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from devices import (
    DAY,
    Row,
    colleague,
    new_id,
    pulled,
    record_row,
    session_row,
    taken,
    with_session,
)

from classweave.directory.manage_students import end_enrollment
from school_fixtures import School

pytestmark = pytest.mark.anyio

SESSIONS, RECORDS = "attendance_sessions", "attendance_records"
ROLL = 1_764_000_100_000


def count(owner: psycopg.Connection, table: str, key: str) -> int:
    """Rows of a table of Attend by id, whoever may see them."""
    row = owner.execute(f"SELECT count(*) FROM attend.{table} WHERE id = %s", (key,)).fetchone()
    assert row is not None
    return row[0]


# U1 to U6: all or nothing, conflicts, creations and deletions ----------------------------------


async def test_u1_a_conflict_keeps_nothing_of_the_push(
    school: School, owner: psycopg.Connection
) -> None:
    phone, laptop = await pulled(school), await pulled(school)
    _, (record,) = await with_session(school, phone)
    await laptop.pull()
    await phone.sync(attendance_records={"updated": [record | {"status": "late"}]})
    other = session_row(school, start_time="11:00")
    refused = await laptop.push(
        attendance_sessions={"created": [other]},
        attendance_records={"updated": [record | {"status": "excused"}]},
        classes={"updated": [{"id": str(school.class_id), "name": "Renamed"}]},
    )
    assert refused.status_code == 409
    assert count(owner, SESSIONS, other["id"]) == 0
    await phone.pull()
    assert phone.table(RECORDS)[record["id"]]["status"] == "late"
    assert phone.table("classes")[str(school.class_id)]["name"] != "Renamed"


@pytest.mark.parametrize("kind", ["created", "updated", "deleted"])
@pytest.mark.parametrize("table", [SESSIONS, RECORDS])
async def test_u2_equal_content_conflicts_too(school: School, table: str, kind: str) -> None:
    phone, laptop = await pulled(school), await pulled(school)
    session, (record,) = await with_session(school, phone)
    row = session if table == SESSIONS else record
    again = await laptop.push(**{table: {kind: [row["id"] if kind == "deleted" else row]}})
    assert again.status_code == 409


@pytest.mark.parametrize("table", [SESSIONS, RECORDS])
async def test_u2_deleting_what_another_device_deleted_is_no_conflict(
    school: School, table: str
) -> None:
    phone, laptop = await pulled(school), await pulled(school)
    session, (record,) = await with_session(school, phone)
    key = (session if table == SESSIONS else record)["id"]
    await laptop.pull()
    await phone.sync(**{table: {"deleted": [key]}})
    await taken(laptop, **{table: {"deleted": [key]}})
    assert key not in laptop.table(table)


async def test_u3_the_revision_moves_though_nothing_changed(school: School) -> None:
    phone, laptop = await pulled(school), await pulled(school)
    session, (record,) = await with_session(school, phone)
    await laptop.pull()
    name = phone.table("classes")[str(school.class_id)]
    changes = {SESSIONS: session, RECORDS: record, "classes": name}
    before = phone.cursor
    await phone.sync(**{table: {"updated": [row]} for table, row in changes.items()})
    assert (phone.cursor or 0) > (before or 0)
    for table, row in changes.items():
        late = await laptop.push(**{table: {"updated": [row]}})
        assert late.status_code == 409, table


async def test_u4_created_with_a_known_id_changes_and_updated_with_an_unknown_creates(
    school: School,
) -> None:
    phone = await pulled(school)
    session = session_row(school)
    record = record_row(session, school.student_ids[0])
    await phone.sync(
        attendance_sessions={"updated": [session]}, attendance_records={"updated": [record]}
    )
    assert phone.table(RECORDS)[record["id"]]["status"] == "present"
    await phone.sync(
        attendance_sessions={"created": [session | {"note": "Lab"}]},
        attendance_records={"created": [record | {"status": "excused"}]},
    )
    assert phone.table(RECORDS)[record["id"]]["status"] == "excused"
    assert phone.table(SESSIONS)[session["id"]]["note"] == "Lab"


@pytest.mark.parametrize("table", [SESSIONS, RECORDS])
async def test_u5_an_unknown_deleted_id_is_buried(
    school: School, owner: psycopg.Connection, table: str
) -> None:
    phone, late = await pulled(school), await pulled(school)
    session, _ = await with_session(school, phone, marked=0)
    await late.pull()
    lost = session_row(school, start_time="14:00")
    row = lost if table == SESSIONS else record_row(session, school.student_ids[0])
    await taken(phone, **{table: {"deleted": [row["id"]]}})
    assert count(owner, "tombstones", row["id"]) == 1
    # The creation was stuck somewhere; with a new cursor it is answered, and does not come back.
    assert (await late.push(**{table: {"created": [row]}})).status_code == 409
    await late.pull()
    await taken(late, **{table: {"created": [row]}})
    assert row["id"] not in late.table(table)
    assert count(owner, table, row["id"]) == 0


@pytest.mark.parametrize("table", [SESSIONS, RECORDS])
async def test_u6_updating_what_was_deleted(school: School, table: str) -> None:
    phone, laptop = await pulled(school), await pulled(school)
    session, (record,) = await with_session(school, phone)
    row = session if table == SESSIONS else record
    await laptop.pull()
    await phone.sync(**{table: {"deleted": [row["id"]]}})
    assert (await laptop.push(**{table: {"updated": [row]}})).status_code == 409
    await laptop.pull()
    # A device restored from an old copy has the row, and the newest cursor.
    laptop.rows.setdefault(table, {})[row["id"]] = row
    await taken(laptop, **{table: {"updated": [row]}})
    assert row["id"] not in laptop.table(table)


# U7 to U9: order, natural keys, cascades --------------------------------------------------------


async def test_u7_deleted_and_created_for_one_student_in_one_push(school: School) -> None:
    phone = await pulled(school)
    session, (old,) = await with_session(school, phone)
    new = record_row(session, school.student_ids[0], "late", minutes=3)
    await phone.sync(attendance_records={"deleted": [old["id"]], "created": [new]})
    assert {k: r["status"] for k, r in phone.table(RECORDS).items()} == {new["id"]: "late"}


async def test_u7_a_session_made_anew_at_the_same_time_of_day(school: School) -> None:
    phone = await pulled(school)
    old, _ = await with_session(school, phone, marked=2)
    new = session_row(school)
    record = record_row(new, school.student_ids[0])
    await phone.sync(
        attendance_sessions={"deleted": [old["id"]], "created": [new]},
        attendance_records={"created": [record]},
    )
    assert list(phone.table(SESSIONS)) == [new["id"]]
    assert list(phone.table(RECORDS)) == [record["id"]]


@pytest.mark.parametrize("kind", ["created", "updated"])
async def test_u7_a_session_moves_and_another_takes_its_time(school: School, kind: str) -> None:
    phone = await pulled(school)
    first, (record,) = await with_session(school, phone)
    second = session_row(school)
    other = record_row(second, school.student_ids[0], "late")
    moved = first | {"start_time": "11:00"}
    sessions: dict[str, list[Row]] = {"created": [], "updated": [moved]}
    sessions[kind].append(second)
    await phone.sync(attendance_sessions=sessions, attendance_records={"created": [other]})
    assert {k: s["start_time"] for k, s in phone.table(SESSIONS).items()} == {
        first["id"]: "11:00",
        second["id"]: "09:00",
    }
    assert {k: r["session_id"] for k, r in phone.table(RECORDS).items()} == {
        record["id"]: first["id"],
        other["id"]: second["id"],
    }


async def test_u8_two_ids_for_one_student_inside_one_push(
    school: School, owner: psycopg.Connection
) -> None:
    phone = await pulled(school)
    mine, twin = session_row(school), session_row(school)
    student, other = school.student_ids[:2]
    first, last = record_row(mine, student), record_row(twin, student, "excused")
    # An id may not stand for a second student either.
    stolen = [first | {"student_id": str(other)}, last | {"student_id": str(other)}]
    await phone.sync(
        attendance_sessions={"created": [mine, twin], "updated": [twin | {"note": "Lab"}]},
        attendance_records={"created": [first, last, *stolen], "updated": [last]},
    )
    assert {k: s["note"] for k, s in phone.table(SESSIONS).items()} == {mine["id"]: "Lab"}
    (kept,) = phone.table(RECORDS).values()
    assert (kept["id"], kept["status"]) == (first["id"], "excused")
    assert count(owner, "tombstones", last["id"]) == count(owner, "tombstones", twin["id"]) == 1


async def test_u8_two_ids_for_one_student_across_pushes(school: School) -> None:
    phone, laptop = await pulled(school), await pulled(school)
    session, (first,) = await with_session(school, phone)
    await laptop.pull()
    second = record_row(session, school.student_ids[0], "left_early", minutes=9)
    await taken(laptop, attendance_records={"created": [second]})
    body = await phone.pull()
    assert body["changes"][RECORDS]["deleted"] == [second["id"]]
    for device in (phone, laptop):
        (kept,) = device.table(RECORDS).values()
        assert (kept["id"], kept["status"]) == (first["id"], "left_early")


async def test_u8_a_mark_under_the_id_of_a_session_that_was_merged_goes_where_it_went(
    school: School,
) -> None:
    phone, laptop = await pulled(school), await pulled(school)
    session, _ = await with_session(school, phone)
    twin = session_row(school)
    await laptop.pull()
    await taken(laptop, attendance_sessions={"created": [twin]})
    late = record_row(twin, school.student_ids[3], "late", minutes=4)
    await laptop.pull()
    await taken(laptop, attendance_records={"created": [late]})
    for device in (phone, laptop):
        await device.pull()
        assert set(device.table(SESSIONS)) == {session["id"]}
        assert device.table(RECORDS)[late["id"]]["session_id"] == session["id"]
    # When the session is deleted, its twin leads nowhere.
    await phone.sync(attendance_sessions={"deleted": [session["id"]]})
    await laptop.pull()
    again = record_row(twin, school.student_ids[4])
    await taken(laptop, attendance_records={"created": [again]})
    assert laptop.table(SESSIONS) == laptop.table(RECORDS) == {}


async def test_u9_a_mark_under_a_merged_id_of_a_session_that_the_push_deletes(
    school: School, owner: psycopg.Connection
) -> None:
    phone = await pulled(school)
    session, _ = await with_session(school, phone)
    twin = session_row(school)
    await taken(phone, attendance_sessions={"created": [twin]})
    mark = record_row(twin, school.student_ids[4])
    await phone.pull()
    await taken(
        phone,
        attendance_sessions={"deleted": [session["id"]]},
        attendance_records={"created": [mark]},
    )
    assert phone.table(SESSIONS) == phone.table(RECORDS) == {}
    assert count(owner, "tombstones", mark["id"]) == 1


@pytest.mark.parametrize("known", [True, False])
async def test_u9_a_record_of_a_session_that_is_gone_or_never_came(
    school: School, owner: psycopg.Connection, known: bool
) -> None:
    phone = await pulled(school)
    session = session_row(school)
    if known:
        session, _ = await with_session(school, phone)
        await phone.sync(attendance_sessions={"deleted": [session["id"]]})
    record = record_row(session, school.student_ids[1])
    phone.rows.setdefault(RECORDS, {})[record["id"]] = record
    await taken(phone, attendance_records={"created": [record]})
    assert phone.table(RECORDS) == {}
    assert count(owner, "tombstones", record["id"]) == 1


async def test_u9_deleting_a_session_deletes_its_records(school: School) -> None:
    phone, laptop = await pulled(school), await pulled(school)
    session, records = await with_session(school, phone, marked=3, marked_at=ROLL)
    await laptop.pull()
    await phone.sync(attendance_sessions={"deleted": [session["id"]]})
    body = await laptop.pull()
    assert set(body["changes"][RECORDS]["deleted"]) == {r["id"] for r in records}
    assert laptop.table(SESSIONS) == laptop.table(RECORDS) == {}


# U10: who was enrolled --------------------------------------------------------------------------


async def test_u10_nobody_is_marked_who_was_not_enrolled_on_that_day(school: School) -> None:
    theirs = await colleague(school)
    phone = await pulled(school)
    past = session_row(school, (date.today() - timedelta(days=400)).isoformat())  # noqa: DTZ011
    now = session_row(school)
    rows = [
        record_row(past, school.student_ids[0]),
        record_row(now, theirs.student_ids[0]),
        record_row(now, uuid4()),
    ]
    phone.rows[RECORDS] = {row["id"]: row for row in rows}
    await taken(
        phone,
        attendance_sessions={"created": [past, now]},
        attendance_records={"created": rows},
    )
    assert phone.table(RECORDS) == {}
    assert len(phone.table(SESSIONS)) == 2


async def test_u10_a_dropped_student_keeps_the_days_before(
    school: School, owner: psycopg.Connection
) -> None:
    phone = await pulled(school)
    gone = school.student_ids[0]
    today = datetime.now(UTC).date()
    owner.execute(
        "UPDATE directory.enrollments SET starts_on = %s WHERE class_id = %s",
        (today - timedelta(days=9), school.class_id),
    )
    before = session_row(school, (today - timedelta(days=2)).isoformat(), marked_at=ROLL)
    after = session_row(school, DAY, marked_at=ROLL)
    await phone.sync(attendance_sessions={"created": [before, after]})
    async with school.database.transaction(school.teacher) as session:
        await end_enrollment(session, school.teacher, school.class_id, gone)
    await phone.pull()
    assert not next(e for e in phone.table("enrollments").values() if e["student_id"] == str(gone))[
        "is_active"
    ]
    rows = [record_row(before, gone), record_row(after, gone)]
    await taken(phone, attendance_records={"created": rows})
    assert list(phone.table(RECORDS)) == [rows[0]["id"]]
    held = phone.table(SESSIONS)
    assert [held[s["id"]]["total_enrolled"] for s in (before, after)] == [8, 7]
    assert [held[s["id"]]["total_absent"] for s in (before, after)] == [7, 7]


async def test_u10_sessions_stay_in_their_term_and_an_archived_one_is_closed(
    school: School, owner: psycopg.Connection
) -> None:
    phone = await pulled(school)
    session, (record,) = await with_session(school, phone)
    # A term that is planned later does not close the sessions of its days.
    owner.execute(
        "INSERT INTO attend.terms (organization_id, name, starts_on, ends_on)"
        " VALUES (%s, 'Planned later', %s, %s)",
        (school.organization_id, DAY, DAY),
    )
    await phone.sync(attendance_sessions={"updated": [session | {"marked_at": ROLL}]})
    assert phone.table(SESSIONS)[session["id"]]["marked_at"] == ROLL
    number = owner.execute(
        "UPDATE attend.terms SET archived_at = now() WHERE number ="
        " (SELECT term FROM attend.attendance_sessions WHERE id = %s) RETURNING number",
        (session["id"],),
    ).fetchone()
    assert number is not None
    owner.execute(f"DROP TABLE attend.records_{number[0]}")
    # The device has not heard of it: what it sends can no longer be kept, and does not block it.
    fresh = record_row(session, school.student_ids[1])
    phone.rows[RECORDS] |= {fresh["id"]: fresh}
    await taken(
        phone,
        attendance_sessions={"updated": [session | {"note": "Late"}]},
        attendance_records={"created": [fresh], "updated": [record | {"status": "late"}]},
    )
    assert fresh["id"] not in phone.table(RECORDS)
    await taken(phone, attendance_sessions={"deleted": [session["id"]]})
    (note, deleted), *_ = owner.execute(
        "SELECT note, deleted_at FROM attend.attendance_sessions WHERE id = %s", (session["id"],)
    )
    assert (note, deleted) == (None, None)


async def test_u14_nothing_is_refused_by_a_list_of_ids(school: School) -> None:
    phone = await pulled(school)
    answer = await phone.push(attendance_records={"created": [record_row(
        session_row(school), uuid4(), id=new_id()
    )]})  # fmt: skip
    assert (answer.status_code, answer.json()) == (200, {})
