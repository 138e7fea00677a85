"""The plan of a session as its forms show it: what it is about, and who sits where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance.consent import allows_capture, standing_consents
from classweave.core.identifiers import encode
from classweave.live.access import groups_of
from classweave.live.models import ClassroomSession, StudentGroupMember
from classweave.live.models.sessions import CaptureMode
from classweave.live.prepare_session import Plan, roster


@dataclass(frozen=True, slots=True)
class Seat:
    """A student of the class in the form. ``group`` is a group's number, 0 for none."""

    id: UUID
    key: str
    name: str
    may_send: bool
    group: int
    leads: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A group in the form."""

    number: int
    name: str
    shared: bool


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """Everybody of the class and the groups as they stand."""

    seats: Sequence[Seat]
    tables: Sequence[Table]

    @property
    def without_sound(self) -> Sequence[str]:
        """Whose consent to recording does not stand."""
        return [seat.name for seat in self.seats if not seat.may_send]

    @property
    def unplaced(self) -> Sequence[str]:
        """Who sits in no group."""
        return [seat.name for seat in self.seats if not seat.group]


def plan_of(lesson: ClassroomSession) -> Plan:
    """What the teacher said of the session so far."""
    fields: dict[str, Any] = {name: getattr(lesson, name) for name in Plan.__dataclass_fields__}
    fields["concepts"] = tuple(lesson.concepts)
    return Plan(**fields)


async def read_group_plan(session: AsyncSession, lesson: ClassroomSession) -> GroupPlan:
    """The class of ``lesson`` and its groups."""
    groups = await groups_of(session, lesson.id)
    number_of = {group.id: group.group_number for group in groups}
    leaders = {group.leader_id for group in groups}
    rows = await session.execute(
        select(StudentGroupMember.student_id, StudentGroupMember.group_id).where(
            StudentGroupMember.session_id == lesson.id
        )
    )
    placed = {student: number_of[group] for student, group in rows}
    students = await roster(session, lesson)
    consents = await standing_consents(session, [student.id for student in students])
    return GroupPlan(
        seats=[
            Seat(
                id=student.id,
                key=encode("student", student.id),
                name=student.display_name,
                may_send=allows_capture(consents[student.id]),
                group=placed.get(student.id, 0),
                leads=student.id in leaders,
            )
            for student in students
        ],
        tables=[
            Table(g.group_number, g.name, g.capture_mode is CaptureMode.SHARED_DEVICE)
            for g in groups
        ],
    )
