"""Prepare a session: what it is about, its groups, its switches; then schedule or open it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import audit, clock
from classweave.core.events import emit
from classweave.core.problems import Conflict, Invalid
from classweave.core.tenancy import Actor, Role
from classweave.core.text import clean
from classweave.directory.models import Enrollment, Student
from classweave.directory.service import access_class
from classweave.live.access import access_session, groups_of
from classweave.live.grouping import divide, new_access_code
from classweave.live.models import (
    ClassroomSession,
    Participant,
    SessionEvent,
    StudentGroup,
    StudentGroupMember,
)
from classweave.live.models.sessions import CaptureMode
from classweave.live.readiness import write_plan
from classweave.live.seating import seat
from classweave.live.states import SESSION_TRANSITIONS, SessionStatus, check_transition
from classweave.live.topics import STAFF, session_topic, to_participant
from classweave.web.i18n import mark

# Beyond these a moment cannot be shown in every time zone.
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
START_IN_REACH = mark("Choose a start between the years 2000 and 2100.")
EDITABLE = (SessionStatus.DRAFT, SessionStatus.SCHEDULED, SessionStatus.OPEN)
MOST_GROUPS, MOST_MEMBERS = 100, 30
SUBJECTS = ("general", "math", "science", "literature", "history", "languages", "arts")


@dataclass(frozen=True, slots=True)
class Plan:
    """What the teacher says of a session."""

    title: str
    goal: str = ""
    subject: str = "general"
    description: str = ""
    concepts: tuple[str, ...] = ()
    language: str = "en"
    planned_duration_minutes: int = 45
    target_group_size: int = 4
    max_students: int = 60
    auto_group_enabled: bool = False
    allow_display_names: bool = False
    recording_enabled: bool = False
    transcription_enabled: bool = True
    ai_analysis_enabled: bool = True
    recording_consent_obtained: bool = False
    scheduled_start: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """One group as the teacher made it."""

    name: str
    students: tuple[UUID, ...] = ()
    leader: UUID | None = None
    capture_mode: CaptureMode = CaptureMode.PER_STUDENT
    max_size: int = field(default=8)


def check_plan(plan: Plan) -> None:
    """Raise :class:`Invalid` naming every field that cannot be."""
    errors: list[dict[str, str]] = []
    if not 1 <= len(clean(plan.title)) <= 200:
        errors.append({"field": "title", "message": "Give the session a title (200 letters)."})
    if len(plan.goal) > 2000:
        errors.append({"field": "goal", "message": "At most 2,000 letters."})
    if plan.subject not in SUBJECTS:
        errors.append({"field": "subject", "message": "Choose one of the subjects."})
    if len(plan.description) > 5000:
        errors.append({"field": "description", "message": "At most 5,000 letters."})
    if len(plan.concepts) > 40 or any(len(concept) > 80 for concept in plan.concepts):
        errors.append({"field": "concepts", "message": "At most 40 concepts of 80 letters."})
    if not 1 <= plan.planned_duration_minutes <= 480:
        errors.append({"field": "planned_duration_minutes", "message": "1 to 480 minutes."})
    if not 1 <= plan.target_group_size <= 12:
        errors.append({"field": "target_group_size", "message": "1 to 12 students."})
    if not 1 <= plan.max_students <= 500:
        errors.append({"field": "max_students", "message": "1 to 500 students."})
    if plan.scheduled_start is not None and not EARLIEST <= plan.scheduled_start <= LATEST:
        errors.append({"field": "scheduled_start", "message": START_IN_REACH})
    if errors:
        raise Invalid("Some fields need a correction.", errors=errors)


async def create_session(
    session: AsyncSession, actor: Actor, class_id: UUID | None, plan: Plan
) -> ClassroomSession:
    """A draft of a session, for one of the teacher's classes or for guests."""
    check_plan(plan)
    organization = actor.home
    if class_id is not None:
        organization = (await access_class(session, actor, class_id)).organization_id
    assert actor.id is not None
    lesson = ClassroomSession(organization_id=organization, teacher_id=actor.id, class_id=class_id)
    _apply(lesson, plan)
    session.add(lesson)
    await session.flush()
    audit.record(
        session, "session.created", resource="session", resource_id=lesson.id,
        description="prepared a session", session_id=lesson.id,
    )  # fmt: skip
    if plan.auto_group_enabled and class_id is not None:
        await auto_group(session, actor, lesson.id)
    return lesson


async def list_sessions(
    session: AsyncSession, actor: Actor, class_id: UUID | None, limit: int
) -> list[ClassroomSession]:
    """The newest sessions that ``actor`` may see: a teacher's own, an administrator's all."""
    query = select(ClassroomSession).order_by(ClassroomSession.created_at.desc()).limit(limit)
    if actor.role is Role.TEACHER:
        query = query.where(ClassroomSession.teacher_id == actor.id)
    if class_id is not None:
        query = query.where(ClassroomSession.class_id == class_id)
    return list(await session.scalars(query))


