"""After a session: the summary, recordings in ranges, notes, and the rules of guidance."""

from __future__ import annotations

import html
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from lesson_fixtures import Lesson, end_lesson, hear, start_lesson
from sqlalchemy import select, text

from classweave.core import clock
from classweave.core.audit import AuditLog
from classweave.core.identifiers import encode
from classweave.core.tenancy import Role
from classweave.live.guidance.rules import default_text
from classweave.live.models import Recording, Track
from classweave.live.pages.recordings import byte_range
from classweave.live.summarise_session import summarise_session
from classweave.web.services import Services
from school_fixtures import School

pytestmark = pytest.mark.anyio

SOUND = bytes(range(256)) * 8


async def ended(school: School) -> tuple[Lesson, str]:
    lesson = await start_lesson(school)
    await hear(lesson, "group_a", lesson.groups[0], until=92)
    await hear(lesson, "group_b", lesson.groups[1], until=92)
    await end_lesson(lesson)
    return lesson, f"/live/sessions/{encode('session', lesson.session_id)}"


async def test_a_summary_is_waited_for_and_then_shown(school: School) -> None:
    lesson, url = await ended(school)
    async with await school.sign_in() as teacher:
        waiting = (await teacher.get(f"{url}/summary")).text
        assert "The summary is being written" in waiting
        assert "Write the summary again" in waiting
        progress = await teacher.get(f"{url}/summary/progress")
        assert "hx-refresh" not in progress.headers
        assert (await teacher.post(f"{url}/summary/again")).status_code == 303
        await summarise_session(school.database, lesson.organization, lesson.session_id)
        assert (await teacher.get(f"{url}/summary/progress")).headers["hx-refresh"] == "true"
        page = (await teacher.get(f"{url}/summary")).text
        assert "What was discussed" in page
        assert "Planned and actual" in page
        assert "Ready after 5 minutes" in page
        assert f"/api{url}/export.vtt" in page
        exported = await teacher.get(f"/api{url}/export.vtt")
        assert exported.text.startswith("WEBVTT")
        moment = encode("group", lesson.groups[0])
        assert f"{url}/groups/{moment}#utterance_" in page
    async with school.database.transaction(school.admin) as session:
        read = await session.scalars(
            select(AuditLog.affected_student_ids).where(
                AuditLog.event_type == "transcript.read", AuditLog.session_id == lesson.session_id
            )
        )
        assert all(set(lesson.students.values()) <= set(students) for students in read)


async def test_notes_are_the_teachers(school: School) -> None:
    _, url = await ended(school)
    async with await school.sign_in() as teacher:
        saved = await teacher.post(f"{url}/notes", data={"notes": "Start from the <jar>."})
        assert saved.headers["location"] == f"{url}/summary#notes"
        assert "Start from the &lt;jar&gt;." in (await teacher.get(f"{url}/summary")).text
    async with await school.sign_in(Role.SCHOOL_ADMIN) as admin:
        page = await admin.get(f"{url}/summary")
        assert "Start from the &lt;jar&gt;." in page.text
        assert "Save the notes" not in page.text
        assert (await admin.post(f"{url}/notes", data={"notes": "x"})).status_code == 403


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, (0, 100)),
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-900", (90, 100)),
        ("bytes=-30", (70, 100)),
        ("bytes=-900", (0, 100)),
        ("bytes=100-", None),
        ("bytes=20-10", None),
        ("bytes=-0", None),
        ("bytes=0-1,5-6", (0, 100)),
        ("lines=1-2", (0, 100)),
    ],
)
def test_ranges(asked: str | None, expected: tuple[int, int] | None) -> None:
    assert byte_range(asked, 100) == expected


async def record(school: School, lesson: Lesson, services: Services) -> UUID:
    path = f"{lesson.organization}/recordings/{lesson.session_id}/test.ogg"
    await services.files.put(path, SOUND)
    async with school.database.transaction(lesson.system()) as session:
        track = await session.scalar(select(Track).where(Track.group_id == lesson.groups[0]))
        assert track is not None
        row = Recording(
            organization_id=lesson.organization, session_id=lesson.session_id,
            group_id=track.group_id, participant_id=track.participant_id, track_id=track.id,
            file_path=path, file_size_bytes=len(SOUND), duration_seconds=92,
            starts_at=clock.now(), format="ogg", sample_rate=48_000, channels=1, codec="opus",
        )  # fmt: skip
        session.add(row)
        await session.flush()
        return row.id


