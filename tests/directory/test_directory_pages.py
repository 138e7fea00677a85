"""Pages as a browser without JavaScript meets them."""

from __future__ import annotations

import re

import pytest
from directory_browser import Browser
from fastapi import FastAPI

from classweave.core.database import Database
from classweave.core.identifiers import encode
from classweave.core.tenancy import Role, system_actor
from classweave.directory.models import OrganizationKind, PersonRole
from classweave.directory.roster import MAXIMUM_BYTES
from classweave.directory.service import create_organization, create_user
from classweave.directory.sign_in import start_session
from school_fixtures import School

pytestmark = pytest.mark.anyio


@pytest.fixture
async def teacher(app: FastAPI, school: School) -> Browser:
    browser = Browser(app)
    await browser.enter(await school.token(school.teacher_id))
    return browser


@pytest.fixture
async def admin(app: FastAPI, school: School) -> Browser:
    browser = Browser(app)
    await browser.enter(await school.token(school.admin_id))
    return browser


async def test_a_visitor_finds_both_doors(app: FastAPI) -> None:
    visitor = Browser(app)
    page = await visitor.open("/")
    assert 'action="/join"' in page
    assert 'href="/sign-in"' in page
    for path in ("/sign-in", "/sign-in/forgot", "/sign-in/password/anything"):
        assert "<h1>" in await visitor.open(path)
    # A page behind the door leads to it, and back afterwards.
    assert 'name="next" value="/classes"' in await visitor.open("/classes")


async def test_each_role_begins_where_its_work_is(
    app: FastAPI, school: School, teacher: Browser, admin: Browser
) -> None:
    assert "8B Science" in await teacher.open("/")
    assert "Staff who sign in" in await admin.open("/")
    answer = await admin.http.get("/")
    assert answer.headers["location"] == "/organization"


async def test_a_teacher_makes_a_class_and_pastes_its_students(teacher: Browser) -> None:
    await teacher.open("/classes/new")
    refused = await teacher.submit("/classes/new", 422, name=" ", subject="Biology")
    assert "Biology" in refused.text
    made = await teacher.submit("/classes/new", name="7A <Science>", subject="Biology")
    add = made.headers["location"]
    here = add.removesuffix("/students/add")
    empty = await teacher.open(here)
    assert "7A &lt;Science&gt;" in empty
    assert "No students yet" in empty
    await teacher.open(add)
    nothing = await teacher.submit(f"{here}/students/preview", 422, text=" \n ")
    assert "no names here yet" in nothing.text
    listed = (
        "name;born\nAna Ruiz;2012\nBo Li;2020\nana ruiz;2012\nNo Year;soon\n"
        "محمد علي;\n👩‍🚀 Star;2011"
    )
    preview = (await teacher.submit(f"{here}/students/preview", 200, text=listed)).text
    assert "Line 5:" in preview
    assert "Same as line 2" in preview
    assert preview.count('name="chosen"') == 5
    assert preview.count(" checked") == 4
    rows = re.search(r'name="rows" value="([^"]*)"', preview)
    assert rows is not None
    await teacher.submit(f"{here}/students", 422, rows=rows[1])
    await teacher.submit(f"{here}/students", rows=rows[1], chosen=["0", "1", "3", "4"])
    page = await teacher.open(here)
    for shown in ("Ana R.", "Bo L.", "محمد ع.", "👩‍🚀 S.", "Under 13", "No consent yet"):
        assert shown in page
    assert "/consents" in page
    again = (await teacher.submit(f"{here}/students/preview", 200, text="Ana Ruiz")).text
    assert "Already in the class" in again
    assert " checked" not in again


