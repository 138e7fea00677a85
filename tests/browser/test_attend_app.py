"""The attendance app in Chromium: installed, offline, killed, reopened; two devices, two tabs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from attend_phone import (
    CLASS,
    EVERYBODY,
    installed,
    marks,
    open_app,
    opened_phone,
    sign_in,
    synced,
)
from inspection import faults
from playwright.async_api import expect

from school_fixtures import School

pytestmark = [pytest.mark.anyio, pytest.mark.browser, pytest.mark.xdist_group("pages")]


async def test_marks_survive_a_killed_browser_and_reach_the_server(
    big_class: School, address: str, tmp_path: Path
) -> None:
    profile = tmp_path / "profile"
    async with opened_phone(profile) as phone:
        await sign_in(phone.context, big_class, address)
        page = phone.page
        await open_app(page, address)
        await synced(page)
        await installed(page)
        await phone.context.set_offline(True)
        await page.reload()
        await page.get_by_role("button", name=re.compile(f"Take the roll: {CLASS}")).click()
        await expect(page.locator(".attend-tap")).to_have_count(EVERYBODY)
        began = await page.evaluate("performance.now()")
        await page.get_by_role("button", name="All present").click()
        await expect(page.get_by_text("60 of 60 there", exact=True)).to_be_visible()
        # The exceptions: one absent, one late by ten minutes.
        await page.get_by_role("button", name=re.compile("^Ben")).click()
        await page.get_by_role("button", name="More for Gwen").click()
        await page.get_by_role("dialog").get_by_role("button", name="Late").click()
        await page.get_by_role("dialog").get_by_role("button", name="10").click()
        await page.get_by_role("button", name="Done").click()
        await expect(page.get_by_text("59 of 60 there", exact=True)).to_be_visible()
        await page.get_by_role("button", name="Close the roll").click()
        await expect(page.get_by_text("The roll was closed")).to_be_visible()
        await expect(page.locator(".attend-words")).to_contain_text("Saved on this device.")
        assert await page.evaluate("performance.now()") - began < 60_000
        # The session, sixty marks, of which Ben's was taken back: its id has to be reported too.
        await expect(page.locator(".attend-words")).to_contain_text("Not yet synced: 61.")
        phone.kill()
    assert await marks(big_class) == []
    async with opened_phone(profile, online=False) as phone:
        page = phone.page
        await open_app(page, address)
        await page.get_by_role("link", name="See the roll").click()
        await expect(page.get_by_text("59 of 60 there", exact=True)).to_be_visible()
        await expect(page.locator('[data-status="late"]')).to_contain_text("Late, 10 min")
        await expect(page.locator(".attend-words")).to_contain_text("Not yet synced: 61.")
        await phone.context.set_offline(False)
        await page.evaluate("dispatchEvent(new Event('online'))")
        await synced(page)
    found = await marks(big_class)
    assert len(found) == EVERYBODY - 1
    assert [minutes for _, minutes in found if minutes is not None] == [10]


async def test_two_lecturers_see_each_others_marks(
    big_class: School, address: str, tmp_path: Path
) -> None:
    async with (
        opened_phone(tmp_path / "one") as one,
        opened_phone(tmp_path / "two") as two,
    ):
        for phone in (one, two):
            await sign_in(phone.context, big_class, address)
            await open_app(phone.page, address)
            await synced(phone.page)
        take = one.page.get_by_role("button", name=re.compile("Take the roll"))
        await take.click()
        await one.page.get_by_role("button", name=re.compile("^Ada")).click()
        await synced(one.page)
        await two.page.get_by_role("button", name="Sync now").click()
        await two.page.get_by_role("link", name="Go on with the roll").click()
        await expect(two.page.get_by_text("1 of 60 there", exact=True)).to_be_visible()
        await two.page.get_by_role("button", name=re.compile("^Gwen")).click()
        await synced(two.page)
        await one.page.get_by_role("button", name="Sync now").click()
        await expect(one.page.get_by_text("Changed on another device", exact=True)).to_be_visible()
        await expect(one.page.locator("[data-notice=changed]")).to_contain_text("Gwen")
        await expect(one.page.get_by_text("2 of 60 there", exact=True)).to_be_visible()


async def test_the_screens_have_no_faults(big_class: School, address: str, tmp_path: Path) -> None:
    found: list[str] = []
    async with opened_phone(tmp_path / "profile") as phone:
        await sign_in(phone.context, big_class, address)
        complaints: list[str] = []
        phone.context.on("weberror", lambda error: complaints.append(str(error.error)))
        phone.context.on(
            "console",
            lambda said: (
                complaints.append(said.text)
                # LokiJS begins a new database by deleting it, before its own reading has ended.
                if said.type in ("error", "warning") and "Deleting database" not in said.text
                else None
            ),
        )
        page = phone.page
        await open_app(page, address)
        await synced(page)
        found += await faults(page)
        await page.get_by_role("link", name=CLASS).click()
        await expect(page.get_by_role("heading", level=1, name=CLASS)).to_be_focused()
        # By keyboard alone: a session by hand, one student present, another one excused.
        await page.get_by_role("button", name="New session").focus()
        await page.keyboard.press("Enter")
        found += await faults(page)
        await page.keyboard.press("Enter")
        await expect(page.locator(".attend-tap")).to_have_count(EVERYBODY)
        await page.get_by_label("Find a student").fill("chloe")
        await expect(page.locator(".attend-tap:visible")).to_have_count(1)
        await page.get_by_role("button", name=re.compile("^Chloé")).press("Space")
        await expect(page.locator("[data-part=says]")).to_have_text(
            "Chloé: Present. 1 of 60 there."
        )
        tapped = page.get_by_role("button", name=re.compile("^Chloé"))
        await expect(tapped).to_have_attribute("aria-pressed", "true")
        await expect(tapped).to_be_focused()
        await page.get_by_label("Find a student").fill("")
        await page.get_by_role("button", name="More for Ada").press("Enter")
        found += await faults(page)
        await page.get_by_role("dialog").get_by_role("button", name="Excused").press("Enter")
        await page.get_by_role("button", name="Done").press("Enter")
        await expect(page.locator('[data-status="excused"]')).to_contain_text("Excused")
        small = await page.evaluate(
            "() => [...document.querySelectorAll('.attend button, .attend a.button')]"
            ".filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44)"
            ".map(e => e.textContent)"
        )
        assert small == []
        found += await faults(page)
        await page.get_by_role("button", name="Close the roll").click()
        await page.get_by_role("link", name=f"Back to {CLASS}").click()
        await expect(page.get_by_text("Taken")).to_be_visible()
        await page.get_by_role("button", name="Rename the class").click()
        await page.get_by_label("Name of the class").fill("Physics, evening")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1, name="Physics, evening")).to_be_visible()
        await synced(page)
        found += await faults(page)
    assert found == []
    assert complaints == []


async def test_one_tab_at_a_time_and_signing_out(
    big_class: School, address: str, tmp_path: Path
) -> None:
    async with opened_phone(tmp_path / "profile") as phone:
        await sign_in(phone.context, big_class, address)
        first = phone.page
        await open_app(first, address)
        await synced(first)
        second = await phone.context.new_page()
        await second.goto(f"{address}/attend/app")
        await second.get_by_role("button", name="Use it here").click()
        await expect(second.get_by_role("heading", level=1, name="Today")).to_be_visible()
        await expect(first.get_by_role("button", name="Use it here")).to_be_visible()
        await synced(second)
        await phone.context.set_offline(True)
        await second.get_by_role("button", name=re.compile("Take the roll")).click()
        await second.get_by_role("button", name=re.compile("^Ada")).click()
        await second.get_by_role("link", name=f"Back to {CLASS}").click()
        await second.get_by_role("link", name="Back to today").click()
        await second.get_by_role("button", name="Sign this device out").click()
        await expect(second.get_by_text("2 changes are not yet synced")).to_be_visible()
        await second.get_by_role("button", name="Cancel").click()
        await phone.context.set_offline(False)
        await second.get_by_role("button", name="Sync now").click()
        await synced(second)
        await second.get_by_role("button", name="Sign this device out").click()
        await second.get_by_role("dialog").get_by_role("button", name="Sign this").click()
        await expect(second.get_by_role("heading", level=1, name="This device")).to_be_visible()
        left = await second.evaluate(
            "() => indexedDB.databases().then(all => all.map(d => d.name))"
        )
        assert not [name for name in left if name.startswith("attend-")]
        assert await second.evaluate("() => caches.keys()") == []
    async with big_class.program(await big_class.token(big_class.teacher_id)) as program:
        assert (await program.get("/api/attend/devices")).json() == []


async def test_a_token_works_without_a_cookie_until_it_is_revoked(
    big_class: School, address: str, tmp_path: Path
) -> None:
    async with opened_phone(tmp_path / "profile") as phone:
        await sign_in(phone.context, big_class, address)
        page = phone.page
        await open_app(page, address)
        await synced(page)
        await installed(page)
        await phone.context.clear_cookies()
        await open_app(page, address)
        await synced(page)
        async with big_class.program(await big_class.token(big_class.teacher_id)) as program:
            (device,) = (await program.get("/api/attend/devices")).json()
            await program.delete(f"/api/attend/devices/{device['id']}")
        await page.get_by_role("button", name="Sync now").click()
        await expect(page.get_by_text("This device was signed out")).to_be_visible()
        await page.get_by_role("button", name=re.compile("Take the roll")).click()
        await expect(page.locator(".attend-words")).to_contain_text("Not yet synced: 1.")
        await sign_in(phone.context, big_class, address)
        await page.get_by_role("button", name="Connect this device").click()
        # The page that is kept has the token of a sign-in that is over; a new one has its own.
        await page.reload()
        await page.get_by_role("button", name="Connect this device").click()
        await synced(page)
