"""One group's talk over the windows that guidance looks at. Pure: words in, measures out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from classweave.language.measure import measure_discussion
from classweave.language.transcript import Discussion, Evidence, Measure
from classweave.live.guidance.quiet import quiet_seconds
from classweave.live.guidance.rules import Window

RECENT_SECONDS = 60.0
ROLLING_SECONDS = 180.0
_QUOTED = 3


@dataclass(frozen=True, slots=True)
class Windows:
    """The same group's talk: the last minute, the last three, and all of it."""

    recent: Discussion
    rolling: Discussion
    whole: Discussion


def measure_windows(windows: Windows, *, sentiment: bool) -> Mapping[Window, Mapping[str, Measure]]:
    """Every measure by name for each window, and on the rolling one how long it has been quiet."""
    rolling = _by_name(windows.rolling, sentiment)
    quiet = quiet_seconds(windows.rolling)
    return {
        "recent": _by_name(windows.recent, sentiment),
        "rolling": rolling | {quiet.name: quiet},
        "whole": _by_name(windows.whole, sentiment),
    }


def latest_quotes(discussion: Discussion) -> tuple[Evidence, ...]:
    """The longest things that the members said within a window, in time order."""
    longest = sorted(
        (u for u in discussion.utterances if u.role == "student"), key=lambda u: -len(u.text)
    )[:_QUOTED]
    return tuple(
        Evidence(u.id, u.start, u.end, u.text) for u in sorted(longest, key=lambda u: u.start)
    )


def _by_name(discussion: Discussion, sentiment: bool) -> dict[str, Measure]:
    return {m.name: m for m in measure_discussion(discussion, sentiment=sentiment)}
