"""A whole lesson in Chromium: a class is made, talks into microphones, is measured and guided.

Everything is real: the processes, the database, the recogniser, two people's browsers with a
microphone each, and the rest of the group as replayed devices.
"""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from chromium import QUIET, needed
from inspection import PHONE, Inspector
from microphone import fake_microphone
from playwright.async_api import Browser, Page, async_playwright, expect
from spoken import heard_wrong

from classweave.core.secrets import signing_key
from classweave.demonstration.seed_school import seed_school
from classweave.directory.sign_in import create_sign_in_link
from classweave.live.demo.audio import RATE, Samples, read_sound
from classweave.live.demo.lesson import load_demo
from classweave.live.replay import ReplayDevice, frames_of, join
from classweave.speech.decode import decode_file
from installation import Installation, installation

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.speech,
    # With the other installations of real processes: side by side they would starve each other.
    pytest.mark.xdist_group("faults"),
]

DEMO = load_demo()
GROUP = DEMO.group("group_b")
CLASS = "8B Science, Tuesday"
TITLE = DEMO.lesson.title
NAMES = {m.key: f"{m.given_name} {m.family_name[0]}." for m in GROUP.members}
# While one voice takes over; then it stops, and the talk that follows is shared better.
TAKEN_OVER = [turn for turn in GROUP.turns if turn.end < 80]
PATIENT = 180_000


def monologue() -> Samples:
    """What the microphone hears over and over: the loudest voice, as long as it rules."""
    track = GROUP.tracks()["freya"]
    return read_sound(track)[: round(TAKEN_OVER[-1].end + 1) * RATE]


class Classroom:
    """The people of the lesson: each a browser context of its own, all inspected."""

    def __init__(self, place: Installation, browser: Browser) -> None:
        self.place = place
        self.browser = browser
        self.inspector = Inspector()
        self.code = ""
        self.session = ""

    async def person(self, *, phone: bool = False) -> Page:
        size = {"width": PHONE, "height": 844} if phone else {"width": 1280, "height": 844}
        context = await self.browser.new_context(
            base_url=self.place.url,
            viewport=size,  # pyright: ignore[reportArgumentType]
            permissions=["microphone"],
            accept_downloads=True,
        )
        self.inspector.listen(context)
        context.set_default_timeout(PATIENT)
        return await context.new_page()

    async def look(self, page: Page, heading: str) -> None:
        await self.inspector.look(page, heading)


@pytest.fixture
async def classroom(tmp_path: Path) -> AsyncGenerator[Classroom]:
    """An installation, and a Chromium whose microphone hears the loudest voice of the group."""
    chromium = needed()
    expect.set_options(timeout=PATIENT)
    heard = fake_microphone(monologue(), tmp_path)
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(installation())
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(
            executable_path=chromium,
            args=[*QUIET, *heard],
        )
        stack.push_async_callback(browser.close)
        yield Classroom(place, browser)
    expect.set_options(timeout=5_000)


async def test_a_lesson_from_an_empty_class_to_its_summary(classroom: Classroom) -> None:
    teacher = await classroom.person()
    await make_class(classroom, teacher)
    await prepare(classroom, teacher)
    freya = await join_and_check_the_microphone(classroom)
    jonah = await join_by_keyboard(classroom)
    async with httpx.AsyncClient(base_url=classroom.place.url, timeout=60) as client:
        others = [await replayed(classroom, client, key) for key in ("diego", "anjali")]
    await start(classroom, teacher)
    playing = [asyncio.create_task(device.run()) for device in others]
    try:
        await is_heard(classroom, teacher, freya)
        await guide(classroom, teacher)
        await talk_with_the_teacher(teacher, freya)
        await pause_and_come_back(teacher, freya)
        await sends_nothing(classroom, jonah)
        said = await end(classroom, teacher, freya)
    finally:
        for device in playing:
            device.cancel()
        await asyncio.gather(*playing, return_exceptions=True)
    await read_the_summary(classroom, teacher, said)
    assert classroom.inspector.found == []
    assert classroom.inspector.complaints == []


