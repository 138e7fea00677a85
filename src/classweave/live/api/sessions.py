"""Sessions as JSON: prepare, run, read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.permissions import Permission
from classweave.directory.ids import ClassId, StudentId
from classweave.live import prepare_session, run_session, send_message
from classweave.live.access import access_session, groups_of
from classweave.live.ids import GroupId, MessageId, ParticipantId, SessionId
from classweave.live.models import ClassroomSession, Participant, StudentGroupMember
from classweave.live.models.sessions import CaptureMode
from classweave.live.prepare_session import Plan, PlannedGroup
from classweave.live.topics import STAFF, session_topic
from classweave.web.body import Body
from classweave.web.events import event_stream
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/api/live/sessions", tags=["live: sessions"])


PREPARE = [allow(Permission.SESSION_PREPARE)]
RUN = [allow(Permission.SESSION_RUN)]
READ = [allow(Permission.SESSION_READ)]


class PlanIn(Body):
    """The plan of a session."""

    title: str
    goal: str = ""
    subject: str = "general"
    description: str = ""
    concepts: list[str] = Field(default_factory=list)
    language: Annotated[str, Field(pattern="^[a-z]{2}$")] = "en"
    planned_duration_minutes: int = 45
    target_group_size: int = 4
    max_students: int = 60
    auto_group_enabled: bool = False
    allow_display_names: bool = False
    recording_enabled: bool = False
    transcription_enabled: bool = True
    ai_analysis_enabled: bool = True
    recording_consent_obtained: bool = False
    scheduled_start: AwareDatetime | None = None

    def plan(self) -> Plan:
        """The plan as the use cases take it."""
        fields: dict[str, Any] = self.model_dump(include=set(Plan.__dataclass_fields__))
        fields["concepts"] = tuple(self.concepts)
        return Plan(**fields)


class CreateIn(PlanIn):
    """A new session, of a class or for guests."""

    class_id: ClassId | None = None


class GroupIn(Body):
    """A group as the teacher makes it."""

    name: str
    students: list[StudentId] = Field(default_factory=list[StudentId])
    leader: StudentId | None = None
    capture_mode: CaptureMode = CaptureMode.PER_STUDENT
    max_size: Annotated[int, Field(ge=1, le=30)] = 8


class ParticipantOut(Body):
    """A device in the session."""

    id: ParticipantId
    name: str
    student: StudentId | None
    shared: bool
    active: bool
    may_send_sound: bool
    muted: bool
    hand_raised: bool
    speaking_seconds: float


class GroupOut(Body):
    """A group as it stands."""

    id: GroupId
    number: int
    name: str
    status: str
    ready: bool
    capture_mode: CaptureMode
    max_size: int
    current_size: int
    leader: StudentId | None
    members: list[StudentId]
    participants: list[ParticipantOut]


class SessionOut(Body):
    """A session as it stands."""

    id: SessionId
    class_id: ClassId | None
    title: str
    goal: str
    subject: str
    concepts: list[str]
    language: str
    status: str
    access_code: str | None
    scheduled_start: datetime | None
    actual_start: datetime | None
    actual_end: datetime | None
    planned_duration_minutes: int
    recording_enabled: bool
    transcription_enabled: bool
    ai_analysis_enabled: bool
    started_without_ready_groups: bool | None
    total_groups: int
    total_students: int
    teacher_notes: str
    groups: list[GroupOut]


class MessageIn(Body):
    """A message to one group, or to all."""

    content: str
    group: GroupId | None = None


class MessageOut(Body):
    """A message that was sent."""

    id: MessageId


class MoveIn(Body):
    """Where a participant goes."""

    group: GroupId


class EndIn(Body):
    """Why the session ends."""

    reason: str = "teacher ended it"


class NotesIn(Body):
    """The teacher's notes."""

    notes: str


class ScheduleIn(Body):
    """When the session will be."""

    start: AwareDatetime


