"""The door: codes, names, places, and who may do what once inside."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sound_wire import Room, open_room, value

from classweave.core import clock
from classweave.core.identifiers import encode
from classweave.core.tenancy import Role
from classweave.core.text import clean
from classweave.live.join_session import GUESSES
from classweave.live.prepare_session import schedule_session
from classweave.live.run_session import remove_participant
from school_fixtures import School

pytestmark = pytest.mark.anyio


async def join(device: httpx.AsyncClient, code: str, **who: Any) -> httpx.Response:
    return await device.post("/api/live/join", json={"code": code, **who})


async def take_seat(school: School, room: Room, **who: Any) -> httpx.AsyncClient:
    """A device that has joined, with its key."""
    device = school.program()
    joined = await join(device, room.code, **who)
    assert joined.status_code == 201, joined.text
    device.headers["authorization"] = f"Bearer {joined.json()['token']}"
    return device


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert len(body["detail"]) > 10
    return answer.status_code, body["type"].removeprefix("urn:classweave:problem:")


async def test_a_code_is_read_as_it_was_meant(school: School) -> None:
    room = await open_room(school)
    for index, typed in enumerate(
        (room.code.lower(), f" {room.code[:3]} {room.code[3:]} ", "-".join(room.code))
    ):
        async with school.program() as device:
            assert (await join(device, typed, student=school.student(index))).status_code == 201


async def test_wrong_codes_say_so(school: School) -> None:
    async with school.program() as device:
        for typed in ("WRONG1", "", "      ", "٣٣٣٣٣٣", "🎈", "%", "' OR 1=1"):
            answer = await join(device, typed, student=school.student(0))
            assert problem(answer) == (404, "wrong-code"), typed
        assert (await join(device, "x" * 33)).status_code == 422
        assert problem(await device.get("/api/live/codes/WRONG1")) == (404, "wrong-code")


async def test_a_session_is_joined_while_it_is_open(school: School) -> None:
    room = await open_room(school)
    student = {"student": school.student(0)}
    async with school.program() as device:
        assert (await join(device, room.code, **student)).status_code == 201
        await room.start()
        assert (await join(device, room.code, **student)).status_code == 201
        await room.pause()
        assert (await join(device, room.code, **student)).status_code == 201
        await room.end()
        assert problem(await join(device, room.code, **student)) == (409, "session-over")
        assert problem(await device.get(f"/api/live/codes/{room.code}")) == (409, "session-over")


async def test_a_scheduled_session_has_not_opened_yet(school: School) -> None:
    from classweave.live.prepare_session import Plan, PlannedGroup, create_session, set_groups

    teacher = school.teacher
    async with school.database.transaction(teacher) as session:
        lesson = await create_session(session, teacher, school.class_id, Plan(title="Later"))
        await set_groups(session, teacher, lesson.id, [PlannedGroup("One")])
        await schedule_session(session, teacher, lesson.id, clock.now())
        code = lesson.access_code
    assert code is not None
    async with school.program() as device:
        answer = await join(device, code, student=school.student(0))
        assert problem(answer) == (409, "not-open")


async def test_only_names_of_the_list_and_each_in_its_group(
    school: School, other_school: School
) -> None:
    room = await open_room(school)
    async with school.program() as device:
        door = (await device.get(f"/api/live/codes/{room.code}")).json()
        assert {seat["name"] for seat in door["seats"]} >= {"Chloé", "فاطمة", "Hugo 🎈"}
        assert not any(seat["taken"] for seat in door["seats"])
        stranger = other_school.student(0)
        assert problem(await join(device, room.code, student=stranger))[0] == 404
        joined = await join(device, room.code, student=school.student(5))
        assert joined.json()["group"] == encode("group", room.groups[1])
        door = (await device.get(f"/api/live/codes/{room.code}")).json()
        assert [s["name"] for s in door["seats"] if s["taken"]] == ["فاطمة"]


async def test_a_group_holds_what_it_may_and_a_session_too(school: School) -> None:
    room = await open_room(school, allow_display_names=True, max_students=3)
    async with await school.sign_in() as teacher:
        plan = [{"name": "Small", "max_size": 1}, {"name": "Large", "max_size": 8}]
        made = (await teacher.put(f"{room.url}/groups", json=plan)).json()["groups"]
    small, large = (group["id"] for group in made)
    async with school.program() as device:
        assert (await join(device, room.code, display_name="A", group=small)).status_code == 201
        full = await join(device, room.code, display_name="B", group=small)
        assert problem(full) == (409, "group-full")
        # Who names no group finds the one with room, though the small one has fewer.
        anywhere = await join(device, room.code, display_name="C")
        assert anywhere.json()["group"] == large
        third = await join(device, room.code, display_name="D", group=large)
        assert third.status_code == 201
        fourth = await join(device, room.code, display_name="E", group=large)
        assert problem(fourth) == (409, "session-full")
        # Who is sent out makes room.
        async with school.database.transaction(school.teacher) as session:
            from classweave.core.identifiers import decode

            gone = decode("participant", third.json()["participant"])
            await remove_participant(session, school.teacher, room.id, gone)
        again = await join(device, room.code, display_name="E", group=large)
        assert again.status_code == 201


async def test_the_last_place_is_given_once(school: School, owner: psycopg.Connection) -> None:
    room = await open_room(school, allow_display_names=True, max_students=4)
    async with school.program() as device:
        answers = await asyncio.gather(
            *(join(device, room.code, display_name=f"Guest {n}") for n in range(10))
        )
    assert sorted(a.status_code for a in answers) == [201] * 4 + [409] * 6
    assert {problem(a)[1] for a in answers if a.status_code == 409} == {"session-full"}
    sizes = owner.execute(
        "SELECT sum(current_size), max(total_students) FROM live.student_groups g"
        " JOIN live.classroom_sessions s ON s.id = g.session_id WHERE s.id = %s",
        (room.id,),
    ).fetchone()
    assert sizes == (4, 4)


async def test_one_name_taken_by_many_devices_at_once_is_one_participant(school: School) -> None:
    room = await open_room(school)
    async with school.program() as device:
        answers = await asyncio.gather(
            *(join(device, room.code, student=school.student(0)) for _ in range(6))
        )
        assert [a.status_code for a in answers] == [201] * 6
        assert len({a.json()["participant"] for a in answers}) == 1
        works = 0
        for answer in answers:
            key = {"authorization": f"Bearer {answer.json()['token']}"}
            works += (await device.get("/api/live/device", headers=key)).status_code == 200
    assert works == 1


async def test_a_second_device_takes_the_place_of_the_first(school: School) -> None:
    room = await open_room(school)
    first = await take_seat(school, room, student=school.student(0))
    assert (await first.get("/api/live/device")).status_code == 200
    await first.post("/api/live/device/leave")
    second = await take_seat(school, room, student=school.student(0))
    assert (await first.get("/api/live/device")).status_code == 401
    assert (await first.post("/api/live/device/hand", json={"value": True})).status_code == 401
    assert (await second.get("/api/live/device")).json()["name"] == "Ada"
    async with await school.sign_in() as teacher:
        seen = (await teacher.get(room.url)).json()["groups"][0]["participants"]
    assert [(p["name"], p["active"]) for p in seen] == [("Ada", True)]
    await first.aclose()
    await second.aclose()


async def test_a_group_with_one_device_takes_no_other(school: School) -> None:
    room = await open_room(school, shared=True, allow_display_names=True)
    stones = encode("group", room.groups[1])
    async with school.program() as device:
        member = await join(device, room.code, student=school.student(5))
        assert problem(member) == (409, "shared-device")
        guest = await join(device, room.code, display_name="Guest", group=stones)
        assert problem(guest) == (409, "shared-device")
        nameless = await join(device, room.code, shared=True)
        assert problem(nameless)[0] == 422
        assert nameless.json()["errors"][0]["field"] == "group"
        corks = await join(device, room.code, shared=True, group=encode("group", room.groups[0]))
        assert problem(corks)[0] == 404
        first = await join(device, room.code, shared=True, group=stones)
        again = await join(device, room.code, shared=True, group=stones)
        assert first.json()["participant"] == again.json()["participant"]
        assert first.json()["token"] != again.json()["token"]


async def test_display_names_only_where_the_teacher_allows_them(school: School) -> None:
    room = await open_room(school)
    async with school.program() as device:
        answer = await join(device, room.code, display_name="Visitor")
        assert problem(answer) == (409, "names-only")


async def test_a_group_of_another_session_is_refused(school: School) -> None:
    room = await open_room(school, allow_display_names=True)
    other = await open_room(school)
    async with school.program() as device:
        group = encode("group", other.groups[0])
        answer = await join(device, room.code, display_name="Visitor", group=group)
        assert problem(answer) == (404, "no-such-group")


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("  Ada   Lovelace \n", "Ada Lovelace"),
        ("Zoe\u0308", "Zoë"),
        ("فاطمة الزهراء", "فاطمة الزهراء"),
        ("می‌خواهم", "می‌خواهم"),
        ("👩‍🔬", "👩‍🔬"),
        ("Ada\x00\x07\x1b[31m", "Ada[31m"),
        ("\u202egnp.exe", "gnp.exe"),
        ("\u2066Ada\u2069", "Ada"),
        ("A\u200bB", "AB"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("\u200b\u200d \u2060", ""),
        ("\u0301\u0301", ""),
        ("   ", ""),
    ],
)
def test_a_name_is_what_can_be_seen_of_it(typed: str, shown: str) -> None:
    assert clean(typed) == shown


async def test_names_of_all_the_world_are_kept_and_impossible_ones_refused(school: School) -> None:
    room = await open_room(school, allow_display_names=True, max_students=100)
    names = ["🎈" * 40, "فاطمة بنت محمد", "Å" * 40, "李小龍", "Z̶̡a̷l̴g̶o", "O'Brien; --", "x"]
    async with school.program() as device:
        for name in names:
            answer = await join(device, room.code, display_name=name)
            assert answer.status_code == 201, name
        for name in ("", " ", "\u200b", "y" * 41):
            answer = await join(device, room.code, display_name=name)
            assert problem(answer) == (422, "bad-name"), repr(name)
            assert answer.json()["errors"][0]["field"] == "display_name"
        longest = await join(device, room.code, display_name="n" * 10_000)
        assert problem(longest) == (422, "invalid")
        assert longest.json()["errors"][0]["field"] == "display_name"
        async with await school.sign_in() as teacher:
            seen = (await teacher.get(room.url)).json()["groups"]
    shown = {p["name"] for group in seen for p in group["participants"]}
    assert shown == {clean(name) for name in names}


async def test_a_code_cannot_be_guessed(app: FastAPI, school: School) -> None:
    room = await open_room(school)
    guesser = httpx.ASGITransport(app, client=("203.0.113.7", 4711))
    async with httpx.AsyncClient(transport=guesser, base_url="http://testserver") as device:
        answers = [
            (await device.get(f"/api/live/codes/GUESS{n}")).status_code
            for n in range(GUESSES.attempts + 1)
        ]
        assert set(answers) == {404}
        blocked = await device.get(f"/api/live/codes/{room.code}")
        assert problem(blocked) == (429, "too-many-requests")
        assert 0 < int(blocked.headers["retry-after"]) <= GUESSES.window.total_seconds()
        assert (await join(device, room.code, student=school.student(0))).status_code == 429
        assert (await device.post("/join", data={"code": room.code})).status_code == 429
        with clock.shifted(2 * GUESSES.window):
            assert (await device.get(f"/api/live/codes/{room.code}")).status_code == 200
    # Nobody else waits for it.
    async with school.program() as device:
        assert (await device.get(f"/api/live/codes/{room.code}")).status_code == 200


async def test_right_codes_are_not_counted(
    app: FastAPI, school: School, owner: psycopg.Connection
) -> None:
    room = await open_room(school)
    before = value(owner, "SELECT count(*) FROM directory.sign_in_throttle")
    transport = httpx.ASGITransport(app, client=("203.0.113.8", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as device:
        for _ in range(5):
            assert (await device.get(f"/api/live/codes/{room.code}")).status_code == 200
    assert value(owner, "SELECT count(*) FROM directory.sign_in_throttle") == before


async def test_a_hand_goes_up_and_comes_down(school: School) -> None:
    room = await open_room(school)
    device = await take_seat(school, room, student=school.student(0))

    async def raised() -> list[bool]:
        groups = (await teacher.get(room.url)).json()["groups"]
        return [p["hand_raised"] for p in groups[0]["participants"]]

    async with await school.sign_in() as teacher:
        me = (await device.get("/api/live/device")).json()["participant"]
        await device.post("/api/live/device/hand", json={"value": True})
        assert await raised() == [True]
        seen = await teacher.post(f"{room.url}/participants/{me}/answer")
        assert seen.status_code == 204
        assert await raised() == [False]
        await device.post("/api/live/device/hand", json={"value": True})
        await device.post("/api/live/device/leave")
        assert await raised() == [False]  # nobody waits there any more
    await device.aclose()


async def test_the_leader_alone_marks_the_group_ready(school: School) -> None:
    room = await open_room(school, shared=True)
    leader = await take_seat(school, room, student=school.student(0))
    member = await take_seat(school, room, student=school.student(1))
    table = await take_seat(school, room, shared=True, group=encode("group", room.groups[1]))
    refused = await member.post("/api/live/device/ready", json={"value": True})
    assert problem(refused) == (409, "not-leader")
    for device in (leader, table):
        marked = await device.post("/api/live/device/ready", json={"value": True})
        assert marked.status_code == 204
    async with await school.sign_in() as teacher:
        seen = (await teacher.get(room.url)).json()["groups"]
        assert [(g["ready"], g["status"]) for g in seen] == [(True, "ready")] * 2
        await leader.post("/api/live/device/ready", json={"value": False})
        seen = (await teacher.get(room.url)).json()["groups"]
        assert [g["ready"] for g in seen] == [False, True]
    for device in (leader, member, table):
        await device.aclose()


async def test_who_left_may_come_back_and_who_was_removed_needs_the_code(school: School) -> None:
    room = await open_room(school)
    device = await take_seat(school, room, student=school.student(0))
    me = (await device.get("/api/live/device")).json()["participant"]
    async with await school.sign_in() as teacher:

        async def active() -> list[bool]:
            groups = (await teacher.get(room.url)).json()["groups"]
            return [p["active"] for p in groups[0]["participants"]]

        await device.post("/api/live/device/leave")
        assert await active() == [False]
        assert (await device.get("/api/live/device")).status_code == 200
        again = await join(device, room.code, student=school.student(0))
        assert again.json()["participant"] == me
        assert await active() == [True]
        device.headers["authorization"] = f"Bearer {again.json()['token']}"
        removed = await teacher.post(f"{room.url}/participants/{me}/remove")
        assert removed.status_code == 204
        assert (await device.get("/api/live/device")).status_code == 401
        assert (await teacher.post(f"{room.url}/participants/{me}/remove")).status_code == 404
        back = await join(device, room.code, student=school.student(0))
        assert back.status_code == 201
        assert back.json()["participant"] != me
    await device.aclose()


async def test_a_device_is_a_device_and_nothing_else(school: School) -> None:
    """A key of a session opens no page of the school, and nobody else's key is one."""
    room = await open_room(school)
    device = await take_seat(school, room, student=school.student(0))
    assert (await device.get("/api/live/sessions")).status_code == 401
    assert (await device.get(room.url)).status_code == 401
    async with await school.sign_in(Role.SCHOOL_ADMIN) as admin:
        assert (await admin.get("/api/live/device")).status_code in (401, 403)
    await device.aclose()
