"""What a device does in a session, as JSON: join, take part, follow, leave."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from classweave.core.events import Event
from classweave.core.permissions import Permission
from classweave.core.problems import Invalid, NotFound
from classweave.directory.ids import StudentId
from classweave.live import join_session, mute
from classweave.live.access import own_participation
from classweave.live.api.authenticate import COOKIE
from classweave.live.ids import GroupId, ParticipantId, SessionId
from classweave.live.join_session import Device, Joined, find_by_code
from classweave.live.models import StudentGroup
from classweave.live.topics import session_topic, to_group, to_participant
from classweave.web.body import Body
from classweave.web.csrf import csrf_token
from classweave.web.errors import respond
from classweave.web.events import event_stream
from classweave.web.requests import CurrentActor, Transaction, allow
from classweave.web.services import services_of

router = APIRouter(prefix="/api/live", tags=["live: devices"])

TAKE_PART = [allow(Permission.SESSION_TAKE_PART)]


class SeatOut(Body):
    """A name on the join list."""

    student: StudentId
    name: str
    group: GroupId | None
    taken: bool


class GroupOut(Body):
    """A group on the join list."""

    id: GroupId
    name: str
    shared_device: bool
    full: bool


class DoorOut(Body):
    """What the code opens."""

    session: SessionId
    title: str
    status: str
    allow_display_names: bool
    groups: list[GroupOut]
    seats: list[SeatOut]


class JoinIn(Body):
    """Who joins: a student of the list, a guest by display name, or a group's shared device."""

    code: Annotated[str, Field(max_length=32)]
    student: StudentId | None = None
    display_name: Annotated[str | None, Field(max_length=200)] = None
    group: GroupId | None = None
    shared: bool = False
    device: Annotated[str | None, Field(max_length=20)] = None


class JoinOut(Body):
    """The key of this device, and where it sits."""

    participant: ParticipantId
    token: str
    session: SessionId
    group: GroupId | None
    may_send_sound: bool
    csrf_token: str


class DeviceOut(Body):
    """This device's own state."""

    participant: ParticipantId
    session: SessionId
    session_status: str
    group: GroupId | None
    group_ready: bool
    name: str
    may_send_sound: bool
    muted: bool
    hand_raised: bool


class Flag(Body):
    """Yes or no."""

    value: bool


@router.get("/codes/{code}", dependencies=[allow(Permission.ANYONE)], response_model=DoorOut)
async def door(code: str, request: Request, session: Transaction) -> DoorOut | Response:
    """The names and groups behind a code."""
    try:
        found = await find_by_code(session, code)
    except NotFound as problem:
        return await respond(request, problem)  # not raised: the guess stays counted
    return DoorOut(
        session=found.session.id,
        title=found.session.title,
        status=found.session.status.value,
        allow_display_names=found.session.allow_display_names,
        groups=[
            GroupOut(
                id=group.id,
                name=group.name,
                shared_device=group.capture_mode.value == "shared_device",
                full=group.current_size >= group.max_size,
            )
            for group in found.groups
        ],
        seats=[
            SeatOut(student=s.student_id, name=s.name, group=s.group_id, taken=s.taken)
            for s in found.seats
        ],
    )


async def join_with(session: Transaction, request: Request, body: JoinIn) -> Joined:
    """Join in the way the body names."""
    device = Device(kind=body.device, browser=request.headers.get("user-agent"))
    if body.shared:
        if body.group is None:
            errors = [{"field": "group", "message": "Say which group shares the device."}]
            raise Invalid("Say which group shares the device.", errors=errors)
        return await join_session.join_as_shared_device(session, body.code, body.group, device)
    if body.student is not None:
        return await join_session.join_as_student(session, body.code, body.student, device)
    return await join_session.join_as_guest(
        session, body.code, body.display_name or "", body.group, device
    )


def remember_device(request: Request, response: Response, token: str) -> None:
    """Keep the device's key in a cookie that scripts cannot read."""
    response.set_cookie(
        COOKIE, token, httponly=True, samesite="lax", max_age=12 * 3600,
        secure=services_of(request).settings.secure_cookies,
    )  # fmt: skip


@router.post(
    "/join", dependencies=[allow(Permission.ANYONE)], status_code=201, response_model=JoinOut
)
async def join(
    body: JoinIn, request: Request, response: Response, session: Transaction
) -> JoinOut | Response:
    """Join a session with its code."""
    try:
        joined = await join_with(session, request, body)
    except NotFound as problem:
        if problem.code != "wrong-code":
            raise
        return await respond(request, problem)
    remember_device(request, response, joined.token)
    me = joined.participant
    from classweave.core.tenancy import Actor, Role

    return JoinOut(
        participant=me.id,
        token=joined.token,
        session=me.session_id,
        group=me.group_id,
        may_send_sound=me.can_speak,
        csrf_token=csrf_token(request, Actor(role=Role.PARTICIPANT, session=me.id)),
    )


@router.get("/device", dependencies=TAKE_PART)
async def device(session: Transaction, actor: CurrentActor) -> DeviceOut:
    """This device's own state."""
    lesson, me = await own_participation(session, actor)
    group = await session.get(StudentGroup, me.group_id) if me.group_id else None
    return DeviceOut(
        participant=me.id,
        session=lesson.id,
        session_status=lesson.status.value,
        group=me.group_id,
        group_ready=group.is_ready if group else False,
        name=me.display_name,
        may_send_sound=me.can_speak,
        muted=me.is_muted,
        hand_raised=me.hand_raised_at is not None,
    )


@router.post("/device/ready", dependencies=TAKE_PART, status_code=204)
async def ready(body: Flag, session: Transaction, actor: CurrentActor) -> None:
    """The leader marks the group ready, or not ready."""
    await join_session.mark_ready(session, actor, body.value)


@router.post("/device/hand", dependencies=TAKE_PART, status_code=204)
async def hand(body: Flag, session: Transaction, actor: CurrentActor) -> None:
    """Raise the hand, or take it down."""
    await join_session.raise_hand(session, actor, body.value)


@router.post("/device/mute", dependencies=TAKE_PART, status_code=204)
async def set_mute(body: Flag, session: Transaction, actor: CurrentActor) -> None:
    """Mute, or unmute."""
    assert actor.id is not None
    await mute.set_muted(session, actor.id, body.value)


@router.post("/device/microphone-check", dependencies=TAKE_PART, status_code=204)
async def microphone_check(session: Transaction, actor: CurrentActor) -> None:
    """The device's microphone was heard."""
    await join_session.pass_microphone_check(session, actor)


@router.post("/device/leave", dependencies=TAKE_PART, status_code=204)
async def leave(session: Transaction, actor: CurrentActor) -> None:
    """Leave; the same key comes back in."""
    await join_session.leave(session, actor)


@router.get("/device/events", dependencies=TAKE_PART)
async def events(request: Request, session: Transaction, actor: CurrentActor) -> StreamingResponse:
    """Follow what concerns this device and its group."""
    lesson, me = await own_participation(session, actor)
    audience = {to_participant(me.id)} | ({to_group(me.group_id)} if me.group_id else set[str]())
    mine = to_participant(me.id)

    def ends(event: Event) -> bool:
        """Removed, replaced by another device, or moved to a group with words of its own."""
        return mine in event.audience and (
            event.type in ("removed", "moved")
            or (event.type == "device" and event.payload["state"] == "replaced")
        )

    return event_stream(
        request, session_topic(lesson.id), lesson.organization_id, frozenset(audience), ends
    )
