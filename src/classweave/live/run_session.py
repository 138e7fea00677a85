"""Run a session: start, pause, resume, move a student, end."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance.models import PolicyType
from classweave.compliance.retention import policies_of
from classweave.core import audit, clock
from classweave.core.events import emit
from classweave.core.identifiers import encode
from classweave.core.jobs import enqueue
from classweave.core.problems import Conflict, Invalid, NotFound
from classweave.core.tenancy import Actor
from classweave.directory.models import Teacher
from classweave.live.access import access_session, groups_of
from classweave.live.models import ClassroomSession, Participant, StudentGroup, StudentGroupMember
from classweave.live.prepare_session import announce, log_event
from classweave.live.readiness import ready_groups, write_start
from classweave.live.receive_sound import close_tracks
from classweave.live.seating import check_seat, emit_group, seat
from classweave.live.states import (
    SESSION_TRANSITIONS,
    GroupStatus,
    SessionStatus,
    check_transition,
)
from classweave.live.topics import STAFF, session_topic, to_participant

# Sound that a device still holds when the session ends may arrive for this long.
GRACE = timedelta(seconds=120)

MOST_NOTES = 20_000


async def start_session(session: AsyncSession, actor: Actor, session_id: UUID) -> ClassroomSession:
    """Start, whether or not all groups are ready; which it was is recorded."""
    from classweave.live.jobs import note_readiness
    from classweave.live.measure_groups import enqueue_watch

    lesson = await access_session(session, actor, session_id, lock=True)
    check_transition(SESSION_TRANSITIONS, lesson.status, SessionStatus.LIVE)
    if lesson.status is SessionStatus.PAUSED:
        raise Conflict("The session is paused; resume it.", code="wrong-state")
    await _check_load(session, lesson)
    now = clock.now()
    ready = await ready_groups(session, lesson.id)
    lesson.status = SessionStatus.LIVE
    lesson.actual_start = now
    lesson.started_without_ready_groups = ready < lesson.total_groups
    await session.flush()
    await write_start(session, lesson)
    await _move_groups(session, lesson, GroupStatus.ACTIVE)
    log_event(session, lesson, "started", {"ready_groups": ready, "groups": lesson.total_groups})
    for minutes in (5, 10):
        await enqueue(
            session, note_readiness, in_seconds=minutes * 60,
            organization=str(lesson.organization_id), session_id=str(lesson.id), minutes=minutes,
        )  # fmt: skip
    if lesson.ai_analysis_enabled:
        await enqueue_watch(session, lesson)
    _record(session, lesson, "started", "started a session")
    announce(session, lesson)
    return lesson


async def pause_session(session: AsyncSession, actor: Actor, session_id: UUID) -> ClassroomSession:
    """Stop listening for a while. Nothing that is said during the pause is kept."""
    lesson = await access_session(session, actor, session_id, lock=True)
    check_transition(SESSION_TRANSITIONS, lesson.status, SessionStatus.PAUSED)
    lesson.status = SessionStatus.PAUSED
    lesson.paused_at = clock.now()
    await _move_groups(session, lesson, GroupStatus.PAUSED)
    log_event(session, lesson, "paused", {})
    _record(session, lesson, "paused", "paused a session")
    announce(session, lesson)
    return lesson


async def resume_session(session: AsyncSession, actor: Actor, session_id: UUID) -> ClassroomSession:
    """Listen again."""
    lesson = await access_session(session, actor, session_id, lock=True)
    if lesson.status is not SessionStatus.PAUSED:
        raise Conflict("The session is not paused.", code="wrong-state")
    _count_pause(lesson, clock.now())
    lesson.status = SessionStatus.LIVE
    await _move_groups(session, lesson, GroupStatus.ACTIVE)
    log_event(session, lesson, "resumed", {})
    _record(session, lesson, "resumed", "resumed a session")
    announce(session, lesson)
    return lesson


async def end_session(
    session: AsyncSession, actor: Actor, session_id: UUID, reason: str = "teacher ended it"
) -> ClassroomSession:
    """End: devices send what they still hold, then the whole is measured and summarised."""
    from classweave.live.jobs import finish_session

    lesson = await access_session(session, actor, session_id, lock=True)
    check_transition(SESSION_TRANSITIONS, lesson.status, SessionStatus.ENDED)
    now = clock.now()
    _count_pause(lesson, now)
    lesson.status = SessionStatus.ENDED
    lesson.actual_end = now
    lesson.end_reason = reason[:200]
    lesson.data_retention_date = await _words_kept_until(session, lesson, now)
    if lesson.actual_start is not None:
        lesson.actual_duration_minutes = round((now - lesson.actual_start).total_seconds() / 60)
    await _move_groups(session, lesson, GroupStatus.ENDED)
    log_event(session, lesson, "ended", {"reason": lesson.end_reason})
    await enqueue(
        session, finish_session, queueing_lock=f"finish:{lesson.id}",
        organization=str(lesson.organization_id), session_id=str(lesson.id),
    )  # fmt: skip
    _record(session, lesson, "ended", "ended a session")
    announce(session, lesson)
    return lesson


def _count_pause(lesson: ClassroomSession, now: datetime) -> None:
    if lesson.paused_at is not None:
        lesson.paused_seconds += int((now - lesson.paused_at).total_seconds())
        lesson.paused_at = None


async def archive_session(
    session: AsyncSession, actor: Actor, session_id: UUID
) -> ClassroomSession:
    """Put a session away; it stays readable."""
    lesson = await access_session(session, actor, session_id, lock=True)
    check_transition(SESSION_TRANSITIONS, lesson.status, SessionStatus.ARCHIVED)
    lesson.status = SessionStatus.ARCHIVED
    _record(session, lesson, "archived", "archived a session")
    return lesson


async def move_student(
    session: AsyncSession, actor: Actor, session_id: UUID, participant_id: UUID, group_id: UUID
) -> Participant:
    """Move a participant to another group. What was said before stays with the old group."""
    lesson = await access_session(session, actor, session_id, lock=True)
    participant = await _participant(session, lesson, participant_id)
    group = await session.get(StudentGroup, group_id)
    if group is None or group.session_id != lesson.id:
        raise NotFound("There is no such group in this session.")
    if participant.is_shared:
        raise Conflict("A shared device stays with its group.", code="shared-device")
    if group.id == participant.group_id:
        return participant
    check_seat(group)
    await seat(session, lesson, participant, group)
    if participant.student_id is not None:
        await session.execute(
            update(StudentGroupMember)
            .where(
                StudentGroupMember.session_id == lesson.id,
                StudentGroupMember.student_id == participant.student_id,
            )
            .values(group_id=group.id)
        )
    audit.record(
        session, "participant.moved", resource="participant", resource_id=participant.id,
        description="moved a participant to another group", session_id=lesson.id,
        students=[participant.student_id] if participant.student_id else [],
    )  # fmt: skip
    return participant


async def remove_participant(
    session: AsyncSession, actor: Actor, session_id: UUID, participant_id: UUID
) -> None:
    """Send a device out of the session; it can join again with the code."""
    lesson = await access_session(session, actor, session_id, lock=True)
    participant = await _participant(session, lesson, participant_id)
    await close_tracks(session, participant.id)
    participant.is_active = False
    participant.leave_time = clock.now()
    participant.hand_raised_at = None
    audit.record(
        session, "participant.removed", resource="participant", resource_id=participant.id,
        description="removed a device", session_id=lesson.id,
        students=[participant.student_id] if participant.student_id else [],
    )  # fmt: skip
    if participant.group_id is not None:
        emit_group(session, lesson, participant.group_id)
    emit(
        session, session_topic(lesson.id), "removed", {},
        audience=(to_participant(participant.id),), organization=lesson.organization_id,
    )  # fmt: skip


async def answer_hand(
    session: AsyncSession, actor: Actor, session_id: UUID, participant_id: UUID
) -> None:
    """The teacher has seen the raised hand."""
    lesson = await access_session(session, actor, session_id)
    participant = await _participant(session, lesson, participant_id)
    participant.hand_raised_at = None
    emit_hand(session, lesson, participant)


async def write_notes(
    session: AsyncSession, actor: Actor, session_id: UUID, notes: str
) -> ClassroomSession:
    """The teacher's own notes on the session. Raises :class:`Invalid` when they are too long."""
    if len(notes) > MOST_NOTES:
        message = f"Notes have at most {MOST_NOTES} characters."
        raise Invalid(message, errors=[{"field": "notes", "message": message}])
    lesson = await access_session(session, actor, session_id, lock=True)
    lesson.teacher_notes = notes
    _record(session, lesson, "noted", "wrote notes")
    return lesson


