"""Every page of the application, as each kind of person sees it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from uuid import UUID

import httpx
import pytest
from check_ins import open_window, phone, student_token
from chromium import QUIET, needed
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from inspection import PHONE, Inspector, faults, sticks_out
from lesson_fixtures import PLAN, Lesson, end_lesson, hear, start_lesson
from playwright.async_api import Browser, async_playwright
from sqlalchemy import select

from classweave.attend.models import AttendanceSession, Term
from classweave.compliance.models import PolicyType
from classweave.core.identifiers import encode
from classweave.core.runtime import Runtime
from classweave.core.tenancy import Role
from classweave.directory.models import User
from classweave.live.measure_groups import measure_and_guide
from classweave.live.models import ClassroomSession
from classweave.live.prepare_session import (
    PlannedGroup,
    create_session,
    open_session,
    set_groups,
)
from classweave.live.summarise_session import summarise_session
from school_fixtures import School, make_school

pytestmark = [pytest.mark.anyio, pytest.mark.browser, pytest.mark.xdist_group("pages")]

# In this order: what one of them was shown is not looked at again as another.
PEOPLE = ("visitor", "device", "gone", "teacher", "administrator", "newcomer", "student")
# Fragments that htmx asks for, redirects, files, and what machines ask.
NO_PAGES = {
    "/healthz",
    "/readyz",
    "/organization",
    "/live/here/group",
    "/live/here/dock",
    "/live/here/messages",
    "/live/here/again",
    "/live/sessions/{session_id}",
    "/live/sessions/{session_id}/lobby/groups",
    "/live/sessions/{session_id}/board/groups",
    "/live/sessions/{session_id}/console/groups",
    "/live/sessions/{session_id}/summary/progress",
    "/live/sessions/{session_id}/recordings/{recording_id}",
    "/attend/sw.js",
    "/attend/manifest.webmanifest",
    "/attend/check-in/{window}/code",
    "/attend/check-in/{window}/list",
    "/attend/reports/export.{form}",
    "/attend/reports/classes/{class_id}/export.{form}",
    "/attend/risk/export.{form}",
    "/attend/terms/{term_id}/archive/{part}.csv.zst",
}

Pages = Mapping[str, httpx.Response]


@dataclass
class World:
    """A school with something on every page: who may look, and what addresses are made of."""

    school: School
    cookies: dict[str, dict[str, str]]
    named: Mapping[str, Sequence[str]]
    paths: Sequence[str]
    seen: dict[tuple[str, str], Pages] = field(default_factory=dict[tuple[str, str], "Pages"])

    def client(self, address: str, person: str, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=address, cookies=self.cookies[person], headers=headers, timeout=60
        )

    def addresses(self) -> dict[str, str]:
        """Every address with its route; a new kind of parameter has to be named here first."""
        found: dict[str, str] = {}
        for path in self.paths:
            names = re.findall(r"{(\w+)}", path)
            for values in product(*(self.named[name] for name in names)):
                found[path.format(**dict(zip(names, values, strict=True)))] = path
        return found

    async def pages(self, address: str, person: str, language: str = "en") -> Pages:
        """The documents that a person may open, and one of each kind of refusal."""
        if (person, language) not in self.seen:
            self.seen[person, language] = await self._walk(address, person, language)
        return self.seen[person, language]

    async def _walk(self, address: str, person: str, language: str) -> Pages:
        found: dict[str, httpx.Response] = {}
        refused: set[int] = set()
        async with httpx.AsyncClient(
            base_url=address,
            cookies=self.cookies[person],
            headers={"Accept-Language": language},
            timeout=60,
        ) as client:
            for path in self.addresses():
                answer = await client.get(path)
                assert answer.status_code < 500, path
                if not answer.text.lstrip().startswith("<!doctype html>"):
                    continue
                if answer.status_code >= 400:
                    if answer.status_code in refused:
                        continue
                    refused.add(answer.status_code)
                found[path] = answer
        return found


@pytest.fixture(scope="module")
async def world(app: FastAPI, runtime: Runtime, address: str) -> World:
    school = await make_school(runtime.database, app)
    newcomer = await make_school(runtime.database, app)
    draft = await prepared(school, "To be held", opened=False)
    waiting = await prepared(school, "People come in", opened=True)
    live = await start_lesson(school, plan=replace(PLAN, title="Under way"))
    over = await start_lesson(school, plan=replace(PLAN, title="It is over"))
    for lesson in (live, over):
        for group, key in zip(lesson.groups, ("group_a", "group_b"), strict=True):
            await hear(lesson, key, group, until=92)
            await measure_and_guide(school.database, school.organization_id, group)
    await end_lesson(over)
    await summarise_session(school.database, over.organization, over.session_id)
    device, gone = [await joined(address, live, name) for name in ("Zoë 🎈 Ångström", "فاطمة")]
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        left = await client.post(
            "/api/live/device/leave", headers={"Authorization": f"Bearer {gone}"}
        )
        assert left.status_code < 300, left.text
    window = await open_window(school)
    checked_in = await phone(school).check_in(school, 5, window["code"])
    assert checked_in.status_code == 200, checked_in.text
    async with school.database.transaction(school.admin) as session:
        term, roll = (
            await session.execute(
                select(Term.id, AttendanceSession.id).where(
                    AttendanceSession.term == Term.number,
                    AttendanceSession.organization_id == school.organization_id,
                )
            )
        ).one()
    return World(
        school=school,
        cookies={
            "teacher": {"cw_session": await school.token(school.teacher_id)},
            "administrator": {"cw_session": await school.token(school.admin_id)},
            "newcomer": {"cw_session": await newcomer.token(newcomer.teacher_id)},
            "device": {"cw_device": device},
            "gone": {"cw_device": gone},
            "student": {"cw_session": await student_token(school, 5)},
            "visitor": {},
        },
        named={
            "token": ["spent"],
            "code": [waiting.access_code or "", "WRONG1"],
            "class_id": [encode("class", school.class_id)],
            "student_id": [school.student(0)],
            "organization_id": [encode("org", school.organization_id)],
            "policy_type": [PolicyType.SOUND.value],
            "request_id": [await asked_for_erasure(school)],
            "session_id": [
                encode("session", key)
                for key in (draft.id, waiting.id, live.session_id, over.session_id)
            ]
            + [roll],
            "group_id": [encode("group", live.groups[0]), encode("group", over.groups[1])],
            "recording_id": [encode("recording", UUID(int=1))],
            "window": [window["id"]],
            "term_id": [encode("term", term)],
            "form": ["csv"],
            "part": ["records"],
        },
        paths=paths_of(app),
    )


def paths_of(app: FastAPI) -> list[str]:
    """Every path outside the JSON interface that can be opened."""
    return [
        route.path
        for route in iter_route_contexts(app.routes)
        if isinstance(route.original_route, APIRoute)
        and "GET" in (route.methods or ())
        and not route.path.startswith(("/api/", "/metrics"))
    ]


async def prepared(school: School, title: str, *, opened: bool) -> ClassroomSession:
    async with school.database.transaction(school.teacher) as session:
        plan = replace(PLAN, title=title)
        lesson = await create_session(session, school.teacher, school.class_id, plan)
        await set_groups(
            session,
            school.teacher,
            lesson.id,
            [PlannedGroup("Corks", school.student_ids[:4]), PlannedGroup("Coins", ())],
        )
        if opened:
            await open_session(session, school.teacher, lesson.id)
        return lesson


async def joined(address: str, lesson: Lesson, name: str) -> str:
    """The key of a guest's device."""
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        body = {"code": await code_of(lesson), "display_name": name}
        answer = await client.post("/api/live/join", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]


