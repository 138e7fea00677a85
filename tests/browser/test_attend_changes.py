"""The attendance app when something changes: who is signed in, its version, its language."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from attend_phone import CLASS, installed, marks, open_app, opened_phone, sign_in, synced, until
from babel.messages.pofile import read_po
from devices import colleague
from playwright.async_api import Page, expect

from classweave.attend.pages import app as app_pages
from classweave.directory.models import User
from classweave.web import i18n
from school_fixtures import NAMES, School

pytestmark = [pytest.mark.anyio, pytest.mark.browser, pytest.mark.xdist_group("pages")]

PRESENT = 1
WORDS = Path(__file__).parents[2] / "frontend/src/attend/ui/words.ts"
PO = Path(i18n.__file__).parents[1] / "locale/es/LC_MESSAGES/classweave.po"


async def test_two_people_on_one_browser_keep_apart(
    big_class: School, address: str, tmp_path: Path
) -> None:
    other = await colleague(big_class)
    async with opened_phone(tmp_path / "profile") as phone:
        context, page = phone.context, phone.page
        await sign_in(context, big_class, address)
        await open_app(page, address)
        await synced(page)
        await installed(page)
        await context.set_offline(True)
        await page.get_by_role("button", name=re.compile("Take the roll")).click()
        await page.get_by_role("button", name=re.compile("^Ada")).click()
        await expect(page.locator(".attend-words")).to_contain_text("Not yet synced: 2.")
        # The other one comes to the same computer.
        await page.goto("about:blank")
        await context.set_offline(False)
        await sign_in(context, other, address)
        await open_app(page, address)
        await synced(page)
        await expect(page.get_by_role("link", name="9C History")).to_be_visible()
        await expect(page.get_by_text(CLASS)).to_have_count(0)
        await context.set_offline(True)
        await page.reload()
        await expect(page.get_by_role("link", name="9C History")).to_be_visible()
        await context.set_offline(False)
        await page.get_by_role("button", name="Sign this device out").click()
        await page.get_by_role("dialog").get_by_role("button", name="Sign this").click()
        await expect(page.get_by_role("heading", level=1, name="This device")).to_be_visible()
        assert await marks(big_class) == []
        await sign_in(context, big_class, address)
        await open_app(page, address)
        await synced(page)
        await expect(page.get_by_role("link", name="Go on with the roll")).to_be_visible()
    assert await marks(big_class) == [(PRESENT, None)]


async def test_a_new_version_waits_for_a_safe_moment_and_loses_nothing(
    big_class: School, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_phone(tmp_path / "profile") as phone:
        context, page = phone.context, phone.page
        await sign_in(context, big_class, address)
        await open_app(page, address)
        await synced(page)
        await installed(page)
        old = await page.locator(".attend").get_attribute("data-version")
        await context.set_offline(True)
        await page.get_by_role("button", name=re.compile("Take the roll")).click()
        await page.get_by_role("button", name=re.compile("^Ada")).click()
        await expect(page.locator(".attend-words")).to_contain_text("Not yet synced: 2.")
        deploy(monkeypatch)
        await context.set_offline(False)
        await page.evaluate("() => dispatchEvent(new Event('online'))")
        await synced(page)
        # The page asks for its cache as soon as the worker is active, and this asks after it.
        await until(
            page,
            "async old => navigator.serviceWorker.controller?.state === 'activated'"
            " && !(await caches.has(`attend-${old}`))",
            old,
        )
        # In the middle of a roll nothing is interrupted, and what is marked is marked.
        await context.set_offline(True)
        await page.get_by_role("button", name=re.compile("^Gwen")).click()
        await expect(page.locator(".attend-words")).to_contain_text("Not yet synced: 1.")
        assert await page.locator(".attend").get_attribute("data-version") == old
        await page.get_by_role("link", name=f"Back to {CLASS}").click()
        await expect(page.locator(f'.attend:not([data-version="{old}"])')).to_be_visible()
        await expect(page.get_by_role("heading", level=1, name=CLASS)).to_be_visible()
        await expect(page.locator(".attend-words")).to_contain_text("Not yet synced: 1.")
        await context.set_offline(False)
        await page.evaluate("() => dispatchEvent(new Event('online'))")
        await synced(page)
    assert await marks(big_class) == [(PRESENT, None)] * 2


def deploy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has another version of the app from now on."""
    code: str = getattr(app_pages, "_worker")()  # noqa: B009 - it is the module's own
    monkeypatch.setattr(app_pages, "_worker", lambda: f"{code}\n// another version")


