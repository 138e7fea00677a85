"""Lists of sessions: what comes, what runs, what was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.identifiers import encode
from classweave.core.permissions import Permission, allowed
from classweave.core.tenancy import Actor
from classweave.directory.models import SchoolClass, User
from classweave.live.models import ClassroomSession
from classweave.live.prepare_session import list_sessions
from classweave.live.states import SessionStatus

MOST = 200


@dataclass(frozen=True, slots=True)
class LessonRow:
    """One session in a list, and the page where its work goes on, for who may go there."""

    title: str
    href: str | None
    status: str
    class_name: str | None
    teacher_name: str
    when: datetime
    minutes: int | None
    groups: int
    students: int


@dataclass(frozen=True, slots=True)
class Lessons:
    """The sessions of a teacher, a class or a school."""

    now: Sequence[LessonRow]
    upcoming: Sequence[LessonRow]
    past: Sequence[LessonRow]

    @property
    def empty(self) -> bool:
        """Whether there is no session at all."""
        return not (self.now or self.upcoming or self.past)


_PAGE_OF = {
    SessionStatus.DRAFT: "groups",
    SessionStatus.SCHEDULED: "groups",
    SessionStatus.OPEN: "lobby",
    SessionStatus.LIVE: "console",
    SessionStatus.PAUSED: "console",
    SessionStatus.ENDED: "summary",
    SessionStatus.ARCHIVED: "summary",
}


# Before it opens a session is its teacher's own business.
_PREPARED = (SessionStatus.DRAFT, SessionStatus.SCHEDULED)


def lesson_href(lesson: ClassroomSession) -> str:
    """The page where work on a session goes on, by its state."""
    return f"/live/sessions/{encode('session', lesson.id)}/{_PAGE_OF[lesson.status]}"


async def read_lessons(session: AsyncSession, actor: Actor, class_id: UUID | None) -> Lessons:
    """The sessions that ``actor`` may see, of one class or of all."""
    lessons = await list_sessions(session, actor, class_id, MOST)
    found = await session.execute(
        select(SchoolClass.id, SchoolClass.name).where(
            SchoolClass.id.in_({x.class_id for x in lessons if x.class_id})
        )
    )
    classes = {key: name for key, name in found}  # noqa: C416 - a row is more than a pair
    staff = await session.execute(
        select(User.id, User.name).where(User.id.in_({x.teacher_id for x in lessons}))
    )
    teachers = {key: name for key, name in staff}  # noqa: C416

    prepares = allowed(actor.role, Permission.SESSION_PREPARE)

    def rows(*states: SessionStatus) -> list[LessonRow]:
        return [
            LessonRow(
                title=lesson.title,
                href=lesson_href(lesson) if prepares or lesson.status not in _PREPARED else None,
                status=lesson.status.value,
                class_name=classes.get(lesson.class_id) if lesson.class_id else None,
                teacher_name=teachers.get(lesson.teacher_id, ""),
                when=lesson.actual_start or lesson.scheduled_start or lesson.created_at,
                minutes=lesson.actual_duration_minutes,
                groups=lesson.total_groups,
                students=lesson.total_students,
            )
            for lesson in lessons
            if lesson.status in states
        ]

    return Lessons(
        now=rows(SessionStatus.OPEN, SessionStatus.LIVE, SessionStatus.PAUSED),
        upcoming=sorted(rows(*_PREPARED), key=lambda row: row.when),
        past=rows(SessionStatus.ENDED, SessionStatus.ARCHIVED),
    )