async def make_class(classroom: Classroom, teacher: Page) -> None:
    """Sign in by the link, paste four names into a new class, record what families decided."""
    place = classroom.place
    await teacher.goto("/")
    await classroom.look(teacher, "Welcome to Classweave")
    school = await seed_school(place.runtime.database, DEMO.school)
    await teacher.goto(
        create_sign_in_link(signing_key(place.runtime.settings), place.url, school.teacher)
    )
    await classroom.look(teacher, "Classes")
    await teacher.get_by_role("link", name="New class").click()
    await teacher.get_by_label("Name", exact=True).fill(CLASS)
    await classroom.look(teacher, "New class")
    await teacher.get_by_role("button", name="Make the class").click()
    rows = [f"{m.given_name}\t{m.family_name}\t8\t2012" for m in GROUP.members]
    await teacher.get_by_label("Type or paste names").fill("\n".join(rows))
    await classroom.look(teacher, "Add students")
    await teacher.get_by_role("button", name="Look at the list").click()
    await classroom.look(teacher, "Look at the list")
    await teacher.get_by_role("button", name="Add to the class").click()
    await expect(teacher.get_by_role("link", name=NAMES["freya"])).to_be_visible()
    await expect(teacher.get_by_text("No consent yet")).to_have_count(len(GROUP.members))

    await teacher.get_by_role("link", name="Record consents").click()
    await record_consents(teacher, ["Take part", "Analysis"], list(NAMES))
    await record_consents(teacher, ["Recording"], [key for key in NAMES if key != "jonah"])
    await expect(teacher.get_by_text("3 of 4 students may be recorded now.")).to_be_visible()
    await classroom.look(teacher, f"Consents of {CLASS}")


async def record_consents(teacher: Page, kinds: list[str], members: list[str]) -> None:
    for key in members:
        await teacher.get_by_role("checkbox", name=NAMES[key]).check()
    about = teacher.get_by_role("group", name="About what?")
    for kind in kinds:
        await about.get_by_role("checkbox", name=kind).check()
    await teacher.get_by_label("Consent is given").check()
    await teacher.get_by_label("How does the school know?").select_option("Signed paper form")
    await teacher.get_by_role("button", name="Record the decision").click()
    await expect(teacher.get_by_role("status").first).to_be_visible()


async def prepare(classroom: Classroom, teacher: Page) -> None:
    """Plan the session, let the button make the groups, open it, show the code."""
    await teacher.get_by_role("navigation", name="Where you are").get_by_text(CLASS).click()
    await classroom.look(teacher, CLASS)
    await teacher.get_by_role("link", name="Sessions", exact=True).click()
    await classroom.look(teacher, f"Sessions of {CLASS}")
    await teacher.get_by_role("link", name="Prepare a session").click()
    await teacher.get_by_label("Title").fill(TITLE)
    await teacher.get_by_label("Goal").fill(DEMO.lesson.goal)
    await teacher.get_by_label("Lesson concepts").fill("\n".join(DEMO.lesson.concepts))
    await teacher.get_by_label("Subject").select_option("Science")
    await teacher.get_by_label("Planned minutes").fill("15")
    await classroom.look(teacher, "New session")
    await teacher.get_by_role("button", name="Save and go on to the groups").click()
    await teacher.get_by_label("Students in a group").select_option("4")
    await teacher.get_by_role("button", name="Mix the class into groups").click()
    for key, name in NAMES.items():
        leads = teacher.get_by_role("checkbox", name=f"{name} leads the group")
        await leads.set_checked(key == "freya")
    await classroom.look(teacher, TITLE)
    await teacher.get_by_role("button", name="Save and open for joining").click()
    code = teacher.get_by_role("img", name="Access code:")
    classroom.code = (
        ((await code.get_attribute("aria-label")) or "").split(": ")[1].replace(" ", "")
    )
    assert re.fullmatch(r"[A-Z0-9]{6}", classroom.code)
    classroom.session = teacher.url.split("/")[-2]
    async with teacher.context.expect_page() as opened:
        await teacher.get_by_role("link", name="Show on the projector").click()
    board = await opened.value
    await expect(board.get_by_role("img", name="Access code:")).to_be_visible()
    await expect(board.get_by_role("img", name="QR code")).to_be_visible()
    await classroom.look(board, TITLE)
    await board.close()


async def join_and_check_the_microphone(classroom: Classroom) -> Page:
    """The leader joins on a phone, is heard by the check, and says that the group is ready."""
    phone = await classroom.person(phone=True)
    await phone.goto("/")
    await phone.get_by_label("Enter a code").fill(classroom.code.lower())
    await phone.get_by_role("button", name="Join").click()
    await phone.get_by_label(NAMES["freya"]).check()
    await classroom.look(phone, TITLE)
    await phone.get_by_role("button", name="Join", exact=True).click()
    await expect(phone.locator("[data-part=result]")).to_have_text("We hear you.")
    await expect(phone.get_by_text("Your microphone works")).to_be_visible()
    await classroom.look(phone, f"{NAMES['freya']} in {TITLE}")
    ready = phone.get_by_role("button", name="We are ready")
    await ready.click()
    await expect(ready).to_have_attribute("aria-pressed", "true")
    return phone


