"""The groups of a session with everybody in them: who has come, who is heard, who asks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance.consent import allows_capture, standing_consents
from classweave.core import clock
from classweave.core.identifiers import encode
from classweave.directory.models import Student
from classweave.live.models import (
    ClassroomSession,
    Participant,
    StudentGroup,
    StudentGroupMember,
    Track,
)
from classweave.live.models.sessions import CaptureMode
from classweave.live.states import SessionStatus
from classweave.live.views.health import Capture, is_trouble, judge
from classweave.live.views.talk import threads_of


@dataclass(frozen=True, slots=True)
class Member:
    """A student of the plan, a guest, or a shared device. ``key`` is the public id of the
    participant, ``None`` for a student who has not joined."""

    name: str
    key: str | None
    participant_id: UUID | None
    student_id: UUID | None
    joined: bool
    checked: bool
    leads: bool
    shared: bool
    may_send: bool
    hand_since: datetime | None
    thread: int
    health: str
    capture: Capture | None
    speaking_seconds: float
    turns: int

    @property
    def here(self) -> bool:
        """Joined and not gone again."""
        return self.joined and self.health != "offline"

    @property
    def in_trouble(self) -> bool:
        """Whether its sound needs somebody's help."""
        return is_trouble(self.health)


@dataclass(frozen=True, slots=True)
class Group:
    """A group as staff see it. ``late_seconds`` is how far its captions are behind."""

    id: UUID
    key: str
    number: int
    name: str
    status: str
    ready: bool
    shared: bool
    max_size: int
    members: Sequence[Member]
    late_seconds: float

    @property
    def present(self) -> Sequence[Member]:
        """Who has joined."""
        return [member for member in self.members if member.joined]

    @property
    def here(self) -> int:
        """How many have joined and are still there."""
        return len([m for m in self.members if m.here])

    @property
    def expected(self) -> int:
        """How many devices should come."""
        if self.shared:
            return 1
        return len([m for m in self.members if not m.shared])

    @property
    def devices(self) -> Sequence[tuple[str, str]]:
        """How each device is heard, by the name of its member."""
        return [(m.name, m.health) for m in self.members if m.shared or not self.shared]

    @property
    def hands(self) -> Sequence[Member]:
        """Who asks for help, the longest waiting first."""
        raised = [m for m in self.members if m.hand_since is not None]
        return sorted(raised, key=lambda m: m.hand_since or clock.now())

    @property
    def hand(self) -> str | None:
        """The names of those who ask for help."""
        return ", ".join(m.name for m in self.hands) or None


async def read_groups(session: AsyncSession, lesson: ClassroomSession) -> list[Group]:
    """All groups of ``lesson`` by number."""
    groups = await session.scalars(
        select(StudentGroup)
        .where(StudentGroup.session_id == lesson.id)
        .order_by(StudentGroup.group_number)
    )
    planned = await _planned(session, lesson.id)
    devices = await _devices(session, lesson.id)
    captures = await _captures(session, lesson.id)
    late = await _late(session, lesson)
    consents = await standing_consents(
        session, [student.id for members in planned.values() for student in members]
    )
    over = lesson.status in (SessionStatus.ENDED, SessionStatus.ARCHIVED)
    made: list[Group] = []
    for group in groups:
        threads = threads_of(devices[group.id])
        arrived = {d.student_id: d for d in devices[group.id] if d.student_id}
        elsewhere = {
            d.student_id for other, found in devices.items() if other != group.id for d in found
        }
        members = [
            _member(student.preferred_name or student.display_name, student.id,
                    arrived.get(student.id), group, threads, captures, over,
                    allows_capture(consents[student.id]))
            for student in planned[group.id]
            if student.id not in elsewhere
        ]  # fmt: skip
        known = {student.id for student in planned[group.id]}
        members += [
            _member(d.display_name, d.student_id, d, group, threads, captures, over, d.can_speak)
            for d in devices[group.id]
            if d.student_id not in known
        ]
        made.append(
            Group(
                id=group.id,
                key=encode("group", group.id),
                number=group.group_number,
                name=group.name,
                status=group.status.value,
                ready=group.is_ready,
                shared=group.capture_mode is CaptureMode.SHARED_DEVICE,
                max_size=group.max_size,
                members=members,
                late_seconds=0.0 if over else late.get(group.id, 0.0),
            )
        )
    return made


