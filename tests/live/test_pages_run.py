"""Running a session on its pages: lobby, console, a group, prompts, messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from lesson_fixtures import Lesson, hear, start_lesson
from test_pages_join import join, opened

from classweave.core.identifiers import encode
from classweave.core.tenancy import Role
from classweave.live.compare_groups import compare_groups
from classweave.live.measure_groups import measure_and_guide
from classweave.live.prompt_teacher import prompts_of
from classweave.live.views.health import Capture, judge
from school_fixtures import School

pytestmark = pytest.mark.anyio

NOW = datetime(2027, 3, 1, 10, tzinfo=UTC)


def capture(**changes: object) -> Capture:
    known: dict[str, object] = {
        "last_chunk_at": NOW - timedelta(seconds=1),
        "connected_seconds": 100.0,
        "heard_seconds": 99.0,
        "muted_seconds": 0.0,
        "clipping_seconds": 0.0,
        "gap_seconds": 0.0,
        "rms_dbfs": -30.0,
    }
    return Capture(**known | changes)  # type: ignore[arg-type]


def health(found: Capture | None, **changes: bool) -> str:
    facts = {"left": False, "may_send": True, "muted": False, "over": False} | changes
    return judge(capture=found, now=NOW, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, "waiting"),
        (capture(), "heard"),
        (capture(rms_dbfs=-70.0), "quiet"),
        (capture(heard_seconds=1.0), "not_heard"),
        (capture(heard_seconds=1.0, connected_seconds=5.0), "heard"),
        (capture(clipping_seconds=10.0), "clipping"),
        (capture(gap_seconds=10.0), "gaps"),
        (capture(last_chunk_at=NOW - timedelta(seconds=10)), "reconnecting"),
        (capture(last_chunk_at=NOW - timedelta(minutes=2)), "offline"),
    ],
)
def test_how_a_device_is_heard(found: Capture | None, expected: str) -> None:
    assert health(found) == expected


def test_consent_and_muting_come_before_what_the_microphone_does() -> None:
    assert health(capture(heard_seconds=0.0), may_send=False) == "no_consent"
    assert health(capture(), muted=True) == "muted"
    assert health(capture(), left=True) == "offline"
    # Muted all the time is not a dead microphone.
    assert health(capture(heard_seconds=0.0, muted_seconds=100.0)) == "muted"
    # After the end nobody is away.
    assert health(capture(last_chunk_at=NOW - timedelta(hours=2)), over=True) == "heard"


async def talking(school: School) -> tuple[Lesson, str]:
    """A session whose second group has a prompt; and the address of its pages."""
    lesson = await start_lesson(school)
    await hear(lesson, "group_a", lesson.groups[0], until=92)
    await measure_and_guide(school.database, lesson.organization, lesson.groups[0])
    for since, until in ((0, 45), (45, 92)):
        await hear(lesson, "group_b", lesson.groups[1], since=since, until=until)
        await measure_and_guide(school.database, lesson.organization, lesson.groups[1])
    await compare_groups(school.database, lesson.organization, lesson.session_id)
    return lesson, f"/live/sessions/{encode('session', lesson.session_id)}"


async def test_the_lobby_says_who_is_here(school: School) -> None:
    code, key = await opened(school)
    url = f"/live/sessions/{key}"
    async with await school.sign_in() as teacher, school.program() as device:
        lobby = (await teacher.get(f"{url}/lobby")).text
        assert f'aria-label="Access code: {" ".join(code)}"' in lobby
        assert "testserver/join" in lobby
        assert "Start before all are ready" in lobby
        assert "0 of 5 devices are here" in lobby
        await join(device, code, student=school.student(0))
        part = (await teacher.get(f"{url}/lobby/groups")).text
        assert "1 of 5 devices are here" in part
        assert "microphone not checked" in part
        assert "<html" not in part
        board = (await teacher.get(f"{url}/board")).text
        assert 'class="bare board"' in board
        assert "1 of 5 are here" in board
        console = await teacher.get(f"{url}/console")
        assert console.headers["location"] == f"{url}/lobby"
        started = await teacher.post(f"{url}/start")
        assert started.headers["location"] == f"{url}/console"


async def test_the_console_orders_groups_by_need_and_shows_its_evidence(school: School) -> None:
    lesson, url = await talking(school)
    async with await school.sign_in() as teacher:
        page = await teacher.get(f"{url}/console")
    assert page.status_code == 200
    needy = encode("group", lesson.groups[1])
    calm = encode("group", lesson.groups[0])
    assert page.text.index(f'id="{needy}"') < page.text.index(f'id="{calm}"')
    assert 'data-island="captions"' in page.text
    assert "Equal participation" in page.text
    assert "Use it" in page.text
    assert f"{url}/groups/{needy}#utterance_" in page.text  # evidence leads to the words


async def test_a_prompt_is_used_and_rated(school: School) -> None:
    lesson, _ = await talking(school)
    async with school.database.transaction(school.teacher) as session:
        (prompt,) = await prompts_of(session, lesson.session_id)
    url = f"/live/prompts/{encode('prompt', prompt.id)}"
    async with await school.sign_in() as teacher:
        plain = await teacher.post(url, data={"action": "acknowledge"})
        assert plain.headers["location"].endswith("/console")
        used = await teacher.post(url, data={"action": "use"}, headers={"hx-request": "true"})
        assert used.status_code == 200
        assert "Was it helpful?" in used.text
        assert "<html" not in used.text
        rated = await teacher.post(url, data={"rating": "helpful"}, headers={"hx-request": "true"})
        assert "You found it helpful." in rated.text
        assert (await teacher.post(url, data={})).status_code == 422
    async with await school.sign_in(Role.SCHOOL_ADMIN) as admin:
        assert (await admin.post(url, data={"action": "use"})).status_code == 403


async def test_the_teacher_acts_on_devices_and_groups(school: School) -> None:
    lesson, url = await talking(school)
    who = next(iter(lesson.participants))
    person = encode("participant", lesson.participants[who])
    target = encode("group", lesson.groups[1])
    async with await school.sign_in() as teacher:
        sent = await teacher.post(f"{url}/messages", data={"content": "Two minutes.", "group": ""})
        assert sent.status_code == 303
        empty = await teacher.post(f"{url}/messages", data={"content": " "})
        assert "error:" in empty.headers["set-cookie"]
        there = await teacher.get(f"{url}/groups/{target}")
        assert "Two minutes." in there.text
        moved = await teacher.post(f"{url}/participants/{person}/move", data={"group": target})
        assert "success:" in moved.headers["set-cookie"]
        assert (await teacher.post(f"{url}/participants/{person}/answer")).status_code == 303
        assert (await teacher.post(f"{url}/participants/{person}/remove")).status_code == 303
        paused = await teacher.post(f"{url}/pause")
        assert paused.headers["location"] == f"{url}/console"
        assert "Nothing is heard until you go on" in (await teacher.get(f"{url}/console")).text
        assert (await teacher.post(f"{url}/resume")).status_code == 303
        ended = await teacher.post(f"{url}/end")
        assert ended.headers["location"] == f"{url}/summary"


async def test_a_groups_page_has_every_word(school: School) -> None:
    lesson, url = await talking(school)
    async with await school.sign_in() as teacher:
        page = (await teacher.get(f"{url}/groups/{encode('group', lesson.groups[0])}")).text
        assert 'data-island="chart"' in page
        assert "Who talked when" in page
        assert "What each measure means" in page
        assert page.count('<li class="caption ') > 10
        other = await start_lesson(school, keys=("group_b",))
        foreign = encode("group", other.groups[0])
        assert (await teacher.get(f"{url}/groups/{foreign}")).status_code == 404


async def test_nothing_of_a_running_session_reaches_strangers(
    school: School, other_school: School
) -> None:
    lesson, url = await talking(school)
    group = encode("group", lesson.groups[0])
    async with school.database.transaction(school.teacher) as session:
        (prompt,) = await prompts_of(session, lesson.session_id)
    person = encode("participant", next(iter(lesson.participants.values())))
    async with await other_school.sign_in() as stranger:
        for path in ("console", "console/groups", "lobby", "lobby/groups", "board",
                     "board/groups", f"groups/{group}", "summary/progress"):  # fmt: skip
            assert (await stranger.get(f"{url}/{path}")).status_code == 404, path
        for path in ("pause", "resume", "end", "archive", "messages", "summary/again",
                     f"participants/{person}/move", f"participants/{person}/remove",
                     f"participants/{person}/answer"):  # fmt: skip
            answer = await stranger.post(f"{url}/{path}", data={"content": "x", "group": group})
            assert answer.status_code == 404, path
        stolen = await stranger.post(
            f"/live/prompts/{encode('prompt', prompt.id)}", data={"action": "use"}
        )
        assert stolen.status_code == 404
