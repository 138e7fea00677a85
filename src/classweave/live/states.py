"""The states of a session, a group and a prompt, and the only ways between them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from classweave.core.problems import Conflict


class SessionStatus(StrEnum):
    """A session from its first draft to the archive."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    OPEN = "open"
    LIVE = "live"
    PAUSED = "paused"
    ENDED = "ended"
    ARCHIVED = "archived"


class GroupStatus(StrEnum):
    """A group within a session."""

    FORMING = "forming"
    READY = "ready"
    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


class PromptStatus(StrEnum):
    """A prompt to the teacher."""

    GENERATED = "generated"
    ACKNOWLEDGED = "acknowledged"
    USED = "used"
    DISMISSED = "dismissed"
    EXPIRED = "expired"


class Phase(StrEnum):
    """Where a discussion is in its arc."""

    OPENING = "opening"
    DEVELOPMENT = "development"
    SYNTHESIS = "synthesis"
    CLOSURE = "closure"


State = TypeVar("State", SessionStatus, GroupStatus, PromptStatus)

SESSION_TRANSITIONS: Mapping[SessionStatus, frozenset[SessionStatus]] = {
    SessionStatus.DRAFT: frozenset(
        {SessionStatus.SCHEDULED, SessionStatus.OPEN, SessionStatus.ARCHIVED}
    ),
    SessionStatus.SCHEDULED: frozenset(
        {SessionStatus.DRAFT, SessionStatus.OPEN, SessionStatus.ARCHIVED}
    ),
    SessionStatus.OPEN: frozenset({SessionStatus.LIVE, SessionStatus.ENDED, SessionStatus.DRAFT}),
    SessionStatus.LIVE: frozenset({SessionStatus.PAUSED, SessionStatus.ENDED}),
    SessionStatus.PAUSED: frozenset({SessionStatus.LIVE, SessionStatus.ENDED}),
    SessionStatus.ENDED: frozenset({SessionStatus.ARCHIVED}),
    SessionStatus.ARCHIVED: frozenset({SessionStatus.ENDED}),
}

GROUP_TRANSITIONS: Mapping[GroupStatus, frozenset[GroupStatus]] = {
    GroupStatus.FORMING: frozenset({GroupStatus.READY, GroupStatus.ACTIVE, GroupStatus.ENDED}),
    GroupStatus.READY: frozenset({GroupStatus.FORMING, GroupStatus.ACTIVE, GroupStatus.ENDED}),
    GroupStatus.ACTIVE: frozenset({GroupStatus.PAUSED, GroupStatus.ENDED}),
    GroupStatus.PAUSED: frozenset({GroupStatus.ACTIVE, GroupStatus.ENDED}),
    GroupStatus.ENDED: frozenset(),
}

PROMPT_TRANSITIONS: Mapping[PromptStatus, frozenset[PromptStatus]] = {
    PromptStatus.GENERATED: frozenset(
        {
            PromptStatus.ACKNOWLEDGED,
            PromptStatus.USED,
            PromptStatus.DISMISSED,
            PromptStatus.EXPIRED,
        }
    ),
    PromptStatus.ACKNOWLEDGED: frozenset(
        {PromptStatus.USED, PromptStatus.DISMISSED, PromptStatus.EXPIRED}
    ),
    PromptStatus.USED: frozenset(),
    PromptStatus.DISMISSED: frozenset(),
    PromptStatus.EXPIRED: frozenset(),
}

# A session in one of these can be joined with its code, and its code is taken.
JOINABLE = (SessionStatus.OPEN, SessionStatus.LIVE, SessionStatus.PAUSED)
CODE_TAKEN = (SessionStatus.SCHEDULED, *JOINABLE)


def check_transition(
    transitions: Mapping[State, frozenset[State]], now: State, wanted: State
) -> None:
    """Raise :class:`Conflict` when ``now`` does not lead to ``wanted``."""
    if wanted not in transitions[now]:
        raise Conflict(f"It is {now.value} and cannot become {wanted.value}.", code="wrong-state")
