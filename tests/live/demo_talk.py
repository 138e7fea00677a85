"""The demo's scripted groups as discussions, cut into the windows that guidance looks at."""

from __future__ import annotations

from collections.abc import Iterator

from classweave.language.transcript import Discussion, Track, Utterance
from classweave.live.demo.lesson import DemoGroup, load_demo
from classweave.live.guidance.engine import Snapshot
from classweave.live.guidance.phase import phase_of
from classweave.live.measure_windows import (
    RECENT_SECONDS,
    ROLLING_SECONDS,
    Windows,
    latest_quotes,
    measure_windows,
)

DEMO = load_demo()


def utterances_of(group: DemoGroup) -> tuple[Utterance, ...]:
    return tuple(
        Utterance(f"u{i}", turn.speaker, turn.speaker, turn.start, turn.end, turn.text)
        for i, turn in enumerate(group.turns)
    )


def window(group: DemoGroup, start: float, end: float) -> Discussion:
    """What the group's devices heard from ``start`` to ``end``, all of them well."""
    members = tuple(member.key for member in group.members if member.sound is not None)
    return Discussion(
        utterances=tuple(u for u in utterances_of(group) if start < u.end <= end),
        members=members,
        start=start,
        end=end,
        tracks=tuple(Track(m, m, end - start, end - start) for m in members),
        concepts=DEMO.lesson.concepts,
        goal=DEMO.lesson.goal,
        title=DEMO.lesson.title,
    )


def snapshots(group: DemoGroup, step: float = 30.0) -> Iterator[Snapshot]:
    """A measurement every ``step`` seconds of the script, and one at its end."""
    at = step
    while at < group.seconds + step:
        end = min(at, group.seconds)
        yield snapshot(group, end)
        at += step


def snapshot(group: DemoGroup, end: float) -> Snapshot:
    windows = Windows(
        recent=window(group, max(0.0, end - RECENT_SECONDS), end),
        rolling=window(group, max(0.0, end - ROLLING_SECONDS), end),
        whole=window(group, 0.0, end),
    )
    return Snapshot(
        phase=phase_of(DEMO.lesson.planned_minutes, end),
        measures=measure_windows(windows, sentiment=True),
        latest=latest_quotes(windows.recent),
    )
