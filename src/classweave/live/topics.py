"""Where Live's events go, and who may follow which."""

from __future__ import annotations

from uuid import UUID

STAFF = "staff"


def session_topic(session_id: UUID) -> str:
    """The topic of everything that happens in one session."""
    return f"live.session:{session_id}"


def to_group(group_id: UUID) -> str:
    """The devices of one group."""
    return f"group:{group_id}"


def to_participant(participant_id: UUID) -> str:
    """One device."""
    return f"participant:{participant_id}"
