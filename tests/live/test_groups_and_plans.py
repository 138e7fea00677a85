"""Plans, groups, states and what is counted: by the use cases, and by the database itself."""

from __future__ import annotations

import asyncio
import itertools
import random
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sound_wire import Room, open_room, value

from classweave.core import clock
from classweave.core.identifiers import decode, encode
from classweave.core.problems import Conflict
from classweave.live import prepare_session
from classweave.live.grouping import ALPHABET, divide, new_access_code, read_access_code
from classweave.live.jobs import note_readiness
from classweave.live.prepare_session import (
    Plan,
    PlannedGroup,
    create_session,
    open_session,
    set_groups,
)
from classweave.live.run_session import start_session
from classweave.live.states import (
    GROUP_TRANSITIONS,
    SESSION_TRANSITIONS,
    GroupStatus,
    SessionStatus,
)
from school_fixtures import School

pytestmark = pytest.mark.anyio


@given(st.integers(0, 200), st.integers(1, 12), st.integers())
def test_a_class_is_divided_evenly_and_whole(count: int, size: int, seed: int) -> None:
    members = list(range(count))
    groups = divide(members, size, random.Random(seed))
    assert sorted(itertools.chain(*groups)) == members
    sizes = [len(group) for group in groups]
    if count:
        assert max(sizes) - min(sizes) <= 1
        assert len(groups) == max(1, round(count / size))
        assert min(sizes) >= 1
        # As near to the wanted size as whole groups of even size come, and never half as large
        # again unless there are too few for two groups.
        assert max(sizes) <= 1.5 * size + 1
    else:
        assert groups == []
    assert divide(members, size, random.Random(seed)) == groups


def test_a_group_of_nobody_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="at least one"):
        divide([1, 2], 0, random.Random(1))


@given(st.text(ALPHABET, min_size=6, max_size=6), st.sampled_from([" ", "-", "", " - "]))
def test_a_code_survives_being_typed(code: str, between: str) -> None:
    assert read_access_code(between.join(code).lower()) == code


def test_codes_have_no_letters_that_look_alike() -> None:
    codes = {new_access_code() for _ in range(200)}
    assert len(codes) > 190
    assert not set("".join(codes)) & set("0O1IL5S2Z8B")


async def drafted(school: School, **plan: Any) -> tuple[httpx.AsyncClient, str]:
    teacher = await school.sign_in()
    body = {"title": "A lesson", "class_id": encode("class", school.class_id)} | plan
    made = await teacher.post("/api/live/sessions", json=body)
    assert made.status_code == 201, made.text
    return teacher, f"/api/live/sessions/{made.json()['id']}"


async def test_auto_groups_hold_the_class(school: School) -> None:
    teacher, url = await drafted(school)
    for size, sizes in ((1, [1] * 8), (3, [3, 3, 2]), (4, [4, 4]), (12, [8])):
        await teacher.put(url, json={"title": "A lesson", "target_group_size": size})
        found = (await teacher.post(f"{url}/auto-group")).json()
        assert [len(group["members"]) for group in found["groups"]] == sizes
        everyone = [student for group in found["groups"] for student in group["members"]]
        assert sorted(everyone) == sorted(school.student(index) for index in range(8))
        assert all(group["leader"] in group["members"] for group in found["groups"])
        assert (await teacher.get(url)).json()["total_groups"] == len(sizes)
    await teacher.aclose()


async def test_an_open_session_keeps_a_group(school: School) -> None:
    room = await open_room(school)
    async with await school.sign_in() as teacher:
        answer = await teacher.put(f"{room.url}/groups", json=[])
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "groups")
        assert len((await teacher.get(room.url)).json()["groups"]) == 2


