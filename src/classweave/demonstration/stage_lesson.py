"""A lesson under way: devices join through the web like any browser, and play their sound."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from classweave.core.identifiers import encode
from classweave.demonstration.seed_school import SeededSchool
from classweave.live.demo.lesson import Demo, DemoGroup
from classweave.live.replay import ReplayDevice, frames_of, join
from classweave.speech.decode import decode_file

_PATIENCE_SECONDS = 60
_RETRY_SECONDS = 0.5
_QUIET_SECONDS = 4
# The state a session is in once the step is done.
_REACHED = {"open": "open", "start": "live", "end": "ended"}


@dataclass(slots=True)
class StagedDevice:
    """One device on stage and the part it plays."""

    group: str
    member: str | None
    player: ReplayDevice
    utterances: int = 0


@dataclass(slots=True)
class Stage:
    """A session that was opened for the lesson, with its devices."""

    session: str
    code: str
    groups: dict[str, str]
    devices: list[StagedDevice]
    captions: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    latencies: list[float] = field(default_factory=list[float])
    prompts: list[str] = field(default_factory=list[str])
    # The monotonic moment of the last caption or connection; infinite while disconnected.
    heard_at: float = 0.0


class PatientClient(httpx.AsyncClient):
    """Asks again for up to a minute while the server does not answer, or answers 503.

    What it sends may therefore be done twice: see :meth:`Teacher.advance`.
    """

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """The answer; raises ``httpx.TransportError`` when there was none for too long."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                response = await super().send(request, **options)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            else:
                if response.status_code != 503 or time.monotonic() > deadline:
                    return response
                await response.aclose()
            await asyncio.sleep(_RETRY_SECONDS)


class Refused(RuntimeError):
    """The server said no, with this status and its problem's own words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Teacher:
    """The teacher as a program: the JSON interface with a bearer token."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.http = PatientClient(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30
        )

    async def call(self, method: str, path: str, **body: Any) -> Any:
        """One call; raises :class:`Refused`."""
        response = await self.http.request(
            method, f"/api/live{path}", json=body.pop("json", None) or (body or None)
        )
        if response.status_code >= 400:
            try:
                detail = response.json()["detail"]
            except (ValueError, KeyError):
                detail = response.text
            raise Refused(response.status_code, f"{method} {path}: {detail}")
        return response.json() if response.content else None

    async def advance(self, session: str, step: str, **body: Any) -> Any:
        """Open, start or end a session, which may be done already; the session as it is then.

        By us, when the answer was lost with the server, or by somebody at the console.
        """
        try:
            return await self.call("POST", f"/sessions/{session}/{step}", **body)
        except Refused as refusal:
            if refusal.status != 409:
                raise
            standing = await self.call("GET", f"/sessions/{session}")
            if standing["status"] != _REACHED[step]:
                raise
            return standing


async def open_lesson(
    teacher: Teacher, school: SeededSchool, demo: Demo, groups: Sequence[DemoGroup], speed: float
) -> Stage:
    """Prepare the session, open it, let every device join, mark the groups ready."""
    made = await teacher.call(
        "POST", "/sessions",
        title=demo.lesson.title, goal=demo.lesson.goal, subject="science",
        concepts=list(demo.lesson.concepts),
        planned_duration_minutes=demo.lesson.planned_minutes,
        class_id=encode("class", school.class_id), allow_display_names=True,
        recording_consent_obtained=True, recording_enabled=True,
    )  # fmt: skip
    session = made["id"]
    plan = [_group_plan(school, group) for group in groups]
    await teacher.call("PUT", f"/sessions/{session}/groups", json=plan)
    opened = await teacher.advance(session, "open")
    ids = {
        demo_group.key: row["id"] for demo_group, row in zip(groups, opened["groups"], strict=True)
    }
    stage = Stage(session, opened["access_code"], ids, [])
    async with PatientClient(base_url=teacher.url, timeout=30) as client:
        for group in groups:
            for member, path in group.tracks().items():
                who = _who(school, group, member, ids[group.key])
                joined = await join(client, stage.code, **who)
                samples = await asyncio.to_thread(decode_file, path)
                frames = await asyncio.to_thread(frames_of, samples)
                player = ReplayDevice(teacher.url, joined["token"], frames, speed)
                stage.devices.append(StagedDevice(group.key, member, player))
                headers = {"Authorization": f"Bearer {joined['token']}"}
                await client.post("/api/live/device/microphone-check", headers=headers)
                if member in (None, group.leader):
                    await client.post(
                        "/api/live/device/ready", headers=headers, json={"value": True}
                    )
    return stage


