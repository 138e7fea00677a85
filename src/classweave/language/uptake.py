"""Uptake: does a turn take up what the one before it said?

The human notion is Demszky et al. (ACL 2021): acknowledging, repeating, reformulating or asking
on from the previous speaker's words. The estimate is a logistic regression over plain overlap and
follow-up features, fitted on their ratings of fourth- and fifth-grade exchanges (MIT licence;
``bench/fit_moves.py``). It was rated on teachers answering students; for students answering one
another it is an extrapolation, and says so.
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from importlib import resources
from itertools import pairwise

from classweave.language.coverage import coverage, is_shared_device
from classweave.language.messages import gettext
from classweave.language.participation import SHARED_DEVICE
from classweave.language.questions import question_probability
from classweave.language.spoken import (
    ENGLISH_ONLY,
    MIN_TURNS,
    contributions,
    few_turns,
    is_english,
    quote_turn,
    read,
    reused,
    sentences,
    weight,
)
from classweave.language.transcript import Discussion, Measure, not_enough

HIGH, LOW = 0.55, 0.45
"""A turn at or above ``HIGH`` takes the previous one up, below ``LOW`` it does not.

Out of fold, 7 in 10 of the former were rated highest and 8 in 10 of the latter were not.
"""

_ACKNOWLEDGE = re.compile(
    r"^(?:yes|yeah|yep|okay|ok|right|good|great|excellent|exactly|perfect|correct|nice|very good|"
    r"all right|alright|no|uh huh|mm hmm|i see|that's (?:right|good|true|a good)|absolutely)\b"
)
_DOUBT = re.compile(r"^(?:no|not|but|actually|are you sure|really|hmm|well)\b")
_ATTRIBUTE = re.compile(
    r"\b(?:you(?:'re| are| were)? (?:said|say|saying|think|thought|mean|told|noticed|got|did|have|"
    r"added|used)|(?:he|she|they)(?:'s|'re)? (?:said|says|saying)|your (?:idea|answer|point|"
    r"question|thinking)|like you said|what you|so you)\b"
)
_MANAGE = re.compile(
    r"\b(?:sit down|page|pencils?|papers?|books?|quiet|shh|listen|hands?|next (?:one|question|"
    r"problem)|number \d+|eyes|turn to|line up|stop|focus|raise)\b"
)
_PRESS = re.compile(r"\b(?:why|how (?:do|did|would|can|come)|explain|tell (?:me|us) )")
_POINT = re.compile(r"\b(?:that's|that|it's|it|they|them|those|this)\b")


def _longest_run(source: tuple[str, ...], reply: tuple[str, ...]) -> int:
    """Length in tokens of the longest stretch of ``source`` that ``reply`` says again."""
    best = 0
    row = [0] * (len(reply) + 1)
    for token in source:
        previous = 0
        for j, other in enumerate(reply, 1):
            row[j], previous = (previous + 1 if token == other else 0), row[j]
            best = max(best, row[j])
    return best


def features(previous: str, reply: str) -> dict[str, float]:
    """What the estimate looks at, by name, for a turn and the one it answers."""
    source, answer = read(previous), read(reply)
    opening = sentences(reply)[:2]
    opening_content = tuple(word for sentence in opening for word in sentence.content)
    text = " ".join(answer.tokens)
    shared = set(source.content) & set(answer.content)
    probabilities = [question_probability(sentence.text) for sentence in sentences(reply)]
    run = _longest_run(source.tokens, answer.tokens)
    length = math.log1p(len(answer.tokens))
    new = len(set(answer.content) - set(source.content))
    return {
        "bias": 1.0,
        "reused": reused(source.content, answer.content),
        "reused_early": reused(source.content, opening_content),
        "shared_words": math.log1p(len(shared)),
        "shared_information": math.log1p(weight(shared)),
        "echo": len(shared) / max(1, len(set(answer.content))),
        "longest_run": math.log1p(run),
        "asks": max(probabilities, default=0.0),
        "asks_first": probabilities[0] if probabilities else 0.0,
        "presses": float(bool(_PRESS.search(text))),
        "asks_with_reuse": max(probabilities, default=0.0) * float(bool(shared)),
        "acknowledges": float(bool(_ACKNOWLEDGE.match(text))),
        "doubts": float(bool(_DOUBT.match(text))),
        "attributes": float(bool(_ATTRIBUTE.search(text))),
        "because": float("because" in answer.tokens or "so" in answer.tokens[:2]),
        "points_back": float(any(_POINT.search(" ".join(s.tokens)) for s in opening[:1])),
        "manages": float(bool(_MANAGE.search(text))),
        "source_length": math.log1p(len(source.tokens)),
        "source_content": math.log1p(len(source.content)),
        "source_asks": question_probability(previous),
        "reply_length": length,
        "reply_length_squared": length * length / 5,
        "only_acknowledges": float(not answer.content),
        "new_words": math.log1p(new),
    }


@lru_cache(maxsize=1)
def _weights() -> dict[str, float]:
    source = resources.files("classweave.language").joinpath("data/moves/uptake.json")
    return json.loads(source.read_text("utf-8"))["weights"]


@lru_cache(maxsize=4096)
def uptake_probability(previous: str, reply: str) -> float:
    """Degree (0-1) to which ``reply`` takes up ``previous``, as the raters would have it."""
    if not read(previous).tokens or not read(reply).tokens:
        return 0.0
    weights = _weights()
    score = sum(weights[name] * value for name, value in features(previous, reply).items())
    return 1.0 / (1.0 + math.exp(-score))


MIN_SOURCE_WORDS = 2
"""A turn with fewer words of content offers nothing to take up."""

ESTIMATE = gettext("An estimate fitted on teachers who answer students.")

MAX_MIDDLE = 0.5
"""With more than this share of turns between ``LOW`` and ``HIGH``, the share is 'uncertain'."""


def uptake(discussion: Discussion) -> Measure:
    """Share (0-1) of turns that take up what another speaker has just said.

    Counts turns after one of another speaker with at least two words of content. ``details``:
    shares ``none``, ``some``, ``high``, and ``mean``, the mean degree. 'Uncertain' when most turns
    lie in between; not enough below 10 such turns, on a shared device, where nobody knows whether
    the speaker changed, or in a language other than English.
    """
    name, unit, cover = "uptake", "share of turns", coverage(discussion)
    if not is_english(discussion):
        return not_enough(name, 0, "turns", cover, ENGLISH_ONLY, unit)
    if is_shared_device(discussion):
        return not_enough(name, 0, "turns", cover, SHARED_DEVICE, unit)
    degrees = [
        (uptake_probability(before.text, after.text), after)
        for before, after in pairwise(contributions(discussion))
        if len(read(before.text).content) >= MIN_SOURCE_WORDS
    ]
    n = len(degrees)
    if n < MIN_TURNS:
        return not_enough(name, n, "turns", cover, few_turns(n), unit)
    high = [(degree, turn) for degree, turn in degrees if degree >= HIGH]
    low = sum(degree < LOW for degree, _ in degrees) / n
    middle = 1 - low - len(high) / n
    doubt = ""
    if middle > MAX_MIDDLE:
        doubt = gettext(
            "%(share)s %% of the turns are neither clearly uptake nor clearly not.",
            share=round(100 * middle),
        )
    return Measure(
        name=name,
        value=len(high) / n,
        n=n,
        n_unit="turns",
        coverage=cover,
        status="uncertain" if doubt else "ok",
        reason=doubt or ESTIMATE,
        unit=unit,
        evidence=[
            quote_turn(turn, gettext("degree %(degree)s", degree=round(degree, 2)))
            for degree, turn in sorted(high, key=lambda pair: -pair[0])
        ],
        details={
            "none": low,
            "some": middle,
            "high": len(high) / n,
            "mean": sum(degree for degree, _ in degrees) / n,
        },
    )