async def test_groups_that_cannot_be_are_refused_and_nothing_changes(
    school: School, other_school: School
) -> None:
    teacher, url = await drafted(school)
    one, two = school.student(0), school.student(1)
    good = [{"name": "Corks", "students": [one, two], "leader": two}]
    assert (await teacher.put(f"{url}/groups", json=good)).status_code == 200
    before = (await teacher.get(url)).json()
    for wrong, code in (
        ([{"name": "A", "students": [one]}, {"name": "B", "students": [one]}], "student-twice"),
        ([{"name": "A", "students": [one, one]}], "student-twice"),
        ([{"name": "A", "students": [other_school.student(0)]}], "not-in-class"),
        ([{"name": "A", "students": [one], "leader": two}], "leader-not-member"),
        ([{"name": "A"}] * 101, "too-many-groups"),
        ([{"name": "A", "max_size": 31}], "invalid"),
        ([{"name": "A", "max_size": 0}], "invalid"),
        ([{"name": "A", "capture_mode": "spy"}], "invalid"),
        ([{"students": [one]}], "invalid"),
        ({"name": "A"}, "invalid"),
    ):
        answer = await teacher.put(f"{url}/groups", json=wrong)
        assert answer.status_code == 422, wrong
        assert answer.json()["type"].endswith(f":{code}")
        assert answer.json()["errors"]
        assert (await teacher.get(url)).json() == before
    await teacher.aclose()


async def test_a_plan_stands_once_the_session_has_started(school: School) -> None:
    room = await open_room(school)
    async with await school.sign_in() as teacher:
        changed = await teacher.put(room.url, json={"title": "Until the start"})
        assert changed.json()["title"] == "Until the start"
        await room.start()
        for method, path, body in (
            ("PUT", "", {"title": "Too late"}),
            ("PUT", "/groups", []),
            ("POST", "/auto-group", None),
        ):
            answer = await teacher.request(method, room.url + path, json=body)
            assert answer.status_code == 409
            assert answer.json()["type"].endswith(":wrong-state")
        assert (await teacher.get(room.url)).json()["title"] == "Until the start"
        assert len((await teacher.get(room.url)).json()["groups"]) == 2


async def test_devices_follow_a_new_plan_of_groups(
    school: School, owner: psycopg.Connection
) -> None:
    """The teacher regroups while the class is joining."""
    room = await open_room(school, allow_display_names=True)
    moved, kept = await room.student(4), await room.student(0)
    guest = await room.guest("Visitor", 1)
    async with school.database.transaction(school.teacher) as session:
        made = await set_groups(
            session, school.teacher, room.id, [PlannedGroup("All", school.student_ids)]
        )
    rows = owner.execute(
        "SELECT id, group_id FROM live.participants WHERE session_id = %s", (room.id,)
    ).fetchall()
    everyone = {joined.participant.id: made[0].id for joined in (moved, kept, guest)}
    assert dict(rows) == everyone
    counted = owner.execute(
        "SELECT current_size, total_groups FROM live.student_groups g"
        " JOIN live.classroom_sessions s ON s.id = g.session_id WHERE s.id = %s",
        (room.id,),
    ).fetchall()
    assert counted == [(3, 1)]


async def test_a_session_is_scheduled_ahead_and_keeps_its_time(school: School) -> None:
    teacher, url = await drafted(school)
    later = (clock.now() + timedelta(days=1)).isoformat()
    past = (clock.now() - timedelta(hours=1)).isoformat()
    refused = await teacher.post(f"{url}/schedule", json={"start": past})
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["start"]
    for odd in ("2030-01-01T10:00:00", "soon", None, 10**20):
        answer = await teacher.post(f"{url}/schedule", json={"start": odd})
        assert answer.status_code == 422, odd
    assert (await teacher.get(url)).json()["status"] == "draft"
    scheduled = (await teacher.post(f"{url}/schedule", json={"start": later})).json()
    assert scheduled["status"] == "scheduled"
    assert scheduled["scheduled_start"] == later.replace("+00:00", "Z")
    assert len(scheduled["access_code"]) == 6
    # A plan that says nothing of the time leaves it as it is.
    changed = (await teacher.put(url, json={"title": "A better title"})).json()
    assert changed["scheduled_start"] == scheduled["scheduled_start"]
    assert (await teacher.post(f"{url}/open")).status_code == 409  # no groups yet
    await teacher.post(f"{url}/auto-group")
    opened = (await teacher.post(f"{url}/open")).json()
    assert (opened["status"], opened["access_code"]) == ("open", scheduled["access_code"])
    await teacher.aclose()


