"""Whatever stands in a field: an answer below 500, and nothing kept that was refused."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from classweave.core.identifiers import encode
from classweave.core.permissions import allowed
from classweave.core.runtime import Runtime
from classweave.core.tenancy import Role
from classweave.directory.models import PersonRole
from classweave.live.join_session import GUESSES
from furnished_school import Furnished, furnish
from route_filling import Filled, filled_routes
from school_fixtures import School

pytestmark = pytest.mark.anyio

PEOPLE = {"accept": "text/html"}
TEXTS = (
    "\0",
    "a\0b",
    "",
    "\u200b\u2066",
    "x" * 20_000,
    "0",
    "-1",
    "9" * 400,
    "NaN",
    "1e999",
    "0000-01-01",
    "0001-01-01",
    "9999-12-31",
    "9999-12-31T23:59:59+00:00",
    "user_7",
    "²",
)
OTHERS: tuple[Any, ...] = (
    None, True, -1, 2**31, 2**63, 2**70, 1e308, float("nan"), float("inf"), [], {}, [[[]]],
    ["\0"], {"\0": "\0"}, "\ud800", {"\ud800": "\udfff"},
)  # fmt: skip

FORM_VALUES: tuple[str | list[str], ...] = (*TEXTS, ["1", "\0"], [""] * 500)


@pytest.fixture
async def furnished(runtime: Runtime, app: FastAPI, owner: psycopg.Connection) -> Furnished:
    return await furnish(runtime.database, app, owner)


def oddities(filled: Filled, turn: int) -> Iterator[dict[str, Any]]:
    """``filled``'s request with odd values: each in a field of its own, and bodies odd as a whole.

    The fields of a route take turns, and the values too, a third of them a route: every value is
    tried on many fields without trying every pair.
    """
    texts, others = FORM_VALUES[turn % 3 :: 3], OTHERS[turn % 3 :: 3]
    for part in ("params", "data"):
        names = list(filled.request.get(part, {}))
        for name, odd in zip(itertools.cycle(names), texts, strict=False):
            yield filled.request | {part: filled.request[part] | {name: odd}}
        for name in names:
            yield filled.request | {part: filled.request[part] | {name: "\0"}}
    if "json" in filled.request:
        body = filled.request["json"]
        names = list(body) if isinstance(body, dict) else []
        for name, odd in zip(itertools.cycle(names), (*others, *texts), strict=False):
            yield {"json": body | {name: odd}}
        for odd in others:
            yield {"json": odd}
        for name in names:
            yield {"json": body | {name: "\ud800\0"}}
        yield {"content": b"[" * 100_000}
        yield {"content": b'{"a":' + b"9" * 5000 + b"}"}
        yield {"content": b"\xff\xfe"}


def written(request: dict[str, Any]) -> dict[str, Any]:
    """The request as a client that checks nothing would send it."""
    headers = {"content-type": "application/json"}
    if "json" in request:
        rest = {key: value for key, value in request.items() if key != "json"}
        return rest | {"content": json.dumps(request["json"]), "headers": headers}
    return request | {"headers": headers} if "content" in request else request


async def test_no_odd_value_breaks_a_route(app: FastAPI, furnished: Furnished) -> None:
    words = {"code": furnished.access_code, "token": "guessed", "key": "guessed"}
    words["session_id"] = furnished.roll_id
    tokens = {role: await furnished.token(role) for role in PersonRole}
    broken: set[str] = set()
    tried = 0
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("198.51.100.8", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        for turn, filled in enumerate(filled_routes(app, furnished.ids, words)):
            permission = filled.permission
            if not (permission or filled.inside) or filled.route.endswith("/events"):
                continue
            role = next(
                (r for r in PersonRole if permission and allowed(Role(r), permission)), None
            )
            token = tokens[role] if role else furnished.device_token
            if filled.inside:
                token = furnished.roll_token
            for request in oddities(filled, turn):
                sent = written(request)
                headers = {"authorization": f"Bearer {token}"} | sent.pop("headers", {})
                if not filled.path.startswith("/api/"):
                    headers |= PEOPLE
                with capture_logs() as logs:
                    async with asyncio.timeout(20):
                        answer = await client.request(
                            filled.method, filled.path, headers=headers, **sent
                        )
                tried += 1
                if answer.status_code >= 500:
                    broken.add(f"{filled.name}: {str(request)[:150]} {str(logs[-1:])[:300]}")
                if answer.status_code == 401 and role:
                    token = tokens[role] = await furnished.token(role)
    assert tried > 1000
    assert sorted(broken) == []


async def test_what_cannot_be_kept_is_a_problem_and_nothing_is_saved(
    app: FastAPI, school: School
) -> None:
    async with await school.sign_in() as teacher:
        path = "/api/directory/me"
        before = (await teacher.get(path)).json()
        for locale, name in (("e\0", "New name"), ("\ud800", "New name")):
            body = json.dumps({"name": name, "locale": locale})
            answer = await teacher.patch(path, content=body)
            assert answer.status_code == 422, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
        assert (await teacher.get(path)).json() == before
        named = await teacher.patch(path, content='{"\\ud800": 1}')
        assert named.status_code == 422, named.text
        sign_in = {"email": "a\0@test.invalid", "password": "x"}
        assert (await teacher.post("/api/directory/sessions", json=sign_in)).status_code == 422
        page = await teacher.post("/sign-in", data=sign_in, headers=PEOPLE)
        assert (page.status_code, page.headers["content-type"]) == (422, "text/html; charset=utf-8")
    async with await school.sign_in(Role.SCHOOL_ADMIN) as admin:
        for before_line, status in ((2**63 - 1, 200), (2**63, 422), ("\0", 422)):
            answer = await admin.get("/compliance/audit", params={"before": before_line})
            assert answer.status_code == status
        answer = await admin.get("/compliance/audit", params={"category": "\0"}, headers=PEOPLE)
        assert (answer.status_code, "cannot be kept" in answer.text) == (422, True)
        for day in ("0001-01-01", "9999-12-31"):
            answer = await admin.get("/compliance/audit", params={"until": day})
            assert answer.status_code == 422


INVISIBLE = ("\u200b", "\u2066\u2069", "\xa0", "\u200d\ufe0f", "\u3164", "\u2800 \u00ad")


async def test_a_name_that_shows_nothing_is_none(school: School) -> None:
    async with await school.sign_in() as teacher:
        members = f"/api/directory/classes/{encode('class', school.class_id)}/students"
        student = f"/api/directory/students/{school.student(0)}"
        for name in INVISIBLE:
            for method, path, body in (
                ("POST", "/api/directory/classes", {"name": name}),
                ("POST", members, {"students": [{"given_name": name}]}),
                ("PATCH", student, {"display_name": name}),
                ("PATCH", student, {"given_name": name}),
                ("PATCH", "/api/directory/me", {"name": name}),
                ("POST", "/api/live/sessions", {"title": name}),
            ):
                answer = await teacher.request(method, path, json=body)
                assert answer.status_code == 422, (name, path, answer.text)
        made = await teacher.post("/api/live/sessions", json={"title": "👩\u200d🏫 درس"})
        assert (made.status_code, made.json()["title"]) == (201, "👩\u200d🏫 درس")


async def test_a_slash_at_the_end_changes_nothing_whatever_the_host(school: School) -> None:
    async with await school.sign_in(Role.SCHOOL_ADMIN) as admin:
        for path in ("/live", "/compliance", "/classes", "/api/directory/me", "/compliance/audit"):
            for written in (path, f"{path}/"):
                answer = await admin.get(written, headers=PEOPLE | {"host": "evil.invalid"})
                assert answer.status_code == 200, written
                assert "evil.invalid" not in answer.text + str(answer.headers)
        answer = await admin.get("/nothing/", headers={"host": "evil.invalid"})
        assert answer.status_code == 404


async def test_signing_in_leads_back_to_the_whole_address(
    client: httpx.AsyncClient, school: School
) -> None:
    wanted = "/compliance/audit?category=student&since=2026-01-02"
    away = await client.get(wanted, headers=PEOPLE)
    assert (away.status_code, away.headers["location"].count("&")) == (303, 0)
    async with await school.sign_in(Role.SCHOOL_ADMIN) as admin:
        assert (await admin.get(away.headers["location"])).headers["location"] == wanted
        for foreign in (
            "//evil.invalid",
            "/\\evil.invalid",
            "https:evil.invalid",
            "/\t/evil.invalid",
        ):
            answer = await admin.get("/sign-in", params={"next": foreign})
            assert answer.headers["location"] == "/", foreign


async def test_too_many_guesses_say_when_to_come_back(app: FastAPI) -> None:
    for accept in ("text/html", "application/json"):
        transport = httpx.ASGITransport(app, client=("198.51.100.9", 1))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver", headers={"accept": accept}
        ) as guesser:
            path = "/join/ZZZZZZ" if accept == "text/html" else "/api/live/codes/ZZZZZZ"
            for _ in range(GUESSES.attempts + 2):
                last = await guesser.get(path)
        assert last.status_code == 429
        assert int(last.headers["retry-after"]) > 0
