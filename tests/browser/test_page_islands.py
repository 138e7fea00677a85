"""Events, captions, recordings and plots in Chromium, from a stream that this file serves."""

from __future__ import annotations

import io
import json
import mimetypes
import queue
import threading
import wave
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from chromium import DIST, launch
from playwright.sync_api import Browser, Page, expect, sync_playwright

pytestmark = pytest.mark.browser

STYLE = DIST.parent / "classweave.css"
SHARES = {
    "kind": "shares",
    "people": [
        {"name": "Ana", "share": 0.5, "thread": 1},
        {"name": "Ben", "share": None, "thread": 2},
    ],
}
TIMELINE = {
    "kind": "timeline",
    "end": 60,
    "lanes": [{"name": "Ana", "thread": 1, "spans": [[0, 9], [30, 45]]}],
}
LINE = {
    "kind": "line",
    "min": -1,
    "max": 1,
    "series": [{"name": "Tone", "points": [[0, 0.1], [30, None], [60, -0.4]]}],
}


def chart(spec: dict[str, object]) -> str:
    return (
        f"<div data-island='chart' data-chart='{json.dumps(spec)}'>"
        "<table><caption>In numbers</caption><tr><td>1</td></tr></table></div>"
    )


PAGE = f"""<!doctype html><html lang="en"><head><title>Islands</title><meta charset="utf-8">
<link rel="icon" href="data:,"><link rel="stylesheet" href="/static/classweave.css">
<script type="module" src="/static/dist/SHELL"></script></head><body><main><h1>Islands</h1>
<script type="application/json" id="strings-more">{{"follow.following": "En vivo"}}</script>
<div data-island="follow" data-url="/events" data-last-id="4"></div>
<div id="prompts" hx-get="/fragment"
 hx-trigger="classweave:prompt:group_a from:document throttle:300ms">0</div>
<div data-island="captions" data-group="group_a" data-lines="20"
 data-threads='{{"participant_1": 3}}'>
<div class="scroller" style="height: 8rem" tabindex="0"><ol class="captions"></ol></div></div>
{chart(SHARES)}{chart(TIMELINE)}{chart(LINE)}
<section data-island="player" aria-label="Recording" tabindex="-1">
<audio data-start="10" src="/tone.wav"></audio><audio data-start="12" src="/tone.wav"></audio>
<ol><li data-start="10" data-end="12"><a href="#t=10">00:10</a> First words</li>
<li data-start="13" data-end="15"><a href="#t=13">00:13</a> Other words</li></ol></section>
</main></body></html>"""


def tone() -> bytes:
    """Five seconds of 440 Hz at 8 kHz."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        samples = 8000 * np.sin(2 * np.pi * 440 * np.arange(40_000) / 8000)
        out.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


class Site(ThreadingHTTPServer):
    """Serves the page, and as its stream whatever the test puts into ``events``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.events: queue.Queue[str | None] = queue.Queue()
        self.asked: list[str | None] = []
        self.fragments = 0
        self.status = 200

    def emit(self, number: int, kind: str, **data: object) -> None:
        self.events.put(f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n")

    def caption(self, number: int, **more: object) -> None:
        line = {
            "id": f"utterance_{number}",
            "group": "group_a",
            "participant": "participant_1",
            "name": "Ana",
            "text": f"Line {number}",
            "start": float(number),
            "confidence": 0.9,
        }
        self.emit(number, "caption", **{**line, **more})

    def cut(self) -> None:
        self.events.put(None)


class Handler(BaseHTTPRequestHandler):
    server: Site

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/events":
            self.stream(parse_qs(url.query).get("last_event_id", [None])[0])
        elif url.path == "/":
            shell = json.loads((DIST / "manifest.json").read_text())["shell.js"]
            self.give(PAGE.replace("SHELL", shell).encode(), "text/html")
        elif url.path == "/fragment":
            self.server.fragments += 1
            self.give(str(self.server.fragments).encode(), "text/html")
        elif url.path == "/tone.wav":
            self.give_part(tone(), "audio/wav")
        elif url.path == "/static/classweave.css":
            self.give(STYLE.read_bytes(), "text/css")
        else:
            name = url.path.rpartition("/")[2]
            kind = mimetypes.guess_type(name)[0] or "text/plain"
            self.give((DIST / name).read_bytes(), kind)

    def give(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def give_part(self, body: bytes, kind: str) -> None:
        """A range, as players need to seek."""
        first = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        self.send_response(206)
        self.send_header("Content-Type", kind)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - first))
        self.end_headers()
        self.wfile.write(body[first:])

    def stream(self, after: str | None) -> None:
        self.server.asked.append(after)
        if self.server.status != 200:
            self.give(b"", "text/plain", self.server.status)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"retry: 1000\n: following\n\n")
        while (event := self.server.events.get()) is not None:
            self.wfile.write(event.encode())
            self.wfile.flush()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = launch(playwright, "--autoplay-policy=no-user-gesture-required")
        yield chromium
        chromium.close()


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield running
        running.cut()
        running.shutdown()
        thread.join()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(f"http://127.0.0.1:{site.server_port}/")
    yield opened
    context.close()
    assert errors == []


