"""A student checks in by the code on the board; nobody else easily does so for the student."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import psycopg
import pytest
from check_ins import (
    URL,
    board,
    count,
    minutes,
    open_window,
    phone,
    steps,
    student_token,
    teacher_sends,
)
from devices import TestDevice, record_row, register, session_row
from sqlalchemy import select
from test_sync import digest

from classweave.attend.models import CheckIn, CheckInWindow
from classweave.core.audit import AuditLog
from classweave.core.identifiers import decode, encode
from classweave.core.tenancy import Role
from classweave.directory.models import PersonRole
from classweave.directory.service import create_user, local_today
from school_fixtures import School

pytestmark = pytest.mark.anyio


def code_of(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


async def synced(device: TestDevice) -> Sequence[dict[str, Any]]:
    """The records a device holds after a pull; digests and totals agree with them."""
    await device.pull()
    records = list(device.table("attendance_records").values())
    for key, session in device.table("attendance_sessions").items():
        own = [r for r in records if r["session_id"] == key]
        assert session["digest"] == digest(device, key)
        assert session["total_present"] == sum(r["status"] != "excused" for r in own)
    return records


async def test_a_check_in_reaches_the_lecturers_devices(school: School) -> None:
    laptop = await register(school)
    await laptop.pull()
    window = await open_window(school, late_after=5)
    on_time = await phone(school).check_in(school, 0, window["code"].lower())
    assert on_time.status_code == 200, on_time.text
    assert on_time.json() | {"at": ""} == {
        "class_name": "8B Science", "status": "present", "minutes": None, "at": "",
        "already": False, "by_lecturer": False,
    }  # fmt: skip
    with minutes(7):
        code = (await board(school, window["id"]))["code"]
        late = await phone(school).check_in(school, 1, code)
    assert (late.json()["status"], late.json()["minutes"]) == ("late", 3)
    records = await synced(laptop)
    assert {(r["student_id"], r["status"], r["minutes"]) for r in records} == {
        (str(school.student_ids[0]), "present", None),
        (str(school.student_ids[1]), "late", 3),
    }
    assert all(len(r["id"]) == 16 and r["id"].isalnum() for r in records)
    (session,) = laptop.table("attendance_sessions").values()
    assert (session["id"], session["start_time"]) == (window["session_id"], "09:00")
    # Checking in takes no roll: nobody is absent yet.
    assert (session["marked_at"], session["total_absent"]) == (None, 0)
    seen = await board(school, window["id"])
    assert (seen["count"], seen["enrolled"]) == (2, 8)
    assert [line["name"] for line in seen["students"]] == ["Ben", "Ada"]


async def test_a_session_that_a_device_made_is_used_and_found_again(school: School) -> None:
    device = await register(school)
    await device.pull()
    roll = session_row(school, str(local_today(school.teacher)))
    await device.sync(attendance_sessions={"created": [roll]})
    for body in ({"session_id": roll["id"]}, {"start_time": "09:00"}):
        window = await open_window(school, **body)
        assert window["session_id"] == roll["id"]
    assert await count(school, CheckInWindow) == 1  # one that is open is shared
    assert (await phone(school).check_in(school, 0, window["code"])).status_code == 200
    (record,) = await synced(device)
    assert record["session_id"] == roll["id"]


async def test_a_session_made_for_check_in_and_one_made_offline_become_one(school: School) -> None:
    device = await register(school)
    await device.pull()
    window = await open_window(school)
    assert (await phone(school).check_in(school, 0, window["code"])).status_code == 200
    roll = session_row(school, str(local_today(school.teacher)))
    mark = record_row(roll, school.student_ids[0], "late", minutes=4)
    # It has not pulled since, and opened the meeting under an id of its own.
    answer = await device.push(
        attendance_sessions={"created": [roll]}, attendance_records={"created": [mark]}
    )
    assert answer.status_code == 200
    (record,) = await synced(device)
    assert list(device.table("attendance_sessions")) == [window["session_id"]]
    assert (record["session_id"], record["status"]) == (window["session_id"], "late")


async def test_no_code_counts_outside_the_window(school: School) -> None:
    early = await phone(school).check_in(school, 0, "ACDEFG")
    assert (early.status_code, code_of(early)) == (409, "not-open")
    window = await open_window(school, minutes=1)
    with minutes(1.01):
        shown = await board(school, window["id"])
        assert (shown["code"], shown["next_code"]) == (None, None)
        late = await phone(school).check_in(school, 0, window["code"])
        assert (late.status_code, code_of(late)) == (409, "not-open")
    closed = await teacher_sends(school, window["id"], "close")
    assert closed.json()["code"] is None
    after = await phone(school).check_in(school, 0, window["code"])
    assert (after.status_code, code_of(after)) == (409, "not-open")
    assert await count(school, CheckIn) == 0
    # Who was early is locked out of nothing.
    again = await open_window(school)
    assert (await phone(school).check_in(school, 0, again["code"])).status_code == 200


async def test_an_old_code_is_refused_and_the_previous_one_is_not(school: School) -> None:
    window = await open_window(school)
    with steps(2):
        old = await phone(school).check_in(school, 0, window["code"])
    assert (old.status_code, code_of(old)) == (422, "wrong-code")
    with steps(1):
        assert (await phone(school).check_in(school, 0, window["code"])).status_code == 200
    # The board is told the next one ahead of time; before that time it does not count.
    shown = await board(school, window["id"])
    if shown["changes_in_ms"] < 2_000:
        await asyncio.sleep(2)
        shown = await board(school, window["id"])
    early = await phone(school).check_in(school, 1, shown["next_code"])
    assert (early.status_code, code_of(early)) == (422, "wrong-code")


async def test_a_repeat_says_so_and_changes_nothing(school: School) -> None:
    window = await open_window(school)
    device = phone(school)
    first = await device.check_in(school, 0, window["code"])
    for other in (device, phone(school)):
        for code in (window["code"], "ACDEFG"):
            again = await other.check_in(school, 0, code)
            assert again.status_code == 200
            assert again.json() == first.json() | {"already": True}
    assert await count(school, CheckIn) == 1
    assert await count(school, AuditLog, AuditLog.event_type == "check_in.made") == 1


async def test_one_device_checks_in_one_student(school: School) -> None:
    window = await open_window(school)
    shared = phone(school)
    assert (await shared.check_in(school, 0, window["code"])).status_code == 200
    second = await shared.check_in(school, 1, window["code"])
    assert (second.status_code, code_of(second)) == (403, "device-used")
    assert "ask your lecturer" in second.json()["detail"]
    assert await count(school, AuditLog, AuditLog.event_type == "check_in.refused") == 1
    assert await count(school, CheckIn) == 1
    # The student's own device is free to, and in the next session the shared one is again.
    assert (await phone(school).check_in(school, 1, window["code"])).status_code == 200
    later = await open_window(school, start_time="11:00")
    assert (await shared.check_in(school, 1, later["code"])).status_code == 200
    async with school.database.transaction(school.admin) as session:
        rows = (await session.scalars(select(CheckIn.device_hash))).all()
    assert len(set(rows)) == 3  # the same device is another in another session


async def test_only_who_is_enrolled_on_that_day(school: School, owner: psycopg.Connection) -> None:
    window = await open_window(school)
    owner.execute(
        "UPDATE directory.enrollments SET ends_on = %s, status = 'withdrawn'"
        " WHERE student_id = %s AND ends_on IS NULL",
        (local_today(school.teacher), school.student_ids[0]),
    )
    refused = await phone(school).check_in(school, 0, window["code"])
    assert (refused.status_code, code_of(refused)) == (403, "not-enrolled")
    assert (await board(school, window["id"]))["enrolled"] == 7
    assert await count(school, CheckIn) == 0


async def test_another_schools_code_and_window_are_out_of_reach(
    school: School, other_school: School
) -> None:
    theirs = await open_window(other_school)
    await open_window(school)
    refused = await phone(school).check_in(school, 0, theirs["code"])
    assert (refused.status_code, code_of(refused)) == (422, "wrong-code")
    async with await school.sign_in(Role.SCHOOL_ADMIN) as stranger:
        for method, path in (
            ("GET", ""), ("GET", "/events"), ("POST", "/close"), ("POST", "/challenge"),
            ("POST", "/withdraw"),
        ):  # fmt: skip
            answer = await stranger.request(
                method, f"{URL}/{theirs['id']}{path}",
                json={"student": other_school.student(0)} if path == "/withdraw"
                else {} if path == "/challenge" else None,
            )  # fmt: skip
            assert answer.status_code == 404, path
        for body in (
            {"class_id": encode("class", other_school.class_id)},
            {"session_id": theirs["session_id"]},
        ):
            assert (await stranger.post(URL, json=body)).status_code == 404
    assert (await board(other_school, theirs["id"]))["count"] == 0


async def test_a_student_and_a_colleague_reach_no_board(school: School) -> None:
    window = await open_window(school)
    async with school.database.transaction(school.admin) as session:
        colleague = await create_user(
            session, school.admin, role=PersonRole.TEACHER, name="Other",
            email=f"o-{school.organization_id.hex}@test.invalid",
        )  # fmt: skip
    for token, status in (
        (await student_token(school, 0), 403), (await school.token(colleague.id), 404),
    ):  # fmt: skip
        async with school.program(token) as client:
            assert (await client.get(f"{URL}/{window['id']}")).status_code == status
            closed = await client.post(f"{URL}/{window['id']}/close")
            assert closed.status_code == status


async def test_an_account_without_a_student_is_told(school: School) -> None:
    async with school.database.transaction(school.admin) as session:
        user = await create_user(session, school.admin, role=PersonRole.STUDENT, name="Nobody")
    async with school.program(await school.token(user.id)) as client:
        answer = await client.post(f"{URL}/own", json={"code": "ACDEFG"})
    assert (answer.status_code, code_of(answer)) == (403, "no-student")


async def test_the_lecturers_mark_stands(school: School) -> None:
    device = await register(school)
    await device.pull()
    roll = session_row(school, str(local_today(school.teacher)))
    mark = record_row(roll, school.student_ids[0], "excused", notes="family")
    await device.sync(
        attendance_sessions={"created": [roll]}, attendance_records={"created": [mark]}
    )
    window = await open_window(school)
    made = await phone(school).check_in(school, 0, window["code"])
    assert (made.json()["status"], made.json()["by_lecturer"]) == ("excused", True)
    (record,) = await synced(device)
    assert (record["id"], record["status"], record["notes"]) == (mark["id"], "excused", "family")
    assert (await board(school, window["id"]))["count"] == 1


async def test_two_at_once_make_one_record(school: School) -> None:
    device = await register(school)
    window = await open_window(school)
    tokens = [await student_token(school, 0) for _ in range(4)]
    clients = [school.program(token) for token in tokens]
    answers = await asyncio.gather(
        *(client.post(f"{URL}/own", json={"code": window["code"]}) for client in clients)
    )
    assert [answer.status_code for answer in answers] == [200] * 4
    assert sorted(answer.json()["already"] for answer in answers) == [False, True, True, True]
    assert len(await synced(device)) == 1
    assert await count(school, CheckIn) == 1


async def test_a_whole_class_at_once(school: School) -> None:
    device = await register(school)
    window = await open_window(school)
    phones = [phone(school) for _ in school.student_ids]
    answers = await asyncio.gather(
        *(one.check_in(school, index, window["code"]) for index, one in enumerate(phones))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({r["student_id"] for r in await synced(device)}) == len(phones)


async def test_two_students_at_once_on_one_device_are_one(school: School) -> None:
    window = await open_window(school)
    shared = phone(school)
    assert (await shared.check_in(school, 2, "ACDEFG")).status_code == 422  # it has its cookie now
    answers = await asyncio.gather(
        *(shared.check_in(school, index, window["code"]) for index in (0, 1))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 403]
    assert await count(school, CheckIn) == 1


async def test_wrong_codes_are_slowed_down_for_that_student_alone(school: School) -> None:
    window = await open_window(school)
    device = phone(school)
    statuses = [(await device.check_in(school, 0, "ACDEFG")).status_code for _ in range(11)]
    assert statuses == [422] * 10 + [429]
    refused = await device.check_in(school, 0, window["code"])
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert (await phone(school).check_in(school, 1, window["code"])).status_code == 200
    with minutes(1.1):
        code = (await board(school, window["id"]))["code"]
        assert (await device.check_in(school, 0, code)).status_code == 200


async def test_guessing_at_another_class_is_slowed_down_as_well(school: School) -> None:
    device = phone(school)
    statuses = [(await device.check_in(school, 0, "ACDEFG")).status_code for _ in range(11)]
    assert statuses == [409] * 10 + [429]


async def test_who_does_not_answer_the_call_is_taken_off(school: School) -> None:
    laptop = await register(school)
    window = await open_window(school)
    for index in range(4):
        await phone(school).check_in(school, index, window["code"])
    assert len(await synced(laptop)) == 4
    called = (await teacher_sends(school, window["id"], "challenge", number=3)).json()
    assert len({line["student"] for line in called}) == 3
    # Then it is the turn of who was not called yet.
    fourth = (await teacher_sends(school, window["id"], "challenge", number=1)).json()
    assert not {line["student"] for line in fourth} & {line["student"] for line in called}
    gone = called[0]["student"]
    for _twice in range(2):
        answer = await teacher_sends(school, window["id"], "withdraw", student=gone)
        assert answer.status_code == 204, answer.text
    left = await synced(laptop)
    gone_id = decode("student", gone)
    assert len(left) == 3
    assert str(gone_id) not in {r["student_id"] for r in left}
    seen = await board(school, window["id"])
    assert seen["count"] == 3
    # By code the student does not come back, on whatever device; the lecturer can still mark.
    index = school.student_ids.index(gone_id)
    refused = await phone(school).check_in(school, index, seen["code"])
    assert (refused.status_code, code_of(refused)) == (403, "withdrawn")
    (session,) = laptop.table("attendance_sessions").values()
    await laptop.sync(attendance_records={"created": [record_row(session, gone_id, "late")]})
    assert len(await synced(laptop)) == 4


async def test_the_reason_stays_with_the_history(school: School, owner: psycopg.Connection) -> None:
    window = await open_window(school)
    await phone(school).check_in(school, 0, window["code"])
    await teacher_sends(school, window["id"], "withdraw", student=school.student(0))
    rows = owner.execute(
        "SELECT h.status, v.reason FROM attend.record_history h JOIN attend.revisions v"
        " ON v.organization_id = h.organization_id AND v.rev = h.until_rev"
        " WHERE h.organization_id = %s",
        (school.organization_id,),
    ).fetchall()
    assert rows == [(1, "Checked in, and was not in the room when called.")]
    assert await count(school, AuditLog, AuditLog.event_type == "check_in.withdrawn") == 1


async def test_an_excuse_outlives_a_withdrawn_check_in(school: School) -> None:
    device = await register(school)
    await device.pull()
    roll = session_row(school, str(local_today(school.teacher)))
    mark = record_row(roll, school.student_ids[0], "excused")
    await device.sync(
        attendance_sessions={"created": [roll]}, attendance_records={"created": [mark]}
    )
    window = await open_window(school)
    await phone(school).check_in(school, 0, window["code"])
    await teacher_sends(school, window["id"], "withdraw", student=school.student(0))
    assert [r["status"] for r in await synced(device)] == ["excused"]


async def test_nobody_to_call(school: School) -> None:
    window = await open_window(school)
    answer = await teacher_sends(school, window["id"], "challenge", number=2)
    assert (answer.status_code, code_of(answer)) == (409, "nobody")
    answer = await teacher_sends(school, window["id"], "withdraw", student=school.student(0))
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"minutes": 0}, 422),
        ({"minutes": 61}, 422),
        ({"minutes": 10, "late_after": 11}, 422),
        ({"late_after": -1}, 422),
        ({"start_time": "9:00"}, 422),
        ({"start_time": "24:00"}, 422),
        ({"date": "2020-01-01"}, 409),
        ({"session_id": "unknown"}, 404),
        ({"class_id": None}, 422),
        ({"minutes": 60, "late_after": 60}, 201),
        ({"minutes": 1, "late_after": 0, "start_time": None}, 201),
    ],
)
async def test_what_can_be_opened(school: School, body: dict[str, Any], status: int) -> None:
    wanted = {"class_id": encode("class", school.class_id), "start_time": "09:00"} | body
    async with await school.sign_in() as teacher:
        answer = await teacher.post(URL, json=wanted)
    assert answer.status_code == status, answer.text
    if status == 201:
        opened = answer.json()
        assert 0 <= opened["changes_in_ms"] <= 10_000


async def test_a_session_deleted_meanwhile_takes_nobody(school: School) -> None:
    device = await register(school)
    await device.pull()
    window = await open_window(school)
    await device.sync(attendance_sessions={"deleted": [window["session_id"]]})
    refused = await phone(school).check_in(school, 0, window["code"])
    assert refused.status_code == 409
    async with await school.sign_in() as teacher:
        assert (await teacher.get(f"{URL}/{window['id']}")).status_code == 404