def _member(
    name: str,
    student_id: UUID | None,
    device: Participant | None,
    group: StudentGroup,
    threads: dict[UUID, int],
    captures: dict[UUID, Capture],
    over: bool,
    consents: bool,
) -> Member:
    may_send = consents if device is None else device.can_speak
    capture = captures.get(device.id) if device else None
    if device is None:
        health = "waiting" if may_send else "no_consent"
    else:
        health = judge(
            left=device.leave_time is not None, may_send=may_send, muted=device.is_muted,
            capture=capture, over=over, now=clock.now(),
        )  # fmt: skip
    return Member(
        name=name,
        key=encode("participant", device.id) if device else None,
        participant_id=device.id if device else None,
        student_id=student_id,
        joined=device is not None,
        checked=device is not None and device.microphone_checked_at is not None,
        leads=student_id is not None and student_id == group.leader_id,
        shared=device is not None and device.is_shared,
        may_send=may_send,
        hand_since=device.hand_raised_at if device else None,
        thread=threads.get(device.id, 0) if device else 0,
        health=health,
        capture=capture,
        speaking_seconds=float(device.total_speaking_time_seconds) if device else 0.0,
        turns=device.interaction_count if device else 0,
    )


async def _planned(session: AsyncSession, session_id: UUID) -> dict[UUID, list[Student]]:
    rows = await session.execute(
        select(StudentGroupMember.group_id, Student)
        .join(Student, Student.id == StudentGroupMember.student_id)
        .where(StudentGroupMember.session_id == session_id)
        .order_by(Student.display_name)
    )
    found: dict[UUID, list[Student]] = defaultdict(list)
    for group_id, student in rows:
        found[group_id].append(student)
    return found


async def _devices(session: AsyncSession, session_id: UUID) -> dict[UUID, list[Participant]]:
    rows = await session.scalars(
        select(Participant)
        .where(Participant.session_id == session_id, Participant.is_active)
        .order_by(Participant.join_time, Participant.id)
    )
    found: dict[UUID, list[Participant]] = defaultdict(list)
    for device in rows:
        if device.group_id is not None:
            found[device.group_id].append(device)
    return found


async def _captures(session: AsyncSession, session_id: UUID) -> dict[UUID, Capture]:
    """What each device's tracks say together; the level is the newest one's."""
    rows = await session.scalars(
        select(Track).where(Track.session_id == session_id).order_by(Track.started_at)
    )
    found: dict[UUID, Capture] = {}
    for track in rows:
        before = found.get(track.participant_id) or Capture(None, 0, 0, 0, 0, 0, None)
        found[track.participant_id] = Capture(
            last_chunk_at=track.last_chunk_at or before.last_chunk_at,
            connected_seconds=before.connected_seconds + float(track.connected_seconds),
            heard_seconds=before.heard_seconds + float(track.heard_seconds),
            muted_seconds=before.muted_seconds + float(track.muted_seconds),
            clipping_seconds=before.clipping_seconds + float(track.clipping_seconds),
            gap_seconds=before.gap_seconds + float(track.gap_seconds),
            rms_dbfs=float(track.rms_dbfs) if track.rms_dbfs is not None else before.rms_dbfs,
        )
    return found


# Words are late by what the newest took from its last sound, or by how long unread sound waits
# beyond the longest stretch that one utterance may take.
_LONGEST_UTTERANCE_SECONDS = 14
_LATE = text(
    """
SELECT g.id, greatest(
  coalesce((SELECT extract(epoch FROM x.created_at - x.end_time) FROM live.transcriptions x
            WHERE x.group_id = g.id AND x.created_at > :now - interval '60 seconds'
            ORDER BY x.start_time DESC LIMIT 1), 0),
  coalesce((SELECT extract(epoch FROM :now - min(c.received_at)) FROM live.tracks t
            CROSS JOIN LATERAL (SELECT a.received_at FROM live.audio_chunks a
              WHERE a.track_id = t.id AND a.seq >= t.cursor_seq AND NOT a.is_silent
              ORDER BY a.seq LIMIT 1) c
            WHERE t.group_id = g.id AND t.finished_at IS NULL), 0) - :longest) AS seconds
FROM live.student_groups g WHERE g.session_id = :session
"""
)


async def _late(session: AsyncSession, lesson: ClassroomSession) -> dict[UUID, float]:
    if not lesson.transcription_enabled:
        return {}
    rows = await session.execute(
        _LATE,
        {"now": clock.now(), "longest": _LONGEST_UTTERANCE_SECONDS, "session": lesson.id},
    )
    return {row.id: float(row.seconds) for row in rows}
