"""``classweave demo``: start everything, hold the lesson, serve it or report on it."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from contextlib import suppress
from datetime import timedelta

import httpx
import psutil

from classweave.core.postgres import DatabaseUrls, EmbeddedPostgres
from classweave.core.runtime import Runtime, connect, open_postgres
from classweave.core.secrets import signing_key
from classweave.core.settings import Settings
from classweave.demonstration.report import Report, make_report
from classweave.demonstration.seed_school import SeededSchool, bearer_token, seed_school
from classweave.demonstration.stage_lesson import Stage, Teacher, open_lesson, play_lesson
from classweave.directory.models import User
from classweave.directory.sign_in import create_sign_in_link
from classweave.live.demo.lesson import load_demo
from classweave.supervisor import Supervisor

_STARTUP_SECONDS = 90
_SUMMARY_SECONDS = 240
_ROUNDS = 24


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
    settings = settings.model_copy(update={"port": free_port(settings.port, settings.host)})
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
        teacher = Teacher(url, await bearer_token(runtime.database, school.teacher))
        if once:
            stage = await open_lesson(teacher, school, demo, demo.groups, speed)
            _say(f"a lesson of {len(stage.devices)} devices plays at {speed:g} times real speed")
            before = _cpu_seconds()
            await play_lesson(teacher, stage, speed)
            await _react(teacher, stage)
            await _end(teacher, stage)
            spent = _cpu_seconds() - before
            return await make_report(teacher, stage, demo.groups, spent)
        groups = [group for group in demo.groups if group.kind != "reference"]
        for number in range(_ROUNDS):
            stage = await open_lesson(teacher, school, demo, groups, speed)
            if number == 0:
                # Found again: the program's own sign-in spent every link made before it.
                await _welcome(runtime, await seed_school(runtime.database, demo.school), url)
            _say(
                f"Lesson {number + 1} is under way: {url}/live/sessions/{stage.session}/console\n"
                f"Join it as a student on any device: {url}/join/{stage.code}"
            )
            await play_lesson(teacher, stage, speed)
            await _end(teacher, stage)
            _say(f"the lesson is over: {url}/live/sessions/{stage.session}/summary")
    return None


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
    await teacher.call("POST", f"/sessions/{stage.session}/end", reason="the demo lesson is over")
    deadline = time.monotonic() + _SUMMARY_SECONDS
    while time.monotonic() < deadline:
        response = await teacher.http.get(f"/api/live/sessions/{stage.session}/summary")
        if response.status_code == 200 and response.json().get("groups"):
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


async def _welcome(runtime: Runtime, school: SeededSchool, url: str) -> None:
    key = signing_key(runtime.settings)

    def link(user: User) -> str:
        return create_sign_in_link(key, url, user, valid=timedelta(days=7))

    _say(
        f"""
Classweave is at {url}

  teacher        {link(school.teacher)}
  student        {link(school.student)}
  administrator  {link(school.administrator)}

Each link signs in once. Ctrl-C stops everything.
"""
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
