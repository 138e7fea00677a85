"""Preparing a session on its pages: lists, the plan, the groups, opening."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from sqlalchemy import select

from classweave.compliance.models import ConsentKind, ConsentState
from classweave.core.identifiers import decode, encode
from classweave.core.tenancy import Role
from classweave.live.models import ClassroomSession, StudentGroup, StudentGroupMember
from classweave.live.models.sessions import CaptureMode
from classweave.live.pages.plan_form import concepts_in
from school_fixtures import School

pytestmark = pytest.mark.anyio

HTML = {"accept": "text/html"}
PLAN = {
    "title": "Why do things float?",
    "goal": "Explain density.",
    "concepts": "density, mass\nbuoyant force\n density ",
    "subject": "science",
    "language": "en",
    "planned_duration_minutes": "40",
    "target_group_size": "4",
    "max_students": "30",
    "transcription_enabled": "1",
    "ai_analysis_enabled": "1",
}


def test_concepts_are_read_from_lines_and_commas() -> None:
    assert concepts_in("a b, c\n\n c ;d") == ["a b", "c", "d"]
    assert concepts_in("") == []


async def draft(school: School, **changes: str) -> str:
    """A session made through the form; returns its address."""
    async with await school.sign_in() as teacher:
        made = await teacher.post(
            "/live/sessions/new",
            data={**PLAN, "class": encode("class", school.class_id), **changes},
        )
        assert made.status_code == 303, made.text
        return made.headers["location"].removesuffix("/groups")


async def stored(school: School, url: str) -> ClassroomSession:
    async with school.database.transaction(school.teacher) as session:
        return await session.get_one(ClassroomSession, decode("session", url.split("/")[-1]))


async def test_an_empty_list_says_what_to_do_first(school: School) -> None:
    async with await school.sign_in() as teacher:
        page = await teacher.get("/live/")
        assert page.status_code == 200
        assert "No sessions yet" in page.text
        assert "/live/sessions/new" in page.text
    async with await school.sign_in(Role.SCHOOL_ADMIN) as admin:
        page = await admin.get("/live/")
        assert page.status_code == 200
        assert "/live/sessions/new" not in page.text


async def test_a_plan_is_kept_as_typed(school: School) -> None:
    url = await draft(school, recording_enabled="1", scheduled_start="2099-03-01T10:15")
    lesson = await stored(school, url)
    assert lesson.concepts == ["density", "mass", "buoyant force"]
    assert (lesson.planned_duration_minutes, lesson.subject) == (40, "science")
    assert lesson.recording_enabled
    assert not lesson.allow_display_names
    assert lesson.status.value == "scheduled"
    assert lesson.access_code is not None
    async with await school.sign_in() as teacher:
        form = (await teacher.get(f"{url}/edit")).text
        assert 'value="2099-03-01T10:15"' in form
        assert "buoyant force" in form
        changed = {**PLAN, "title": "Sink or swim", "scheduled_start": "2099-03-01T11:00"}
        assert (await teacher.post(f"{url}/edit", data=changed)).status_code == 303
        listed = (await teacher.get("/live/")).text
        assert "Sink or swim" in listed
        by_class = await teacher.get(f"/live/classes/{encode('class', school.class_id)}")
        assert "Sink or swim" in by_class.text
    assert (await stored(school, url)).recording_enabled is False


async def test_a_wrong_plan_comes_back_with_every_word(school: School) -> None:
    async with await school.sign_in() as teacher:
        answer = await teacher.post(
            "/live/sessions/new",
            data={**PLAN, "title": "", "goal": "Kept <goal>", "planned_duration_minutes": "soon",
                  "scheduled_start": "2001-01-01T10:00", "allow_display_names": "1"},
        )  # fmt: skip
        assert answer.status_code == 422
        assert "Kept &lt;goal&gt;" in answer.text
        assert 'value="soon"' in answer.text
        assert "Write the minutes as a number." in answer.text
        assert "The start lies in the past." in answer.text
        untitled = await teacher.post("/live/sessions/new", data={**PLAN, "title": " "})
        assert untitled.status_code == 422
        assert 'href="#f-title"' in untitled.text


async def test_groups_by_hand(school: School) -> None:
    await school.consent([ConsentKind.RECORDING], ConsentState.WITHDRAWN, [school.student_ids[1]])
    url = await draft(school)
    keys = [school.student(index) for index in range(8)]
    async with await school.sign_in() as teacher:
        page = (await teacher.get(f"{url}/groups")).text
        assert "No consent to recording" in page
        assert "/compliance/classes/" in page
        form = {
            "name-1": "Corks", "name-2": "", "shared-2": "1", "name-3": "",
            **{f"group-{key}": "1" for key in keys[:3]},
            **{f"group-{key}": "2" for key in keys[3:6]},
            f"leads-{keys[0]}": "1",
        }  # fmt: skip
        more = await teacher.post(f"{url}/groups", data={**form, "then": "add"})
        assert more.status_code == 200
        assert 'name="name-4"' in more.text
        assert 'value="Corks"' in more.text
        two = await teacher.post(f"{url}/groups", data={**form, f"leads-{keys[1]}": "1"})
        assert two.status_code == 422
        assert "A group has one leader" in two.text
        assert (await teacher.post(f"{url}/groups", data=form)).status_code == 303
        opened = await teacher.post(f"{url}/groups", data={**form, "then": "open"})
        assert opened.headers["location"] == f"{url}/lobby"
    async with school.database.transaction(school.teacher) as session:
        lesson = await stored(school, url)
        groups = list(
            await session.scalars(
                select(StudentGroup)
                .where(StudentGroup.session_id == lesson.id)
                .order_by(StudentGroup.group_number)
            )
        )
        assert [g.name for g in groups] == ["Corks", "Group 2"]
        assert groups[0].leader_id == school.student_ids[0]
        assert groups[1].capture_mode is CaptureMode.SHARED_DEVICE
        members = list(
            await session.scalars(
                select(StudentGroupMember.student_id).where(
                    StudentGroupMember.group_id == groups[1].id
                )
            )
        )
        assert set(members) == set(school.student_ids[3:6])
    assert lesson.status.value == "open"


async def test_groups_by_the_button(school: School) -> None:
    url = await draft(school)
    async with await school.sign_in() as teacher:
        wrong = await teacher.post(f"{url}/groups/auto", data={"size": "0"})
        assert wrong.status_code == 422
        assert (await teacher.post(f"{url}/groups/auto", data={"size": "3"})).status_code == 303
        page = (await teacher.get(f"{url}/groups")).text
        assert page.count("may be heard") == 8
        assert 'name="name-3"' in page
        nothing = await draft(school)
        empty = await teacher.post(f"{nothing}/groups", data={"name-1": "", "then": "open"})
        assert empty.status_code == 422
        assert "Make at least one group first." in empty.text


async def test_every_page_of_a_session_is_its_teachers_alone(
    school: School, other_school: School
) -> None:
    url = await draft(school)
    async with await other_school.sign_in() as stranger, school.program() as nobody:
        for path in ("", "/edit", "/groups", "/lobby", "/board", "/console", "/summary"):
            assert (await stranger.get(url + path)).status_code == 404, path
            assert (await nobody.get(url + path)).status_code == 401, path
            door = await nobody.get(url + path, headers=HTML)
            assert door.headers["location"].startswith("/sign-in?"), path
        for path in ("/edit", "/groups", "/groups/auto", "/open", "/start", "/end", "/notes"):
            answer = await stranger.post(url + path, data={**PLAN, "size": "4"})
            assert answer.status_code == 404, path
        foreign = f"/live/classes/{encode('class', school.class_id)}"
        assert (await stranger.get(foreign)).status_code == 404
        planted = await stranger.post(
            "/live/sessions/new",
            content=urlencode({**PLAN, "class": encode("class", school.class_id)}),
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        assert planted.status_code == 404
        assert "Why do things float?" not in (await stranger.get("/live/")).text
    async with await school.sign_in(Role.SCHOOL_ADMIN) as admin:
        assert (await admin.get(f"{url}/edit")).status_code == 403
