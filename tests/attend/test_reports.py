"""Reports: rates from counters, what is not taken, days of enrolment, the rule, who may read."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg
import pytest
from devices import register
from rolls import browser, class_key, take

from classweave.attend.rates import Counted, Rule, Tally, summed
from classweave.attend.report_attendance import Period, report_organization
from classweave.core.identifiers import encode
from classweave.core.tenancy import Actor, Role, system_actor
from classweave.directory.models import OrganizationKind, PersonRole
from classweave.directory.service import create_class, create_organization, create_user
from school_fixtures import School

DAYS = {
    "2026-11-23": {0: "present", 1: "present", 2: "late", 3: "excused"},  # a Monday
    "2026-11-24": {0: "present", 1: "left_early"},
    "2026-11-30": {0: "present"},
}
PERIOD = Period(date(2026, 9, 1), date(2026, 12, 31))


def test_a_rate_is_of_what_was_held_and_the_rule_judges_it() -> None:
    counted = Counted(held=8, present=3, late=1, excused=2, left_early=1)
    assert (counted.absent, counted.rate(True), counted.rate(False)) == (1, 7 / 8, 5 / 8)
    assert Rule(90, 8).at_risk(counted)
    assert not Rule(90, 9).at_risk(counted)
    assert not Rule(87, 1).at_risk(counted)
    assert Rule(87, 1, excused_counts=False).at_risk(counted)
    assert Counted().rate(True) is None
    assert not Rule(100, 1).at_risk(Counted())
    total = summed([Tally(1, 0, 10, attended=5), Tally(0, 1)])
    assert (total.rate, total.taken, total.not_taken) == (0.5, 1, 1)


def enrol(
    owner: psycopg.Connection, school: School, index: int, first: str, last: str | None
) -> None:
    owner.execute(
        "UPDATE directory.enrollments SET starts_on = %s, ends_on = %s,"
        " status = CASE WHEN %s::date IS NULL THEN 'active' ELSE 'withdrawn' END"
        "::directory.enrollment_status WHERE student_id = %s",
        (first, last, last, school.student_ids[index]),
    )


async def stocked(school: School, owner: psycopg.Connection) -> None:
    """Three rolls of the first four students (the rest came later), and one not taken."""
    for index in range(8):
        enrol(owner, school, index, "2026-09-01" if index < 4 else "2099-01-01", None)
    phone = await register(school)
    await take(school, DAYS, phone)
    await take(school, {"2026-12-01": {0: "present"}}, phone, marked_at=None)


async def report(school: School, path: str, role: Role = Role.SCHOOL_ADMIN) -> Any:
    async with await school.sign_in(role) as client:
        answer = await client.get(f"/api/attend/reports/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.mark.anyio
async def test_sums_by_class_teacher_day_and_week(
    school: School, owner: psycopg.Connection
) -> None:
    await stocked(school, owner)
    found = await report(school, "organization")
    total = found["total"]
    assert {k: total[k] for k in ("taken", "not_taken", "enrolled", "absent", "excused")} == {
        "taken": 3, "not_taken": 1, "enrolled": 12, "absent": 5, "excused": 1,
    }  # fmt: skip
    assert (total["on_time"], total["late"], total["left_early"]) == (4, 1, 1)
    assert total["rate"] == pytest.approx(7 / 12)
    assert [c["tally"] for c in found["classes"]] == [total]
    assert [t["tally"] for t in found["teachers"]] == [total]
    assert [o["id"] for o in found["organizations"]] == [encode("org", school.organization_id)]
    assert {d["weekday"]: d["tally"]["rate"] for d in found["weekdays"]} == {
        1: pytest.approx(5 / 8), 2: pytest.approx(2 / 4),
    }  # fmt: skip
    weeks = {w["monday"]: w["tally"] for w in found["weeks"]}
    assert weeks["2026-11-30"]["rate"] == pytest.approx(1 / 4)
    # Not taken is no absence: the Tuesday without a roll has no rate.
    cells = {(c["monday"], c["weekday"]): c["tally"] for c in found["cells"]}
    assert cells["2026-11-30", 2]["rate"] is None
    assert cells["2026-11-30", 2]["absent"] == 0
    # Rates 1, 2/3, 1/3, 1/3.
    assert found["distribution"] == [0, 0, 0, 2, 0, 0, 1, 0, 0, 1]
    assert await report(school, "organization", Role.TEACHER) == found


@pytest.mark.anyio
async def test_absence_counts_only_days_of_enrolment(
    school: School, owner: psycopg.Connection
) -> None:
    for index in range(4, 8):
        enrol(owner, school, index, "2099-01-01", None)
    for index in range(4):
        enrol(owner, school, index, "2026-09-01", None)
    enrol(owner, school, 2, "2026-11-24", None)  # came on the second day
    enrol(owner, school, 3, "2026-09-01", "2026-11-24")  # left before it
    await take(school, DAYS | {"2026-11-23": {0: "present", 1: "present", 3: "late"}})
    found = await report(school, f"classes/{class_key(school)}")
    students = {s["id"]: s for s in found["students"]}
    held = {i: students[school.student(i)]["counted"]["held"] for i in range(4)}
    absent = {i: students[school.student(i)]["counted"]["absent"] for i in range(4)}
    assert held == {0: 3, 1: 3, 2: 2, 3: 1}
    assert absent == {0: 0, 1: 1, 2: 2, 3: 0}
    assert students[school.student(3)]["enrolled"] is False
    assert [s["tally"]["enrolled"] for s in found["sessions"] if s["id"]] == [3, 3, 3]
    sheet = await report(school, f"students/{school.student(2)}")
    assert [(line["date"], line["status"]) for line in sheet["sessions"]] == [
        ("2026-11-30", "absent"), ("2026-11-24", "absent"),
    ]  # fmt: skip


@pytest.mark.anyio
async def test_the_rule_says_who_is_at_risk(school: School, owner: psycopg.Connection) -> None:
    await stocked(school, owner)
    assert (await report(school, "at-risk"))["total"] == 0  # fewer than five were held
    key = encode("org", school.organization_id)
    async with await browser(school) as admin:
        for wrong in ({"below": "101", "at_least": "1"}, {"below": "x", "at_least": "1"},
                      {"below": "5", "at_least": "0"}):  # fmt: skip
            answer = await admin.post(f"/attend/risk/rules/{key}", data=wrong)
            assert answer.status_code == 422
        sent = {"below": "70", "at_least": "3", "excused_counts": "1"}
        assert (await admin.post(f"/attend/risk/rules/{key}", data=sent)).status_code == 303
        found = await report(school, "at-risk")
        assert {s["student_id"] for s in found["students"]} == {
            school.student(1), school.student(2), school.student(3),
        }  # fmt: skip
        del sent["excused_counts"]
        assert (await admin.post(f"/attend/risk/rules/{key}", data=sent)).status_code == 303
        found = await report(school, "at-risk", Role.TEACHER)
        lowest = found["students"][0]
        assert (lowest["student_id"], lowest["counted"]["rate"]) == (school.student(3), 0)
        page = await admin.get("/attend/risk")
        assert "Below 70% after at least 3 sessions." in page.text
    async with await browser(school, Role.TEACHER) as teacher:
        answer = await teacher.post(f"/attend/risk/rules/{key}", data=sent)
        assert answer.status_code == 403


@pytest.mark.anyio
async def test_a_meeting_that_nobody_opened_is_not_taken(
    school: School, owner: psycopg.Connection
) -> None:
    await stocked(school, owner)
    for day, start in (("2026-10-05", "08:00"), ("2026-11-23", "09:00"), ("2099-01-01", "09:00")):
        owner.execute(
            "INSERT INTO attend.meetings (organization_id, class_id, date, start_time)"
            " VALUES (%s, %s, %s, %s)",
            (school.organization_id, school.class_id, day, start),
        )
    found = await report(school, f"classes/{class_key(school)}")
    unopened = [s for s in found["sessions"] if s["id"] is None]
    assert [(s["date"], s["start_time"], s["taken"]) for s in unopened] == [
        ("2026-10-05", "08:00", False)
    ]
    assert found["total"]["not_taken"] == 2


@pytest.mark.anyio
async def test_every_page_shows_and_reading_is_audited(
    school: School, owner: psycopg.Connection
) -> None:
    await stocked(school, owner)
    key = encode("org", school.organization_id)
    class_page = f"/attend/reports/classes/{class_key(school)}"
    (first,) = owner.execute(
        "SELECT id FROM attend.attendance_sessions WHERE class_id = %s ORDER BY no LIMIT 1",
        (school.class_id,),
    ).fetchone() or ("",)
    student = f"/attend/reports/students/{school.student(0)}"
    roll = f"{class_page}/sessions/{first}"
    record = f"{roll}/students/{school.student(0)}"
    pages = ["/attend", "/attend/reports", class_page, roll, student, record, "/attend/risk"]
    for role in (Role.SCHOOL_ADMIN, Role.TEACHER):
        for language in ("en", "es"):
            owner.execute(
                "UPDATE directory.users SET locale = %s WHERE organization_id = %s",
                (language, school.organization_id),
            )
            async with await browser(school, role) as client:
                for page in pages:
                    answer = await client.get(page)
                    assert answer.status_code == 200, (page, answer.text[:300])
                    assert f'lang="{language}"' in answer.text
    async with await browser(school) as admin:
        for page in ("/attend/terms", "/attend/terms/new", "/attend/timetable",
                     f"/attend/risk/rules/{key}"):  # fmt: skip
            assert (await admin.get(page)).status_code == 200
    lines = owner.execute(
        "SELECT count(*) FROM compliance.audit_log WHERE organization_id = %s"
        " AND event_type = 'attendance.read' AND %s = ANY (affected_student_ids)",
        (school.organization_id, school.student_ids[0]),
    ).fetchone()
    # Of the seven pages, four name this student: class, roll, sheet and record.
    assert lines == (16,)


@pytest.mark.anyio
async def test_another_school_sees_nothing_of_it(
    school: School, other_school: School, owner: psycopg.Connection
) -> None:
    await stocked(school, owner)
    key = encode("org", school.organization_id)
    for role in (Role.SCHOOL_ADMIN, Role.TEACHER):
        assert (await report(other_school, "organization", role))["classes"] == []
        async with await other_school.sign_in(role) as stranger:
            for path in (f"classes/{class_key(school)}", f"students/{school.student(0)}",
                         f"organization?organization={key}",
                         f"at-risk?organization={key}"):  # fmt: skip
                answer = await stranger.get(f"/api/attend/reports/{path}")
                assert answer.status_code == 404


@pytest.mark.anyio
async def test_a_teacher_reads_own_classes_and_an_administrator_all(
    school: School, owner: psycopg.Connection
) -> None:
    await stocked(school, owner)
    async with school.database.transaction(school.admin) as session:
        colleague = await create_user(
            session, school.admin, role=PersonRole.TEACHER, name="Colleague",
            email=f"c-{school.teacher_id}@test.invalid",
        )  # fmt: skip
        await create_class(session, school.admin, name="Other", teacher_id=colleague.id)
    actor = Actor(Role.TEACHER, colleague.id, school.organization_id, (school.organization_id,))
    async with school.database.transaction(actor) as session:
        assert (await report_organization(session, actor, PERIOD)).total == Tally()
    async with school.program(await school.token(colleague.id)) as client:
        for path in (f"classes/{class_key(school)}", f"students/{school.student(0)}"):
            assert (await client.get(f"/api/attend/reports/{path}")).status_code == 404


@pytest.mark.anyio
async def test_a_university_sees_each_faculty(
    school: School, other_school: School, owner: psycopg.Connection
) -> None:
    await stocked(school, owner)
    await stocked(other_school, owner)
    async with school.database.transaction(system_actor()) as session:
        district = await create_organization(session, name="All", kind=OrganizationKind.DISTRICT)
    seen = (district.id, school.organization_id, other_school.organization_id)
    actor = Actor(Role.DISTRICT_ADMIN, None, district.id, seen)
    async with school.database.transaction(actor) as session:
        found = await report_organization(session, actor, PERIOD)
        one = await report_organization(session, actor, PERIOD, school.organization_id)
    assert {o.id for o in found.organizations} == set(seen[1:])
    assert (found.total.taken, one.total.taken) == (6, 3)
