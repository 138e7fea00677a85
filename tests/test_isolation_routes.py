"""Every route with another school's identifiers, as everybody: nothing comes, nothing goes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator
from dataclasses import dataclass

import httpx
import psycopg
import pytest
import websockets
from fastapi import FastAPI
from structlog.testing import capture_logs

from classweave.core.database import Database, dsn
from classweave.core.events import emit
from classweave.core.identifiers import decode
from classweave.core.permissions import allowed
from classweave.core.postgres import DatabaseUrls
from classweave.core.runtime import Runtime
from classweave.core.tenancy import Role, system_actor
from classweave.directory.models import PersonRole
from classweave.directory.service import create_user
from classweave.live.export import Format
from classweave.live.topics import session_topic
from furnished_school import Furnished, digest, furnish
from loopback import follow, serve
from route_filling import Filled, filled_routes
from school_fixtures import School

pytestmark = pytest.mark.anyio

# A district's administrator holds what a school's does, and who writes curricula what ops does.
STRANGERS = [
    PersonRole.STUDENT,
    PersonRole.TEACHER,
    PersonRole.SCHOOL_ADMIN,
    PersonRole.PLATFORM_ADMIN,
    PersonRole.OPS,
    Role.PARTICIPANT,
    Role.ANONYMOUS,
]
# After a change here the caller may be signed out.
OWN_ACCOUNT = ("/account", "/sign-out", "/api/directory/sessions", "/api/directory/me")
# What a colleague has in common with the owner of a class: the school itself, and who works there.
SHARED = {"org", "user", "signin"}


@dataclass(frozen=True)
class Two:
    mine: Furnished
    theirs: Furnished
    owner: psycopg.Connection


@pytest.fixture(scope="module")
def superuser(urls: DatabaseUrls) -> Generator[psycopg.Connection]:
    with psycopg.connect(dsn(urls.owner.set(username="postgres")), autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
async def two(runtime: Runtime, app: FastAPI, superuser: psycopg.Connection) -> Two:
    mine = await furnish(runtime.database, app, superuser)
    theirs = await furnish(runtime.database, app, superuser)
    return Two(mine, theirs, superuser)


async def token_of(school: Furnished, role: PersonRole | Role) -> str | None:
    if role is Role.ANONYMOUS:
        return None
    return school.device_token if role is Role.PARTICIPANT else await school.token(PersonRole(role))


async def send(app: FastAPI, filled: Filled, token: str | None) -> httpx.Response:
    headers = {} if filled.path.startswith("/api/") else {"accept": "text/html"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    # An address of its own, so that wrong codes do not slow down other tests.
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("198.51.100.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        async with asyncio.timeout(20):
            return await client.request(
                filled.method, filled.path, headers=headers, **filled.request
            )


def routes_for(app: FastAPI, two: Two) -> list[Filled]:
    """Every route with the other school's identifiers, and the codes that the caller knows."""
    words = {"code": two.mine.access_code, "token": "guessed", "key": "guessed"}
    words["session_id"] = two.theirs.roll_id
    return [
        filled
        for filled in filled_routes(app, two.theirs.ids, words)
        # The one stream without an identifier; it is followed below.
        if filled.route != "/api/live/device/events"
    ]


def reached(filled: Filled, answer: httpx.Response) -> bool:
    """Whether a request with somebody else's identifier in its path got anything but a refusal."""
    if answer.status_code == 303:
        return not answer.headers["location"].startswith("/sign-in?next=")
    return not 400 <= answer.status_code < 500