async def code_of(lesson: Lesson) -> str:
    async with lesson.school.database.transaction(lesson.school.teacher) as session:
        found = await session.get_one(ClassroomSession, lesson.session_id)
        return found.access_code or ""


async def asked_for_erasure(school: School) -> str:
    async with await school.sign_in(Role.SCHOOL_ADMIN) as admin:
        asked = await admin.post(f"/compliance/students/{school.student(7)}/erasure")
    assert asked.status_code == 303, asked.text
    return asked.headers["location"].rpartition("/")[2]


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=needed(), args=[*QUIET])
        yield chromium
        await chromium.close()


def shown(page: httpx.Response, before: httpx.Response | None) -> bool:
    """Whether a page has no kind of element that the same address did not have before."""

    def kinds(answer: httpx.Response) -> set[tuple[str, str]]:
        return set(re.findall(r'<(\w+)[^>]*?(?:class="([^"]*)"|>)', answer.text))

    return before is not None and kinds(page) <= kinds(before)


async def test_every_kind_of_page_is_reached(world: World, address: str) -> None:
    routes = world.addresses()
    walks = [await world.pages(address, person) for person in PEOPLE]
    assert set(world.paths) - {routes[path] for pages in walks for path in pages} == NO_PAGES


@pytest.mark.parametrize("person", PEOPLE)
async def test_pages_have_no_faults(
    person: str, world: World, address: str, browser: Browser
) -> None:
    """Axe at two widths, light and dark; one heading; a title of its own; nothing sticks out."""
    pages = await world.pages(address, person)
    for other in PEOPLE[: PEOPLE.index(person)]:
        known = await world.pages(address, other)
        pages = {path: page for path, page in pages.items() if not shown(page, known.get(path))}
    assert pages
    context = await browser.new_context(base_url=address)
    await context.add_cookies(
        [{"name": k, "value": v, "url": address} for k, v in world.cookies[person].items()]
    )
    inspector = Inspector()
    inspector.listen(context)
    page = await context.new_page()
    titles: dict[str, str] = {}
    for path, answer in pages.items():
        await page.goto(path)
        if answer.status_code == 200:
            title = await page.title()
            if title in titles:
                inspector.found.append(f"{path} has the title of {titles[title]}: {title}")
            titles[title] = path
        inspector.found += [f"{path}: {fault}" for fault in await faults(page)]
    await context.close()
    assert inspector.found == []
    # That a page was refused is the answer that was asked for; and LokiJS complains when a new
    # database is made while the browser is still closing its first connection, then goes on.
    known = ("Failed to load resource", "Deleting database failed because it's blocked")
    assert [c for c in inspector.complaints if not any(text in c for text in known)] == []


