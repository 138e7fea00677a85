"""Check-in in real browsers: the board keeps time, a scan sends itself, the list grows."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from check_ins import open_window, phone, student_token, teacher_sends
from chromium import QUIET, needed
from inspection import Inspector
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from classweave.directory.api.authenticate import COOKIE
from school_fixtures import School

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

CODE = re.compile(r"Access code: ((?:\w ){5}\w)")


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=needed(), args=list(QUIET))
        yield browser
        await browser.close()


async def signed_in(browser: Browser, address: str, token: str, **more: Any) -> BrowserContext:
    context = await browser.new_context(base_url=address, locale="en", **more)
    await context.add_cookies([{"name": COOKIE, "value": token, "url": address}])
    return context


async def code_on(page: Page) -> str:
    label = await page.locator("[data-code]:visible [role=img]").first.get_attribute("aria-label")
    found = CODE.search(label or "")
    assert found, label
    return found[1].replace(" ", "")


async def test_the_board_keeps_time_and_the_list_grows(
    address: str, chromium: Browser, school: School
) -> None:
    window = await open_window(school)
    inspector = Inspector()
    lecturer = await signed_in(chromium, address, await school.token(school.teacher_id))
    inspector.listen(lecturer)
    board = await lecturer.new_page()
    await board.goto(f"/attend/check-in/{window['id']}")
    await inspector.look(board, "Check-in · 8B Science")
    # A scan sends itself; the board shows it without being asked.
    student = await signed_in(chromium, address, await student_token(school, 0))
    inspector.listen(student)
    page = await student.new_page()
    await page.goto("/attend/check-in")
    await inspector.look(page, "Check in")
    await page.goto(f"/attend/check-in?code={await code_on(board)}")
    await expect(page.get_by_role("heading", level=1)).to_have_text("You are checked in")
    await inspector.look(page, "You are checked in")
    await expect(board.get_by_text("Checked in: 1 of 8")).to_be_visible()
    await expect(board.locator("bdi", has_text="Ada")).to_be_visible()
    await teacher_sends(school, window["id"], "challenge", number=1)
    await expect(board.get_by_role("heading", name="Call these names")).to_be_visible()
    await inspector.look(board, "Check-in · 8B Science")
    await page.goto("/attend/mine")
    await inspector.look(page, "My attendance")
    await board.goto("/attend/check-in/new")
    await inspector.look(board, "Let students check in")
    assert (inspector.found, inspector.complaints) == ([], [])


async def test_every_code_that_is_shown_counts(
    address: str, chromium: Browser, school: School
) -> None:
    """Over two changes, and with the network gone over one: an old code is never shown."""
    window = await open_window(school)
    lecturer = await signed_in(chromium, address, await school.token(school.teacher_id))
    board = await lecturer.new_page()
    await board.goto(f"/attend/check-in/{window['id']}")
    seen: list[str] = []
    for index in range(2):
        seen.append(await code_on(board))
        assert (await phone(school).check_in(school, index, seen[-1])).status_code == 200
        await expect(board.locator("[data-code]:visible [role=img]").first).not_to_have_attribute(
            "aria-label", f"Access code: {' '.join(seen[-1])}", timeout=12_000
        )
    await board.route("**/code", lambda route: route.abort())
    seen.append(await code_on(board))
    await expect(board.locator("[data-code]:visible")).to_have_count(0, timeout=25_000)
    await expect(board.get_by_text("There is no code until it is back.")).to_be_visible()
    await board.unroute("**/code")
    await expect(board.locator("[data-code]:visible")).to_have_count(1, timeout=5_000)
    now = await code_on(board)
    assert now not in seen
    assert (await phone(school).check_in(school, 2, now)).status_code == 200
    await teacher_sends(school, window["id"], "close")
    await expect(board.get_by_text("This check-in is closed.")).to_be_visible(timeout=12_000)