async def join_by_keyboard(classroom: Classroom) -> Page:
    """A student without consent joins by the keyboard alone, and is told what that means."""
    phone = await classroom.person(phone=True)
    await phone.goto("/join")
    await expect(phone.get_by_label("Code on the board")).to_be_focused()
    await classroom.look(phone, "Join a session")
    await phone.get_by_label("Code on the board").focus()
    await phone.keyboard.type(classroom.code)
    await phone.keyboard.press("Enter")
    choice = phone.get_by_label(NAMES["jonah"])
    await expect(choice).to_be_visible()
    await tab_to(phone, "input[type=radio]")
    for _ in NAMES:
        if await choice.is_checked():
            break
        await phone.keyboard.press("ArrowDown")
    await expect(choice).to_be_checked()
    await tab_to(phone, "button")
    await phone.keyboard.press("Enter")
    await expect(phone.get_by_text("Nobody hears your microphone")).to_be_visible()
    island = phone.locator("[data-island=sound]")
    await expect(island).to_have_attribute("data-state", "no_consent")
    await classroom.look(phone, f"{NAMES['jonah']} in {TITLE}")
    return phone


async def tab_to(page: Page, selector: str) -> None:
    for _ in range(20):
        await page.keyboard.press("Tab")
        if await page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
    pytest.fail(f"no {selector} can be reached with the Tab key")


async def replayed(classroom: Classroom, client: httpx.AsyncClient, key: str) -> ReplayDevice:
    """Another member of the group, on a device that plays their track."""
    names = await client.get(f"/join/{classroom.code}")
    found = re.search(rf'value="(student_\w+)"[^>]*><span>{re.escape(NAMES[key])}', names.text)
    assert found, f"{key} is not on the list"
    joined = await join(client, classroom.code, student=found[1])
    samples = await asyncio.to_thread(decode_file, GROUP.tracks()[key])
    frames = await asyncio.to_thread(frames_of, samples)
    return ReplayDevice(classroom.place.url, joined["token"], frames)


async def start(classroom: Classroom, teacher: Page) -> None:
    await expect(teacher.get_by_text("4 of 4 devices are here")).to_be_visible()
    await expect(teacher.get_by_text("1 of 1 groups are ready")).to_be_visible()
    await expect(teacher.get_by_text("microphone works")).to_be_visible()
    await expect(teacher.get_by_text("here, sends no sound")).to_be_visible()
    await classroom.look(teacher, TITLE)
    await teacher.get_by_role("button", name="Start the session").click()
    await expect(teacher).to_have_url(re.compile("/console$"))


async def is_heard(classroom: Classroom, teacher: Page, phone: Page) -> None:
    """The phone's words appear on it, and the same words on the console, with who talks."""
    island = phone.locator("[data-island=sound]")
    await expect(island).to_have_attribute("data-state", "heard")
    lines = phone.locator("#captions .caption")
    await expect(lines.nth(2)).to_be_visible()
    words = await lines.nth(2).locator(".caption-words").inner_text()
    card = teacher.locator("article.group-card")
    await expect(card.locator(".captions")).to_contain_text(words)
    await expect(card).to_contain_text("4 of 4 here")
    await expect(card).to_contain_text(f"{NAMES['jonah']}: no consent, sends no sound")
    await expect(card).to_contain_text(re.compile(rf"{re.escape(NAMES['freya'])}: (heard|quiet)"))
    await expect(card.locator(".shares")).to_contain_text(NAMES["freya"])
    await expect(card.locator(".share-bar").first).to_be_visible()
    await classroom.look(phone, f"{NAMES['freya']} in {TITLE}")


async def guide(classroom: Classroom, teacher: Page) -> None:
    """One voice dominates: a prompt comes, with its words, and is seen, used and rated."""
    await expect(teacher.locator("article.prompt").first).to_be_visible()
    key = await teacher.locator("article.prompt").first.get_attribute("id")
    prompt = teacher.locator(f"#{key}")
    await expect(prompt).to_contain_text("Why:")
    await prompt.get_by_role("button", name="Seen").click()
    await expect(prompt.get_by_role("button", name="Seen")).to_have_count(0)
    await prompt.get_by_role("button", name="Use it").click()
    await expect(prompt.get_by_text("Was it helpful?")).to_be_visible()
    await classroom.look(teacher, TITLE)
    await prompt.get_by_role("button", name="Yes").click()
    await expect(prompt.get_by_role("button", name="Yes")).to_have_count(0)
    await expect(
        teacher.locator(".measure[data-status=ok], .measure[data-status=uncertain]").first
    ).to_be_visible()


