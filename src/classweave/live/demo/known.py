"""What is known of a demo group before anything is measured, from its turns and labels alone.

Deliberately independent of :mod:`classweave.language`: these values judge that package's measures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Protocol


class Turn(Protocol):
    """A turn or a word: who said it, when (seconds), and what."""

    @property
    def speaker(self) -> str: ...  # noqa: D102
    @property
    def start(self) -> float: ...  # noqa: D102
    @property
    def end(self) -> float: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102


class LabelledTurn(Turn, Protocol):
    """A turn whose questions are labelled."""

    @property
    def labels(self) -> tuple[str, ...]: ...  # noqa: D102


def known_values(
    turns: Sequence[LabelledTurn],
    words: Sequence[Turn],
    heard: Sequence[str],
    *,
    labelled: bool,
) -> dict[str, float]:
    """True values by name, for the members whose device sends sound (``heard``).

    ``words`` (number of words said) and ``speaking_seconds`` (time in which anyone talks; overlap
    counts once) are known of every group. Where each turn has a speaker of the group, also:
    ``participation_equality``, ``dominance``, ``silent_members``, ``turns`` (runs of one speaker),
    ``switches``, and ``share:KEY`` for each member. Where the script labels its questions
    (``labelled``), also ``open_questions`` and ``closed_questions``.
    """
    parts = [*turns, *words]
    values: dict[str, float] = {
        "words": sum(len(part.text.split()) for part in parts),
        "speaking_seconds": round(_union((part.start, part.end) for part in parts), 2),
    }
    if not turns:
        return values
    seconds = {
        member: sum(turn.end - turn.start for turn in turns if turn.speaker == member)
        for member in heard
    }
    total = sum(seconds.values())
    order = [turn.speaker for turn in sorted(turns, key=lambda turn: turn.start)]
    switches = sum(one != other for one, other in pairwise(order))
    values |= {
        "participation_equality": round(equality(list(seconds.values())), 4),
        "dominance": round(max(seconds.values()) / total, 4),
        "silent_members": silent_members(list(seconds.values())),
        "turns": switches + 1,
        "switches": switches,
    }
    values |= {f"share:{member}": round(s / total, 4) for member, s in seconds.items()}
    if labelled:
        labels = [label for turn in turns for label in turn.labels]
        values["open_questions"] = labels.count("open_question")
        values["closed_questions"] = labels.count("closed_question")
    return values


def equality(seconds: Sequence[float]) -> float:
    """E = 1 - G·n/(n-1), G the Gini coefficient of talk; 1 all the same, 0 one voice alone.

    Needs two members or more and some talk.
    """
    n, total = len(seconds), sum(seconds)
    gini = sum(abs(x - y) for x in seconds for y in seconds) / (2 * n * total)
    return 1 - gini * n / (n - 1)


def silent_members(seconds: Sequence[float]) -> int:
    """How many talk for less than 5 s, or than a twentieth of an equal share if that is more."""
    floor = max(5.0, 0.05 * sum(seconds) / len(seconds))
    return sum(s < floor for s in seconds)


def _union(spans: Iterable[tuple[float, float]]) -> float:
    total, reached = 0.0, 0.0
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