def _group_plan(school: SeededSchool, group: DemoGroup) -> dict[str, Any]:
    students = [
        encode("student", school.students[member.key])
        for member in group.members
        if member.key in school.students
    ]
    leader = school.students.get(group.leader or "")
    return {
        "name": group.name,
        "students": students,
        "leader": encode("student", leader) if leader else None,
        "capture_mode": "shared_device" if group.mode == "shared" else "per_student",
    }


def _who(
    school: SeededSchool, group: DemoGroup, member: str | None, group_id: str
) -> dict[str, Any]:
    if member is None:
        return {"shared": True, "group": group_id}
    if member in school.students:
        return {"student": encode("student", school.students[member])}
    named = next(m for m in group.members if m.key == member)
    return {"display_name": f"{named.given_name} {named.family_name}".strip(), "group": group_id}


async def play_lesson(teacher: Teacher, stage: Stage, speed: float) -> None:
    """Start the session and play every device to its end, watching the events as a browser does.

    A device that was sent away does not stop the others; its ``SessionRefused`` is raised at the
    end.
    """
    watcher = asyncio.create_task(_watch(teacher, stage, speed))
    players = [asyncio.create_task(device.player.run()) for device in stage.devices]
    try:
        await asyncio.sleep(0.5)
        await teacher.advance(stage.session, "start")
        await asyncio.wait(players)
        # Wait for the words of what was said last: when nothing new has come for a while.
        over = time.monotonic()
        while not watcher.done():
            left = max(over, stage.heard_at) + _QUIET_SECONDS - time.monotonic()
            if left <= 0:
                break
            await asyncio.wait({watcher}, timeout=min(left, 1))
        for task in (*players, watcher):
            if task.done():
                task.result()
    finally:
        for task in (*players, watcher):
            task.cancel()
        await asyncio.gather(*players, watcher, return_exceptions=True)


async def _watch(teacher: Teacher, stage: Stage, speed: float) -> None:
    """Follow the session's events from its first, also across breaks, until cancelled.

    Raises ``httpx.HTTPError`` when the events cannot be had.
    """
    last = "0"
    while True:
        async with teacher.http.stream(
            "GET", f"/api/live/sessions/{stage.session}/events",
            headers={"Last-Event-ID": last}, timeout=None,
        ) as stream:  # fmt: skip
            stream.raise_for_status()
            stage.heard_at = time.monotonic()
            number = kind = ""
            # The server is gone for a moment: what comes meanwhile is had by number.
            with suppress(httpx.TransportError):
                async for line in stream.aiter_lines():
                    if line.startswith("id: "):
                        number = line[4:]
                    elif line.startswith("event: "):
                        kind = line[7:]
                    elif line.startswith("data: "):
                        _note(stage, kind, orjson.loads(line[6:]), speed)
                        last = number or last
        stage.heard_at = math.inf
        await asyncio.sleep(_RETRY_SECONDS)


def _note(stage: Stage, kind: str, payload: dict[str, Any], speed: float) -> None:
    """Write down a caption and how late it came, or a prompt."""
    if kind == "caption":
        stage.heard_at = time.monotonic()
        device = next((d for d in stage.devices if d.player.track == payload["track"]), None)
        if device is not None:
            spoken = device.player.started + payload["heard_until"] / speed
            stage.latencies.append(time.monotonic() - spoken)
        stage.captions.append(payload)
    elif kind == "prompt":
        stage.prompts.append(payload["id"])