async def update_session(
    session: AsyncSession, actor: Actor, session_id: UUID, plan: Plan
) -> ClassroomSession:
    """Change a session that has not started."""
    check_plan(plan)
    lesson = await access_session(session, actor, session_id, lock=True)
    _editable(lesson)
    heard = lesson.recording_consent_obtained
    _apply(lesson, plan)
    if lesson.recording_consent_obtained != heard:
        await _tell_guests(session, lesson)
    audit.record(
        session, "session.changed", resource="session", resource_id=lesson.id,
        description="changed a session's plan", session_id=lesson.id,
    )  # fmt: skip
    return lesson


def _apply(lesson: ClassroomSession, plan: Plan) -> None:
    start = lesson.scheduled_start
    for name in Plan.__dataclass_fields__:
        value = getattr(plan, name)
        setattr(lesson, name, list(value) if name == "concepts" else value)
    lesson.title = clean(plan.title)
    if lesson.status is SessionStatus.SCHEDULED and plan.scheduled_start is None:
        lesson.scheduled_start = start


async def _tell_guests(session: AsyncSession, lesson: ClassroomSession) -> None:
    """The teacher's word on guests and shared devices changed while some are here."""
    given = lesson.recording_consent_obtained
    guests = await session.scalars(
        select(Participant).where(
            Participant.session_id == lesson.id, Participant.student_id.is_(None)
        )
    )
    for guest in guests:
        guest.can_speak = given
        emit(
            session, session_topic(lesson.id), "consent", {"given": given},
            audience=(STAFF, to_participant(guest.id)), organization=lesson.organization_id,
        )  # fmt: skip


def _editable(lesson: ClassroomSession) -> None:
    if lesson.status not in EDITABLE:
        raise Conflict("The session has started; its plan stands.", code="wrong-state")


async def roster(session: AsyncSession, lesson: ClassroomSession) -> list[Student]:
    """The students of the session's class, enrolled today."""
    if lesson.class_id is None:
        return []
    today = clock.now().date()
    found = await session.scalars(
        select(Student)
        .join(Enrollment, Enrollment.student_id == Student.id)
        .where(
            Enrollment.class_id == lesson.class_id,
            Enrollment.starts_on <= today,
            (Enrollment.ends_on.is_(None)) | (Enrollment.ends_on >= today),
            Student.deleted_at.is_(None),
        )
        .order_by(Student.display_name)
    )
    return list(found)


async def set_groups(
    session: AsyncSession, actor: Actor, session_id: UUID, groups: Sequence[PlannedGroup]
) -> list[StudentGroup]:
    """Replace the groups of a session that has not started.

    Groups keep their rows by number, and devices which joined already sit where the new plan puts
    them. Raises :class:`Invalid` as :func:`check_groups` does, and when an open session would be
    left without any.
    """
    lesson = await access_session(session, actor, session_id, lock=True)
    _editable(lesson)
    if not groups and lesson.status is SessionStatus.OPEN:
        message = "An open session has at least one group."
        raise Invalid(message, errors=[{"field": "groups", "message": message}])
    known = {student.id for student in await roster(session, lesson)}
    placed = check_groups(groups, known)
    existing = {group.group_number: group for group in await groups_of(session, session_id)}
    await session.execute(
        delete(StudentGroupMember).where(StudentGroupMember.session_id == session_id)
    )
    made: list[StudentGroup] = []
    for number, planned in enumerate(groups, start=1):
        group = existing.pop(number, None) or StudentGroup(
            organization_id=lesson.organization_id, session_id=lesson.id, group_number=number
        )
        group.name = clean(planned.name)[:80] or f"Group {number}"
        group.leader_id = planned.leader
        group.capture_mode = planned.capture_mode
        group.max_size = max(planned.max_size, len(planned.students), 1)
        group.auto_managed = lesson.auto_group_enabled
        session.add(group)
        made.append(group)
    await session.flush()
    await _seat_again(session, lesson, made, groups)
    for surplus in existing.values():
        await session.delete(surplus)
    await session.flush()
    session.add_all(
        StudentGroupMember(
            organization_id=lesson.organization_id,
            session_id=lesson.id,
            group_id=group.id,
            student_id=student,
        )
        for group, planned in zip(made, groups, strict=True)
        for student in planned.students
    )
    await session.flush()
    audit.record(
        session, "session.grouped", resource="session", resource_id=lesson.id,
        description=f"made {len(made)} groups", students=sorted(placed), session_id=lesson.id,
    )  # fmt: skip
    emit(session, session_topic(lesson.id), "groups", {}, organization=lesson.organization_id)
    return made


def check_groups(groups: Sequence[PlannedGroup], known: set[UUID]) -> set[UUID]:
    """Everyone who is placed. ``known`` are the students of the class.

    Raises :class:`Invalid` when there are too many groups, or one is too large, when a student
    stands twice or is not of the class, or when a leader is not of the group.
    """

    def refuse(message: str, code: str) -> Invalid:
        return Invalid(message, code=code, errors=[{"field": "groups", "message": message}])

    if len(groups) > MOST_GROUPS:
        raise refuse(f"At most {MOST_GROUPS} groups.", "too-many-groups")
    placed: set[UUID] = set()
    for group in groups:
        if len(group.students) > MOST_MEMBERS:
            raise refuse(f"A group has at most {MOST_MEMBERS} members.", "group-too-large")
        for student in group.students:
            if student in placed:
                raise refuse("A student stands in two groups.", "student-twice")
            if student not in known:
                raise refuse("A student is not in this class.", "not-in-class")
            placed.add(student)
        if group.leader is not None and group.leader not in group.students:
            raise refuse("A leader must be a member of the group.", "leader-not-member")
    return placed