# Everything that can be read or heard on a page.
_SAID = """() => {
  const skipped = "script, style, template, noscript, [hidden]";
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const said = [document.title];
  while (walker.nextNode()) {
    if (!walker.currentNode.parentElement.closest(skipped)) said.push(walker.currentNode.data);
  }
  for (const name of ["aria-label", "placeholder", "title", "alt"]) {
    const named = document.querySelectorAll(`body [${name}]`);
    for (const one of named) said.push(one.getAttribute(name));
  }
  return said.join(" \\n ");
}"""
_DATA = f"Classweave Attend School {CLASS} Student Teacher {' '.join(NAMES)} simulacro"
_DATES = "Mon Tue Wed Thu Fri Sat Sun Jan Apr Aug Dec January November December AM PM"


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]{2,}", text.lower()))


def english() -> set[str]:
    """Words of the English strings that no Spanish one has, nor a name."""
    with PO.open("rb") as opened:
        messages: list[Any] = [message for message in read_po(opened) if message.id]
    plain = [" ".join(m.id) if isinstance(m.id, tuple) else m.id for m in messages]
    translated = [" ".join(m.string) if isinstance(m.string, tuple) else m.string for m in messages]
    return words_of(" ".join([*plain, _DATES])) - words_of(" ".join([*translated, _DATA]))


async def test_every_screen_is_spanish(big_class: School, address: str, tmp_path: Path) -> None:
    async with big_class.database.transaction(big_class.teacher) as session:
        (await session.get_one(User, big_class.teacher_id)).locale = "es"
    foreign = english()
    assert {"roll", "wed", "taken", "they"} <= foreign
    seen: list[str] = []

    async def look(page: Page) -> None:
        said: str = await page.evaluate(_SAID)
        left = words_of(said) & foreign
        assert not left, (left, said)
        seen.append(said)

    async with opened_phone(tmp_path / "profile", locale="es-MX") as phone:
        context, page = phone.context, phone.page
        await sign_in(context, big_class, address)
        await open_app(page, address, "Hoy")
        block = page.locator("#strings-attend")
        spanish = {
            key.removeprefix("attend."): words
            for key, words in json.loads(await block.text_content() or "{}").items()
        }
        source = WORDS.read_text("utf-8")
        assert set(re.findall(r"^  (\w+):", source, re.MULTILINE)) == spanish.keys()
        words = spanish.__getitem__
        await synced(page, words("synced"))
        await installed(page)
        await look(page)
        await page.get_by_role("link", name=CLASS).first.click()
        await look_into(page, words("rename"), look)
        await look_into(page, words("new_session"), look)
        await context.set_offline(True)
        await page.get_by_role("link", name=words("back_today")).click()
        await page.get_by_role("button", name=re.compile(words("take"))).click()
        await page.get_by_role("button", name=words("all_present")).click()
        await expect(page.get_by_role("button", name=words("undo"))).to_be_visible()
        await page.get_by_label(words("search")).fill("zzz")
        await look(page)
        await page.get_by_label(words("search")).fill("ada")
        more = words("more").format(name="Ada")
        await page.get_by_role("button", name=more).click()
        await (
            page.get_by_role("dialog").get_by_role("button", name=words("late"), exact=True).click()
        )
        await page.get_by_role("dialog").get_by_role("button", name="10", exact=True).click()
        await look(page)
        await page.get_by_role("button", name=words("done")).click()
        await expect(page.locator('[data-status="late"]')).to_be_visible()
        await look_into(page, words("note"), look)
        await page.get_by_role("button", name=words("close_roll")).click()
        await expect(page.get_by_role("button", name=words("reopen"))).to_be_visible()
        await look_into(page, words("delete"), look)
        await page.get_by_role("link", name=words("back_class").format(name=CLASS)).click()
        await expect(page.get_by_role("heading", level=1, name=CLASS)).to_be_visible()
        await look(page)
        await page.get_by_role("link", name=words("back_today")).click()
        await look_into(page, words("leave"), look)
        another = await context.new_page()
        await another.goto(f"{address}/attend/app")
        await expect(another.get_by_role("button", name=words("use_here"))).to_be_visible()
        await look(another)
    assert len(seen) == len(set(seen)) == 10


async def look_into(page: Page, opener: str, look: Any) -> None:
    """Look at a dialog, and close it again."""
    await page.get_by_role("button", name=opener, exact=True).click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await look(page)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
