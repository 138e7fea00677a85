"""What a device sees of its session: itself, its group, the group's words and the messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.directory.models import Student
from classweave.live.models import (
    ClassroomSession,
    Message,
    Participant,
    StudentGroup,
    StudentGroupMember,
)
from classweave.live.send_message import messages_for
from classweave.live.states import SessionStatus
from classweave.live.views.talk import Line, read_lines, threads_of

LINES = 40


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A member of the group, planned or joined."""

    name: str
    here: bool
    is_me: bool
    leads: bool


@dataclass(frozen=True, slots=True)
class Here:
    """Everything that one device shows."""

    lesson: ClassroomSession
    me: Participant
    group: StudentGroup | None
    neighbours: Sequence[Neighbour]
    threads: Mapping[UUID, int]
    lines: Sequence[Line]
    messages: Sequence[Message]

    @property
    def may_mark_ready(self) -> bool:
        """Whether this device speaks for its group before the talk begins."""
        if self.group is None or self.lesson.status is not SessionStatus.OPEN:
            return False
        return self.me.is_shared or self.group.leader_id in (None, self.me.student_id)

    @property
    def is_over(self) -> bool:
        """Whether the session has ended."""
        return self.lesson.status in (SessionStatus.ENDED, SessionStatus.ARCHIVED)


async def read_here(session: AsyncSession, lesson: ClassroomSession, me: Participant) -> Here:
    """Read what the page of the device ``me`` shows."""
    group = await session.get(StudentGroup, me.group_id) if me.group_id else None
    if group is None:
        return Here(lesson, me, None, (), {}, (), await messages_for(session, lesson.id, None))
    devices = list(
        await session.scalars(
            select(Participant).where(Participant.group_id == group.id, Participant.is_active)
        )
    )
    planned = (
        await session.execute(
            select(Student.id, Student.preferred_name, Student.display_name)
            .join(StudentGroupMember, StudentGroupMember.student_id == Student.id)
            .where(StudentGroupMember.group_id == group.id)
            .order_by(Student.display_name)
        )
    ).all()
    arrived = {d.student_id: d for d in devices if d.student_id}
    neighbours = [
        Neighbour(
            name=row.preferred_name or row.display_name,
            here=row.id in arrived and arrived[row.id].leave_time is None,
            is_me=row.id == me.student_id,
            leads=row.id == group.leader_id,
        )
        for row in planned
    ]
    known = {row.id for row in planned}
    neighbours += [
        Neighbour(d.display_name, d.leave_time is None, d.id == me.id, d.student_id is not None
                  and d.student_id == group.leader_id)
        for d in sorted(devices, key=lambda d: d.join_time)
        if not d.is_shared and d.student_id not in known
    ]  # fmt: skip
    threads = threads_of(devices)
    return Here(
        lesson=lesson,
        me=me,
        group=group,
        neighbours=neighbours,
        threads=threads,
        lines=await read_lines(session, group.id, threads, newest=LINES),
        messages=await messages_for(session, lesson.id, group.id),
    )
