"""Moments worth replaying: where a group reasons, disagrees, builds a chain, falls silent or
listens to one voice for long.

Each is found by a plain rule over words and times, and says why it was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from classweave.language.argumentation import Mark, marks
from classweave.language.coverage import HEALTHY_SHARE, is_shared_device, seconds_coverage
from classweave.language.messages import Message, gettext
from classweave.language.spoken import is_english, sentences
from classweave.language.transcript import Discussion, Evidence, Measure, Utterance
from classweave.language.turn_taking import is_backchannel
from classweave.language.words import heard_text, tokens

Kind = Literal["reasoning", "disagreement", "uptake", "silence", "one_voice"]

NEAR_SECONDS = 25.0
"""Utterances of a kind this close together belong to one moment."""
BURST = 3
SILENCE_SECONDS = 20.0
ONE_VOICE_SECONDS = 60.0
PER_KIND = 2
_LEAD_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Quote:
    """Words said, verbatim: ``text`` is the utterance's own text, times are in seconds.

    ``speaker`` is the member, ``None`` where a shared device heard them.
    """

    utterance: str
    speaker: str | None
    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A stretch worth replaying: from ``start`` to ``end`` seconds, why, and its best line."""

    kind: Kind
    start: float
    end: float
    why: Message
    quote: Quote | None


def quote_of(utterance: Utterance) -> Quote:
    """An utterance as a quotation."""
    return Quote(
        utterance.id, utterance.speaker, utterance.start, utterance.end, utterance.text.strip()
    )


def find_moments(discussion: Discussion, measures: Iterable[Measure]) -> list[Moment]:
    """The moments of a discussion in time order, at most two of each kind.

    ``measures`` are those of the same discussion: the uptake measure's evidence marks the chains.
    """
    taken_up = next((m.evidence for m in measures if m.name == "uptake"), ())
    found: list[Moment] = []
    if is_english(discussion):
        found += _bursts(
            discussion,
            "reasoning",
            {"reasoning", "evidence"},
            lambda n: gettext("%(n)s turns give reasons or evidence", n=n),
        )
        found += _bursts(
            discussion,
            "disagreement",
            {"counter"},
            lambda n: gettext("%(n)s turns object or disagree", n=n),
        )
        found += _chains(discussion, taken_up)
    found += _silences(discussion)
    found += _one_voice(discussion)
    return sorted(found, key=lambda moment: (moment.start, moment.end))


def _bursts(
    discussion: Discussion, kind: Kind, wanted: set[Mark], why: Callable[[int], Message]
) -> list[Moment]:
    def shows(utterance: Utterance) -> bool:
        return any(marks(s.text) & wanted for s in sentences(heard_text(utterance)))

    own = [u for u in discussion.utterances if u.role == "student" and shows(u)]
    least = BURST if kind == "reasoning" else 2
    return _clusters(discussion, kind, own, least, why)


def _chains(discussion: Discussion, evidence: Sequence[Evidence]) -> list[Moment]:
    ids = {e.utterance for e in evidence}
    own = [u for u in discussion.utterances if u.id in ids]
    return _clusters(
        discussion,
        "uptake",
        own,
        BURST,
        lambda n: gettext("%(n)s turns close together take up the turn before", n=n),
    )


def _clusters(
    discussion: Discussion,
    kind: Kind,
    utterances: Sequence[Utterance],
    least: int,
    why: Callable[[int], Message],
) -> list[Moment]:
    """Groups of at least ``least`` utterances no more than 25 s apart, the largest first."""
    groups: list[list[Utterance]] = []
    for u in sorted(utterances, key=lambda u: u.start):
        if groups and u.start - groups[-1][-1].end <= NEAR_SECONDS:
            groups[-1].append(u)
        else:
            groups.append([u])
    kept = sorted((g for g in groups if len(g) >= least), key=lambda g: (-len(g), g[0].start))
    return [
        Moment(
            kind,
            max(discussion.start, group[0].start - _LEAD_SECONDS),
            max(u.end for u in group),
            why(len(group)),
            quote_of(max(group, key=lambda u: len(tokens(u.text)))),
        )
        for group in kept[:PER_KIND]
    ]


def _silences(discussion: Discussion) -> list[Moment]:
    """Silences of 20 s or more between utterances, only where the microphones were live."""
    if seconds_coverage(discussion) <= HEALTHY_SHARE:
        return []
    found: list[tuple[float, Utterance, float]] = []
    reached: Utterance | None = None
    for u in sorted(discussion.utterances, key=lambda u: u.start):
        if reached is not None and u.start - reached.end >= SILENCE_SECONDS:
            found.append((u.start - reached.end, reached, u.start))
        if reached is None or u.end > reached.end:
            reached = u
    found.sort(key=lambda gap: -gap[0])
    return [
        Moment(
            "silence",
            max(discussion.start, before.end - _LEAD_SECONDS),
            until,
            gettext("Nobody talked for %(seconds)s seconds after this", seconds=round(gap)),
            quote_of(before) if before.text.strip() else None,
        )
        for gap, before, until in found[:PER_KIND]
    ]


def _one_voice(discussion: Discussion) -> list[Moment]:
    """Stretches of a minute or more in which one member talks and others at most assent."""
    if is_shared_device(discussion):
        return []
    runs: list[list[Utterance]] = []
    spoken = sorted(discussion.utterances, key=lambda u: u.start)
    for u in (u for u in spoken if not is_backchannel(u.text)):
        if runs and runs[-1][0].speaker == u.speaker and u.start - runs[-1][-1].end <= NEAR_SECONDS:
            runs[-1].append(u)
        else:
            runs.append([u])
    long = [
        (run[-1].end - run[0].start, run)
        for run in runs
        if run[0].role == "student" and run[-1].end - run[0].start >= ONE_VOICE_SECONDS
    ]
    long.sort(key=lambda pair: -pair[0])
    return [
        Moment(
            "one_voice",
            run[0].start,
            run[-1].end,
            gettext("One member talked for %(seconds)s seconds on end", seconds=round(seconds)),
            quote_of(max(run, key=lambda u: len(tokens(u.text)))),
        )
        for seconds, run in long[:PER_KIND]
    ]