@pytest.mark.parametrize("role", STRANGERS)
async def test_no_route_gives_or_takes(app: FastAPI, two: Two, role: PersonRole | Role) -> None:
    before = digest(two.owner, two.theirs)
    routes = routes_for(app, two)
    assert len(routes) > 150
    leaks: list[str] = []
    gone: list[str] = []
    broken: list[str] = []
    token = await token_of(two.mine, role)
    for filled in routes:
        with capture_logs():
            answer = await send(app, filled, token)
        if filled.method != "GET" and filled.route.startswith(OWN_ACCOUNT):
            token = await token_of(two.mine, role)
        if two.theirs.mark in answer.text or two.theirs.mark in str(answer.headers):
            leaks.append(f"{filled.name}: {answer.status_code}")
        if filled.kinds and reached(filled, answer):
            gone.append(f"{filled.name}: {answer.status_code}")
        if answer.status_code >= 500:
            broken.append(f"{filled.name}: {answer.status_code}")
    assert (leaks, gone, broken) == ([], [], [])
    assert digest(two.owner, two.theirs) == before


async def test_the_requests_are_good_enough_to_prove_it(app: FastAPI, two: Two) -> None:
    """Whoever holds the permission is refused for the identifier, not for a malformed request."""
    malformed: list[str] = []
    tokens = {role: await two.mine.token(role) for role in PersonRole}
    for filled in routes_for(app, two):
        if not filled.kinds or filled.permission is None:
            continue
        role = next((r for r in PersonRole if allowed(Role(r), filled.permission)), None)
        if role is None:
            continue
        answer = await send(app, filled, tokens[role])
        if answer.status_code not in (401, 403, 404):
            malformed.append(f"{filled.name} as {role}: {answer.status_code} {answer.text[:200]}")
    assert malformed == [], "\n".join(malformed)


async def test_the_owners_are_shown_what_others_are_not(app: FastAPI, two: Two) -> None:
    """The mark is there to be found: the same requests, by those whose school it is."""
    words = {"code": two.theirs.access_code, "token": "guessed", "key": "guessed"}
    words["session_id"] = two.theirs.roll_id
    shown: set[str] = set()
    tokens = [await two.theirs.token(r) for r in (PersonRole.TEACHER, PersonRole.SCHOOL_ADMIN)]
    for filled in filled_routes(app, two.theirs.ids, words):
        if filled.method != "GET" or filled.route.endswith("/events"):
            continue
        for token in tokens:
            with capture_logs():
                answer = await send(app, filled, token)
            if two.theirs.mark in answer.text:
                shown.add(filled.route)
    assert {
        "/api/attend/devices",
        "/api/directory/classes/{class_id}",
        "/api/directory/classes/{class_id}/students",
        "/api/directory/students/{student_id}",
        "/api/directory/organizations/{organization_id}/people",
        "/api/live/codes/{code}",
        "/api/live/sessions",
        "/api/live/sessions/{session_id}",
        "/classes/{class_id}",
        "/students/{student_id}",
        "/organizations/{organization_id}",
        "/live/sessions/{session_id}/console",
    } <= shown
    assert len(shown) > 25


@pytest.mark.parametrize("form", Format)
async def test_no_export_leaves(app: FastAPI, two: Two, form: Format) -> None:
    path = f"/api/live/sessions/{two.theirs.ids['session']}/export.{form.value}"
    filled = Filled("GET", path, path, None, frozenset({"session"}))
    for role in STRANGERS:
        answer = await send(app, filled, await token_of(two.mine, role))
        assert answer.status_code in (401, 403, 404), (role, answer.status_code)
        assert two.theirs.mark not in answer.text


def without_the_frame(victim: Furnished, answer: httpx.Response) -> str:
    """A page less what its frame says to everybody of the school: its name and the reader's own."""
    text = answer.text
    for known in victim.own_names:
        text = text.replace(known, "")
    return text