async def talk_with_the_teacher(teacher: Page, phone: Page) -> None:
    """A message to the group, and a raised hand that is answered."""
    await teacher.get_by_role("button", name="Message").click()
    dialog = teacher.get_by_role("dialog", name="Send a message")
    await dialog.get_by_label("Message").fill("Two minutes left 🎈")
    await dialog.get_by_role("button", name="Send").click()
    await expect(phone.get_by_text("Two minutes left 🎈")).to_be_visible()

    hand = phone.get_by_role("button", name="Hand up")
    await hand.click()
    await expect(hand).to_have_attribute("aria-pressed", "true")
    await expect(teacher.get_by_text(f"{NAMES['freya']} in Group 1 asks for you")).to_be_visible()
    await teacher.get_by_role("button", name="I have seen it").click()
    await expect(teacher.get_by_text("asks for you")).to_have_count(0)
    await expect(hand).to_have_attribute("aria-pressed", "false")


async def pause_and_come_back(teacher: Page, phone: Page) -> None:
    island = phone.locator("[data-island=sound]")
    await teacher.get_by_role("button", name="Pause").click()
    await expect(island).to_have_attribute("data-state", "paused")
    await teacher.get_by_role("button", name="Go on").click()
    await expect(island).to_have_attribute("data-state", re.compile("heard|quiet"))
    before = await phone.locator("#captions .caption").count()
    await phone.reload()
    await expect(island).to_have_attribute("data-state", "heard")
    # Nothing that stood there is lost, and new words follow.
    await expect(phone.locator("#captions .caption").nth(min(before, 39))).to_be_visible()


async def sends_nothing(classroom: Classroom, phone: Page) -> None:
    """No row of sound belongs to the device without consent, which is still in the session."""
    from sqlalchemy import text

    from classweave.core.tenancy import system_actor

    island = phone.locator("[data-island=sound]")
    await expect(island).to_have_attribute("data-state", "no_consent")
    place = classroom.place
    system = system_actor(place.school.organization)
    async with place.runtime.database.transaction(system) as session:
        rows = await session.execute(
            text(
                "SELECT p.display_name, count(c.seq) FROM live.participants p"
                " LEFT JOIN live.tracks t ON t.participant_id = p.id"
                " LEFT JOIN live.audio_chunks c ON c.track_id = t.id GROUP BY 1"
            )
        )
        chunks = {row.display_name: row.count for row in rows}
    assert chunks[NAMES["jonah"]] == 0
    assert chunks[NAMES["freya"]] > 0


async def end(classroom: Classroom, teacher: Page, phone: Page) -> list[str]:
    """The teacher ends it; returns what the phone's owner was heard to say."""
    await teacher.locator("article.group-card h3 a").click()
    await expect(teacher.get_by_role("heading", name="Measures")).to_be_visible()
    await classroom.look(teacher, "Group 1")
    await teacher.go_back()
    await teacher.get_by_role("button", name="End", exact=True).click()
    await teacher.get_by_role("button", name="End session").click()
    await expect(teacher).to_have_url(re.compile("/summary$"))
    await expect(phone.locator("[data-island=sound]")).to_have_attribute("data-state", "ended")
    await expect(teacher.get_by_role("heading", name="What was discussed")).to_be_visible()
    return await phone.locator(
        f".caption:has-text('{NAMES['freya']}') .caption-words"
    ).all_inner_texts()


async def read_the_summary(classroom: Classroom, teacher: Page, said: list[str]) -> None:
    """Quotations, measures, prompts and exports; and the words are those of the microphone."""
    assert len(" ".join(said[1:]).split()) > 60, said
    # The first line may begin in the middle of a sentence, wherever the microphone was then.
    script = " ".join(turn.text for turn in TAKEN_OVER if turn.speaker == "freya")
    assert heard_wrong(script, " ".join(said[1:])) < 0.3

    await expect(teacher.locator("blockquote").first).to_be_visible()
    await expect(teacher.locator("#prompts article.prompt").first).to_be_visible()
    await expect(teacher.get_by_text("You found it helpful.")).to_be_visible()
    await expect(teacher.locator(".measure").first).to_be_visible()
    await classroom.look(teacher, TITLE)

    captions = await download(teacher, "Transcript (WebVTT)")
    assert captions.startswith("WEBVTT")
    assert all(words in captions for words in said)
    rows = list(csv.DictReader(io.StringIO(await download(teacher, "Measures (CSV)"))))
    assert {"participation_equality", "on_topic"} <= {row["measure"] for row in rows}
    await teacher.get_by_role("textbox", name="Notes").fill(
        "Freya explains; next time Diego begins."
    )
    await teacher.get_by_role("button", name="Save the notes").click()
    await expect(teacher.get_by_role("textbox", name="Notes")).to_have_value(
        re.compile("next time Diego")
    )


async def download(page: Page, name: str) -> str:
    async with page.expect_download() as loading:
        await page.get_by_role("link", name=name).click()
    return (await (await loading.value).path()).read_text("utf-8")
