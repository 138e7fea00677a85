from __future__ import annotations

import email
import re
from datetime import timedelta
from pathlib import Path

import httpx
import psycopg
import pytest
from directory_browser import Browser
from fastapi import FastAPI

from classweave.core import clock
from classweave.core.database import Database
from classweave.core.identifiers import uuid7
from classweave.core.runtime import Runtime
from classweave.core.secrets import token_hash
from classweave.core.tenancy import ANONYMOUS, Role, system_actor
from classweave.directory.jobs import send_password_link
from classweave.directory.models import User
from classweave.directory.passwords import hash_password, verify_password, weakness
from classweave.directory.sign_in import (
    IDLE,
    LINK_VALID,
    LONGEST,
    create_sign_in_link,
    identify_token,
)
from classweave.directory.throttle import ACCOUNT
from school_fixtures import School

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery"


@pytest.fixture
async def teacher_email(database: Database, school: School) -> str:
    """The school's teacher, who has a password now."""
    async with database.transaction(system_actor(school.organization_id)) as session:
        user = await session.get_one(User, school.teacher_id)
        user.password_hash = await hash_password(PASSWORD)
        assert user.email is not None
        return user.email


async def sign_in(client: httpx.AsyncClient, address: str, password: str) -> httpx.Response:
    return await client.post(
        "/api/directory/sessions", json={"email": address, "password": password}
    )


async def actor_of(database: Database, token: str) -> object:
    async with database.transaction() as session:
        return await identify_token(session, token, "bearer")


async def test_password_opens_a_session_and_signing_out_closes_it(
    client: httpx.AsyncClient, teacher_email: str
) -> None:
    answer = await sign_in(client, teacher_email.upper(), PASSWORD)
    assert answer.status_code == 201
    assert answer.json()["user"]["email"] == teacher_email
    headers = {"authorization": f"Bearer {answer.json()['token']}"}
    assert (await client.get("/api/directory/me", headers=headers)).status_code == 200
    gone = await client.delete("/api/directory/sessions/current", headers=headers)
    assert gone.status_code == 204
    assert (await client.get("/api/directory/me", headers=headers)).status_code == 401


async def test_only_a_digest_of_the_token_is_stored(
    client: httpx.AsyncClient, teacher_email: str, owner: psycopg.Connection
) -> None:
    token = (await sign_in(client, teacher_email, PASSWORD)).json()["token"]
    row = owner.execute(
        "SELECT s::text FROM directory.sign_in_sessions s WHERE token_hash = %s",
        [token_hash(token)],
    ).fetchone()
    assert row is not None
    assert token not in row[0]


async def test_the_cookie_needs_the_csrf_token_for_changes(
    client: httpx.AsyncClient, teacher_email: str
) -> None:
    opened = (await sign_in(client, teacher_email, PASSWORD)).json()
    client.cookies.set("cw_session", opened["token"])
    body = {"name": "A. Teacher"}
    assert (await client.patch("/api/directory/me", json=body)).status_code == 403
    headers = {"x-csrf-token": opened["csrf_token"]}
    changed = await client.patch("/api/directory/me", json=body, headers=headers)
    assert changed.json()["name"] == "A. Teacher"
    headers["origin"] = "http://elsewhere.example"
    assert (await client.patch("/api/directory/me", json=body, headers=headers)).status_code == 403


async def test_each_sign_in_is_a_new_session_and_ends_the_browsers_old_one(
    app: FastAPI, database: Database, teacher_email: str
) -> None:
    browser = Browser(app)
    tokens: list[str] = []
    for _ in range(2):
        # Signed in already, the form is posted again: from another tab, for example.
        await browser.submit("/sign-in", email=teacher_email, password=PASSWORD)
        tokens.append(browser.http.cookies["cw_session"])
        await browser.open("/account")
    assert tokens[0] != tokens[1]
    assert await actor_of(database, tokens[0]) is None
    assert await actor_of(database, tokens[1]) is not None


async def test_the_cookie_is_kept_from_scripts_and_other_sites(
    app: FastAPI, teacher_email: str
) -> None:
    answer = await Browser(app).submit("/sign-in", email=teacher_email, password=PASSWORD)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie


async def test_a_session_ends_when_idle_and_lives_while_used(
    client: httpx.AsyncClient, database: Database, teacher_email: str
) -> None:
    token = (await sign_in(client, teacher_email, PASSWORD)).json()["token"]
    with clock.shifted(IDLE - timedelta(minutes=1)):
        assert await actor_of(database, token) is not None
    with clock.shifted(IDLE + timedelta(minutes=1)):
        assert await actor_of(database, token) is not None
    with clock.shifted(2 * IDLE + timedelta(minutes=2)):
        assert await actor_of(database, token) is None


