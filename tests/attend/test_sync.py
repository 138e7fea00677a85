"""A device and the server come to hold the same rows: the ordinary course."""

from __future__ import annotations

import zlib

import pytest
from devices import TestDevice, record_row, register, session_row

from school_fixtures import School

pytestmark = pytest.mark.anyio


def digest(device: TestDevice, session: str) -> int:
    """A session's digest as docs/attendance-sync.md has it, over what the device holds."""
    lines = (
        "|".join([r["id"], r["student_id"], r["status"], str(r["minutes"] or ""), r["notes"] or ""])
        for r in device.table("attendance_records").values()
        if r["session_id"] == session
    )
    return sum(zlib.crc32(line.encode()) for line in lines) % 2**32


async def test_a_roll_reaches_a_second_device(school: School) -> None:
    phone, laptop = await register(school), await register(school, name="Laptop")
    await phone.pull()
    assert len(phone.table("students")) == len(school.student_ids)
    assert len(phone.table("enrollments")) == len(school.student_ids)
    assert [c["name"] for c in phone.table("classes").values()]
    session = session_row(school, marked_at=1_764_000_100_000)
    records = [record_row(session, s) for s in school.student_ids[:5]]
    records[4] |= {"status": "late", "minutes": 7, "notes": 'bus "9" \\ niño'}
    await phone.sync(
        attendance_sessions={"created": [session]}, attendance_records={"created": records}
    )
    await laptop.pull()
    for device in (phone, laptop):
        stored = device.table("attendance_sessions")[session["id"]]
        assert (stored["total_enrolled"], stored["total_present"], stored["total_absent"]) == (
            8,
            5,
            3,
        )
        assert stored["marked_by"] == str(school.teacher_id)
        assert set(device.table("attendance_records")) == {r["id"] for r in records}
        late = device.table("attendance_records")[records[4]["id"]]
        assert (late["status"], late["minutes"], late["notes"]) == ("late", 7, records[4]["notes"])
        assert stored["digest"] == digest(device, session["id"])
    # Nothing new: nothing is sent.
    assert (await laptop.pull())["changes"] == {}


async def test_clearing_a_mark_reaches_everyone_and_stays(school: School) -> None:
    phone, laptop = await register(school), await register(school)
    await phone.pull()
    session = session_row(school, marked_at=1_764_000_100_000)
    one, two = (record_row(session, s) for s in school.student_ids[:2])
    await phone.sync(
        attendance_sessions={"created": [session]}, attendance_records={"created": [one, two]}
    )
    await laptop.pull()
    await laptop.sync(attendance_records={"deleted": [one["id"]]})
    await phone.pull()
    for device in (phone, laptop):
        assert set(device.table("attendance_records")) == {two["id"]}
        assert device.table("attendance_sessions")[session["id"]]["total_absent"] == 7
        assert (
            digest(device, session["id"])
            == (device.table("attendance_sessions")[session["id"]]["digest"])
        )
    # A late duplicate of the first push does not bring it back.
    await phone.push(attendance_records={"created": [one]})
    await phone.pull()
    assert set(phone.table("attendance_records")) == {two["id"]}


async def test_two_lecturers_marking_one_class_make_one_record_a_student(school: School) -> None:
    phone, laptop = await register(school), await register(school)
    await phone.pull()
    await laptop.pull()
    mine, theirs = session_row(school), session_row(school)
    student = school.student_ids[0]
    await phone.sync(
        attendance_sessions={"created": [mine]},
        attendance_records={"created": [record_row(mine, student)]},
    )
    # The laptop opened the same meeting offline, under ids of its own.
    other = record_row(theirs, student, "late", minutes=5)
    assert (
        await laptop.push(
            attendance_sessions={"created": [theirs]}, attendance_records={"created": [other]}
        )
    ).status_code == 200
    await laptop.pull()
    await phone.pull()
    for device in (phone, laptop):
        assert list(device.table("attendance_sessions")) == [mine["id"]]
        (record,) = device.table("attendance_records").values()
        assert (record["student_id"], record["status"]) == (str(student), "late")
        assert record["session_id"] == mine["id"]


async def test_an_old_cursor_conflicts_and_a_new_one_does_not(school: School) -> None:
    phone, laptop = await register(school), await register(school)
    await phone.pull()
    session = session_row(school)
    record = record_row(session, school.student_ids[0])
    await phone.sync(
        attendance_sessions={"created": [session]}, attendance_records={"created": [record]}
    )
    await laptop.pull()
    await laptop.sync(attendance_records={"updated": [record | {"status": "excused"}]})
    assert (
        await phone.push(attendance_records={"updated": [record | {"status": "late"}]})
    ).status_code == 409
    await phone.sync(attendance_records={"updated": [record | {"status": "late"}]})
    assert phone.table("attendance_records")[record["id"]]["status"] == "late"
