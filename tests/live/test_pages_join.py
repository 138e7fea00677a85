"""The student's way in: the code, the name, the device's own page."""

from __future__ import annotations

import re

import httpx
import pytest

from classweave.core.identifiers import encode
from classweave.core.tenancy import system_actor
from classweave.live.models.sessions import CaptureMode
from classweave.live.prepare_session import (
    Plan,
    PlannedGroup,
    create_session,
    open_session,
    set_groups,
)
from school_fixtures import School

pytestmark = pytest.mark.anyio


async def opened(school: School, **plan: object) -> tuple[str, str]:
    """An open session of two groups, the second around a shared device: its code and id."""
    async with school.database.transaction(school.teacher) as session:
        lesson = await create_session(
            session,
            school.teacher,
            school.class_id,
            Plan(title="Why do things float?", **plan),  # type: ignore[arg-type]
        )
        await set_groups(
            session,
            school.teacher,
            lesson.id,
            [
                PlannedGroup("Corks", school.student_ids[:4], leader=school.student_ids[0]),
                PlannedGroup(
                    "Stones", school.student_ids[4:6], capture_mode=CaptureMode.SHARED_DEVICE
                ),
            ],
        )
        await open_session(session, school.teacher, lesson.id)
        assert lesson.access_code is not None
        return lesson.access_code, encode("session", lesson.id)


def token_in(page: httpx.Response) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


async def join(browser: httpx.AsyncClient, code: str, **fields: str) -> httpx.Response:
    return await browser.post(f"/join/{code}", data=fields, follow_redirects=False)


async def test_a_forgiving_code_leads_to_the_names(
    school: School, client: httpx.AsyncClient
) -> None:
    code, _ = await opened(school)
    sloppy = f" {code[:3].lower()}-{code[3:]} "
    answer = await client.post("/join", data={"code": sloppy})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/join/{code}")
    names = await client.get(f"/join/{code}")
    assert names.status_code == 200
    assert "فاطمة" not in names.text  # her group shares one device
    assert "Dmitri" in names.text
    assert "Stones" in names.text


async def test_what_is_wrong_with_a_code_is_said(school: School, client: httpx.AsyncClient) -> None:
    wrong = await client.post("/join", data={"code": "ZZZZZZ"})
    assert wrong.status_code == 404
    assert 'value="ZZZZZZ"' in wrong.text
    assert "No session has this code" in wrong.text
    assert (await client.get("/join/ZZZZZZ")).status_code == 404
    assert (await client.post("/join", data={"code": ""})).status_code == 404


async def test_a_student_joins_takes_part_leaves_and_comes_back(
    school: School, client: httpx.AsyncClient
) -> None:
    code, _ = await opened(school)
    joined = await join(client, code, student=school.student(0))
    assert (joined.status_code, joined.headers["location"]) == (303, "/live/here")
    here = await client.get("/live/here")
    assert here.status_code == 200
    assert 'data-island="sound"' in here.text
    assert "Corks" in here.text
    assert "We are ready" in here.text  # Ada leads
    token = token_in(here)
    raised = await client.post("/live/here/hand", data={"raised": "1", "csrf_token": token})
    assert raised.status_code == 303
    assert 'aria-pressed="true"' in (await client.get("/live/here/dock")).text
    forged = await client.post("/live/here/hand", data={"raised": "0"})
    assert forged.status_code == 403
    ready = await client.post(
        "/live/here/ready",
        data={"ready": "1"},
        headers={"x-csrf-token": token, "hx-request": "true"},
    )
    assert ready.status_code == 204
    left = await client.post("/live/here/leave", data={"csrf_token": token})
    assert left.headers["location"] == "/live/here/left"
    assert (await client.get("/live/here")).headers["location"] == "/live/here/left"
    assert "Come back" in (await client.get("/live/here/left")).text
    await client.post("/live/here/back", data={"csrf_token": token})
    assert (await client.get("/live/here")).status_code == 200


async def test_a_taken_place_can_be_taken_again_by_its_owner(school: School) -> None:
    code, _ = await opened(school)
    async with school.program() as first, school.program() as second:
        await join(first, code, student=school.student(1))
        names = await second.get(f"/join/{code}")
        assert "My name is already here" in names.text
        assert (await join(second, code, student=school.student(1))).status_code == 303
        assert (await second.get("/live/here")).status_code == 200
        assert (await first.get("/live/here")).headers["location"] == "/join"


async def test_guests_and_shared_devices(school: School) -> None:
    code, _ = await opened(school)
    async with school.program() as guest, school.program() as table:
        refused = await join(guest, code, display_name="Visitor")
        assert refused.status_code == 409
        assert "Pick your name from the list" in refused.text
        nobody = await join(guest, code)
        assert nobody.status_code == 422
        async with school.database.transaction(system_actor(school.organization_id)) as session:
            stones = next(g for g in (await _door(session, code)).groups if g.name == "Stones")
        shared = await join(table, code, shared="1", group=encode("group", stones.id))
        assert shared.status_code == 303
        assert "listens to the whole group" in (await table.get("/live/here")).text
    named, _ = await opened(school, allow_display_names=True)
    async with school.program() as guest:
        too_long = await join(guest, named, display_name="x" * 60)
        assert too_long.status_code == 422
        assert "x" * 60 in too_long.text
        assert (await join(guest, named, display_name="Visitor")).status_code == 303


async def _door(session, code):  # type: ignore[no-untyped-def]
    from classweave.live.join_session import find_by_code

    return await find_by_code(session, code)


async def test_without_consent_the_device_is_told_kindly(
    school: School, client: httpx.AsyncClient
) -> None:
    from classweave.compliance.models import ConsentKind, ConsentState

    await school.consent([ConsentKind.RECORDING], ConsentState.WITHDRAWN, [school.student_ids[2]])
    code, _ = await opened(school)
    await join(client, code, student=school.student(2))
    assert "Nobody hears your microphone" in (await client.get("/live/here")).text


async def test_a_stranger_is_sent_to_the_code(client: httpx.AsyncClient) -> None:
    assert (await client.get("/live/here")).headers["location"] == "/join"
    assert (await client.get("/live/here/group")).status_code == 401