async def _seat_again(
    session: AsyncSession,
    lesson: ClassroomSession,
    made: Sequence[StudentGroup],
    plan: Sequence[PlannedGroup],
) -> None:
    """Seat devices that are here already as planned; who is in no plan stays, or finds room."""
    planned = {s: group for group, row in zip(made, plan, strict=True) for s in row.students}
    kept = {group.id: group for group in made}
    here = await session.scalars(
        select(Participant)
        .where(Participant.session_id == lesson.id, Participant.is_active)
        .order_by(Participant.id)
    )
    for participant in here.all():
        group = planned.get(participant.student_id) if participant.student_id else None
        if group is None and participant.group_id not in kept and not participant.is_shared:
            group = min(made, key=lambda g: (g.capture_mode.value, g.group_number), default=None)
        if group is not None and group.id != participant.group_id:
            await seat(session, lesson, participant, group)


async def auto_group(
    session: AsyncSession, actor: Actor, session_id: UUID, seed: int | None = None
) -> list[StudentGroup]:
    """Divide the class into random groups of the target size; the first of each leads."""
    lesson = await access_session(session, actor, session_id)
    students = [student.id for student in await roster(session, lesson)]
    divided = divide(students, lesson.target_group_size, random.Random(seed))
    return await set_groups(
        session,
        actor,
        session_id,
        [
            PlannedGroup(name=f"Group {number}", students=tuple(members), leader=members[0])
            for number, members in enumerate(divided, start=1)
        ],
    )


async def open_session(session: AsyncSession, actor: Actor, session_id: UUID) -> ClassroomSession:
    """Let devices join: the session gets its code and its plan is written down."""
    lesson = await access_session(session, actor, session_id, lock=True)
    check_transition(SESSION_TRANSITIONS, lesson.status, SessionStatus.OPEN)
    if not await session.scalar(
        select(func.count()).select_from(StudentGroup).where(StudentGroup.session_id == lesson.id)
    ):
        raise Conflict("Make at least one group first.", code="no-groups")
    lesson.status = SessionStatus.OPEN
    lesson.configured_at = lesson.configured_at or clock.now()
    await _give_code(session, lesson)
    await write_plan(session, lesson)
    log_event(session, lesson, "configured", {"groups": lesson.total_groups})
    audit.record(
        session, "session.opened", resource="session", resource_id=lesson.id,
        description="opened a session for joining", session_id=lesson.id,
    )  # fmt: skip
    announce(session, lesson)
    return lesson


async def schedule_session(
    session: AsyncSession, actor: Actor, session_id: UUID, start: datetime
) -> ClassroomSession:
    """Set when the session will be; its code is known from then on."""
    lesson = await access_session(session, actor, session_id, lock=True)
    check_transition(SESSION_TRANSITIONS, lesson.status, SessionStatus.SCHEDULED)
    if start > LATEST:
        raise Invalid(START_IN_REACH, code="start-out-of-reach")
    if start < clock.now() - timedelta(minutes=5):
        message = "The start lies in the past."
        errors = [{"field": "start", "message": message}]
        raise Invalid(message, code="start-in-past", errors=errors)
    lesson.status = SessionStatus.SCHEDULED
    lesson.scheduled_start = start
    await _give_code(session, lesson)
    audit.record(
        session, "session.scheduled", resource="session", resource_id=lesson.id,
        description="scheduled a session", session_id=lesson.id,
    )  # fmt: skip
    return lesson


async def _give_code(session: AsyncSession, lesson: ClassroomSession) -> None:
    """A code that no session in reach has; the database decides, another one is tried."""
    if lesson.access_code is not None:
        await session.flush()
        return
    for _attempt in range(8):
        try:
            async with session.begin_nested():
                lesson.access_code = new_access_code()
                await session.flush()
        except IntegrityError:
            lesson.access_code = None
            continue
        return
    raise Conflict("No free code was found; try again.", code="no-code")


def log_event(
    session: AsyncSession, lesson: ClassroomSession, event_type: str, payload: dict[str, object]
) -> None:
    """Write a line of the session's own log."""
    session.add(
        SessionEvent(
            organization_id=lesson.organization_id,
            session_id=lesson.id,
            teacher_id=lesson.teacher_id,
            event_type=event_type,
            event_time=clock.now(),
            payload=payload,
        )
    )


def announce(session: AsyncSession, lesson: ClassroomSession) -> None:
    """Tell every follower in which state the session is."""
    emit(
        session,
        session_topic(lesson.id),
        "session",
        {"status": lesson.status.value},
        organization=lesson.organization_id,
    )