STEPS = {
    "open": SessionStatus.OPEN, "start": SessionStatus.LIVE, "pause": SessionStatus.PAUSED,
    "resume": SessionStatus.LIVE, "end": SessionStatus.ENDED, "archive": SessionStatus.ARCHIVED,
}  # fmt: skip
WAYS: dict[SessionStatus, list[str]] = {
    SessionStatus.DRAFT: [],
    SessionStatus.OPEN: ["open"],
    SessionStatus.LIVE: ["open", "start"],
    SessionStatus.PAUSED: ["open", "start", "pause"],
    SessionStatus.ENDED: ["open", "start", "end"],
    SessionStatus.ARCHIVED: ["open", "start", "end", "archive"],
}


def leads_on(step: str, status: SessionStatus) -> bool:
    # Two ways lead to live, and each has its own beginning.
    if step in ("start", "resume") and (step == "resume") != (status is SessionStatus.PAUSED):
        return False
    return STEPS[step] in SESSION_TRANSITIONS[status]


@pytest.mark.parametrize("status", WAYS)
async def test_only_the_ways_of_the_table_lead_on(school: School, status: SessionStatus) -> None:
    async with await school.sign_in() as teacher:

        async def at_status() -> str:
            made = await teacher.post("/api/live/sessions", json={"title": "A lesson"})
            url = f"/api/live/sessions/{made.json()['id']}"
            await teacher.put(f"{url}/groups", json=[{"name": "One"}])
            for step in WAYS[status]:
                assert (await take(url, step)).status_code == 200
            return url

        async def take(url: str, step: str) -> httpx.Response:
            return await teacher.post(f"{url}/{step}", json={} if step == "end" else None)

        url = await at_status()
        for step in STEPS:
            if not leads_on(step, status):
                assert (await take(url, step)).status_code == 409, step
        assert (await teacher.get(url)).json()["status"] == status.value
        for step in STEPS:
            if leads_on(step, status):
                url = await at_status()
                assert (await take(url, step)).json()["status"] == STEPS[step].value
                if STEPS[step] is SessionStatus.LIVE:
                    await take(url, "end")


async def test_the_database_refuses_what_the_table_does_not_have(
    school: School, owner: psycopg.Connection
) -> None:
    room = await open_room(school)
    for kind, table, transitions, row in (
        (SessionStatus, "classroom_sessions", SESSION_TRANSITIONS, room.id),
        (GroupStatus, "student_groups", GROUP_TRANSITIONS, room.groups[0]),
    ):
        for before, after in itertools.product(kind, kind):
            # In a transaction that is always undone; the state before is set behind the guard.
            with owner.transaction(force_rollback=True):
                owner.execute(f"ALTER TABLE live.{table} DISABLE TRIGGER guard_status")
                owner.execute(f"UPDATE live.{table} SET status = %s WHERE id = %s", (before, row))
                owner.execute(f"ALTER TABLE live.{table} ENABLE TRIGGER guard_status")
                change = f"UPDATE live.{table} SET status = %s WHERE id = %s"
                if before is after or after in transitions[before]:  # type: ignore[index]
                    owner.execute(change, (after, row))
                else:
                    with pytest.raises(psycopg.errors.CheckViolation), owner.transaction():
                        owner.execute(change, (after, row))


