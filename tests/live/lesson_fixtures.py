"""A session of two groups whose devices heard the demo's scripts, in rows as the worker writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from demo_talk import DEMO
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import clock
from classweave.core.identifiers import encode, uuid7
from classweave.core.tenancy import Actor, Role, system_actor
from classweave.live.access import groups_of
from classweave.live.demo.lesson import DemoGroup
from classweave.live.join_session import Device, join_as_shared_device, join_as_student
from classweave.live.models import ClassroomSession, Participant, StudentGroup, Track, Transcription
from classweave.live.models.sessions import CaptureMode
from classweave.live.models.sound import Codec
from classweave.live.prepare_session import (
    Plan,
    PlannedGroup,
    create_session,
    open_session,
    set_groups,
)
from classweave.live.run_session import end_session, start_session
from school_fixtures import School

PLAN = Plan(
    title=DEMO.lesson.title,
    goal=DEMO.lesson.goal,
    subject="science",
    concepts=DEMO.lesson.concepts,
    planned_duration_minutes=DEMO.lesson.planned_minutes,
    recording_consent_obtained=True,
    allow_display_names=True,
)
GUEST = Actor(role=Role.ANONYMOUS)


@dataclass(frozen=True)
class Lesson:
    """A session under way: group A holds the good discussion, group B the poor one."""

    school: School
    session_id: UUID
    groups: tuple[UUID, ...]
    participants: dict[str, UUID]
    students: dict[str, UUID]
    started: datetime

    @property
    def organization(self) -> UUID:
        return self.school.organization_id

    @property
    def url(self) -> str:
        return f"/api/live/sessions/{encode('session', self.session_id)}"

    def system(self) -> Actor:
        return system_actor(self.organization)


async def start_lesson(
    school: School,
    *,
    shared: bool = False,
    plan: Plan = PLAN,
    keys: Sequence[str] = ("group_a", "group_b"),
) -> Lesson:
    """A started session with a device for every member who has sound; nobody has spoken yet."""
    demo = [DEMO.group(key) for key in keys]
    students: dict[str, UUID] = {}
    remaining = iter(school.student_ids)
    for group in demo:
        students |= {member.key: next(remaining) for member in group.members}
    async with school.database.transaction(school.teacher) as session:
        lesson = await create_session(session, school.teacher, school.class_id, plan)
        planned = [
            PlannedGroup(
                name=group.name,
                students=tuple(students[member.key] for member in group.members),
                leader=students[group.members[0].key],
                capture_mode=CaptureMode.SHARED_DEVICE if shared else CaptureMode.PER_STUDENT,
            )
            for group in demo
        ]
        made = await set_groups(session, school.teacher, lesson.id, planned)
        opened = await open_session(session, school.teacher, lesson.id)
        code = opened.access_code
    assert code is not None
    participants: dict[str, UUID] = {}
    for group, row in zip(demo, made, strict=True):
        if shared:
            async with school.database.transaction(GUEST) as session:
                joined = await join_as_shared_device(session, code, row.id, Device())
            participants[group.key] = joined.participant.id
            continue
        for member in group.members:
            if member.sound is None:
                continue
            async with school.database.transaction(GUEST) as session:
                joined = await join_as_student(session, code, students[member.key], Device())
            participants[member.key] = joined.participant.id
    async with school.database.transaction(school.teacher) as session:
        started = await start_session(session, school.teacher, lesson.id)
        moment = started.actual_start
    assert moment is not None
    return Lesson(school, lesson.id, tuple(g.id for g in made), participants, students, moment)


async def hear(
    lesson: Lesson, key: str, group: UUID, *, until: float = 1e9, since: float = 0.0,
    offset: float = 0.0,
) -> None:  # fmt: skip
    """Write the turns of a demo group that ended between two seconds of its script.

    ``offset`` places the script later in the session. The tracks have heard everything so far, and
    been read up to the last of those words.
    """
    demo = DEMO.group(key)
    async with lesson.school.database.transaction(lesson.system()) as session:
        tracks = await _tracks(session, lesson, demo, group, min(until, demo.seconds) + offset)
        read = max((turn.end for turn in demo.turns if turn.end <= until), default=0.0) + offset
        for track_id in tracks.values():
            track = await session.get_one(Track, track_id)
            track.cursor = {"seq": 0, "sample_offset": 0, "position": round(read * 16_000)}
        numbers = dict.fromkeys(tracks, 0)
        for speaker in tracks:
            numbers[speaker] = len(
                (
                    await session.scalars(
                        select(Transcription.id).where(Transcription.track_id == tracks[speaker])
                    )
                ).all()
            )
        for turn in demo.turns:
            if not since < turn.end <= until:
                continue
            speaker = turn.speaker if turn.speaker in tracks else demo.key
            shared = speaker == demo.key
            session.add(
                Transcription(
                    id=uuid7(),
                    organization_id=lesson.organization,
                    session_id=lesson.session_id,
                    group_id=group,
                    track_id=tracks[speaker],
                    cut=numbers[speaker],
                    speaker_id=None if shared else lesson.participants[speaker],
                    speaker_type="group" if shared else "student",
                    speaker_name=demo.name if shared else speaker.title(),
                    content=turn.text,
                    words=_words(turn.text, turn.start + offset, turn.end + offset),
                    language_code="en",
                    start_time=lesson.started + timedelta(seconds=turn.start + offset),
                    end_time=lesson.started + timedelta(seconds=turn.end + offset),
                    start_seconds=_exact(turn.start + offset),
                    end_seconds=_exact(turn.end + offset),
                    duration_seconds=_exact(turn.end - turn.start),
                    confidence_score=Decimal("0.95"),
                    model_version="script",
                )
            )
            numbers[speaker] += 1


async def _tracks(
    session: AsyncSession, lesson: Lesson, demo: DemoGroup, group: UUID, seconds: float
) -> dict[str, UUID]:
    found: dict[str, UUID] = {}
    keys = [demo.key] if demo.key in lesson.participants else [m.key for m in demo.members]
    for key in keys:
        participant = lesson.participants.get(key)
        if participant is None:
            continue
        track = await session.scalar(
            select(Track).where(Track.participant_id == participant, Track.group_id == group)
        )
        if track is None:
            track = Track(
                organization_id=lesson.organization,
                session_id=lesson.session_id,
                group_id=group,
                participant_id=participant,
                codec=Codec.OPUS,
                sample_rate=48_000,
                started_at=lesson.started,
            )
            session.add(track)
            await session.flush()
        track.connected_seconds = _exact(seconds)
        track.heard_seconds = _exact(seconds)
        track.end_ms = round(seconds * 1000)
        track.last_chunk_at = clock.now()
        found[key] = track.id
    return found


async def listen_on(lesson: Lesson, group: UUID, seconds: float) -> None:
    """The group's devices go on hearing, and being read, up to a second; nobody speaks."""
    async with lesson.school.database.transaction(lesson.system()) as session:
        for track in await session.scalars(select(Track).where(Track.group_id == group)):
            track.connected_seconds = track.heard_seconds = _exact(seconds)
            track.end_ms = round(seconds * 1000)
            track.cursor = {"seq": 9, "sample_offset": 0, "position": round(seconds * 16_000)}
            track.last_chunk_at = clock.now()