async def describe(session: AsyncSession, lesson: ClassroomSession) -> SessionOut:
    """A session with its groups and who is in them."""
    members = (
        await session.execute(
            select(StudentGroupMember.group_id, StudentGroupMember.student_id)
            .where(StudentGroupMember.session_id == lesson.id)
            .order_by(StudentGroupMember.id)
        )
    ).all()
    participants = list(
        await session.scalars(
            select(Participant)
            .where(Participant.session_id == lesson.id)
            .order_by(Participant.join_time)
        )
    )
    groups = [
        GroupOut(
            id=group.id,
            number=group.group_number,
            name=group.name,
            status=group.status.value,
            ready=group.is_ready,
            capture_mode=group.capture_mode,
            max_size=group.max_size,
            current_size=group.current_size,
            leader=group.leader_id,
            members=[student for in_group, student in members if in_group == group.id],
            participants=[
                ParticipantOut(
                    id=p.id,
                    name=p.display_name,
                    student=p.student_id,
                    shared=p.is_shared,
                    active=p.is_active and p.leave_time is None,
                    may_send_sound=p.can_speak,
                    muted=p.is_muted,
                    hand_raised=p.hand_raised_at is not None,
                    speaking_seconds=float(p.total_speaking_time_seconds),
                )
                for p in participants
                if p.group_id == group.id
            ],
        )
        for group in await groups_of(session, lesson.id)
    ]
    own = {
        name: getattr(lesson, name)
        for name in SessionOut.model_fields
        if name not in ("groups", "status")
    }
    return SessionOut(**own, status=lesson.status.value, groups=groups)


@router.post("", dependencies=PREPARE, status_code=201)
async def create(body: CreateIn, session: Transaction, actor: CurrentActor) -> SessionOut:
    """Prepare a session."""
    lesson = await prepare_session.create_session(session, actor, body.class_id, body.plan())
    return await describe(session, lesson)


