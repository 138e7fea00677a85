"""The tone of a group from its words, and plainly worded support and conflict.

Tone is of the group only, minute by minute; nothing here says anything of one child, so the
evidence names words and a minute, never an utterance or a speaker. Support and conflict are counts
of listed phrases: what is said in other words is missed.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache, lru_cache
from importlib import resources
from typing import Protocol, cast

from vaderSentiment import vaderSentiment  # pyright: ignore[reportMissingTypeStubs]

from classweave.language.coverage import coverage
from classweave.language.messages import gettext
from classweave.language.spoken import ENGLISH_ONLY, few_turns, few_words, is_english
from classweave.language.transcript import Discussion, Evidence, Measure, not_enough
from classweave.language.words import heard_text, tokens

MINIMUM_WORDS = 50
UNCERTAIN_WORDS = 200
MINIMUM_TURNS = 5


class _Analyser(Protocol):
    lexicon: dict[str, float]

    def polarity_scores(self, text: str) -> dict[str, float]: ...


@cache
def _analyser() -> _Analyser:
    return cast(_Analyser, vaderSentiment.SentimentIntensityAnalyzer())


@lru_cache(maxsize=8192)
def polarity(text: str) -> float:
    """Polarity of a short English text, -1 to 1. Source: VADER, Hutto & Gilbert (ICWSM 2014)."""
    return _analyser().polarity_scores(text)["compound"] if tokens(text) else 0.0


def sentiment(discussion: Discussion) -> Measure:
    """Mean polarity of the group's words, -1 to 1, weighted by length; the arc in ``details``.

    ``details["minute:K"]`` is the mean of the window's minute K (from 0), for minutes with talk.
    """
    name, cover = "sentiment", coverage(discussion)
    if not is_english(discussion):
        return not_enough(name, 0, "words", cover, ENGLISH_ONLY)
    minutes: dict[int, list[tuple[float, int]]] = {}
    polar: dict[int, Counter[str]] = {}
    lexicon = _analyser().lexicon
    for u in discussion.utterances:
        said = heard_text(u)
        words = tokens(said)
        if u.role == "student" and words:
            minute = max(0, int((u.start - discussion.start) // 60))
            minutes.setdefault(minute, []).append((polarity(said), len(words)))
            polar.setdefault(minute, Counter()).update(w for w in words if w in lexicon)
    n = sum(length for scores in minutes.values() for _, length in scores)
    if n < MINIMUM_WORDS:
        why = few_words(n, MINIMUM_WORDS)
        return not_enough(name, n, "words", cover, why)
    arc = {k: _weighted(scores) for k, scores in sorted(minutes.items())}
    return Measure(
        name=name,
        value=_weighted([pair for scores in minutes.values() for pair in scores]),
        n=n,
        n_unit="words",
        coverage=cover,
        status="uncertain" if n < UNCERTAIN_WORDS else "ok",
        reason=gettext("Few words for a tone.") if n < UNCERTAIN_WORDS else "",
        evidence=tuple(
            Evidence(
                "",
                discussion.start + 60.0 * k,
                min(discussion.end, discussion.start + 60.0 * (k + 1)),
                ", ".join(word for word, _ in polar[k].most_common(6)),
                gettext("tone %(tone)s in this minute", tone=round(arc[k], 2)),
            )
            for k in _extremes(arc)
            if polar[k]
        ),
        details={f"minute:{k}": value for k, value in arc.items()},
    )


def _weighted(scores: list[tuple[float, int]]) -> float:
    return sum(score * n for score, n in scores) / sum(n for _, n in scores)


def _extremes(arc: dict[int, float]) -> list[int]:
    """The brightest and the darkest minute, in time order."""
    return sorted({max(arc, key=lambda k: arc[k]), min(arc, key=lambda k: arc[k])})


@cache
def _phrases(name: str) -> re.Pattern[str]:
    """The packaged phrases of ``data/NAME.txt`` as one pattern of whole words."""
    text = resources.files("classweave.language").joinpath("data", f"{name}.txt").read_text("utf-8")
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return re.compile(rf"\b(?:{'|'.join(f'(?:{line})' for line in lines)})\b")


_NEGATION = re.compile(r"\b(?:not|n't|don't|doesn't|isn't|didn't|never|no)\s+(?:\w+\s+){0,1}$")


def supportive_phrases(text: str) -> list[str]:
    """Phrases of help, praise, thanks or invitation in a text, as listed; negated ones left out."""
    plain = _plain(text)
    return [
        found.group()
        for found in _phrases("supportive_phrases").finditer(plain)
        if not _NEGATION.search(plain[: found.start()])
    ]


def conflict_phrases(text: str) -> list[str]:
    """Phrases of personal conflict in a text, as listed. Disagreeing about the matter is none."""
    return [found.group() for found in _phrases("conflict_phrases").finditer(_plain(text))]


def supportive_interactions(discussion: Discussion) -> Measure:
    """How many turns offer help, praise, thanks or an invitation to speak, in listed phrases."""
    found = [
        (u, phrases)
        for u in discussion.utterances
        if u.role == "student" and (phrases := supportive_phrases(heard_text(u)))
    ]
    evidence = [Evidence(u.id, u.start, u.end, u.text, ", ".join(p)) for u, p in found]
    return _count(discussion, "supportive_interactions", evidence)


def conflict(discussion: Discussion) -> Measure:
    """How many turns are hostile or complain of a person, in listed phrases."""
    found = [
        (u, phrases)
        for u in discussion.utterances
        if u.role == "student" and (phrases := conflict_phrases(heard_text(u)))
    ]
    evidence = [Evidence(u.id, u.start, u.end, u.text, ", ".join(p)) for u, p in found]
    return _count(discussion, "conflict", evidence)


def _count(discussion: Discussion, name: str, found: list[Evidence]) -> Measure:
    cover = coverage(discussion)
    n = sum(u.role == "student" and bool(heard_text(u)) for u in discussion.utterances)
    if not is_english(discussion):
        return not_enough(name, 0, "turns", cover, ENGLISH_ONLY, "turns")
    if n < MINIMUM_TURNS:
        why = few_turns(n, MINIMUM_TURNS)
        return not_enough(name, n, "turns", cover, why, "turns")
    return Measure(
        name=name,
        value=float(len(found)),
        n=n,
        n_unit="turns",
        coverage=cover,
        unit="turns",
        evidence=tuple(found[-8:]),
        details={"per_100_turns": 100.0 * len(found) / n},
    )


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("’", "'").replace(",", " ").split())