def _record(session: AsyncSession, lesson: ClassroomSession, what: str, description: str) -> None:
    audit.record(
        session, f"session.{what}", resource="session", resource_id=lesson.id,
        description=description, session_id=lesson.id,
    )  # fmt: skip


async def _words_kept_until(
    session: AsyncSession, lesson: ClassroomSession, end: datetime
) -> datetime | None:
    """When the organisation's policy deletes the words of a session that ends now."""
    for policy in await policies_of(session, lesson.organization_id):
        if policy.policy_type is PolicyType.WORDS and policy.auto_delete_enabled:
            return end + timedelta(days=policy.delete_after_days)
    return None


async def _check_load(session: AsyncSession, lesson: ClassroomSession) -> None:
    teacher = await session.get(Teacher, lesson.teacher_id, with_for_update=True)
    if teacher is not None and teacher.current_sessions >= teacher.max_concurrent_sessions:
        raise Conflict(
            "You have as many sessions under way as your account allows. End one first.",
            code="too-many-sessions",
        )


async def _participant(
    session: AsyncSession, lesson: ClassroomSession, participant_id: UUID
) -> Participant:
    found = await session.scalar(
        select(Participant).where(
            Participant.id == participant_id, Participant.session_id == lesson.id
        )
    )
    if found is None or not found.is_active:
        raise NotFound("There is no such participant in this session.")
    return found


async def _move_groups(
    session: AsyncSession, lesson: ClassroomSession, status: GroupStatus
) -> None:
    now = clock.now()
    for group in await groups_of(session, lesson.id):
        if group.status is status:
            continue
        group.status = status
        if status is GroupStatus.ACTIVE and group.start_time is None:
            group.start_time = now
        if status is GroupStatus.ENDED:
            group.end_time = now
    await session.flush()


def emit_hand(session: AsyncSession, lesson: ClassroomSession, participant: Participant) -> None:
    """A hand went up or down."""
    payload = {
        "participant": encode("participant", participant.id),
        "name": participant.display_name,
        "group": encode("group", participant.group_id) if participant.group_id else None,
        "raised": participant.hand_raised_at is not None,
    }
    emit(
        session, session_topic(lesson.id), "hand", payload,
        audience=(STAFF, to_participant(participant.id)), organization=lesson.organization_id,
    )  # fmt: skip