async def test_recordings_are_streamed_in_ranges_and_audited(
    school: School, other_school: School, app: FastAPI
) -> None:
    lesson, url = await ended(school)
    recording = await record(school, lesson, app.state.services)
    address = f"{url}/recordings/{encode('recording', recording)}"
    async with await school.sign_in() as teacher:
        part = await teacher.get(address, headers={"range": "bytes=100-199"})
        assert part.status_code == 206
        assert part.content == SOUND[100:200]
        assert part.headers["content-range"] == f"bytes 100-199/{len(SOUND)}"
        whole = await teacher.get(address)
        assert (whole.status_code, whole.content) == (200, SOUND)
        assert whole.headers["accept-ranges"] == "bytes"
        beyond = await teacher.get(address, headers={"range": f"bytes={len(SOUND)}-"})
        assert beyond.status_code == 416
        page = (await teacher.get(f"{url}/groups/{encode('group', lesson.groups[0])}")).text
        assert 'data-island="player"' in page
        assert address in page
        await app.state.services.files.delete(
            f"{lesson.organization}/recordings/{lesson.session_id}/test.ogg"
        )
        assert (await teacher.get(address)).status_code == 404
    async with await other_school.sign_in() as stranger:
        assert (await stranger.get(address)).status_code == 404
    async with school.database.transaction(school.admin) as session:
        heard = await session.scalars(
            select(AuditLog).where(
                AuditLog.event_type == "recording.read", AuditLog.resource_id == recording
            )
        )
        assert len(heard.all()) == 1


async def test_rules_are_edited_with_mistakes_by_line(school: School, other_school: School) -> None:
    text_now = default_text()
    async with await school.sign_in(Role.SCHOOL_ADMIN) as admin:
        page = (await admin.get("/live/guidance")).text
        assert "minutes_between_high" in page
        broken = text_now.replace("standing_per_teacher = 3", "standing_per_teacher = 300")
        line = 1 + broken[: broken.index("standing_per_teacher = 300")].count("\n")
        refused = await admin.post("/live/guidance", data={"text": broken, "based_on": "0"})
        assert refused.status_code == 422
        assert f"Line {line}" in refused.text
        assert "standing_per_teacher = 300" in refused.text
        kept = text_now.replace("standing_per_teacher = 3", "standing_per_teacher = 2")
        saved = await admin.post("/live/guidance", data={"text": kept, "based_on": "0"})
        assert saved.status_code == 303
        late = await admin.post("/live/guidance", data={"text": text_now, "based_on": "0"})
        assert late.status_code == 409
        assert "/live/guidance?edition=1" in (await admin.get("/live/guidance")).text
        first = await admin.get("/live/guidance?edition=0")
        assert "This is an earlier edition" in first.text
        assert (await admin.get("/live/guidance?edition=7")).status_code == 404
    async with await other_school.sign_in() as stranger:
        assert "standing_per_teacher = 3" in (await stranger.get("/live/guidance")).text


async def test_a_session_without_measures_says_so(school: School) -> None:
    lesson, url = await ended(school)
    async with school.database.transaction(lesson.system()) as session:
        await session.execute(
            text("UPDATE live.classroom_sessions SET ai_analysis_enabled = false WHERE id = :id"),
            {"id": lesson.session_id},
        )
    async with await school.sign_in() as teacher:
        page = (await teacher.get(f"{url}/summary")).text
        assert "being written" not in page
        assert "Measuring was off" in page


async def test_a_spanish_reader_reads_spanish_all_through(school: School) -> None:
    lesson, url = await ended(school)
    await summarise_session(school.database, lesson.organization, lesson.session_id)
    async with await school.sign_in() as teacher:
        # A page never mixes two languages: what one reader sees in English, the other does not.
        english = await texts_of(teacher, url, lesson, "en")
        spanish = await texts_of(teacher, url, lesson, "es")
    for said in (
        "Equal participation", "where 1 is equal", "hardly spoke", "Turn-taking",
        "of the talk", "Less than half a minute", "gave a reason",
    ):  # fmt: skip
        assert said not in spanish
    for here, there in (
        ("Equal participation", "Participación equilibrada"),
        ("The member who talked most had", "Quien más habló tuvo el"),
        ("are needed", "hacen falta"),
        ("How evenly the members talk", "Lo repartida que está la conversación"),
        ("groups with a steady value", "grupos con un valor firme"),
    ):
        assert here in english
        assert there in spanish
    # Quotations stay in the language in which they were said, numbers follow the reader.
    assert "%(" not in english + spanish


async def texts_of(teacher: AsyncClient, url: str, lesson: Lesson, language: str) -> str:
    """The summary and every group's page as a school of that language sees them."""
    async with lesson.school.database.transaction(lesson.school.admin) as session:
        for table in ("organizations", "users"):
            await session.execute(
                text(f"UPDATE directory.{table} SET locale = :language"), {"language": language}
            )
    pages = [f"{url}/summary"]
    pages += [f"{url}/groups/{encode('group', group)}" for group in lesson.groups]
    return "".join([html.unescape((await teacher.get(page)).text) for page in pages])
