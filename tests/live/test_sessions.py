"""A session from its draft to its end, through the JSON interface."""

from __future__ import annotations

import pytest

from classweave.core.identifiers import encode
from school_fixtures import School

pytestmark = pytest.mark.anyio


async def open_session(school: School) -> dict:
    async with await school.sign_in() as teacher:
        made = await teacher.post(
            "/api/live/sessions",
            json={
                "title": "Why do things float?",
                "class_id": encode("class", school.class_id),
                "target_group_size": 4,
                "concepts": ["density", "buoyancy"],
            },
        )
        assert made.status_code == 201, made.text
        session = made.json()["id"]
        grouped = await teacher.post(f"/api/live/sessions/{session}/auto-group")
        assert [g["max_size"] for g in grouped.json()["groups"]] == [8, 8]
        opened = await teacher.post(f"/api/live/sessions/{session}/open")
        assert opened.status_code == 200, opened.text
        return opened.json()


async def test_a_session_runs_from_draft_to_end(school: School) -> None:
    session = await open_session(school)
    assert session["status"] == "open"
    assert len(session["access_code"]) == 6
    url = f"/api/live/sessions/{session['id']}"
    async with school.program() as device:
        door = (await device.get(f"/api/live/codes/{session['access_code']}")).json()
        assert len(door["seats"]) == 8
        joined = await device.post(
            "/api/live/join",
            json={"code": session["access_code"].lower(), "student": school.student(0)},
        )
        assert joined.status_code == 201, joined.text
        assert joined.json()["may_send_sound"] is True
        device.headers["authorization"] = f"Bearer {joined.json()['token']}"
        me = (await device.get("/api/live/device")).json()
        assert me["session_status"] == "open"
        assert (await device.post("/api/live/device/hand", json={"value": True})).status_code == 204
        async with await school.sign_in() as teacher:
            seen = (await teacher.get(url)).json()
            everyone = [p for g in seen["groups"] for p in g["participants"]]
            assert [p["hand_raised"] for p in everyone] == [True]
            started = await teacher.post(f"{url}/start")
            assert started.json()["status"] == "live"
            assert started.json()["started_without_ready_groups"] is True
            again = await teacher.post(f"{url}/start")
            assert again.status_code == 409
            assert again.headers["content-type"] == "application/problem+json"
            assert (await teacher.post(f"{url}/pause")).json()["status"] == "paused"
            assert (await teacher.post(f"{url}/resume")).json()["status"] == "live"
            ended = await teacher.post(f"{url}/end", json={})
            assert ended.json()["status"] == "ended"
        assert (await device.get(f"/api/live/codes/{session['access_code']}")).status_code == 409


async def test_another_school_sees_nothing(school: School, other_school: School) -> None:
    session = await open_session(school)
    async with await other_school.sign_in() as stranger:
        assert (await stranger.get(f"/api/live/sessions/{session['id']}")).status_code == 404
        assert (await stranger.post(f"/api/live/sessions/{session['id']}/start")).status_code == 404
        assert (await stranger.get("/api/live/sessions")).json() == []
