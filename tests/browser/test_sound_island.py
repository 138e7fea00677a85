"""The sound island in Chromium, its microphone fed from real recorded speech."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import av
import numpy as np
import pytest
from chromium import launch
from microphone import RATE, fake_microphone, read_speech
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, sync_playwright
from sound_server import Chunk, SoundServer, packets

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float32]:
    return read_speech(3, 3)


@pytest.fixture(scope="module")
def browser(
    tmp_path_factory: pytest.TempPathFactory, speech: NDArray[np.float32]
) -> Iterator[Browser]:
    heard = fake_microphone(speech, tmp_path_factory.mktemp("microphone"))
    with sync_playwright() as playwright:
        chromium = launch(playwright, *heard)
        yield chromium
        chromium.close()


@pytest.fixture
def server() -> Iterator[SoundServer]:
    with SoundServer() as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: SoundServer) -> Iterator[Page]:
    context = browser.new_context(permissions=["microphone"])
    opened = context.new_page()
    # Chromium's fake microphone needs no person; a real one asks, and this counts how often.
    opened.add_init_script(
        "window.asked = 0; const ask = navigator.mediaDevices.getUserMedia;"
        "navigator.mediaDevices.getUserMedia = function (wish) {"
        " window.asked += 1; return ask.call(this, wish); };"
    )
    yield opened
    context.close()


def until(page: Page, condition: Callable[[], bool], what: str, seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        page.wait_for_timeout(50)


def see(page: Page, state: str) -> None:
    page.wait_for_selector(f'[data-island=sound][data-state="{state}"]', timeout=15_000)


def start(page: Page, server: SoundServer) -> None:
    page.goto(f"http://127.0.0.1:{server.port}/")


def kept(page: Page) -> dict[str, int]:
    """How many rows the island has in IndexedDB."""
    return page.evaluate(
        """() => new Promise((resolve) => {
          const open = indexedDB.open("classweave-sound");
          open.onsuccess = () => {
            const db = open.result, stores = ["tracks", "chunks"];
            const transaction = db.transaction(stores), counts = {};
            for (const name of stores) {
              transaction.objectStore(name).count().onsuccess = (event) =>
                (counts[name] = event.target.result);
            }
            transaction.oncomplete = () => { db.close(); resolve(counts); };
          };
        })"""
    )


def assert_whole(chunks: list[Chunk]) -> None:
    """Every number once, and every millisecond."""
    assert [chunk.seq for chunk in chunks] == list(range(len(chunks)))
    for before, after in pairwise(chunks):
        assert after.start_ms == before.start_ms + before.duration_ms


def decode(chunks: list[Chunk], codec: str) -> NDArray[np.float32]:
    """The sound of chunks; silence where they carry none."""
    parts: list[NDArray[np.float32]] = []
    opus = av.CodecContext.create("libopus", "r")
    opus.layout = "mono"
    opus.sample_rate = RATE
    for chunk in chunks:
        if chunk.silent:
            rate = RATE if codec == "opus" else 16_000
            parts.append(np.zeros(chunk.duration_ms * rate // 1000, np.float32))
        elif codec == "opus":
            for packet in packets(chunk.payload):
                for frame in opus.decode(av.Packet(packet)):
                    samples = frame.to_ndarray().reshape(-1)
                    scale = 32768 if samples.dtype == np.int16 else 1
                    parts.append((samples / scale).astype(np.float32))
        else:
            parts.append(np.frombuffer(chunk.payload, "<i2").astype(np.float32) / 32768)
    return np.concatenate(parts)


def envelope(sound: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Loudness in dB of each 20 ms, floored at -60."""
    frames = sound[: len(sound) // (rate // 50) * (rate // 50)].reshape(-1, rate // 50)
    power = np.mean(frames.astype(np.float64) ** 2, axis=1)
    return np.maximum(10 * np.log10(power + 1e-12), -60)


def likeness(heard: NDArray[np.float64], spoken: NDArray[np.float64]) -> float:
    """Best correlation of what was heard with what the fake microphone plays, over all shifts."""
    loop = np.concatenate([spoken, spoken, spoken])
    return max(
        float(np.corrcoef(heard, loop[shift : shift + len(heard)])[0, 1])
        for shift in range(len(spoken))
    )


@pytest.mark.parametrize("codec", ["opus", "pcm16"])
def test_sound_arrives_whole(
    page: Page, server: SoundServer, speech: NDArray[np.float32], codec: str
) -> None:
    if codec == "pcm16":
        page.add_init_script("delete window.AudioEncoder")
    start(page, server)
    see(page, "heard")
    until(page, lambda: len(server.stored) >= 16, "6 s of sound")
    chunks = list(server.stored)
    rate = RATE if codec == "opus" else 16_000
    hello = dict(server.hellos[0])
    assert 0 <= hello.pop("elapsed_ms") < 1_000  # the connection may take a moment
    assert hello == {
        "type": "hello",
        "protocol": 1,
        "track": None,
        "codec": codec,
        "sample_rate": rate,
        "device": "laptop",
    }
    assert_whole(chunks)
    assert {chunk.duration_ms for chunk in chunks} == {400}
    silent = [chunk for chunk in chunks if chunk.silent]
    assert 2 <= len(silent) <= 7  # of the 3 s of silence, less pre-roll and hangover
    assert all(chunk.payload == b"" and chunk.rms > 54 for chunk in silent)
    heard = decode(chunks, codec)
    assert abs(len(heard) / rate - 0.4 * len(chunks)) < 0.02
    assert likeness(envelope(heard, rate), envelope(speech, RATE)) > 0.9
    loudest = min(chunk.rms for chunk in chunks)
    assert loudest < 35
    until(page, lambda: kept(page)["chunks"] <= 1, "acknowledged chunks are deleted")
    if codec == "opus":
        loud = [chunk for chunk in chunks if not chunk.silent]
        bits = 8 * sum(len(chunk.payload) for chunk in loud)
        assert bits / (0.4 * len(loud)) < 36_000


def test_network_cut_leaves_no_gap(page: Page, server: SoundServer) -> None:
    start(page, server)
    until(page, lambda: len(server.stored) >= 5, "2 s of sound")
    server.refuse = True
    server.hang_up()
    see(page, "reconnecting")
    before = len(server.stored)
    until(page, lambda: kept(page)["chunks"] >= 8, "sound waits on the device")
    assert len(server.stored) == before
    server.refuse = False
    page.evaluate("dispatchEvent(new Event('online'))")
    until(page, lambda: len(server.stored) >= before + 15, "all of it arrives")
    assert_whole(server.stored)
    assert [hello["track"] for hello in server.hellos] == [None, server.track]


def test_reload_resumes_with_what_was_not_acknowledged(page: Page, server: SoundServer) -> None:
    start(page, server)
    until(page, lambda: len(server.stored) >= 4, "sound")
    server.acknowledge = False
    safe = len(server.stored)
    until(page, lambda: len(server.arrived) >= safe + 6, "sound that is not acknowledged")
    waiting = {chunk.seq: chunk.payload for chunk in server.arrived if chunk.seq >= safe}
    page.on("dialog", lambda dialog: dialog.accept())
    page.mouse.click(5, 5)
    server.hang_up()  # the tab dies at once, as in a crash; what it sent last may be lost
    server.acknowledge = True
    page.reload()
    until(page, lambda: len(server.stored) >= safe + 12, "the rest, and new sound")
    assert [hello["track"] for hello in server.hellos][-1] == server.track
    assert [chunk.seq for chunk in server.stored] == list(range(len(server.stored)))
    for seq, payload in waiting.items():
        assert server.stored[seq].payload == payload
    starts = [chunk.start_ms for chunk in server.stored]
    gaps = np.diff(starts) - 400
    assert (gaps >= -400).all()
    assert 0 < gaps.max() < 8_000  # the reload itself is a gap in time, and shows


def test_without_consent_nothing_is_captured(page: Page, server: SoundServer) -> None:
    server.consent = False
    start(page, server)
    see(page, "no_consent")
    page.wait_for_timeout(1_500)
    assert server.arrived == []
    assert page.evaluate("window.asked") == 0
    server.consent = True
    server.say(type="consent", given=True)
    until(page, lambda: len(server.stored) >= 2, "sound once consent is given")


def test_withdrawn_consent_stops_and_deletes(page: Page, server: SoundServer) -> None:
    start(page, server)
    until(page, lambda: len(server.stored) >= 2, "sound")
    server.acknowledge = False
    until(page, lambda: kept(page)["chunks"] >= 3, "sound on the device")
    server.say(type="consent", given=False)
    see(page, "no_consent")
    assert kept(page) == {"tracks": 0, "chunks": 0}
    arrived = len(server.arrived)
    page.wait_for_timeout(1_500)
    assert len(server.arrived) == arrived


def test_mute_pause_and_end(page: Page, server: SoundServer) -> None:
    start(page, server)
    see(page, "heard")
    page.get_by_role("button", name="Mute").click()
    see(page, "muted")
    assert page.get_by_text("Page says: muted").is_visible()
    until(page, lambda: server.stored[-1].muted, "muted chunks keep the time")
    assert server.mutes == [True]
    assert all(chunk.payload == b"" for chunk in server.stored if chunk.muted)
    page.get_by_role("button", name="Unmute").click()
    see(page, "heard")
    server.say(type="state", session="paused")
    see(page, "paused")
    page.wait_for_timeout(500)
    paused = len(server.arrived)
    page.wait_for_timeout(1_000)
    assert len(server.arrived) == paused
    server.say(type="state", session="live")
    until(page, lambda: len(server.arrived) > paused + 2, "sound after the pause")
    assert max(np.diff([chunk.start_ms for chunk in server.stored])) > 1_000
    server.say(type="state", session="ended")
    see(page, "ended")
    until(page, lambda: server.stored[-1].last, "the last chunk says so")
    until(page, lambda: kept(page) == {"tracks": 0, "chunks": 0}, "nothing stays")
    assert [chunk.seq for chunk in server.stored] == list(range(len(server.stored)))


@pytest.mark.parametrize(
    ("code", "state"), [(4401, "sign_in"), (4404, "ended"), (4409, "replaced"), (4400, "failed")]
)
def test_final_closes_are_not_retried(
    page: Page, server: SoundServer, code: int, state: str
) -> None:
    start(page, server)
    until(page, lambda: len(server.stored) >= 1, "sound")
    server.hang_up(code)
    see(page, state)
    page.wait_for_timeout(800)
    assert len(server.hellos) == 1


def test_second_tab_takes_over(page: Page, server: SoundServer) -> None:
    start(page, server)
    until(page, lambda: len(server.stored) >= 2, "sound")
    other = page.context.new_page()
    start(other, server)
    see(page, "replaced")
    before = len(server.stored)
    until(other, lambda: len(server.stored) >= before + 4, "sound of the second tab")
    assert [chunk.seq for chunk in server.stored] == list(range(len(server.stored)))
    assert server.hellos[-1]["track"] == server.track


def test_unplugged_microphone_recovers(page: Page, server: SoundServer) -> None:
    page.add_init_script(
        "const open = navigator.mediaDevices.getUserMedia;"
        "navigator.mediaDevices.getUserMedia = async function (wish) {"
        " if (window.unplugged) throw new DOMException('', 'NotFoundError');"
        " window.stream = await open.call(this, wish); return window.stream; };"
    )
    start(page, server)
    until(page, lambda: len(server.stored) >= 2, "sound")
    page.evaluate(
        "window.unplugged = true;window.stream.getTracks()[0].dispatchEvent(new Event('ended'))"
    )
    see(page, "microphone_lost")
    page.wait_for_timeout(500)
    before = len(server.stored)
    page.evaluate(
        "window.unplugged = false; navigator.mediaDevices.dispatchEvent(new Event('devicechange'))"
    )
    until(page, lambda: len(server.stored) >= before + 3, "sound again")
    assert [chunk.seq for chunk in server.stored] == list(range(len(server.stored)))
    assert max(np.diff([chunk.start_ms for chunk in server.stored])) > 500