async def test_a_file_is_read_and_a_huge_one_refused_kindly(
    teacher: Browser, school: School
) -> None:
    path = f"/classes/{encode('class', school.class_id)}/students/preview"
    page = await teacher.upload(path, "\ufeffgivenName,familyName\nZoë,Müller".encode())
    assert "Müller" in page
    page = await teacher.upload(path, b"x" * (MAXIMUM_BYTES + 1), 413)
    assert "larger than 10 MB" in page
    large = b"given,family\n" + b"Ana,Ruiz\n" * (MAXIMUM_BYTES // 9 - 10)
    page = await teacher.upload(path, large)
    assert "at most 500 students" in page


async def test_a_students_record_is_read_corrected_and_moved(
    teacher: Browser, school: School
) -> None:
    origin = encode("class", school.class_id)
    added = await teacher.submit(
        f"/classes/{origin}/students", rows="Ada\tByron\t8\t2010", chosen="0"
    )
    page = await teacher.open(added.headers["location"])
    found = re.search(r'href="(/students/student_\w+)"><bdi>Ada B.', page)
    assert found is not None
    here, student = found[1], found[1].rpartition("/")[2]
    assert "Byron" in await teacher.open(here)
    await teacher.open(f"{here}/edit")
    wrong = await teacher.submit(
        f"{here}/edit", 422, display_name="Ada B.", family_name="Lovelace", birth_year="2020"
    )
    assert "Lovelace" in wrong.text
    assert "kept only with a parent’s consent" in wrong.text
    await teacher.submit(f"{here}/edit", 422, display_name="Ada", birth_year="soon")
    await teacher.submit(
        f"{here}/edit", display_name="Ada B.", family_name="Lovelace", birth_year="2010"
    )
    assert "Lovelace" in await teacher.open(here)
    made = await teacher.submit("/classes/new", name="8C")
    target = made.headers["location"].split("/")[2]
    await teacher.submit(f"{here}/move", from_class=origin, to_class=target)
    assert "Ada B." in await teacher.open(f"/classes/{target}")
    assert "Ada B." not in await teacher.open(f"/classes/{origin}")
    await teacher.submit(f"/classes/{target}/students/{student}/remove")
    await teacher.open(here, 404)


async def test_a_class_is_renamed_archived_and_restored(teacher: Browser, school: School) -> None:
    here = f"/classes/{encode('class', school.class_id)}"
    assert "8B Science" in await teacher.open(f"{here}/edit")
    await teacher.submit(f"{here}/edit", 422, name="")
    await teacher.submit(f"{here}/edit", name="8B Physics")
    assert "8B Physics" in await teacher.open("/classes")
    code = re.search(r"code-inline[^>]*>(\w{6})<", await teacher.open(here))
    assert code is not None
    await teacher.submit(f"{here}/code")
    assert code[1] not in await teacher.open(here)
    await teacher.submit(f"{here}/teachers", 422, email="nobody@test.invalid")
    await teacher.submit(f"{here}/archive")
    assert "8B Physics" not in await teacher.open("/classes")
    assert "8B Physics" in await teacher.open("/classes?archived=1")
    assert "archived" in await teacher.open(here)
    await teacher.submit(f"{here}/archive", restore="1")
    assert "8B Physics" in await teacher.open("/classes")


async def test_an_administrator_looks_after_the_school(
    admin: Browser, teacher: Browser, school: School
) -> None:
    here = f"/organizations/{encode('org', school.organization_id)}"
    assert "Teacher" in await admin.open("/organization")
    await admin.open(f"{here}/edit")
    details = {"name": "New name", "timezone": "Europe/Madrid", "locale": "es"}
    await admin.submit(f"{here}/edit", 422, **details, data_retention_days="many")
    await admin.submit(
        f"{here}/edit", 422, **{**details, "timezone": "Mars"}, data_retention_days="9"
    )
    await admin.submit(f"{here}/edit", **details, data_retention_days="200")
    # Spanish and Madrid from now on, for everybody who chose nothing else.
    assert 'lang="es"' in await teacher.open("/classes")
    await admin.submit(f"{here}/edit", **{**details, "locale": "en"}, data_retention_days="200")
    assert "New name" in await admin.open(here)
    await admin.submit(f"{here}/people", 422, name="", email="new@x.invalid", role="teacher")
    await admin.submit(f"{here}/people", 422, name="New", email="new", role="teacher")
    address = f"{school.admin_id}-new@test.invalid"
    await admin.submit(f"{here}/people", name="New", email=address, role="teacher")
    page = await admin.open(here)
    assert address in page
    assert "Invited" in page
    await admin.submit(f"{here}/settings", key="sentiment_allowed", value="false")
    await admin.submit(f"{here}/settings", 422, key="sentiment_allowed", value="perhaps")
    await admin.submit(f"{here}/settings", 404, key="no_such_setting", value="1")
    person = f"/people/{encode('user', school.teacher_id)}"
    linked = await admin.submit(f"{person}/link", 200)
    link = re.search(r"<code>http://[^/]+(/sign-in/link/[^<]+)</code>", linked.text)
    assert link is not None
    await teacher.submit("/sign-out")
    await teacher.open(link[1])
    assert "8B Science" in await teacher.open("/classes")
    await admin.submit(f"{person}/status")
    await teacher.open("/account")
    assert (await teacher.http.get("/classes")).status_code == 303
    assert "Inactive" in await admin.open(here)
    await teacher.open(here, 200)  # which is the form to sign in


async def test_a_teacher_sees_no_administration(teacher: Browser, school: School) -> None:
    await teacher.open("/organization", 403)
    await teacher.open(f"/organizations/{encode('org', school.organization_id)}", 403)
    await teacher.submit(f"/people/{encode('user', school.admin_id)}/status", 403)


async def test_a_district_sees_its_schools_and_adds_one(
    app: FastAPI, database: Database, school: School
) -> None:
    async with database.transaction(system_actor()) as session:
        root = await create_organization(session, name="District", kind=OrganizationKind.DISTRICT)
        system = system_actor(root.id)
        user = await create_user(
            session,
            system,
            role=PersonRole.DISTRICT_ADMIN,
            name="D",
            email=f"{root.id}@test.invalid",
        )
        token = (await start_session(session, system, user.id, root.id)).token
    browser = Browser(app)
    await browser.enter(token)
    here = f"/organizations/{encode('org', root.id)}"
    assert "Nothing yet" in await browser.open("/organization")
    await browser.submit(f"{here}/organizations", 422, org_name=" ", kind="school")
    await browser.submit(f"{here}/organizations", org_name="First School", kind="school")
    page = await browser.open(here)
    assert "First School" in page
    below = re.search(r'href="(/organizations/org_\w+)">First School', page)
    assert below is not None
    assert "First School" in await browser.open(below[1])
    assert "Invite a teacher" in await browser.open("/classes/new")


async def test_the_own_account_is_changed(app: FastAPI, teacher: Browser, school: School) -> None:
    assert "This one" in await teacher.open("/account")
    await teacher.submit("/account/profile", 422, name="", email="")
    await teacher.submit("/account/profile", 422, name="T", timezone="Mars")
    await teacher.submit("/account/profile", name="Ms T", timezone="Asia/Tokyo", locale="es")
    page = await teacher.open("/account")
    assert "Ms T" in page
    assert 'lang="es"' in page
    await teacher.submit("/account/profile", name="Ms T", locale="en")
    await teacher.submit("/account/password", 422, password="short")
    await teacher.submit("/account/password", password="a good long phrase")
    await teacher.submit("/account/password", 422, current="wrong", password="another long phrase")
    await teacher.submit("/account/profile", 422, name="Ms T", email="new@test.invalid")
    address = f"{school.teacher_id}@test.invalid"
    await teacher.submit(
        "/account/profile", name="Ms T", email=address, current="a good long phrase"
    )
    await teacher.submit("/account/theme", theme="dark")
    assert 'data-theme="dark"' in await teacher.open("/account")
    other = Browser(app)
    await other.submit("/sign-in", email=address, password="a good long phrase")
    await teacher.open("/account")
    await teacher.submit("/account/sessions/end-others")
    assert (await other.http.get("/account")).status_code == 303


async def test_a_form_without_the_token_changes_nothing(teacher: Browser, school: School) -> None:
    teacher.csrf = "forged"
    await teacher.submit(f"/classes/{encode('class', school.class_id)}/archive", 403)
    assert "8B Science" in await teacher.open("/classes")


async def test_another_schools_pages_do_not_exist(teacher: Browser, other_school: School) -> None:
    one_class, student = encode("class", other_school.class_id), other_school.student(0)
    for path in (
        f"/classes/{one_class}",
        f"/classes/{one_class}/edit",
        f"/classes/{one_class}/students/add",
        f"/students/{student}",
        f"/students/{student}/edit",
    ):
        await teacher.open(path, 404)
    await teacher.submit(f"/students/{student}/move", 404, to_class=one_class)


async def test_names_are_escaped_everywhere(app: FastAPI, school: School) -> None:
    program = await school.sign_in(Role.TEACHER)
    here = encode("class", school.class_id)
    body = {"students": [{"given_name": "<script>x</script>"}]}
    made = await program.post(f"/api/directory/classes/{here}/students", json=body)
    assert made.status_code == 201
    browser = Browser(app)
    await browser.enter(await school.token(school.teacher_id))
    for path in (f"/classes/{here}", f"/students/{made.json()[0]['id']}"):
        assert "<script>x" not in await browser.open(path)
    await program.aclose()
