"""Where a device sits: in which group it is heard, and who is told when that changes."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.events import emit
from classweave.core.identifiers import encode
from classweave.core.problems import Conflict
from classweave.live.models import ClassroomSession, Participant, StudentGroup
from classweave.live.models.sessions import CaptureMode
from classweave.live.receive_sound import close_tracks
from classweave.live.topics import STAFF, session_topic, to_group, to_participant


def check_seat(group: StudentGroup) -> None:
    """Raise :class:`Conflict` unless one more device of its own may sit in ``group``."""
    if group.capture_mode is CaptureMode.SHARED_DEVICE:
        # It would hear again what the device on the table hears.
        raise Conflict(f"One device listens to all of {group.name}.", code="shared-device")
    if group.current_size >= group.max_size:
        raise Conflict(f"{group.name} is full.", code="group-full")


async def seat(
    session: AsyncSession, lesson: ClassroomSession, participant: Participant, group: StudentGroup
) -> None:
    """Put a participant into a group; what was said before stays with the old one.

    A new track begins at the device's next connection, which it makes at once.
    """
    before = participant.group_id
    # Tracks before participants: so does the worker that commits words.
    await close_tracks(session, participant.id)
    participant.group_id = group.id
    await session.flush()
    for changed in {before, group.id} - {None}:
        assert changed is not None
        emit_group(session, lesson, changed)
    emit(
        session, session_topic(lesson.id), "moved",
        {"participant": encode("participant", participant.id), "group": encode("group", group.id)},
        audience=(STAFF, to_participant(participant.id)), organization=lesson.organization_id,
    )  # fmt: skip


def emit_group(session: AsyncSession, lesson: ClassroomSession, group_id: UUID) -> None:
    """A group changed: who is in it, or whether it is ready."""
    emit(
        session, session_topic(lesson.id), "group", {"group": encode("group", group_id)},
        audience=(STAFF, to_group(group_id)), organization=lesson.organization_id,
    )  # fmt: skip
