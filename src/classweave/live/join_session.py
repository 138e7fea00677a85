"""Join a session with its code, take part, leave, come back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import audit, clock
from classweave.core.database import act_as, actor_of
from classweave.core.events import emit
from classweave.core.identifiers import encode, uuid7
from classweave.core.problems import Conflict, Invalid, NotFound, TooMany
from classweave.core.secrets import new_token, token_hash
from classweave.core.tenancy import Actor, Role
from classweave.core.text import clean
from classweave.directory.throttle import Limit, check_blocked, count_attempt, throttle_key
from classweave.live.access import groups_of, own_participation
from classweave.live.grouping import read_access_code
from classweave.live.models import ClassroomSession, Participant, StudentGroup, StudentGroupMember
from classweave.live.models.sessions import CaptureMode
from classweave.live.prepare_session import log_event, roster
from classweave.live.receive_sound import consents_to_sound
from classweave.live.run_session import emit_hand
from classweave.live.seating import check_seat, emit_group
from classweave.live.states import (
    GROUP_TRANSITIONS,
    JOINABLE,
    GroupStatus,
    SessionStatus,
    check_transition,
)
from classweave.live.topics import STAFF, session_topic, to_participant

# A whole school may share one address and mistype; nobody finds one code of 191 million so.
GUESSES = Limit(120, timedelta(minutes=5))
ADDRESS_GUESSES = Limit(1500, timedelta(minutes=5))


@dataclass(frozen=True, slots=True)
class Device:
    """What a browser says of itself."""

    kind: str | None = None
    browser: str | None = None


@dataclass(frozen=True, slots=True)
class Seat:
    """One student of the session as the join page shows it."""

    student_id: UUID
    name: str
    group_id: UUID | None
    taken: bool


@dataclass(frozen=True, slots=True)
class Door:
    """What a device may see of a session once it knows the code: names and groups, no more."""

    session: ClassroomSession
    groups: list[StudentGroup]
    seats: list[Seat]


@dataclass(frozen=True, slots=True)
class Joined:
    """A new participant and the token that is this device's key from now on."""

    participant: Participant
    token: str


async def find_by_code(session: AsyncSession, typed: str, *, enter: bool = False) -> Door:
    """The session with this code; the transaction continues as a guest of its organisation.

    Raises :class:`NotFound` for a code nobody uses, :class:`Conflict` for one that is over or has
    not begun, :class:`TooMany` for an address that guesses. A caller that commits after a
    ``wrong-code`` has the guess counted. ``enter`` takes the session's row, so that whoever joins
    at the same moment waits and sees who came before.
    """
    code = read_access_code(typed)
    guest = actor_of(session)
    address = guest.ip_address or "unknown"
    # One browser that guesses must not lock out a school behind one address.
    guesses = (
        (throttle_key("join-code-browser", f"{address} {guest.user_agent}"), GUESSES),
        (throttle_key("join-code", address), ADDRESS_GUESSES),
    )
    for key, _limit in guesses:
        await check_blocked(session, key)
    found = (
        await session.execute(
            text("SELECT id, organization_id, status FROM live.find_session_by_code(:code)"),
            {"code": code},
        )
    ).one_or_none()
    if found is None or not code:
        for key, limit in guesses:
            with suppress(TooMany):  # from the next one on
                await count_attempt(session, key, limit)
        raise NotFound("No session has this code. Check it and try again.", code="wrong-code")
    if found.status == SessionStatus.SCHEDULED:
        raise Conflict("This session has not opened yet.", code="not-open")
    if found.status not in JOINABLE:
        raise Conflict("This session is over.", code="session-over")
    await act_as(
        session,
        Actor(
            role=Role.PARTICIPANT,
            organization=found.organization_id,
            organizations=(found.organization_id,),
            ip_address=guest.ip_address,
            user_agent=guest.user_agent,
        ),
    )
    lesson = await session.get_one(
        ClassroomSession, found.id, with_for_update={"key_share": True} if enter else None
    )
    if lesson.status not in JOINABLE:
        raise Conflict("This session is over.", code="session-over")
    rows = await session.execute(
        select(StudentGroupMember.student_id, StudentGroupMember.group_id).where(
            StudentGroupMember.session_id == lesson.id
        )
    )
    members = dict(rows.all())
    present = set(
        await session.scalars(
            select(Participant.student_id).where(
                Participant.session_id == lesson.id,
                Participant.is_active,
                Participant.student_id.is_not(None),
            )
        )
    )
    seats = [
        Seat(
            student_id=student.id,
            name=student.preferred_name or student.display_name,
            group_id=members.get(student.id),
            taken=student.id in present,
        )
        for student in await roster(session, lesson)
    ]
    return Door(lesson, await groups_of(session, lesson.id), seats)


