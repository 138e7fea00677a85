"""Transactivity: do members work on one another's ideas?

A turn is transactive when it refers to, extends or contests what another member said in one of
the last turns. Two signs are read: words of content shared with that member, weighed by rarity,
and words that address or connect ("you said", "I agree", "yeah but", "and also"). One strong sign
or both together decide; one weak sign alone leaves the turn undecided. After Berkowitz and Gibbs
(1983); that abstaining lifts agreement with human coders: TagHelper (Rosé et al. 2008).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from classweave.language.coverage import coverage, is_shared_device
from classweave.language.messages import gettext
from classweave.language.participation import SHARED_DEVICE
from classweave.language.spoken import (
    ENGLISH_ONLY,
    MIN_TURNS,
    Contribution,
    contributions,
    few_turns,
    is_english,
    quote_turn,
    read,
    weight,
)
from classweave.language.transcript import Discussion, Evidence, Measure, not_enough

Link = Literal["yes", "no", "uncertain"]

LOOK_BACK = 3
"""How many of the last turns by others a turn is compared with."""

WEAK_LINK, STRONG_LINK = 3.0, 7.0
"""Shared information (inverse document frequencies, 0-8 a word): one plain word, or two."""

MAX_ABSTAINED = 0.5

_REFERS = re.compile(
    r"\b(?:(?:i|we) (?:\w+ )?(?:agree|disagree)|you(?:'re| are)? (?:said|saying|mean|were saying|"
    r"right|wrong|forgot|could also)|(?:he|she|they)(?:'s|'re)? (?:said|says|saying|right|wrong)|"
    r"(?:your|his|her|their) (?:idea|point|answer|thing|argument|thinking|way)|like you said|"
    r"what (?:you|he|she|they)(?:'re| are)? (?:said|saying|say|did|mean)|same (?:as|thing|with) "
    r"(?:you|what|him|her)|add(?:ing)? (?:on|to)|build(?:ing)? (?:on|off)|that's what i|"
    r"good (?:point|idea)|that(?:'s| is| makes) (?:true|right|wrong|sense|a good|not)|"
    r"do you mean|how did you|why (?:do|did|would) you)\b|^(?:exactly|true|disagree|agreed?)\b"
)
_CONNECTS = re.compile(
    r"^(?:(?:um|uh|well|oh|okay|ok|like|hm|hmm) )*(?:"
    r"(?:yeah|yes|no|nah|right|true|okay) "
    r"(?:but|and|so|because|cause|it|that|like|then|we|you|if|i|they)|"
    r"but|and|or|so|because|cause|also|then|"
    r"plus|which|what about|what if|except|actually|instead|wait|no)\b"
)


@lru_cache(maxsize=8192)
def _signs(text: str) -> tuple[bool, bool]:
    """Whether a turn addresses what another said, and whether it opens by connecting to it."""
    words = " ".join(read(text).tokens)
    return bool(_REFERS.search(words)), bool(_CONNECTS.search(words))


def link(text: str, others: tuple[str, ...]) -> Link:
    """Whether a turn works on one of the texts that others just said."""
    if not others:
        return "no"
    refers, connects = _signs(text)
    own = set(read(text).content)
    shared = max(weight(own.intersection(read(other).content)) for other in others)
    if refers or shared >= STRONG_LINK or (connects and shared >= WEAK_LINK):
        return "yes"
    return "uncertain" if shared >= WEAK_LINK or (connects and own) else "no"


def transactivity(discussion: Discussion) -> Measure:
    """Share (0-1) of decided student turns that work on another member's idea.

    ``details["abstained"]`` is the share of turns left undecided; above one half the measure is
    'uncertain'. Not enough below 10 turns, on a shared device, where members are not told apart,
    or in a language other than English.
    """
    name, unit, cover = "transactivity", "share of turns", coverage(discussion)
    if not is_english(discussion):
        return not_enough(name, 0, "turns", cover, ENGLISH_ONLY, unit)
    if is_shared_device(discussion):
        return not_enough(name, 0, "turns", cover, SHARED_DEVICE, unit)
    spoken = tuple(turn for turn in contributions(discussion) if turn.role == "student")
    n = len(spoken)
    if n < MIN_TURNS:
        return not_enough(name, n, "turns", cover, few_turns(n), unit)
    links = [link(turn.text, _others(spoken, i)) for i, turn in enumerate(spoken)]
    found: list[Evidence] = [
        quote_turn(turn) for turn, linked in zip(spoken, links, strict=True) if linked == "yes"
    ]
    decided = sum(linked != "uncertain" for linked in links)
    if not decided:
        why = gettext("No turn could be decided either way.")
        return not_enough(name, 0, "turns", cover, why, unit)
    abstained = 1 - decided / n
    reason = ""
    if abstained > MAX_ABSTAINED:
        reason = gettext("%(share)s %% of the turns are undecided.", share=round(100 * abstained))
    return Measure(
        name=name,
        value=len(found) / decided,
        n=decided,
        n_unit="turns",
        coverage=cover,
        status="uncertain" if reason else "ok",
        reason=reason,
        unit=unit,
        evidence=found,
        details={"abstained": abstained, "transactive_turns": len(found)},
    )


def _others(spoken: tuple[Contribution, ...], i: int) -> tuple[str, ...]:
    """What others said in the last turns."""
    before = [turn.text for turn in spoken[:i] if turn.speaker != spoken[i].speaker]
    return tuple(before[-LOOK_BACK:])
