"""The rules around every request: forgery, problems, limits, headers, health."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta

import httpx
import psycopg
import pytest
import structlog
import websockets
from fastapi import APIRouter, FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from structlog.testing import capture_logs

from classweave.app import create_app
from classweave.core import clock
from classweave.core.database import Database
from classweave.core.identifiers import encode
from classweave.core.permissions import Permission
from classweave.core.runtime import Runtime
from classweave.core.telemetry import configure_logging
from classweave.core.tenancy import Actor, Role
from classweave.web.csrf import csrf_token
from classweave.web.requests import Transaction, allow, opened
from loopback import serve
from school_fixtures import School

pytestmark = pytest.mark.anyio

PEOPLE = {"accept": "text/html"}
NAME = "Wilhelmina Secretperson"
CHANGE = "/api/directory/me"
router = APIRouter(prefix="/api/probe")


class Body(BaseModel):
    """What the probe takes."""

    count: int
    names: list[str]


@router.post("/fields", dependencies=[allow(Permission.ANYONE)])
async def fields(body: Body) -> int:
    return body.count


@router.get("/broken", dependencies=[allow(Permission.ANYONE)])
async def broken(session: Transaction) -> None:
    raise ValueError(f"cannot read {NAME}") from KeyError(NAME)


@router.get("/broken-stream", dependencies=[opened()])
async def broken_stream() -> StreamingResponse:
    async def stream() -> AsyncGenerator[bytes]:
        yield b"begun"
        raise ValueError(NAME)

    return StreamingResponse(stream())


@pytest.fixture
async def probe(runtime: Runtime) -> AsyncGenerator[httpx.AsyncClient]:
    app = create_app(runtime)
    app.include_router(router)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


@pytest.fixture
async def browser(school: School, client: httpx.AsyncClient) -> httpx.AsyncClient:
    """The teacher, signed in by cookie."""
    client.cookies.set("cw_session", await school.token(school.teacher_id))
    client.headers["x-test-token"] = await token_of(client)
    return client


async def token_of(client: httpx.AsyncClient) -> str:
    page = (await client.get("/account", headers=PEOPLE)).text
    return page.split('name="csrf-token" content="')[1].split('"')[0]


def problem(answer: httpx.Response, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["type"] == f"urn:classweave:problem:{code}"
    assert body["title"]
    assert body["detail"]
    return body


# --- Forged requests ---------------------------------------------------------------------------


async def test_a_cookie_alone_changes_nothing(browser: httpx.AsyncClient) -> None:
    for headers in (
        {},
        {"x-csrf-token": ""},
        {"x-csrf-token": "0" * 64},
        {"x-csrf-token": browser.headers["x-test-token"][:-1]},
        {"x-csrf-token": "é".encode()},
    ):
        problem(await browser.patch(CHANGE, json={}, headers=headers), 403, "csrf")
    good = {"x-csrf-token": browser.headers["x-test-token"]}
    assert (await browser.patch(CHANGE, json={}, headers=good)).status_code == 200


async def test_the_token_of_another_session_is_worth_nothing(
    browser: httpx.AsyncClient, school: School
) -> None:
    mine = browser.headers["x-test-token"]
    browser.cookies.set("cw_session", await school.token(school.teacher_id))
    problem(await browser.patch(CHANGE, json={}, headers={"x-csrf-token": mine}), 403, "csrf")
    own = {"x-csrf-token": await token_of(browser)}
    assert own["x-csrf-token"] != mine
    assert (await browser.patch(CHANGE, json={}, headers=own)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://testserver.evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://testserver", "sec-fetch-site": "cross-site"},
    ],
)
async def test_other_sites_are_refused_even_with_the_token(
    browser: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    headers = {"x-csrf-token": browser.headers["x-test-token"], **headers}
    problem(await browser.patch(CHANGE, json={}, headers=headers), 403, "cross-site")


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://testserver", "sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}],
)
async def test_the_own_site_may(browser: httpx.AsyncClient, headers: dict[str, str]) -> None:
    headers = {"x-csrf-token": browser.headers["x-test-token"], **headers}
    assert (await browser.patch(CHANGE, json={}, headers=headers)).status_code == 200


async def test_signing_in_from_another_site_is_refused(client: httpx.AsyncClient) -> None:
    """Nobody is signed in yet, so there is no token; the origin must do."""
    answer = await client.post(
        "/api/directory/sessions",
        json={"email": "a@test.invalid", "password": "x"},
        headers={"origin": "https://evil.example"},
    )
    problem(answer, 403, "cross-site")


async def test_a_program_with_a_bearer_token_needs_neither(school: School) -> None:
    async with await school.sign_in() as program:
        answer = await program.patch(CHANGE, json={}, headers={"sec-fetch-site": "cross-site"})
        assert answer.status_code == 200


async def test_a_bad_bearer_token_is_not_made_good_by_a_cookie(browser: httpx.AsyncClient) -> None:
    headers = {"authorization": "Bearer wrong"}
    problem(await browser.patch(CHANGE, json={}, headers=headers), 401, "sign-in-required")


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}],
)
async def test_a_socket_from_another_site_is_closed(app: FastAPI, headers: dict[str, str]) -> None:
    async with serve(app) as address:
        url = f"ws://{address}/api/live/sound"
        async with websockets.connect(url, additional_headers=headers, origin=None) as socket:
            told = json.loads(await socket.recv())
            assert (told["type"], told["code"], told["fatal"]) == ("error", "cross-site", True)
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()


async def test_the_token_is_bound_to_the_session_alone(app: FastAPI, school: School) -> None:
    class Connection:
        def __init__(self) -> None:
            self.app = app

    tokens = {
        csrf_token(Connection(), Actor(role=Role.TEACHER, session=session))  # type: ignore[arg-type]
        for session in school.student_ids
    }
    assert len(tokens) == len(school.student_ids)


# --- Problems ----------------------------------------------------------------------------------


async def test_a_program_is_told_in_json_and_a_person_in_words(client: httpx.AsyncClient) -> None:
    body = problem(await client.get("/api/nowhere", headers=PEOPLE), 404, "not-found")
    assert body["instance"] == "/api/nowhere"
    page = await client.get("/nowhere", headers=PEOPLE)
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "There is no page here" in page.text
    assert "Nothing was lost" in page.text
    spanish = await client.get("/nowhere", headers={**PEOPLE, "accept-language": "es"})
    assert 'lang="es"' in spanish.text
    assert "There is no page here" not in spanish.text


async def test_a_person_who_is_not_signed_in_is_sent_to_the_door_and_back(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/classes?x=1", headers=PEOPLE)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=/classes%3Fx%3D1"
    problem(await client.get("/classes"), 401, "sign-in-required")


async def test_a_wrong_method_is_told(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/api/directory/me")
    problem(answer, 405, "method-not-allowed")
    assert "PATCH" in answer.headers["allow"] or "GET" in answer.headers["allow"]
    page = await client.delete("/sign-in", headers=PEOPLE)
    assert page.status_code == 405
    assert page.headers["content-type"].startswith("text/html")


async def test_every_wrong_field_is_named(probe: httpx.AsyncClient) -> None:
    body = problem(await probe.post("/api/probe/fields", json={"names": [1]}), 422, "invalid")
    assert {error["field"] for error in body["errors"]} == {"count", "names.0"}
    assert all(error["message"] for error in body["errors"])
    broken = await probe.post(
        "/api/probe/fields", content=b"{", headers={"content-type": "application/json"}
    )
    assert broken.status_code in (400, 422)
    assert broken.headers["content-type"] == "application/problem+json"


async def test_an_unforeseen_error_tells_nobody_anything(
    probe: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = (root.handlers, root.level, structlog.get_config())
    stream = io.StringIO()
    try:
        configure_logging("info")
        structlog.configure(**structlog.get_config() | {"cache_logger_on_first_use": False})
        root.handlers[0].setStream(stream)  # type: ignore[attr-defined]
        answer = await probe.get("/api/probe/broken")
        try:
            raise ValueError(NAME)
        except ValueError:
            logging.getLogger("somebody.else").exception("failed")
        structlog.get_logger("probe").info("joined", name=NAME, email=NAME, seat=3)
    finally:
        root.handlers, root.level = before[0], before[1]
        structlog.configure(**before[2])
    body = problem(answer, 500, "internal")
    assert body["detail"] == "Nothing was changed. Please try again."
    assert "content-security-policy" in answer.headers
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["unhandled_error", "failed", "joined"]
    assert NAME not in stream.getvalue()
    assert "in broken" in lines[0]["exception"]
    assert "builtins.KeyError" in lines[0]["exception"]
    assert "ValueError" in lines[1]["exception"]
    assert lines[2]["name"] == "[masked]"
    assert lines[2]["seat"] == 3
    assert NAME not in capsys.readouterr().err


async def test_an_error_after_the_answer_began_breaks_it_off(runtime: Runtime) -> None:
    app = create_app(runtime)
    app.include_router(router)
    async with serve(app) as address:
        with pytest.raises(httpx.RemoteProtocolError), capture_logs():
            async with httpx.AsyncClient(base_url=f"http://{address}") as client:
                await client.get("/api/probe/broken-stream")


async def test_a_page_for_an_unforeseen_error_is_kind(runtime: Runtime) -> None:
    app = create_app(runtime)

    @app.get("/broken", dependencies=[opened()])
    async def page() -> None:
        raise ZeroDivisionError

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    with capture_logs() as logs:
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            answer = await client.get("/broken", headers=PEOPLE)
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert "content-security-policy" in answer.headers
    assert [line["event"] for line in logs] == ["unhandled_error"]


# --- Limits ------------------------------------------------------------------------------------


async def test_a_body_above_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/api/directory/sessions",
        content=b" " * (16 * 1024 * 1024 + 1),
        headers={"content-type": "application/json"},
    )
    body = problem(answer, 413, "too-large")
    assert "16 MB" in body["detail"]


async def test_a_file_above_ten_megabytes_is_told_kindly(
    browser: httpx.AsyncClient, school: School
) -> None:
    url = f"/classes/{encode('class', school.class_id)}/students/preview"
    token = {"csrf_token": browser.headers["x-test-token"]}
    for size, message in (
        (10 * 1024 * 1024 + 1, "The file is larger than 10 MB"),
        (17 * 1024 * 1024, "That file is too large"),
    ):
        answer = await browser.post(
            url, headers=PEOPLE, data=token, files={"roster": ("a.csv", b"x" * size)}
        )
        assert answer.status_code == 413
        assert answer.headers["content-type"].startswith("text/html")
        assert message in answer.text


async def test_a_last_event_id_must_be_a_number(school: School) -> None:
    async with await school.sign_in() as program:
        made = await program.post("/api/live/sessions", json={"title": "Probe"})
        url = f"/api/live/sessions/{made.json()['id']}/events"
        for wrong in ("x", "-1", "1.5"):
            answer = await program.get(url, headers={"last-event-id": wrong})
            problem(answer, 400, "bad-request")


# --- Time --------------------------------------------------------------------------------------


async def test_a_clock_that_jumps_a_day_signs_out_and_back_in(browser: httpx.AsyncClient) -> None:
    """A sign-in ends by the server's clock alone; a clock set right again ends nothing."""
    assert (await browser.get(CHANGE)).status_code == 200
    with clock.shifted(timedelta(days=-1)):
        assert (await browser.get(CHANGE)).status_code == 200
    assert (await browser.get(CHANGE)).status_code == 200
    with clock.shifted(timedelta(days=1)):
        assert (await browser.get(CHANGE)).status_code == 401
    assert (await browser.get(CHANGE)).status_code == 200
    with clock.shifted(timedelta(days=15)):
        assert (await browser.get(CHANGE)).status_code == 401


