"""Corrections with a reason: seen in the history, on every device, in the audit trail."""

from __future__ import annotations

import psycopg
import pytest
from devices import register
from rolls import browser, class_key, take
from test_sync import digest

from classweave.core.tenancy import Role
from school_fixtures import School

pytestmark = pytest.mark.anyio

DAY = "2099-11-25"


def address(school: School, session: str, student: int) -> str:
    return (
        f"/attend/reports/classes/{class_key(school)}/sessions/{session}"
        f"/students/{school.student(student)}"
    )


async def test_a_correction_reaches_devices_and_tells_its_story(
    school: School, owner: psycopg.Connection
) -> None:
    phone = await register(school)
    (roll,) = await take(school, {DAY: {0: "present", 1: "present"}}, phone)
    async with await browser(school) as admin:
        where = address(school, roll["id"], 0)
        sent = {"status": "late", "minutes": "12", "reason": "The door was seen at 9:12"}
        assert (await admin.post(where, data=sent)).status_code == 303
        cleared = {"status": "absent", "reason": "Was another Ada"}
        assert (await admin.post(where, data=cleared)).status_code == 303
        # Absent until now: there is no record before it.
        other = address(school, roll["id"], 2)
        excused = {"status": "excused", "reason": "Letter of a doctor"}
        assert (await admin.post(other, data=excused)).status_code == 303
        page = (await admin.get(where)).text
        for words in ("The door was seen at 9:12", "Was another Ada", "Admin", "Teacher"):
            assert words in page
        assert "Letter of a doctor" in (await admin.get(other)).text
    await phone.pull()
    by_student = {r["student_id"]: r for r in phone.table("attendance_records").values()}
    assert str(school.student_ids[0]) not in by_student
    made = by_student[str(school.student_ids[2])]
    assert (made["status"], made["notes"], len(made["id"])) == ("excused", None, 16)
    stored = phone.table("attendance_sessions")[roll["id"]]
    assert (stored["total_present"], stored["total_absent"]) == (1, 6)
    assert stored["digest"] == digest(phone, roll["id"])
    lines = owner.execute(
        "SELECT data_accessed->>'from', data_accessed->>'to', affected_student_ids"
        " FROM compliance.audit_log WHERE organization_id = %s"
        " AND event_type = 'attendance.corrected' ORDER BY sequence",
        (school.organization_id,),
    ).fetchall()
    assert [(row[0], row[1]) for row in lines] == [
        ("present", "late"), ("late", "none"), ("none", "excused"),
    ]  # fmt: skip
    assert lines[0][2] == [school.student_ids[0]]
    read = owner.execute(
        "SELECT count(*) FROM compliance.audit_log WHERE organization_id = %s"
        " AND event_type = 'attendance.read'",
        (school.organization_id,),
    ).fetchone()
    assert read is not None
    assert read[0] >= 2


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"status": "late", "reason": " "}, "Say why the record is changed."),
        ({"status": "late", "reason": "x" * 501}, "This reason is too long."),
        ({"status": "gone", "reason": "x"}, "Choose what the record shall say."),
        ({"status": "late", "reason": "x", "minutes": "-5"}, "Give a whole number of minutes."),
        ({"status": "late", "reason": "x", "minutes": "1441"}, "Give a whole number of minutes."),
        ({"status": "present", "reason": "x"}, "The record says this already."),
    ],
)
async def test_what_cannot_be_is_said_beside_the_field(
    school: School, sent: dict[str, str], message: str
) -> None:
    (roll,) = await take(school, {DAY: {0: "present"}})
    async with await browser(school) as admin:
        answer = await admin.post(address(school, roll["id"], 0), data=sent)
        assert answer.status_code == 422
        assert message in answer.text


async def test_only_those_of_the_class_correct_and_read(
    school: School, other_school: School
) -> None:
    (roll,) = await take(school, {DAY: {0: "present"}})
    sent = {"status": "late", "reason": "x"}
    async with await browser(school, Role.TEACHER) as teacher:
        assert (await teacher.post(address(school, roll["id"], 0), data=sent)).status_code == 303
        gone = address(school, "no-such-session", 0)
        assert (await teacher.post(gone, data=sent)).status_code == 404
    for role in (Role.SCHOOL_ADMIN, Role.TEACHER):
        async with await browser(other_school, role) as stranger:
            where = address(school, roll["id"], 0)
            assert (await stranger.get(where)).status_code == 404
            assert (await stranger.post(where, data=sent)).status_code == 404


async def test_who_was_not_enrolled_has_no_record(
    school: School, owner: psycopg.Connection
) -> None:
    owner.execute(
        "UPDATE directory.enrollments SET starts_on = '2099-12-01' WHERE student_id = %s",
        (school.student_ids[7],),
    )
    (roll,) = await take(school, {DAY: {0: "present"}})
    async with await browser(school) as admin:
        answer = await admin.post(
            address(school, roll["id"], 7), data={"status": "late", "reason": "x"}
        )
        assert answer.status_code == 404
