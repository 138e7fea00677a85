"""First synchronisation of the attendance app in Chromium, until a roll is on the screen.

    python bench/attend_browser.py [--data-dir DIR] [--times 3] [--json]

A teacher with 5 classes of 60 students and 90 days of records behind each signs in on a browser
that holds nothing, and opens the app. "Usable" is from the first request of a synchronisation until
today's classes are painted, and until a roll of 60, opened the moment it can be, is painted too.
What lies between is measured around the browser's own functions; the app knows nothing of it. Each
figure is the median of several new browsers, once as fast as the machine is and once slowed down by
Chromium. Needs Chromium (Debian's package `chromium`), the front end that `make setup` builds, and
nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, Playwright, async_playwright

from attend_place import University, university
from classweave.core.secrets import token_hash
from classweave.core.tenancy import ANONYMOUS
from classweave.directory.api.authenticate import COOKIE
from classweave.directory.sign_in import start_session
from installation import show

SLOWER = 4
"""What a cheap phone is beside a desk computer; Chromium's own slowing down."""

QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update")

# Notes when the browser's functions are called by the app. A save is a transaction that writes; the
# first that follows the answer is the one of what was pulled.
_WATCH = """(() => {
  const seen = window.seen = {saves: []};
  const note = name => { seen[name] ??= performance.now(); };
  const ask = window.fetch;
  window.fetch = async (url, init) => {
    const pull = String(url).includes("/api/attend/sync?") && init?.method !== "POST";
    if (String(url).includes("/api/attend/devices")) note("registering");
    if (pull) note("asked");
    const answer = await ask(url, init);
    if (pull) note("answered");
    if (pull) answer.json = async () => {
      const text = await answer.text();
      note("received");
      seen.bytes ??= text.length;
      const value = JSON.parse(text);
      note("parsed");
      seen.records ??= value.changes.attendance_records?.updated.length;
      return value;
    };
    return answer;
  };
  const begin = IDBDatabase.prototype.transaction;
  IDBDatabase.prototype.transaction = function (stores, mode, ...more) {
    const made = begin.call(this, stores, mode, ...more);
    if (mode === "readwrite" && seen.parsed) {
      const save = [performance.now()];
      seen.saves.push(save);
      made.addEventListener("complete", () => save.push(performance.now()));
    }
    return made;
  };
  const painted = name => requestAnimationFrame(() => setTimeout(() => note(name)));
  const look = () => {
    const take = document.querySelector('[aria-label^="Take the roll"]');
    if (take && !seen.found) {
      seen.classes = document.querySelectorAll('[aria-label^="Take the roll"]').length;
      note("found");
      painted("shown");
      requestAnimationFrame(() => setTimeout(() => {
        note("clicked");
        document.querySelector('[aria-label^="Take the roll"]').click();
      }));
    }
    const students = document.querySelectorAll(".attend-tap").length;
    if (students && !seen.students) { seen.students = students; painted("rolled"); }
  };
  new MutationObserver(look).observe(document, {childList: true, subtree: true});
})()"""


async def first_sync(
    playwright: Playwright, chromium: str, place: University, who: int, slower: int
) -> Any:
    """Moments of one first synchronisation, in milliseconds since the page began to load."""
    token = await sign_in(place, place.teachers[who])
    with tempfile.TemporaryDirectory(prefix="classweave-") as profile:
        context = await playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium, args=[*QUIET], locale="en",
            viewport={"width": 390, "height": 844},
        )  # fmt: skip
        await context.add_cookies([{"name": COOKIE, "value": token, "url": place.url}])
        await context.add_init_script(_WATCH)
        tools = await context.new_cdp_session(context.pages[0])
        await tools.send("Emulation.setCPUThrottlingRate", {"rate": slower})
        seen = await _opened(context, place.url)
        await context.close()
    return seen


async def _opened(context: BrowserContext, url: str) -> Any:
    page = context.pages[0]
    await page.goto(f"{url}/attend/app")
    await page.wait_for_function("() => seen.rolled && seen.saves.some(save => save.length > 1)")
    # The last synchronisation has ended too: nothing that it does later is left out by chance.
    await page.wait_for_selector('.attend-state:not([data-state="syncing"])')
    return await page.evaluate("() => seen")


async def sign_in(place: University, teacher: dict[str, Any]) -> str:
    """The cookie of the teacher who has this simulated device."""
    with place.login() as login:
        row = login.execute(
            "SELECT user_id, organization_id FROM attend.devices WHERE token_hash = %s",
            (token_hash(teacher["token"]),),
        ).fetchone()
    assert row is not None
    async with place.runtime.database.transaction(ANONYMOUS) as session:
        return (await start_session(session, ANONYMOUS, row[0], row[1])).token


def figures(runs: list[Any]) -> dict[str, object]:
    """Medians of the steps."""

    def between(begin: str, end: str) -> int:
        return round(statistics.median(run[end] - run[begin] for run in runs))

    for run in runs:
        run["flushing"], run["flushed"] = next(save for save in run["saves"] if len(save) > 1)
    return {
        "records": runs[0]["records"],
        "classes of today": runs[0]["classes"],
        "answer, MB": round(runs[0]["bytes"] / 1e6, 2),
        "registering the device, ms": between("registering", "asked"),
        "request until the answer begins, ms": between("asked", "answered"),
        "receiving and unpacking, ms": between("answered", "received"),
        "parsing JSON, ms": between("received", "parsed"),
        "applying until today's classes are drawn, ms": between("parsed", "found"),
        "painting them, ms": between("found", "shown"),
        "opening a roll, ms": between("clicked", "rolled"),
        "first save to IndexedDB begins, ms": between("asked", "flushing"),
        "that save, ms": between("flushing", "flushed"),
        "usable: today's classes, ms": between("asked", "shown"),
        "usable: a roll is open, ms": between("asked", "rolled"),
        "the same, slowest, ms": round(max(run["rolled"] - run["asked"] for run in runs)),
    }


async def measure(chromium: str, folder: Path, times: int) -> dict[str, object]:
    """A new browser each time."""
    shown: dict[str, object] = {}
    async with university(folder, teachers=5) as place, async_playwright() as playwright:
        for slower in (1, SLOWER):
            runs = [
                await first_sync(playwright, chromium, place, number % len(place.teachers), slower)
                for number in range(times)
            ]
            found = figures(runs)
            if slower > 1:
                found = {
                    f"{slower} times slower: {name}": found[name] for name in found if "ms" in name
                }
            shown |= found
    return shown


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        sys.exit("Chromium is needed: install Debian's package chromium")
    with tempfile.TemporaryDirectory(prefix="classweave-") as scratch:
        show(asyncio.run(measure(found, chosen.data_dir or Path(scratch), chosen.times)))