async def end_lesson(lesson: Lesson) -> None:
    """The teacher ends the session and every track has been read."""
    teacher = lesson.school.teacher
    async with lesson.school.database.transaction(teacher) as session:
        await end_session(session, teacher, lesson.session_id)
        await session.execute(
            update(Track)
            .where(Track.session_id == lesson.session_id)
            .values(closed_at=clock.now(), finished_at=clock.now())
        )


async def groups(lesson: Lesson) -> list[StudentGroup]:
    async with lesson.school.database.transaction(lesson.system()) as session:
        return await groups_of(session, lesson.session_id)


async def forget_session(lesson: Lesson) -> None:
    """The session is deleted, with everything in it."""
    async with lesson.school.database.transaction(lesson.system()) as session:
        await session.execute(
            text("DELETE FROM live.classroom_sessions WHERE id = :id"), {"id": lesson.session_id}
        )


def _words(content: str, start: float, end: float) -> list[dict[str, object]]:
    tokens = content.split()
    step = (end - start) / max(1, len(tokens))
    return [
        {
            "text": token,
            "start": round(start + i * step, 3),
            "end": round(start + (i + 1) * step, 3),
            "probability": 0.95,
        }
        for i, token in enumerate(tokens)
    ]


def _exact(seconds: float) -> Decimal:
    return Decimal(str(round(seconds, 3)))


__all__ = ["ClassroomSession", "Lesson", "Participant", "end_lesson", "hear", "start_lesson"]
