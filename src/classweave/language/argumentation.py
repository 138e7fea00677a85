"""Argument in talk: claims, the evidence and reasoning given for them, and how deep it goes.

All rests on marker words (``data/moves/markers.toml``): "I think", "according to", "because",
"but". An argument made without them is not seen, so every share here is a lower bound, good for
comparing a group with itself and not for marking it.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib import resources
from typing import Literal, NamedTuple

from classweave.language.coverage import coverage
from classweave.language.messages import gettext, ngettext
from classweave.language.questions import classify_question
from classweave.language.spoken import (
    ENGLISH_ONLY,
    MIN_TURNS,
    contributions,
    is_english,
    quote,
    read,
    sentences,
)
from classweave.language.transcript import Discussion, Evidence, Measure, not_enough
from classweave.language.words import heard_text

Mark = Literal["claim", "evidence", "reasoning", "counter"]

MIN_CONTENT = 2
"""Words of content from which a turn can carry a part of an argument."""

MIN_CLAIMS = 5
FEW_CLAIMS = 8
WITHIN_TURNS = 3
"""A claim counts as met when it is backed or contested in its turn or the next three."""

LOWER_BOUND = gettext("A lower bound: only arguments with marker words are seen.")


class _Argued(NamedTuple):
    marks: frozenset[Mark]
    evidence: dict[Mark, Evidence]


@lru_cache(maxsize=1)
def _markers() -> dict[Mark, re.Pattern[str]]:
    source = resources.files("classweave.language").joinpath("data/moves/markers.toml")
    patterns: dict[Mark, str] = tomllib.loads(source.read_text("utf-8"))  # type: ignore[assignment]
    return {mark: re.compile(pattern) for mark, pattern in patterns.items()}


@lru_cache(maxsize=8192)
def marks(text: str) -> frozenset[Mark]:
    """Which parts of an argument the marker words of one sentence show; a question claims none."""
    words = " ".join(read(text).tokens)
    found: set[Mark] = {mark for mark, pattern in _markers().items() if pattern.search(words)}
    if "claim" in found and classify_question(text) != "none":
        found.remove("claim")
    return frozenset(found)


def _argued(discussion: Discussion) -> list[_Argued]:
    """The students' turns of content with what they contribute to the argument."""
    argued: list[_Argued] = []
    for turn in contributions(discussion):
        if turn.role != "student" or len(read(turn.text).content) < MIN_CONTENT:
            continue
        evidence: dict[Mark, Evidence] = {}
        for utterance in turn.utterances:
            for sentence in sentences(heard_text(utterance)):
                for mark in marks(sentence.text):
                    evidence.setdefault(mark, quote(utterance, sentence.text, mark))
        argued.append(_Argued(frozenset(evidence), evidence))
    return argued


def _share(discussion: Discussion, name: str, mark: Mark) -> Measure:
    unit, cover = "share of content turns", coverage(discussion)
    if not is_english(discussion):
        return not_enough(name, 0, "turns", cover, ENGLISH_ONLY, unit)
    argued = _argued(discussion)
    n = len(argued)
    if n < MIN_TURNS:
        reason = ngettext(
            "Only %(n)s turn with content so far; %(needed)s are needed.",
            "Only %(n)s turns with content so far; %(needed)s are needed.",
            n,
            needed=MIN_TURNS,
        )
        return not_enough(name, n, "turns", cover, reason, unit)
    found = [turn.evidence[mark] for turn in argued if mark in turn.marks]
    return Measure(
        name=name,
        value=len(found) / n,
        n=n,
        n_unit="turns",
        coverage=cover,
        reason=LOWER_BOUND,
        unit=unit,
        evidence=found,
        details={"turns_marked": len(found)},
    )


def claims(discussion: Discussion) -> Measure:
    """Share (0-1) of the students' turns of content that make a claim in marked words."""
    return _share(discussion, "claims", "claim")


def evidence(discussion: Discussion) -> Measure:
    """Share (0-1) of the students' turns of content that point at evidence or an example."""
    return _share(discussion, "evidence", "evidence")


def reasoning(discussion: Discussion) -> Measure:
    """Share (0-1) of the students' turns of content that reason ("because", "if ... then")."""
    return _share(discussion, "reasoning", "reasoning")


def argumentation(discussion: Discussion) -> Measure:
    """Depth: share (0-1) of claims backed or contested in their own turn or the next three.

    Backed is evidence or reasoning; contested is a counter-claim in a later turn. 'Uncertain'
    from 5 to 7 claims; not enough below, or in a language other than English.
    """
    name, unit, cover = "argumentation", "share of claims", coverage(discussion)
    if not is_english(discussion):
        return not_enough(name, 0, "claims", cover, ENGLISH_ONLY, unit)
    argued = _argued(discussion)
    at = [i for i, turn in enumerate(argued) if "claim" in turn.marks]
    n = len(at)
    if n < MIN_CLAIMS:
        reason = ngettext(
            "Only %(n)s marked claim so far; %(needed)s are needed.",
            "Only %(n)s marked claims so far; %(needed)s are needed.",
            n,
            needed=MIN_CLAIMS,
        )
        return not_enough(name, n, "claims", cover, reason, unit)
    found: list[Evidence] = []
    backed = contested = 0
    for i in at:
        later = argued[i + 1 : i + 1 + WITHIN_TURNS]
        is_backed = any(turn.marks & {"evidence", "reasoning"} for turn in (argued[i], *later))
        is_contested = any("counter" in turn.marks for turn in later)
        backed += is_backed
        contested += is_contested
        if is_backed or is_contested:
            found.append(argued[i].evidence["claim"])
    few = n < FEW_CLAIMS
    return Measure(
        name=name,
        value=len(found) / n,
        n=n,
        n_unit="claims",
        coverage=cover,
        status="uncertain" if few else "ok",
        reason=gettext("Few claims so far.") if few else LOWER_BOUND,
        unit=unit,
        evidence=found,
        details={"backed": backed / n, "contested": contested / n},
    )
