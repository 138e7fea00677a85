"""Whatever a program sends to Live: a clear problem that names the field, and nothing changed."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sound_wire import Room, open_room

from classweave.core.identifiers import encode, uuid7
from school_fixtures import School

pytestmark = pytest.mark.anyio


def fields(answer: httpx.Response) -> set[str]:
    """The fields that a refusal names."""
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    errors = answer.json()["errors"]
    assert all(len(error["message"]) > 5 for error in errors)
    return {error["field"] for error in errors}


WRONG_PLANS: list[tuple[dict[str, Any], set[str]]] = [
    ({"title": ""}, {"title"}),
    ({"title": " \n "}, {"title"}),
    ({"title": "x" * 201}, {"title"}),
    ({"title": None}, {"title"}),
    ({"goal": "x" * 2001}, {"goal"}),
    ({"description": "x" * 5001}, {"description"}),
    ({"subject": "alchemy"}, {"subject"}),
    ({"concepts": ["x"] * 41}, {"concepts"}),
    ({"concepts": ["x" * 81]}, {"concepts"}),
    ({"concepts": "density"}, {"concepts"}),
    ({"language": "english"}, {"language"}),
    ({"planned_duration_minutes": 0}, {"planned_duration_minutes"}),
    ({"planned_duration_minutes": 481}, {"planned_duration_minutes"}),
    ({"planned_duration_minutes": 10**12}, {"planned_duration_minutes"}),
    ({"target_group_size": 0}, {"target_group_size"}),
    ({"target_group_size": 13}, {"target_group_size"}),
    ({"max_students": 0}, {"max_students"}),
    ({"max_students": 501}, {"max_students"}),
    ({"scheduled_start": "tomorrow"}, {"scheduled_start"}),
    ({"scheduled_start": "2030-01-01T10:00:00"}, {"scheduled_start"}),
    ({"recording_enabled": "perhaps"}, {"recording_enabled"}),
    ({"class_id": "class_nonsense"}, {"class_id"}),
    ({"class_id": str(uuid7())}, {"class_id"}),
    ({"teacher_id": "user_1"}, {"teacher_id"}),
    ({"title": "", "subject": "x", "max_students": 0}, {"title", "subject", "max_students"}),
]


async def test_a_plan_that_cannot_be_names_every_field(school: School) -> None:
    async with await school.sign_in() as teacher:
        for wrong, named in WRONG_PLANS:
            answer = await teacher.post("/api/live/sessions", json={"title": "A lesson"} | wrong)
            assert fields(answer) == named, wrong
        assert (await teacher.get("/api/live/sessions")).json() == []


async def test_what_a_plan_may_hold_is_kept_as_it_was_written(school: School) -> None:
    plan = {
        "title": "¿Por qué flotan? 🎈 لماذا",
        "goal": "Θ" * 2000,
        "concepts": ["密度", "E\u0301"],
        "planned_duration_minutes": 480,
        "target_group_size": 12,
        "max_students": 500,
        "scheduled_start": "2030-01-01T10:00:00+14:00",
    }
    async with await school.sign_in() as teacher:
        made = await teacher.post("/api/live/sessions", json=plan)
        assert made.status_code == 201, made.text
        found = (await teacher.get(f"/api/live/sessions/{made.json()['id']}")).json()
    for name in ("title", "goal", "concepts", "planned_duration_minutes"):
        assert found[name] == plan[name]
    assert found["scheduled_start"].startswith("2029-12-31T20:00:00")


async def test_an_identifier_that_is_none_finds_nothing(school: School) -> None:
    group = encode("group", uuid7())
    async with await school.sign_in() as teacher:
        for path in ("session_nonsense", "session_", str(uuid7()), group, "%00"):
            answer = await teacher.get(f"/api/live/sessions/{path}")
            assert answer.status_code in (404, 422), path
            assert answer.headers["content-type"] == "application/problem+json"


async def test_an_unknown_session_is_not_found_by_any_way(school: School) -> None:
    url = f"/api/live/sessions/{encode('session', uuid7())}"
    someone = encode("participant", uuid7())
    async with await school.sign_in() as teacher:
        for method, path, body in (
            ("GET", "", None), ("PUT", "", {"title": "x"}), ("PUT", "/groups", []),
            ("POST", "/auto-group", None), ("POST", "/open", None), ("POST", "/start", None),
            ("POST", "/pause", None), ("POST", "/resume", None), ("POST", "/end", {}),
            ("POST", "/archive", None), ("POST", "/messages", {"content": "x"}),
            ("PUT", "/notes", {"notes": "x"}), ("GET", "/events", None),
            ("POST", f"/participants/{someone}/move", {"group": encode("group", uuid7())}),
            ("POST", f"/participants/{someone}/remove", None),
            ("POST", f"/participants/{someone}/answer", None),
        ):  # fmt: skip
            answer = await teacher.request(method, url + path, json=body)
            assert answer.status_code == 404, (method, path, answer.text)


async def test_a_list_has_a_length_that_can_be(school: School) -> None:
    async with await school.sign_in() as teacher:
        for limit in ("-1", "0", "201", "many", str(10**30)):
            assert fields(await teacher.get(f"/api/live/sessions?limit={limit}")) == {"limit"}


@pytest.fixture
async def room(school: School) -> Room:
    return await open_room(school, allow_display_names=True)


async def test_a_message_has_a_length_that_can_be(room: Room) -> None:
    async with await room.school.sign_in() as teacher:
        for content in ("", "   \n", "x" * 2001):
            answer = await teacher.post(f"{room.url}/messages", json={"content": content})
            assert fields(answer) == {"content"}
        fine = await teacher.post(f"{room.url}/messages", json={"content": "🎈" * 2000})
        assert fine.status_code == 201


async def test_a_message_goes_to_a_group_of_its_session(room: Room, other_school: School) -> None:
    elsewhere = await open_room(other_school)
    async with await room.school.sign_in() as teacher:
        for group in (elsewhere.groups[0], uuid7(), room.id):
            answer = await teacher.post(
                f"{room.url}/messages", json={"content": "x", "group": encode("group", group)}
            )
            assert answer.status_code == 404


async def test_a_way_to_join_that_is_none_is_refused(room: Room) -> None:
    bodies: list[Any] = [
        {},
        {"code": None},
        {"code": 42},
        {"code": "ABCDEF", "student": "student_nonsense"},
        {"code": "ABCDEF", "group": "session_nonsense"},
        {"code": "ABCDEF", "device": "x" * 21},
        {"code": "ABCDEF", "role": "teacher"},
        [],
        "code",
    ]
    async with room.school.program() as device:
        for body in bodies:
            answer = await device.post("/api/live/join", json=body)
            assert answer.status_code == 422, body
            assert answer.json()["errors"]


async def test_what_is_not_json_is_refused(room: Room) -> None:
    async with await room.school.sign_in() as teacher:
        for content in (b"", b"{", b"\xff\xfe", b"null"):
            for path in ("/api/live/sessions", "/api/live/join"):
                answer = await teacher.post(
                    path, content=content, headers={"content-type": "application/json"}
                )
                assert answer.status_code in (400, 422), (path, content)
                assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("character", ["\\u0000", "\\ud800"])
async def test_what_no_text_can_have_is_named_and_not_kept(room: Room, character: str) -> None:
    """JSON can write a NUL and half of a pair; PostgreSQL keeps neither."""
    async with await room.school.sign_in() as teacher:
        for method, path, name in (
            ("POST", "/api/live/sessions", "title"),
            ("POST", f"{room.url}/messages", "content"),
            ("PUT", f"{room.url}/notes", "notes"),
            ("POST", f"{room.url}/end", "reason"),
            ("POST", "/api/live/join", "code"),
        ):
            answer = await teacher.request(
                method, path, content=f'{{"{name}": "A{character}b"}}',
                headers={"content-type": "application/json"},
            )  # fmt: skip
            assert fields(answer) == {name}
        concepts = await teacher.post(
            "/api/live/sessions", content=f'{{"title": "x", "concepts": ["{character}"]}}',
            headers={"content-type": "application/json"},
        )  # fmt: skip
        assert fields(concepts) == {"concepts"}


async def test_notes_that_are_too_long_say_so_and_leave_what_stood(room: Room) -> None:
    async with await room.school.sign_in() as teacher:
        for written, status in (("n" * 20_000, 204), ("m" * 20_001, 422)):
            answer = await teacher.put(f"{room.url}/notes", json={"notes": written})
            assert answer.status_code == status
        assert (await teacher.get(room.url)).json()["teacher_notes"] == "n" * 20_000
        ended = await teacher.post(f"{room.url}/end", json={"reason": "r" * 5_000})
        assert ended.status_code == 200


async def test_yes_or_no_is_asked(room: Room) -> None:
    bodies = ({}, {"value": None}, {"value": "perhaps"}, {"value": True, "more": 1})
    async with room.school.program() as device:
        joined = await device.post("/api/live/join", json={"code": room.code, "display_name": "A"})
        device.headers["authorization"] = f"Bearer {joined.json()['token']}"
        for path in ("ready", "hand", "mute"):
            for body in bodies:
                answer = await device.post(f"/api/live/device/{path}", json=body)
                assert fields(answer) <= {"value", "more"}
