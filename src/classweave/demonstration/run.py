"""``classweave demo``: start everything, hold the lesson, serve it or report on it."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import httpx
import psutil

from classweave.core.postgres import DatabaseUrls, EmbeddedPostgres
from classweave.core.runtime import connect, open_postgres
from classweave.core.secrets import signing_key
from classweave.core.settings import Settings
from classweave.demonstration.report import Report, make_report
from classweave.demonstration.seed_school import SeededSchool, bearer_token, seed_school
from classweave.demonstration.stage_lesson import Stage, Teacher, open_lesson, play_lesson
from classweave.directory.models import User
from classweave.directory.sign_in import create_sign_in_link
from classweave.live.demo.lesson import Demo, DemoGroup, load_demo
from classweave.supervisor import Supervisor

_STARTUP_SECONDS = 90
_SUMMARY_SECONDS = 240
_ROUNDS = 24
_PAUSE_SECONDS = 10


class DemoFailed(RuntimeError):
    """A stage did not do its work; the message is one line."""


def free_port(wanted: int, host: str) -> int:
    """``wanted`` if nobody listens there, or else one that is free."""
    with socket.socket() as probe:
        try:
            probe.bind((host, wanted))
        except OSError:
            probe.bind((host, 0))
        return int(probe.getsockname()[1])


def run_demo(settings: Settings, *, once: bool, speed: float) -> Report | None:
    """Run the demonstration; returns the report of ``once``. Raises :class:`DemoFailed`."""
    own: dict[str, object] = {"port": free_port(settings.port, settings.host)}
    if "log_level" not in settings.model_fields_set:
        # The parts share this terminal: what they do every day is not what one came to see.
        own["log_level"] = "warning"
    settings = settings.model_copy(update=own)
    _say("Starting the database and the workers; this may take a minute …")
    with open_postgres(settings) as (urls, postgres):
        return asyncio.run(_run(settings, urls, postgres, once=once, speed=speed))


async def _run(
    settings: Settings,
    urls: DatabaseUrls,
    postgres: EmbeddedPostgres | None,
    *,
    once: bool,
    speed: float,
) -> Report | None:
    supervisor = Supervisor(settings, urls, postgres)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, supervisor.stop)
    running = asyncio.create_task(supervisor.run())
    play = asyncio.create_task(_play(settings, urls, once=once, speed=speed))
    try:
        await asyncio.wait({running, play}, return_when=asyncio.FIRST_COMPLETED)
        if play.done():
            report = play.result()
            if once:
                return report
            await running
        return None
    finally:
        supervisor.stop()
        play.cancel()
        # Whatever became of the lesson, the parts stop before their database does.
        await asyncio.gather(play, running, return_exceptions=True)


async def _play(
    settings: Settings, urls: DatabaseUrls, *, once: bool, speed: float
) -> Report | None:
    url = f"http://{settings.host}:{settings.port}"
    async with connect(settings, urls) as runtime:
        demo = load_demo()
        school = await seed_school(runtime.database, demo.school)
        await _until_ready(url)
        _say(f"Classweave answers at {url}")
        teacher = Teacher(url, await bearer_token(runtime.database, school.teacher))
        if once:
            return await _hold_once(teacher, school, demo, speed)
        # Found again: the program's own sign-in spent every link made before it.
        school = await seed_school(runtime.database, demo.school)
        groups = [group for group in demo.groups if group.kind != "reference"]
        welcomed = False
        for number in range(1, _ROUNDS + 1):
            try:
                await _end_interrupted(teacher, demo)
                stage = await _prepare(teacher, school, demo, groups, speed)
                if not welcomed:
                    _welcome(signing_key(settings), school, url, stage, _minutes(groups, speed))
                    welcomed = True
                _say(
                    f"Lesson {number} is under way. The teacher sees it at "
                    f"{url}{_console(stage)}\n"
                    f"Join it as a student on any device: {url}/join/{stage.code}"
                )
                await play_lesson(teacher, stage, speed)
                await _end(teacher, stage)
                _say(f"Lesson {number} is over: {url}/live/sessions/{stage.session}/summary")
            except Exception as error:  # whatever it was, the installation stays
                _say(f"Lesson {number} went wrong ({_in_words(error)}). The next begins soon.")
                await asyncio.sleep(_PAUSE_SECONDS)
        _say(f"{_ROUNDS} lessons were held; the demo begins no more. Start it again for another.")
    return None


async def _hold_once(teacher: Teacher, school: SeededSchool, demo: Demo, speed: float) -> Report:
    """The unattended lesson and its report. Raises :class:`DemoFailed` or ``RuntimeError``."""
    try:
        await _end_interrupted(teacher, demo)
        stage = await _prepare(teacher, school, demo, demo.groups, speed)
        _say(f"The lesson plays at {speed:g} times real speed: {_minutes(demo.groups, speed)}")
        before = _cpu_seconds()
        await play_lesson(teacher, stage, speed)
        await _react(teacher, stage)
        await _end(teacher, stage)
        spent = _cpu_seconds() - before
        return await make_report(teacher, stage, demo.groups, spent)
    except httpx.HTTPError as error:
        raise DemoFailed(f"the server did not answer: {_in_words(error)}") from error


async def _prepare(
    teacher: Teacher, school: SeededSchool, demo: Demo, groups: Sequence[DemoGroup], speed: float
) -> Stage:
    devices = sum(len(group.tracks()) for group in groups)
    _say(f"Preparing the lesson: {devices} devices join, which may take a minute …")
    return await open_lesson(teacher, school, demo, groups, speed)


async def _end_interrupted(teacher: Teacher, demo: Demo) -> None:
    """End the lessons that were broken off: a teacher may hold only a few at once."""
    for lesson in await teacher.call("GET", "/sessions"):
        if lesson["title"] == demo.lesson.title and lesson["status"] in ("open", "live", "paused"):
            await teacher.advance(lesson["id"], "end", reason="the demo lesson was broken off")


def _minutes(groups: Sequence[DemoGroup], speed: float) -> str:
    minutes = max(1, round(max(group.seconds for group in groups) / speed / 60))
    return f"{minutes} minute{'s' if minutes > 1 else ''}"


def _console(stage: Stage) -> str:
    return f"/live/sessions/{stage.session}/console"


def _in_words(error: Exception) -> str:
    first_line = str(error).strip().partition("\n")[0]
    return first_line or type(error).__name__


async def _until_ready(url: str) -> None:
    deadline = time.monotonic() + _STARTUP_SECONDS
    async with httpx.AsyncClient(timeout=5) as client:
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                if (await client.get(f"{url}/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.2)
    raise DemoFailed(f"the server did not answer at {url} within {_STARTUP_SECONDS} s")


async def _react(teacher: Teacher, stage: Stage) -> None:
    """The teacher of the unattended lesson acts on what was prompted: one used, one dismissed."""
    prompts = await teacher.call("GET", f"/sessions/{stage.session}/prompts")
    standing = [p for p in prompts if p["status"] == "generated"]
    for prompt, action in zip(standing, ("use", "dismiss"), strict=False):
        await teacher.call("POST", f"/prompts/{prompt['id']}/{action}")


async def _end(teacher: Teacher, stage: Stage) -> None:
    await teacher.advance(stage.session, "end", reason="the demo lesson is over")
    deadline = time.monotonic() + _SUMMARY_SECONDS
    while time.monotonic() < deadline:
        if (await teacher.call("GET", f"/sessions/{stage.session}/summary"))["groups"]:
            return
        await asyncio.sleep(0.5)
    raise DemoFailed(f"no summary was written within {_SUMMARY_SECONDS} s")


def _cpu_seconds() -> float:
    """CPU seconds of this process and everything below it, the database server included."""
    total = 0.0
    me = psutil.Process()
    servers = [
        process for process in psutil.process_iter(["name"]) if process.info["name"] == "postgres"
    ]
    for process in {me, *me.children(recursive=True), *servers}:
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _welcome(key: bytes, school: SeededSchool, url: str, stage: Stage, minutes: str) -> None:
    def link(user: User, to: str) -> str:
        return f"{create_sign_in_link(key, url, user, valid=timedelta(days=7))}?next={to}"

    _say(
        f"""
  teacher        {link(school.teacher, _console(stage))}
  student        {link(school.student, f"/join/{stage.code}")}
  administrator  {link(school.administrator, "/organization")}

Each link signs in once, the teacher to the console, the student to the door of the lesson.
A lesson lasts about {minutes}; then the next begins with a new code and is printed below.
Anybody joins it as a student with its /join/CODE address. Ctrl-C stops everything.
"""
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