async def test_a_teachers_device_reaches_no_class_of_another_school(app: FastAPI, two: Two) -> None:
    mine, theirs = two.mine, two.theirs
    before = digest(two.owner, theirs)
    roll = {
        "id": theirs.roll_id, "class_id": str(theirs.school.class_id), "date": "2099-11-25",
        "start_time": "09:00", "marked_at": None,
    }  # fmt: skip
    record = {
        "id": theirs.record_id, "session_id": theirs.roll_id, "status": "excused",
        "student_id": str(theirs.school.student_ids[1]),
    }  # fmt: skip
    own_roll = roll | {"id": "own", "class_id": str(mine.school.class_id), "date": "2099-11-26"}
    foreign = str(theirs.school.class_id)
    pushes = (
        {"attendance_sessions": {"updated": [roll]}, "attendance_records": {"updated": [record]}},
        {"attendance_sessions": {"created": [roll | {"id": "new", "start_time": "12:00"}]},
         "attendance_records": {"created": [record | {"id": "new", "session_id": "new"}]}},
        {"attendance_sessions": {"created": [own_roll]},
         "attendance_records": {"created": [record | {"id": "n2", "session_id": "own"}]}},
        {"attendance_records": {"deleted": [theirs.record_id]}},
        {"attendance_sessions": {"deleted": [theirs.roll_id]}},
        {"classes": {"updated": [{"id": foreign, "name": "Taken over"}]}},
    )  # fmt: skip
    async with mine.school.program(mine.roll_token) as device:
        for changes in pushes:
            pulled = await device.get("/api/attend/sync")
            assert mine.mark in pulled.text
            assert theirs.mark not in pulled.text
            assert foreign not in pulled.text
            query = {"last_pulled_at": pulled.json()["timestamp"]}
            sent = await device.post("/api/attend/sync", params=query, json={"changes": changes})
            assert sent.status_code == 200, sent.text
            later = await device.get("/api/attend/sync", params=query)
            assert theirs.mark not in later.text
            healed = await device.get(f"/api/attend/sync/sessions/{theirs.roll_id}")
            assert (healed.status_code, theirs.mark in healed.text) == (404, False)
    assert digest(two.owner, theirs) == before
    async with theirs.school.program(theirs.roll_token) as device:
        healed = await device.get(f"/api/attend/sync/sessions/{theirs.roll_id}")
        assert (healed.status_code, theirs.mark in healed.text) == (200, True)


# --- Within one school -------------------------------------------------------------------------


async def test_a_colleague_reaches_no_class_or_session_of_another(
    app: FastAPI, two: Two, database: Database
) -> None:
    """The design gives a class and its sessions to its teachers, not to every teacher."""
    victim = two.theirs
    system = system_actor(victim.school.organization_id)
    async with database.transaction(system) as session:
        colleague = await create_user(
            session,
            system,
            role=PersonRole.TEACHER,
            name="Colleague",
            email=f"c-{victim.mark}@test.invalid",
        )
    words = {"code": two.mine.access_code, "token": "guessed", "key": "guessed"}
    words["session_id"] = victim.roll_id
    reached_by_colleague: list[str] = []
    tried = 0
    token = await victim.school.token(colleague.id)
    for filled in filled_routes(app, victim.ids, words):
        if not filled.kinds or filled.kinds & SHARED:
            continue
        tried += 1
        with capture_logs():
            answer = await send(app, filled, token)
        if reached(filled, answer) or victim.mark in without_the_frame(victim, answer):
            reached_by_colleague.append(f"{filled.name}: {answer.status_code}")
    assert tried > 70
    assert reached_by_colleague == []


async def test_a_student_reaches_nothing_of_the_own_school(app: FastAPI, two: Two) -> None:
    victim = two.theirs
    words = {"code": two.mine.access_code, "token": "guessed", "key": "guessed"}
    words["session_id"] = victim.roll_id
    found: list[str] = []
    token = await victim.token(PersonRole.STUDENT)
    for filled in filled_routes(app, victim.ids, words):
        if filled.kinds:
            answer = await send(app, filled, token)
            if reached(filled, answer) or victim.mark in without_the_frame(victim, answer):
                found.append(f"{filled.name}: {answer.status_code}")
    assert found == []


# --- Streams and sockets -----------------------------------------------------------------------