async def join_as_student(
    session: AsyncSession, code: str, student_id: UUID, device: Device
) -> Joined:
    """Join as a student of the class.

    A second device for the same student takes over: the first one's key stops working, and what
    it said stays said.
    """
    door = await find_by_code(session, code, enter=True)
    seat = next((seat for seat in door.seats if seat.student_id == student_id), None)
    if seat is None:
        raise NotFound("That name is not on this session's list.")
    existing = await session.scalar(
        select(Participant).where(
            Participant.session_id == door.session.id,
            Participant.student_id == student_id,
            Participant.is_active,
        )
    )
    if existing is not None:
        return await _take_over(session, door.session, existing, device)
    group = next((g for g in door.groups if g.id == seat.group_id), None) or _emptiest(door)
    check_seat(group)
    return await _join(session, door, group, device, name=seat.name, student_id=student_id)


async def join_as_guest(
    session: AsyncSession, code: str, display_name: str, group_id: UUID | None, device: Device
) -> Joined:
    """Join by a display name, where the teacher allows it."""
    door = await find_by_code(session, code, enter=True)
    if not door.session.allow_display_names:
        raise Conflict("Pick your name from the list.", code="names-only")
    name = clean(display_name)
    if not 1 <= len(name) <= 40:
        message = "A display name has 1 to 40 letters."
        errors = [{"field": "display_name", "message": message}]
        raise Invalid(message, code="bad-name", errors=errors)
    if group_id is None:
        group = _emptiest(door)
    elif (chosen := next((g for g in door.groups if g.id == group_id), None)) is not None:
        group = chosen
    else:
        raise NotFound("That group is not of this session.", code="no-such-group")
    check_seat(group)
    return await _join(session, door, group, device, name=name, anonymous_id=f"guest-{uuid7()}")


async def join_as_shared_device(
    session: AsyncSession, code: str, group_id: UUID, device: Device
) -> Joined:
    """Let one device on the table listen to a whole group."""
    door = await find_by_code(session, code, enter=True)
    group = next((g for g in door.groups if g.id == group_id), None)
    if group is None or group.capture_mode is not CaptureMode.SHARED_DEVICE:
        raise NotFound("That group does not share a device.")
    previous = await session.scalar(
        select(Participant).where(
            Participant.group_id == group.id, Participant.is_shared, Participant.is_active
        )
    )
    if previous is not None:
        return await _take_over(session, door.session, previous, device)
    return await _join(session, door, group, device, name=group.name, is_shared=True)


async def _take_over(
    session: AsyncSession, lesson: ClassroomSession, participant: Participant, device: Device
) -> Joined:
    """The same participant on another device: the first one's key stops working, at once."""
    token = new_token()
    participant.token_hash = token_hash(token)
    emit(
        session, session_topic(lesson.id), "device",
        {
            "participant": encode("participant", participant.id), "connection": None,
            "state": "replaced",
        },
        audience=(STAFF, to_participant(participant.id)),
    )  # fmt: skip
    await _arrived(session, lesson, participant, device, again=True)
    return Joined(participant, token)


def _emptiest(door: Door) -> StudentGroup:
    """The group with most room among those whose members have devices of their own."""
    open_groups = [g for g in door.groups if g.capture_mode is CaptureMode.PER_STUDENT]
    if not open_groups:
        raise Conflict("Every group of this session shares a device.", code="group-full")
    return min(
        open_groups,
        key=lambda g: (g.current_size >= g.max_size, g.current_size, g.group_number),
    )


