"""Check-in as pages: the lecturer's board, the student's field, the own attendance."""

from __future__ import annotations

import re

import httpx
import pytest
from check_ins import open_window, phone, steps, student_token, teacher_sends
from devices import record_row, register, session_row
from fastapi import FastAPI

from classweave.core.identifiers import encode
from classweave.directory.api.authenticate import COOKIE
from classweave.directory.service import local_today
from school_fixtures import School

pytestmark = pytest.mark.anyio

PEOPLE = {"accept": "text/html"}


def browser(app: FastAPI, token: str | None = None) -> httpx.AsyncClient:
    """A browser that is signed in by its cookie."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://testserver", headers=PEOPLE, cookies={COOKIE: token} if token else {},
        follow_redirects=True,
    )  # fmt: skip


def csrf(page: httpx.Response) -> str:
    found = re.search(r'name="csrf-token" content="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


async def test_a_lecturer_opens_watches_and_closes(app: FastAPI, school: School) -> None:
    async with browser(app, await school.token(school.teacher_id)) as lecturer:
        form = await lecturer.get("/attend/check-in/new")
        assert "8B Science" in form.text
        key = encode("class", school.class_id)
        values = {"csrf_token": csrf(form), "meeting": f"{key} 09:00", "minutes": "10"}
        refused = await lecturer.post("/attend/check-in/new", data=values | {"minutes": "61"})
        assert refused.status_code == 422
        assert "1 to 60 minutes" in refused.text
        page = await lecturer.post("/attend/check-in/new", data=values)
        address = page.url.path
        codes = re.findall(r"Access code: ((?:\w ){5}\w)", page.text)
        assert len(codes) == 2  # this one and the next
        assert "Checked in: 0 of 8" in page.text
        code = codes[0].replace(" ", "")
        assert f"/attend/check-in?code={code}" not in page.text  # only as a drawing
        assert (await phone(school).check_in(school, 0, code)).status_code == 200
        listed = await lecturer.get(f"{address}/list")
        assert "Checked in: 1 of 8" in listed.text
        assert "Ada" in listed.text
        with steps(1):
            later = await lecturer.get(f"{address}/code")
        assert codes[1] in later.text
        values = {"csrf_token": csrf(page), "number": "1"}
        called = await lecturer.post(f"{address}/challenge", data=values)
        assert "Call these names" in called.text
        student = {"csrf_token": csrf(page), "student": school.student(0)}
        gone = await lecturer.post(f"{address}/withdraw", data=student)
        assert "Taken back" in gone.text
        assert "Checked in: 0 of 8" in gone.text
        closed = await lecturer.post(f"{address}/close", data={"csrf_token": csrf(page)})
        assert "This check-in is closed." in closed.text
        again = re.search(r'href="(/attend/check-in/new[^"]+)"', closed.text)
        assert again
        chosen = await lecturer.get(again[1])
        assert re.search(f'value="{key} 09:00" selected', chosen.text)


async def test_a_scan_leads_through_the_sign_in_to_the_check_in(
    app: FastAPI, school: School
) -> None:
    window = await open_window(school)
    scanned = f"/attend/check-in?code={window['code']}"
    async with browser(app) as stranger:
        asked = await stranger.get(scanned, follow_redirects=False)
        back = httpx.URL(asked.headers["location"]).params["next"]
    assert (asked.status_code, back) == (303, scanned)
    async with browser(app, await student_token(school, 0)) as student:
        page = await student.get(back)
        assert 'data-island="send"' in page.text
        assert f'value="{window["code"]}"' in page.text
        values = {"csrf_token": csrf(page), "code": window["code"]}
        done = await student.post("/attend/check-in", data=values)
        assert done.url.path == "/attend/check-in/done"
        assert "You are checked in" in done.text
        assert "Present" in done.text
        again = await student.post("/attend/check-in", data=values)
        assert "You had checked in already." in again.text
        student.cookies.set(COOKIE, await student_token(school, 1))
        page = await student.get("/attend/check-in")
        values["csrf_token"] = csrf(page)
        shared = await student.post("/attend/check-in", data=values)
        assert shared.status_code == 403
        assert "Somebody else has checked in from this device" in shared.text
        assert (await student.get("/attend/check-in/done")).url.path == "/attend/check-in"


async def test_what_was_typed_wrong_stays_and_says_why(app: FastAPI, school: School) -> None:
    async with browser(app, await student_token(school, 0)) as student:
        page = await student.get("/attend/check-in")
        values = {"csrf_token": csrf(page), "code": "acd efg"}
        closed = await student.post("/attend/check-in", data=values)
        assert closed.status_code == 409
        assert "No check-in is open for your classes now." in closed.text
        await open_window(school)
        wrong = await student.post("/attend/check-in", data=values)
        assert wrong.status_code == 422
        assert 'value="ACDEFG"' in wrong.text
        assert "This code is not right" in wrong.text
        assert 'data-island="send"' not in wrong.text
        for _ in range(9):
            await student.post("/attend/check-in", data=values)
        blocked = await student.post("/attend/check-in", data=values)
        assert blocked.status_code == 429
        assert blocked.headers["retry-after"]


async def test_the_own_attendance(app: FastAPI, school: School) -> None:
    device = await register(school)
    await device.pull()
    today = str(local_today(school.teacher))
    rolls = [
        session_row(school, today, start_time=f"{8 + n:02}:00", marked_at=1_764_000_000_000)
        for n in range(4)
    ]
    rolls.append(session_row(school, today, start_time="15:00"))
    me, other = school.student_ids[0], school.student_ids[1]
    marks = [
        record_row(rolls[0], me),
        record_row(rolls[1], me, "late", minutes=6),
        record_row(rolls[2], me, "excused"),
        record_row(rolls[3], other, notes="not for the others"),
    ]
    await device.sync(attendance_sessions={"created": rolls}, attendance_records={"created": marks})
    window = await open_window(school, start_time="16:00")
    await phone(school).check_in(school, 0, window["code"])
    async with browser(app, await student_token(school, 0)) as student:
        page = await student.get("/attend/mine")
    assert page.status_code == 200
    text = " ".join(re.sub(r"<[^>]+>", " ", page.text).split())
    assert "75% of 4 sessions" in text
    assert "6 sessions" in text
    for said, times in (("Late · 6 min", 1), ("Not taken", 1), ("not closed yet", 1)):
        assert text.count(said) == times, said
    assert "not for the others" not in page.text
    async with browser(app, await school.token(school.teacher_id)) as lecturer:
        assert (await lecturer.get("/attend/mine")).status_code == 403


async def test_a_mark_taken_away_shows_after_the_check_in(app: FastAPI, school: School) -> None:
    window = await open_window(school)
    async with browser(app, await student_token(school, 0)) as student:
        page = await student.get("/attend/check-in")
        values = {"csrf_token": csrf(page), "code": window["code"]}
        await student.post("/attend/check-in", data=values)
        await teacher_sends(school, window["id"], "withdraw", student=school.student(0))
        assert (await student.get("/attend/check-in/done")).url.path == "/attend/check-in"
        again = await student.post("/attend/check-in", data=values)
        assert "Your lecturer took your check-in back." in again.text