async def publish(database: Database, school: School, session: str, audience: list[str]) -> None:
    topic = session_topic(decode("session", session))
    async with database.transaction(system_actor(school.organization_id)) as transaction:
        emit(transaction, topic, "probe", {"of": str(school.organization_id)}, audience=audience)


async def test_no_event_of_another_school_is_streamed(
    app: FastAPI, two: Two, database: Database
) -> None:
    mine, theirs = two.mine, two.theirs
    audience = ["everyone", "staff"]
    async with serve(app) as address, httpx.AsyncClient(base_url=f"http://{address}") as client:
        url = "/api/live/sessions/{}/events"
        for role in STRANGERS:
            token = await token_of(mine, role)
            headers = {"authorization": f"Bearer {token}"} if token else {}
            refused = await client.get(url.format(theirs.ids["session"]), headers=headers)
            assert refused.status_code in (401, 403, 404), role
            assert theirs.mark not in refused.text
        for path, token in (
            (url.format(mine.ids["session"]), await mine.token(PersonRole.TEACHER)),
            ("/api/live/device/events", mine.device_token),
        ):
            headers = {"authorization": f"Bearer {token}", "last-event-id": "0"}
            async with asyncio.timeout(20), client.stream("GET", path, headers=headers) as stream:
                events = await follow(stream)
                await publish(database, theirs.school, theirs.ids["session"], audience)
                await publish(database, mine.school, mine.ids["session"], audience)
                async for event in events:
                    assert str(theirs.school.organization_id) not in json.dumps(event.data)
                    if event.type == "probe":
                        assert event.data["of"] == str(mine.school.organization_id)
                        break


async def test_a_device_cannot_touch_another_schools_track(app: FastAPI, two: Two) -> None:
    before = digest(two.owner, two.theirs)
    hello = {
        "type": "hello", "protocol": 1, "track": two.theirs.ids["track"], "codec": "pcm16",
        "sample_rate": 16000, "elapsed_ms": 0,
    }  # fmt: skip
    async with serve(app) as address:
        url = f"ws://{address}/api/live/sound"
        headers = {"authorization": f"Bearer {two.mine.device_token}"}
        async with websockets.connect(url, additional_headers=headers) as socket:
            await socket.send(json.dumps(hello))
            welcome = json.loads(await socket.recv())
            assert welcome["type"] == "welcome"
            assert welcome["track"] != two.theirs.ids["track"]
            row = two.owner.execute(
                "SELECT organization_id FROM live.tracks WHERE id = %s",
                (decode("track", welcome["track"]),),
            ).fetchone()
            assert row == (two.mine.school.organization_id,)
        for token in ("guessed", await two.mine.token(PersonRole.TEACHER), None):
            headers = {"authorization": f"Bearer {token}"} if token else {}
            async with websockets.connect(url, additional_headers=headers) as socket:
                await socket.send(json.dumps(hello))
                refused = json.loads(await socket.recv())
                assert (refused["code"], refused["fatal"]) == ("sign-in-required", True)
                with pytest.raises(websockets.ConnectionClosed):
                    await socket.recv()
    assert digest(two.owner, two.theirs) == before


async def test_a_students_name_opens_no_other_schools_session(app: FastAPI, two: Two) -> None:
    """With the right code of one's own school, a stranger's student and group are not there."""
    before = digest(two.owner, two.theirs)
    for extra in (
        {"student": two.theirs.ids["student"]},
        {"group": two.theirs.ids["group"], "shared": True},
        {"display_name": "Guest", "group": two.theirs.ids["group"]},
    ):
        body = {"code": two.mine.access_code, **extra}
        filled = Filled("POST", "/api/live/join", "join", None, frozenset(), {"json": body})
        answer = await send(app, filled, None)
        assert answer.status_code in (403, 404, 409, 422), (extra, answer.text)
        assert two.theirs.mark not in answer.text
    assert digest(two.owner, two.theirs) == before