async def _join(
    session: AsyncSession,
    door: Door,
    group: StudentGroup,
    device: Device,
    *,
    name: str,
    student_id: UUID | None = None,
    anonymous_id: str | None = None,
    is_shared: bool = False,
) -> Joined:
    lesson = door.session
    if not is_shared and sum(g.current_size for g in door.groups) >= lesson.max_students:
        raise Conflict("This session is full. Ask your teacher.", code="session-full")
    token = new_token()
    participant = Participant(
        organization_id=lesson.organization_id,
        session_id=lesson.id,
        group_id=group.id,
        student_id=student_id,
        anonymous_id=anonymous_id,
        display_name=name,
        is_shared=is_shared,
        token_hash=token_hash(token),
        join_time=clock.now(),
    )
    session.add(participant)
    await session.flush()
    await _arrived(session, lesson, participant, device, again=False)
    return Joined(participant, token)


async def _arrived(
    session: AsyncSession,
    lesson: ClassroomSession,
    participant: Participant,
    device: Device,
    *,
    again: bool,
) -> None:
    participant.device_type = device.kind
    participant.browser_info = device.browser[:200] if device.browser else None
    participant.last_seen_at = clock.now()
    participant.leave_time = None
    participant.can_speak = await consents_to_sound(session, participant)
    log_event(session, lesson, "member_join", {"participant": str(participant.id), "again": again})
    audit.record(
        session, "participant.joined", resource="participant", resource_id=participant.id,
        description="a device came back" if again else "a device joined", session_id=lesson.id,
        students=[participant.student_id] if participant.student_id else [],
    )  # fmt: skip
    if participant.group_id is not None:
        emit_group(session, lesson, participant.group_id)


async def leave(session: AsyncSession, actor: Actor) -> None:
    """The device says goodbye. It may come back with the same key."""
    lesson, participant = await own_participation(session, actor)
    participant.leave_time = clock.now()
    if participant.hand_raised_at is not None:
        participant.hand_raised_at = None
        emit_hand(session, lesson, participant)
    log_event(session, lesson, "member_leave", {"participant": str(participant.id)})
    if participant.group_id is not None:
        emit_group(session, lesson, participant.group_id)


async def come_back(session: AsyncSession, actor: Actor) -> None:
    """The device that left is here again, with the key it kept."""
    lesson, participant = await own_participation(session, actor)
    participant.leave_time = None
    log_event(session, lesson, "member_join", {"participant": str(participant.id), "again": True})
    if participant.group_id is not None:
        emit_group(session, lesson, participant.group_id)


async def pass_microphone_check(session: AsyncSession, actor: Actor) -> None:
    """The device has shown that its microphone is heard."""
    lesson, participant = await own_participation(session, actor)
    participant.microphone_checked_at = clock.now()
    if participant.group_id is not None:
        emit_group(session, lesson, participant.group_id)


async def mark_ready(session: AsyncSession, actor: Actor, ready: bool) -> StudentGroup:
    """The group's leader (or its shared device) says that the group is ready."""
    lesson, participant = await own_participation(session, actor)
    if participant.group_id is None:
        raise Conflict("Your teacher has not given you a group yet.", code="no-group")
    group = await session.get_one(
        StudentGroup, participant.group_id, with_for_update={"key_share": True}
    )
    if not participant.is_shared and group.leader_id not in (None, participant.student_id):
        raise Conflict("Your group's leader marks it ready.", code="not-leader")
    if group.is_ready == ready:
        return group
    group.is_ready = ready
    if ready and group.leader_ready_at is None:
        group.leader_ready_at = clock.now()
    if group.status in (GroupStatus.FORMING, GroupStatus.READY):
        wanted = GroupStatus.READY if ready else GroupStatus.FORMING
        check_transition(GROUP_TRANSITIONS, group.status, wanted)
        group.status = wanted
    log_event(session, lesson, "leader_ready", {"group": str(group.id), "ready": ready})
    emit_group(session, lesson, group.id)
    return group


async def raise_hand(session: AsyncSession, actor: Actor, raised: bool) -> None:
    """Ask for the teacher, or take the hand down."""
    lesson, participant = await own_participation(session, actor)
    participant.hand_raised_at = clock.now() if raised else None
    emit_hand(session, lesson, participant)