async def speak(school: School, language: str | None) -> None:
    """The teacher chooses a language for themselves."""
    async with school.database.transaction(school.teacher) as session:
        teacher = await session.get_one(User, school.teacher_id)
        teacher.locale = language


@pytest.fixture
async def in_spanish(world: World) -> AsyncIterator[World]:
    """The teacher's account is in Spanish; for devices and visitors the browser decides."""
    await speak(world.school, "es")
    yield world
    await speak(world.school, None)


@pytest.mark.parametrize("person", ["teacher", "device", "visitor"])
async def test_pages_in_spanish_fit_a_phone(
    person: str, in_spanish: World, address: str, browser: Browser
) -> None:
    world = in_spanish
    pages = await world.pages(address, person, "es-MX,es;q=0.9")
    context = await browser.new_context(
        base_url=address, locale="es-MX", viewport={"width": PHONE, "height": 844}
    )
    await context.add_cookies(
        [{"name": k, "value": v, "url": address} for k, v in world.cookies[person].items()]
    )
    page = await context.new_page()
    found: list[str] = []
    for path, answer in pages.items():
        assert '<html lang="es' in answer.text, path
        await page.goto(path)
        found += [f"{path}: {fault}" for fault in await sticks_out(page)]
    await context.close()
    assert found == []
