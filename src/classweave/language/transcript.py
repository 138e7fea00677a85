"""The vocabulary of this room: what a discussion is, and what a measure of it says.

Every measure in this package is a pure function from a :class:`Discussion` to a
:class:`Measure`. Times are seconds since the session began.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word with its times (seconds) and the recogniser's probability (0-1)."""

    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """A stretch of talk by one track without a long pause.

    ``speaker`` is the member's id, or ``None`` when a shared device heard it: such talk is
    attributed to the group only. ``confidence`` is the mean word probability, 0-1.
    """

    id: str
    track: str
    speaker: str | None
    start: float
    end: float
    text: str
    words: tuple[Word, ...] = ()
    confidence: float | None = None
    role: Literal["student", "teacher"] = "student"

    @property
    def duration(self) -> float:
        """Seconds from the first sound to the last."""
        return max(0.0, self.end - self.start)


@dataclass(frozen=True, slots=True)
class Track:
    """What is known of one device's capture: a silent member is only silent if it was heard well.

    ``connected_seconds`` counts while the device was connected within the window,
    ``heard_seconds`` while its microphone delivered a live signal (not muted, not dead) that has
    been read. ``unread_seconds`` have arrived and wait to become words: nothing is known of them.
    """

    id: str
    speaker: str | None
    connected_seconds: float
    heard_seconds: float
    muted: bool = False
    clipping: bool = False
    unread_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Discussion:
    """A window of one group's talk, in time order, with everything a measure may look at.

    ``members`` lists every member of the group, the silent included. ``concepts``, ``goal`` and
    ``title`` are what the teacher said the lesson is about. ``language`` is the talk's, as a
    primary subtag ("en", "es").
    """

    utterances: tuple[Utterance, ...]
    members: tuple[str, ...]
    start: float
    end: float
    tracks: tuple[Track, ...] = ()
    concepts: tuple[str, ...] = ()
    goal: str = ""
    title: str = ""
    language: str = "en"

    @property
    def seconds(self) -> float:
        """Length of the window in seconds."""
        return max(0.0, self.end - self.start)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The words behind a number: which utterance, when, and the quoted span."""

    utterance: str
    start: float
    end: float
    quote: str
    note: str = ""


Status = Literal["ok", "uncertain", "not_enough"]


@dataclass(frozen=True, slots=True)
class Measure:
    """A number with its honesty: how much stands behind it, and the words it came from.

    ``value`` is ``None`` exactly when ``status`` is ``not_enough``. ``n`` counts ``n_unit``
    (turns, words, seconds). ``coverage`` is the share of the window's talk (0-1) that was heard
    well enough to count. ``details`` holds numbers that belong with the value, for example the
    share of each member.
    """

    name: str
    value: float | None
    n: int
    n_unit: str
    coverage: float
    status: Status = "ok"
    reason: str = ""
    unit: str = ""
    evidence: Sequence[Evidence] = ()
    details: dict[str, float] = field(default_factory=dict[str, float])


def not_enough(
    name: str, n: int, n_unit: str, coverage: float, reason: str, unit: str = ""
) -> Measure:
    """A measure that declines to guess, and says why."""
    return Measure(
        name=name,
        value=None,
        n=n,
        n_unit=n_unit,
        coverage=coverage,
        status="not_enough",
        reason=reason,
        unit=unit,
    )