@router.get("", dependencies=READ)
async def list_sessions(
    session: Transaction,
    actor: CurrentActor,
    class_id: ClassId | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[SessionOut]:
    """The newest sessions one may see."""
    found = await prepare_session.list_sessions(session, actor, class_id, limit)
    return [await describe(session, lesson) for lesson in found]


@router.get("/{session_id}", dependencies=READ)
async def read(session_id: SessionId, session: Transaction, actor: CurrentActor) -> SessionOut:
    """One session."""
    return await describe(session, await access_session(session, actor, session_id))


@router.put("/{session_id}", dependencies=PREPARE)
async def update(
    session_id: SessionId, body: PlanIn, session: Transaction, actor: CurrentActor
) -> SessionOut:
    """Change the plan of a session that has not started."""
    lesson = await prepare_session.update_session(session, actor, session_id, body.plan())
    return await describe(session, lesson)


@router.put("/{session_id}/groups", dependencies=PREPARE)
async def put_groups(
    session_id: SessionId, body: list[GroupIn], session: Transaction, actor: CurrentActor
) -> SessionOut:
    """Replace the groups."""
    await prepare_session.set_groups(
        session,
        actor,
        session_id,
        [
            PlannedGroup(g.name, tuple(g.students), g.leader, g.capture_mode, g.max_size)
            for g in body
        ],
    )
    return await describe(session, await access_session(session, actor, session_id))


async def _answer(session: AsyncSession, lesson: ClassroomSession) -> SessionOut:
    await session.flush()
    await session.refresh(lesson)
    return await describe(session, lesson)


@router.post("/{session_id}/auto-group", dependencies=PREPARE)
async def auto_group(
    session_id: SessionId, session: Transaction, actor: CurrentActor
) -> SessionOut:
    """Divide the class into random groups of the target size."""
    await prepare_session.auto_group(session, actor, session_id)
    return await _answer(session, await access_session(session, actor, session_id))


@router.post("/{session_id}/schedule", dependencies=PREPARE)
async def schedule(
    session_id: SessionId, body: ScheduleIn, session: Transaction, actor: CurrentActor
) -> SessionOut:
    """Set when it will be."""
    lesson = await prepare_session.schedule_session(session, actor, session_id, body.start)
    return await _answer(session, lesson)


@router.post("/{session_id}/open", dependencies=PREPARE)
async def open_(session_id: SessionId, session: Transaction, actor: CurrentActor) -> SessionOut:
    """Let devices join."""
    return await _answer(session, await prepare_session.open_session(session, actor, session_id))


@router.post("/{session_id}/start", dependencies=RUN)
async def start(session_id: SessionId, session: Transaction, actor: CurrentActor) -> SessionOut:
    """Start, also before all groups are ready."""
    return await _answer(session, await run_session.start_session(session, actor, session_id))


@router.post("/{session_id}/pause", dependencies=RUN)
async def pause(session_id: SessionId, session: Transaction, actor: CurrentActor) -> SessionOut:
    """Stop listening for a while."""
    return await _answer(session, await run_session.pause_session(session, actor, session_id))


@router.post("/{session_id}/resume", dependencies=RUN)
async def resume(session_id: SessionId, session: Transaction, actor: CurrentActor) -> SessionOut:
    """Listen again."""
    return await _answer(session, await run_session.resume_session(session, actor, session_id))


@router.post("/{session_id}/end", dependencies=RUN)
async def end(
    session_id: SessionId, body: EndIn, session: Transaction, actor: CurrentActor
) -> SessionOut:
    """End."""
    lesson = await run_session.end_session(session, actor, session_id, body.reason)
    return await _answer(session, lesson)


@router.post("/{session_id}/archive", dependencies=RUN)
async def archive(session_id: SessionId, session: Transaction, actor: CurrentActor) -> SessionOut:
    """Put it away."""
    return await _answer(session, await run_session.archive_session(session, actor, session_id))


@router.post("/{session_id}/messages", dependencies=RUN, status_code=201)
async def message(
    session_id: SessionId, body: MessageIn, session: Transaction, actor: CurrentActor
) -> MessageOut:
    """Send a message to a group or to all."""
    sent = await send_message.send_message(session, actor, session_id, body.group, body.content)
    return MessageOut(id=sent.id)


@router.post("/{session_id}/participants/{participant_id}/move", dependencies=RUN, status_code=204)
async def move(
    session_id: SessionId,
    participant_id: ParticipantId,
    body: MoveIn,
    session: Transaction,
    actor: CurrentActor,
) -> None:
    """Move a participant to another group."""
    await run_session.move_student(session, actor, session_id, participant_id, body.group)


@router.post(
    "/{session_id}/participants/{participant_id}/remove", dependencies=RUN, status_code=204
)
async def remove(
    session_id: SessionId, participant_id: ParticipantId, session: Transaction, actor: CurrentActor
) -> None:
    """Send a device out."""
    await run_session.remove_participant(session, actor, session_id, participant_id)


@router.post(
    "/{session_id}/participants/{participant_id}/answer", dependencies=RUN, status_code=204
)
async def answer(
    session_id: SessionId, participant_id: ParticipantId, session: Transaction, actor: CurrentActor
) -> None:
    """The raised hand was seen."""
    await run_session.answer_hand(session, actor, session_id, participant_id)


@router.put("/{session_id}/notes", dependencies=RUN, status_code=204)
async def notes(
    session_id: SessionId, body: NotesIn, session: Transaction, actor: CurrentActor
) -> None:
    """Write notes."""
    await run_session.write_notes(session, actor, session_id, body.notes)


@router.get("/{session_id}/events", dependencies=READ)
async def events(
    session_id: SessionId, request: Request, session: Transaction, actor: CurrentActor
) -> StreamingResponse:
    """Follow everything that happens in the session."""
    lesson = await access_session(session, actor, session_id)
    return event_stream(
        request,
        session_topic(lesson.id),
        lesson.organization_id,
        frozenset({STAFF}),
    )
