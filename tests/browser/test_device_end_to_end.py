"""A student's device and the real server: join, be heard, pause, lose consent, leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from chromium import QUIET, needed
from microphone import fake_microphone, read_speech
from playwright.async_api import Page, async_playwright, expect
from sqlalchemy import text

from classweave.compliance.models import ConsentKind, ConsentState
from classweave.live.models.sessions import ClassroomSession
from classweave.live.prepare_session import (
    Plan,
    PlannedGroup,
    create_session,
    open_session,
    set_groups,
)
from classweave.live.run_session import pause_session, resume_session, start_session
from school_fixtures import School

pytestmark = [pytest.mark.browser, pytest.mark.anyio]


@pytest.fixture
async def device(tmp_path: Path) -> AsyncIterator[Page]:
    """A phone whose microphone hears a reader."""
    heard = fake_microphone(read_speech(4, 1), tmp_path)
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=needed(), args=[*QUIET, *heard])
        context = await chromium.new_context(
            permissions=["microphone"], viewport={"width": 390, "height": 844}
        )
        yield await context.new_page()
        await chromium.close()


async def lesson_of(school: School) -> ClassroomSession:
    async with school.database.transaction(school.teacher) as session:
        lesson = await create_session(
            session, school.teacher, school.class_id, Plan(title="Why do things float?")
        )
        await set_groups(
            session, school.teacher, lesson.id, [PlannedGroup("Corks", school.student_ids[:3])]
        )
        return await open_session(session, school.teacher, lesson.id)


async def chunks(school: School) -> list[tuple[int, int, int]]:
    async with school.database.transaction(school.teacher) as session:
        rows = await session.execute(
            text("SELECT seq, start_ms, duration_ms FROM live.audio_chunks ORDER BY track_id, seq")
        )
        return [(row[0], row[1], row[2]) for row in rows]


async def more_than(school: School, count: int) -> list[tuple[int, int, int]]:
    for _ in range(150):
        if len(found := await chunks(school)) > count:
            return found
        await asyncio.sleep(0.1)
    pytest.fail(f"no more than {count} chunks within 15 s")


async def test_a_device_is_heard(school: School, address: str, device: Page) -> None:
    lesson = await lesson_of(school)
    await device.goto(f"{address}/join/{lesson.access_code}")
    await device.get_by_label("Ben").check()
    await device.get_by_role("button", name="Join").click()
    island = device.locator("[data-island=sound]")
    await expect(island).to_have_attribute("data-state", "waiting", timeout=15_000)
    assert await chunks(school) == []

    async with school.database.transaction(school.teacher) as session:
        await start_session(session, school.teacher, lesson.id)
    await expect(island).to_have_attribute("data-state", "heard", timeout=15_000)
    stored = await more_than(school, 5)
    assert [seq for seq, _, _ in stored] == list(range(len(stored)))

    async with school.database.transaction(school.teacher) as session:
        await pause_session(session, school.teacher, lesson.id)
    await expect(island).to_have_attribute("data-state", "paused")
    await device.wait_for_timeout(1_000)
    paused = len(await chunks(school))
    async with school.database.transaction(school.teacher) as session:
        await resume_session(session, school.teacher, lesson.id)
    await more_than(school, paused + 2)

    await school.consent([ConsentKind.RECORDING], ConsentState.WITHDRAWN, [school.student_ids[1]])
    await expect(island).to_have_attribute("data-state", "no_consent")
    heard = len(await chunks(school))
    await device.wait_for_timeout(1_000)
    assert len(await chunks(school)) <= heard

    await school.consent([ConsentKind.RECORDING], students=[school.student_ids[1]])
    await device.get_by_role("button", name="Check microphone").click()
    await expect(island).to_have_attribute("data-state", "heard", timeout=15_000)
    await expect(island.locator("[data-part=result]")).to_have_text("We hear you.")
    await device.get_by_role("button", name="Leave").click()
    await device.wait_for_url("**/live/here/left")
    async with school.database.transaction(school.teacher) as session:
        open_tracks = await session.scalar(
            text("SELECT count(*) FROM live.tracks WHERE closed_at IS NULL")
        )
    assert open_tracks == 0