def test_captions_follow_and_resume(page: Page, site: Site) -> None:
    expect(page.get_by_role("status").first).to_have_text("En vivo")
    lines = page.locator(".caption")
    site.caption(5, text="<b>One</b> & two")
    site.caption(7, participant="participant_2", name="Ben", confidence=0.4)
    site.caption(6, participant=None, name="Group device")
    site.caption(8, group="group_b")
    expect(lines).to_have_count(3)
    assert lines.nth(0).locator(".caption-words").inner_text() == "<b>One</b> & two"
    assert lines.nth(0).get_attribute("class") == "caption thread-3"
    assert lines.nth(1).get_attribute("class") == "caption thread-0"
    assert lines.nth(2).get_attribute("class") == "caption thread-2 caption-doubt"
    assert "(unsure)" in lines.nth(2).inner_text()
    assert lines.nth(2).locator(".caption-time").inner_text() == "00:07"
    site.cut()
    site.caption(7, text="said again")
    site.caption(9)
    expect(lines).to_have_count(4)
    assert "said again" in lines.nth(2).inner_text()
    assert site.asked == ["4", "8"]


def test_captions_stay_where_a_reader_scrolled(page: Page, site: Site) -> None:
    for number in range(5, 30):
        site.caption(number)
    lines = page.locator(".caption")
    expect(lines).to_have_count(20)
    expect(lines.last).to_contain_text("Line 29")
    scroller = page.locator(".scroller")
    distance = "e => e.scrollHeight - e.scrollTop - e.clientHeight"
    assert scroller.evaluate(distance) < 2
    scroller.evaluate("e => { e.scrollTop = 100 }")
    site.caption(30)
    expect(lines.last).to_contain_text("Line 30")
    assert scroller.evaluate(distance) > 100


def test_htmx_refreshes_on_its_own_group_only(page: Page, site: Site) -> None:
    prompts = page.locator("#prompts")
    site.emit(5, "prompt", group="group_b")
    site.caption(6)
    expect(page.locator(".caption")).to_have_count(1)
    assert prompts.inner_text() == "0"
    for number in range(7, 17):
        site.emit(number, "prompt", group="group_a")
    expect(prompts).to_have_text("2")
    page.wait_for_timeout(400)
    assert site.fragments == 2  # the first at once, the other nine together


def test_a_stream_that_is_refused_says_so(page: Page, site: Site) -> None:
    expect(page.get_by_role("status").first).to_have_text("En vivo")
    site.status = 403
    site.cut()
    expect(page.locator("[data-island=follow]")).to_have_attribute("data-state", "stopped")
    assert len(site.asked) == 2


def test_plots_leave_their_tables_to_screen_readers(page: Page, site: Site) -> None:
    charts = page.locator("[data-island=chart]")
    expect(charts.locator("svg")).to_have_count(3)
    for index in range(3):
        box = charts.nth(index).locator(".visually-hidden:has(table)").bounding_box()
        assert box is not None
        assert box["width"] <= 1.5
    assert charts.nth(0).locator("div[aria-hidden=true]").count() == 1
    assert "Ana" in (charts.nth(0).locator("svg").text_content() or "")
    ink = page.locator("[data-island=chart] svg text", has_text="Ana").first
    light = ink.get_attribute("fill")
    page.emulate_media(color_scheme="dark")
    expect(ink).not_to_have_attribute("fill", light or "")


def test_recordings_play_together_beside_their_words(page: Page, site: Site) -> None:
    player = page.locator("[data-island=player]")
    lines = player.locator("li")
    expect(player.locator("[data-part=time]")).to_have_text("00:10 / 00:17")
    player.get_by_role("button", name="Play").click()
    expect(lines.nth(0)).to_have_attribute("aria-current", "true")
    playing = "() => [...document.querySelectorAll('audio')].map(a => !a.paused)"
    page.wait_for_function(f"({playing})()[0]")
    assert page.evaluate(playing) == [True, False]
    lines.nth(1).locator("a").click()
    expect(lines.nth(1)).to_have_attribute("aria-current", "true")
    assert lines.nth(0).get_attribute("aria-current") is None
    page.wait_for_function(f"({playing})().every(Boolean)")
    page.wait_for_timeout(300)
    times = page.evaluate("[...document.querySelectorAll('audio')].map(a => a.currentTime)")
    assert abs(times[0] - times[1] - 2) < 0.2
    player.focus()
    page.keyboard.press("ArrowLeft")
    expect(lines.nth(0)).to_have_attribute("aria-current", "true")
    page.keyboard.press("Space")
    expect(player.get_by_role("button", name="Play")).to_be_visible()
    assert page.evaluate(playing) == [False, False]
