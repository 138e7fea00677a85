"""A lesson under way: devices join through the web like any browser, and play their sound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from classweave.core.identifiers import encode
from classweave.demonstration.seed_school import SeededSchool
from classweave.live.demo.lesson import Demo, DemoGroup
from classweave.live.replay import ReplayDevice, frames_of, join
from classweave.speech.decode import decode_file


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


class Teacher:
    """The teacher as a program: the JSON interface with a bearer token."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.http = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30
        )

    async def call(self, method: str, path: str, **body: Any) -> Any:
        """One call; raises ``RuntimeError`` with the problem's own words."""
        response = await self.http.request(
            method, f"/api/live{path}", json=body.pop("json", None) or (body or None)
        )
        if response.status_code >= 400:
            raise RuntimeError(f"{method} {path}: {response.json().get('detail', response.text)}")
        return response.json() if response.content else None


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
    opened = await teacher.call("POST", f"/sessions/{session}/open")
    ids = {
        demo_group.key: row["id"] for demo_group, row in zip(groups, opened["groups"], strict=True)
    }
    stage = Stage(session, opened["access_code"], ids, [])
    async with httpx.AsyncClient(base_url=teacher.url, timeout=30) as client:
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
    """Start the session and play every device to its end, watching the events as a browser does."""
    watcher = asyncio.create_task(_watch(teacher, stage, speed))
    try:
        await asyncio.sleep(0.3)
        players = [asyncio.create_task(device.player.run()) for device in stage.devices]
        await asyncio.sleep(0.5)
        await teacher.call("POST", f"/sessions/{stage.session}/start")
        await asyncio.gather(*players)
        # Wait for the words of what was said last: when nothing new has come for a while.
        quiet_since = time.monotonic()
        count = len(stage.captions)
        while time.monotonic() - quiet_since < 4:
            await asyncio.sleep(0.25)
            if len(stage.captions) != count:
                count, quiet_since = len(stage.captions), time.monotonic()
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)


async def _watch(teacher: Teacher, stage: Stage, speed: float) -> None:
    """Follow the session's events and note when each caption arrives."""
    devices = {}
    async with teacher.http.stream(
        "GET", f"/api/live/sessions/{stage.session}/events", timeout=None
    ) as stream:
        kind = ""
        async for line in stream.aiter_lines():
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: "):
                payload = orjson.loads(line[6:])
                if kind == "caption":
                    if not devices:
                        devices = {d.player.track: d for d in stage.devices}
                    device = devices.get(payload["track"])
                    if device is not None:
                        spoken = device.player.started + payload["heard_until"] / speed
                        stage.latencies.append(time.monotonic() - spoken)
                    stage.captions.append(payload)
                elif kind == "prompt":
                    stage.prompts.append(payload["id"])