async def test_counters_are_kept_by_the_database(school: School, owner: psycopg.Connection) -> None:
    room = await open_room(school, allow_display_names=True, shared=True)

    def counted() -> tuple[int, int, list[int]]:
        row = owner.execute(
            "SELECT total_groups, total_students FROM live.classroom_sessions WHERE id = %s",
            (room.id,),
        ).fetchone()
        sizes = owner.execute(
            "SELECT current_size FROM live.student_groups WHERE session_id = %s"
            " ORDER BY group_number",
            (room.id,),
        ).fetchall()
        assert row is not None
        return row[0], row[1], [size for (size,) in sizes]

    assert counted() == (2, 0, [0, 0])
    ada, guest = await room.student(0), await room.guest("Visitor")
    await room.student(0)  # the same one again
    await room.shared(1)  # counts as nobody: it hears several
    assert counted() == (2, 2, [2, 0])
    owner.execute(
        "UPDATE live.participants SET is_active = false WHERE id = %s", (guest.participant.id,)
    )
    assert counted() == (2, 2, [1, 0])  # who took part is counted still; who sits there is not
    owner.execute(
        "UPDATE live.participants SET group_id = %s WHERE id = %s",
        (room.groups[1], ada.participant.id),
    )
    assert counted() == (2, 2, [0, 1])
    owner.execute("DELETE FROM live.participants WHERE id = %s", (ada.participant.id,))
    assert counted() == (2, 1, [0, 0])
    owner.execute("DELETE FROM live.student_groups WHERE id = %s", (room.groups[1],))
    assert counted() == (1, 1, [0])


def metrics(owner: psycopg.Connection, room: Room) -> dict[str, Any]:
    found = owner.execute("SELECT * FROM live.session_metrics WHERE session_id = %s", (room.id,))
    names = [column.name for column in found.description or ()]
    return dict(zip(names, found.fetchone() or (), strict=True))


async def test_readiness_is_written_at_the_start_and_after_five_and_ten_minutes(
    school: School, owner: psycopg.Connection
) -> None:
    room = await open_room(school, planned_duration_minutes=30, target_group_size=4)
    planned = metrics(owner, room)
    assert (
        planned["planned_groups"], planned["planned_group_size"],
        planned["planned_duration_minutes"], planned["planned_members"],
        planned["planned_leaders"], planned["started_at"],
    ) == (2, 4, 30, 8, 1, None)  # fmt: skip
    mark = "UPDATE live.student_groups SET is_ready = true WHERE id = %s"
    with clock.shifted(timedelta(minutes=2)):
        await room.start()
    started = metrics(owner, room)
    assert (started["ready_groups_at_start"], started["started_without_ready_groups"]) == (0, True)
    assert started["group_formation_time_seconds"] == pytest.approx(120, abs=20)
    due = owner.execute(
        "SELECT args->>'minutes', extract(epoch FROM scheduled_at - now())"
        " FROM procrastinate_jobs WHERE task_name = 'live.note_readiness'"
        " AND args->>'session_id' = %s ORDER BY scheduled_at",
        (str(room.id),),
    ).fetchall()
    assert [minutes for minutes, _ in due] == ["5", "10"]
    assert [float(seconds) for _, seconds in due] == pytest.approx([300, 600], abs=20)
    where = {"organization": str(school.organization_id), "session_id": str(room.id)}
    owner.execute(mark, (room.groups[0],))
    with clock.shifted(timedelta(minutes=7)):
        await note_readiness(**where, minutes=5)
    owner.execute(mark, (room.groups[1],))
    with clock.shifted(timedelta(minutes=12)):
        await note_readiness(**where, minutes=10)
    later = metrics(owner, room)
    assert (later["ready_groups_at_5m"], later["ready_groups_at_10m"]) == (1, 2)
    with clock.shifted(timedelta(minutes=32)):
        await room.end()
    actual = value(
        owner,
        "SELECT actual_duration_minutes FROM live.classroom_sessions WHERE id = %s",
        room.id,
    )
    assert (actual, later["planned_duration_minutes"]) == (30, 30)