async def test_no_session_outlives_the_longest_time(
    client: httpx.AsyncClient, database: Database, teacher_email: str
) -> None:
    token = (await sign_in(client, teacher_email, PASSWORD)).json()["token"]
    hours = timedelta(0)
    while hours < LONGEST - timedelta(hours=6):
        hours += timedelta(hours=6)
        with clock.shifted(hours):
            assert await actor_of(database, token) is not None
    with clock.shifted(LONGEST + timedelta(minutes=1)):
        assert await actor_of(database, token) is None


async def test_deactivating_a_person_ends_their_sessions(
    school: School, database: Database
) -> None:
    token = await school.token(school.teacher_id)
    program = await school.sign_in(Role.SCHOOL_ADMIN)
    people = f"/api/directory/organizations/{(await own_organization(program))}/people"
    found = {p["name"]: p["id"] for p in (await program.get(people)).json()}
    answer = await program.patch(
        f"/api/directory/people/{found['Teacher']}", json={"active": False}
    )
    assert answer.json()["status"] == "inactive"
    assert await actor_of(database, token) is None
    await program.aclose()


async def own_organization(program: httpx.AsyncClient) -> str:
    return (await program.get("/api/directory/me")).json()["organization_id"]


async def test_own_sessions_are_listed_and_only_own_ones_can_be_ended(
    school: School, other_school: School
) -> None:
    first = await school.sign_in()
    second = await school.sign_in()
    stranger = await other_school.sign_in()
    listed = (await first.get("/api/directory/sessions")).json()
    assert len(listed) == 2
    for entry in listed:
        path = f"/api/directory/sessions/{entry['id']}"
        assert (await stranger.delete(path)).status_code == 404
    # The most recent is first: the second program's.
    path = f"/api/directory/sessions/{listed[0]['id']}"
    assert (await first.delete(path)).status_code == 204
    assert (await second.get("/api/directory/me")).status_code == 401
    assert (await first.get("/api/directory/me")).status_code == 200
    for program in (first, second, stranger):
        await program.aclose()


async def test_wrong_password_and_unknown_address_look_the_same(
    client: httpx.AsyncClient, teacher_email: str
) -> None:
    wrong = await sign_in(client, teacher_email, "not the password")
    unknown = await sign_in(client, f"{uuid7()}@test.invalid", "not the password")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


async def test_an_unknown_address_costs_a_hash_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from classweave.directory import passwords

    verified: list[str] = []

    class Counting:
        def verify(self, stored: str, password: str) -> bool:
            verified.append(stored)
            return True

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    # Even if the password were that of the stand-in, nobody is signed in.
    assert not await verify_password(None, "nobody has this password")
    assert len(verified) == 1


async def test_guessing_is_stopped_and_the_right_password_waits_too(
    client: httpx.AsyncClient, teacher_email: str
) -> None:
    for _ in range(ACCOUNT.attempts):
        assert (await sign_in(client, teacher_email, "guess guess")).status_code == 401
    stopped = await sign_in(client, teacher_email, PASSWORD)
    assert stopped.status_code == 429
    assert 0 < int(stopped.headers["retry-after"]) <= ACCOUNT.window.total_seconds()
    with clock.shifted(ACCOUNT.window + timedelta(seconds=5)):
        assert (await sign_in(client, teacher_email, PASSWORD)).status_code == 201