# --- Around every answer -----------------------------------------------------------------------

SECURITY = ("content-security-policy", "x-content-type-options", "referrer-policy",
            "permissions-policy")  # fmt: skip


@pytest.mark.parametrize(
    "path", ["/sign-in", "/api/nowhere", "/api/directory/me", "/healthz", "/static/icons.svg"]
)
async def test_security_headers_are_on_everything(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert [name for name in SECURITY if name not in answer.headers] == []
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    scripts = answer.headers["content-security-policy"].partition("script-src")[2]
    assert "unsafe" not in scripts


async def test_pages_are_not_kept_by_caches(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/classes", headers=PEOPLE)
    assert page.headers["cache-control"] == "no-store"


async def test_static_files(client: httpx.AsyncClient) -> None:
    drawn = await client.get("/static/icons.svg")
    assert drawn.status_code == 200
    assert drawn.headers["content-type"].startswith("image/svg")
    for outside in (
        "/static/../services.py",
        "/static/%2e%2e/services.py",
        "/static/",
        "/static/x",
    ):
        assert (await client.get(f"/static/{outside}")).status_code in (404, 405)


async def test_health(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).text == "ok\n"
    assert (await client.get("/readyz")).json() == {"database": "ok"}
    told = (await client.get("/metrics")).text
    assert "classweave_request_seconds_bucket" in told
    assert "classweave_event_followers" in told


async def test_metrics_name_routes_and_not_what_is_in_them(
    client: httpx.AsyncClient, school: School
) -> None:
    async with await school.sign_in() as teacher:
        await teacher.get(f"/api/directory/classes/{encode('class', school.class_id)}")
        await teacher.get(f"/students/{school.student(0)}")
    told = (await client.get("/metrics")).text
    assert 'route="/api/directory/classes/{class_id}"' in told
    assert encode("class", school.class_id) not in told
    assert school.student(0) not in told


async def test_metrics_stay_on_this_machine(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as stranger:
        assert (await stranger.get("/metrics")).status_code == 404


async def test_not_ready_without_a_database(runtime: Runtime, owner: psycopg.Connection) -> None:
    away = Database(runtime.urls.app.set(database="nowhere"))
    app = create_app(replace(runtime, database=away))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503
        with capture_logs() as logs:
            answer = await client.get(CHANGE)
        problem(answer, 503, "unavailable")
        assert [line["event"] for line in logs] == ["database_error"]
    await away.close()