async def test_a_session_that_was_over_before_has_no_later_readiness(
    school: School, owner: psycopg.Connection
) -> None:
    room = await open_room(school)
    await room.start()
    await room.end()
    await note_readiness(
        organization=str(school.organization_id), session_id=str(room.id), minutes=5
    )
    assert metrics(owner, room)["ready_groups_at_5m"] is None


async def test_pauses_are_counted_also_the_one_it_ends_in(
    school: School, owner: psycopg.Connection
) -> None:
    room = await open_room(school)
    await room.start()
    await room.pause()
    with clock.shifted(timedelta(seconds=60)):
        await room.resume()
        await room.pause()
    with clock.shifted(timedelta(seconds=90)):
        await room.end()
    seconds = value(
        owner, "SELECT paused_seconds FROM live.classroom_sessions WHERE id = %s", room.id
    )
    assert seconds == pytest.approx(90, abs=5)


async def test_a_session_starts_once_however_many_start_it(
    school: School, owner: psycopg.Connection
) -> None:
    room = await open_room(school)
    async with await school.sign_in() as one, await school.sign_in() as two:
        answers = await asyncio.gather(
            *(teacher.post(f"{room.url}/start") for teacher in (one, two, one, two))
        )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    started = value(
        owner,
        "SELECT count(*) FROM live.session_events WHERE session_id = %s AND event_type = 'started'",
        room.id,
    )
    assert started == 1


async def prepared(school: School) -> Any:
    async with school.database.transaction(school.teacher) as session:
        lesson = await create_session(session, school.teacher, school.class_id, Plan(title="x"))
        await set_groups(session, school.teacher, lesson.id, [PlannedGroup("One")])
        return lesson.id


async def test_a_code_that_is_taken_is_not_given_again(
    school: School, other_school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also between schools, which do not see each other's rows."""
    first, second = new_access_code(), new_access_code()
    codes = iter([first, first, first, second])
    monkeypatch.setattr(prepare_session, "new_access_code", lambda: next(codes))
    given: list[str | None] = []
    for owner_of in (school, other_school):
        lesson = await prepared(owner_of)
        async with owner_of.database.transaction(owner_of.teacher) as session:
            opened = await open_session(session, owner_of.teacher, lesson)
            given.append(opened.access_code)
    assert given == [first, second]
    # Both stand as opened, with their plan and their line in the log.
    async with school.database.transaction(school.teacher) as session:
        await start_session(session, school.teacher, await room_of(session, first))


async def room_of(session: Any, code: str) -> Any:
    from sqlalchemy import text

    return await session.scalar(
        text("SELECT id FROM live.classroom_sessions WHERE access_code = :code"), {"code": code}
    )


async def test_codes_are_unique_however_many_open_at_once(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two codes for four sessions that open at the same moment: two get one, two are told."""
    pair = [new_access_code(), new_access_code()]
    monkeypatch.setattr(prepare_session, "new_access_code", lambda: random.choice(pair))
    lessons = [await prepared(school) for _ in range(4)]

    async def open_one(lesson: Any) -> str | None:
        async with school.database.transaction(school.teacher) as session:
            return (await open_session(session, school.teacher, lesson)).access_code

    given = await asyncio.gather(*(open_one(lesson) for lesson in lessons), return_exceptions=True)
    codes = [code for code in given if isinstance(code, str)]
    refused = [error for error in given if not isinstance(error, str)]
    assert len(codes) == len(set(codes))
    assert set(codes) <= set(pair)
    assert all(isinstance(error, Conflict) and error.code == "no-code" for error in refused)
    assert len(codes) >= 1


async def test_an_ended_session_gives_its_code_back(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await open_room(school)
    await room.end()
    monkeypatch.setattr(prepare_session, "new_access_code", lambda: room.code)
    again = await open_room(school)
    assert again.code == room.code
    async with school.program() as device:
        door = (await device.get(f"/api/live/codes/{room.code}")).json()
    assert decode("session", door["session"]) == again.id