async def test_an_address_that_guesses_at_many_accounts_is_stopped(
    app: FastAPI, teacher_email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from classweave.directory import sign_in as use_case
    from classweave.directory.throttle import Limit

    monkeypatch.setattr(use_case, "ADDRESS", Limit(2))
    transport = httpx.ASGITransport(app, client=(str(uuid7()), 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as guesser:
        statuses = [
            (await sign_in(guesser, f"{uuid7()}@test.invalid", "guess guess")).status_code
            for _ in range(4)
        ]
        assert statuses == [401, 401, 429, 429]
        assert (await sign_in(guesser, teacher_email, PASSWORD)).status_code == 429


async def test_success_forgets_earlier_failures(
    client: httpx.AsyncClient, teacher_email: str
) -> None:
    for _ in range(2):
        for _ in range(ACCOUNT.attempts - 1):
            assert (await sign_in(client, teacher_email, "guess guess")).status_code == 401
        assert (await sign_in(client, teacher_email, PASSWORD)).status_code == 201


async def test_a_mailed_link_sets_a_password_once_and_ends_sessions(
    app: FastAPI, runtime: Runtime, school: School, teacher_email: str
) -> None:
    before = await school.token(school.teacher_id)
    sent = await send_password_link(
        runtime.database,
        runtime.settings,
        school.teacher_id,
        school.organization_id,
        invited=False,
    )
    assert sent
    path = newest_link(runtime.settings.data_dir, teacher_email)
    browser = Browser(app)
    await browser.open(path)
    await browser.submit(path, 422, password="short")
    await browser.submit(path, password="another good phrase")
    await browser.submit(path, 404, password="a third good phrase")
    assert await actor_of(runtime.database, before) is None
    await browser.submit("/sign-in", 401, email=teacher_email, password=PASSWORD)
    await browser.submit("/sign-in", email=teacher_email, password="another good phrase")


async def test_a_newer_link_voids_the_older_and_both_expire(
    app: FastAPI, runtime: Runtime, school: School, teacher_email: str
) -> None:
    paths: list[str] = []
    for _ in range(2):
        await send_password_link(
            runtime.database,
            runtime.settings,
            school.teacher_id,
            school.organization_id,
            invited=False,
        )
        paths.append(newest_link(runtime.settings.data_dir, teacher_email))
    browser = Browser(app)
    await browser.submit(paths[0], 404, password="another good phrase")
    with clock.shifted(timedelta(minutes=61)):
        await browser.submit(paths[1], 404, password="another good phrase")


def newest_link(folder: Path, address: str) -> str:
    for path in sorted((folder / "outbox").glob("*.eml"), reverse=True):
        message = email.message_from_bytes(path.read_bytes())
        if message["To"] == address:
            body = message.get_payload(decode=True)
            assert isinstance(body, bytes)
            found = re.search(rb"(/sign-in/password/\S+)", body)
            assert found is not None
            return found[1].decode()
    raise AssertionError("no mail")


async def test_asking_for_a_reset_tells_nothing_about_accounts(
    app: FastAPI, teacher_email: str, owner: psycopg.Connection
) -> None:
    browser = Browser(app)
    known = await browser.submit("/sign-in/forgot", 200, email=teacher_email)
    unknown_address = f"{uuid7()}@test.invalid"
    unknown = await browser.submit("/sign-in/forgot", 200, email=unknown_address)
    assert known.text.replace(teacher_email, "") == unknown.text.replace(unknown_address, "")
    jobs = owner.execute(
        "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'directory.mail_password_reset'"
    ).fetchone()
    assert jobs is not None
    assert jobs[0] >= 2
    for _ in range(4):
        await browser.submit("/sign-in/forgot", 200, email=teacher_email)
    await browser.submit("/sign-in/forgot", 429, email=teacher_email)


async def test_a_one_time_link_signs_in_once(
    app: FastAPI, database: Database, school: School
) -> None:
    from classweave.web.services import Services

    services = app.state.services
    assert isinstance(services, Services)
    async with database.transaction(school.teacher) as session:
        user = await session.get_one(User, school.teacher_id)
        link = create_sign_in_link(services.signing_key, "", user)
    with clock.shifted(LINK_VALID + timedelta(seconds=1)):
        await Browser(app).open(link, 401)
    await Browser(app).open(link[:-1] + ("0" if link[-1] != "0" else "1"), 401)
    await Browser(app).open("/sign-in/link/nonsense", 401)
    browser = Browser(app)
    await browser.open(link)
    assert "Teacher" in await browser.open("/account")
    await Browser(app).open(link, 401)
    # In a browser that is signed in already, a spent link still leads to where it was going.
    for target, expected in (("/live", "/live"), ("//elsewhere.example", "/")):
        answer = await browser.http.get(f"{link}?next={target}")
        assert answer.headers["location"] == expected


async def test_next_leads_only_to_our_own_pages(app: FastAPI, teacher_email: str) -> None:
    for target, expected in (
        ("/classes", "/classes"),
        ("//elsewhere.example", "/"),
        ("/\\elsewhere.example", "/"),
        ("https://elsewhere.example", "/"),
    ):
        answer = await Browser(app).submit(
            "/sign-in", email=teacher_email, password=PASSWORD, next=target
        )
        assert answer.headers["location"] == expected


async def test_what_was_typed_is_kept_and_the_password_is_not(
    app: FastAPI, teacher_email: str
) -> None:
    answer = await Browser(app).submit(
        "/sign-in", 401, email=teacher_email, password="a wrong phrase"
    )
    assert teacher_email in answer.text
    assert "a wrong phrase" not in answer.text


async def test_a_nobody_is_identified_as_nobody(database: Database) -> None:
    assert await actor_of(database, "no such token") is None
    async with database.transaction(ANONYMOUS) as session:
        assert await session.get(User, uuid7()) is None


def test_weak_passwords_are_refused() -> None:
    assert weakness("too short", None)
    assert weakness("aaaaaaaaaaaa", None)
    assert weakness("Teacher@school.example", "teacher@school.example")
    assert weakness("x" * 201, None)
    assert weakness(PASSWORD, "teacher@school.example") is None
