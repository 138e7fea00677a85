"""Summaries of a discussion and of a session, in the group's own words.

Extractive: every line is quoted verbatim from an utterance that was heard well, with its times, so
that nothing is said that was not said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from classweave.language.advice import Past, how, next_steps
from classweave.language.concepts import key_terms, mentioned
from classweave.language.measure import MEASURES
from classweave.language.messages import Message, gettext, ngettext
from classweave.language.moments import Moment, Quote, find_moments, quote_of
from classweave.language.topic import Vector, closeness, cosine, lesson_text, vector
from classweave.language.transcript import Discussion, Measure, Utterance
from classweave.language.words import HEARD_PROBABILITY, heard_text, tokens

MINIMUM_WORDS = 60
MINIMUM_CONFIDENCE = 0.6
"""An utterance below this mean word probability is never quoted."""
MINIMUM_HEARD = 0.8
"""Nor is one of which less than this share of the words was recognised with confidence."""

_SHORTEST, _LONGEST, _FEWEST_CONTENT = 6, 60, 3
_LESSON_WEIGHT = 0.5
_DIVERSITY = 0.5
_MINUTES_PER_QUOTE = 6.0
_FEWEST_QUOTES, _MOST_QUOTES = 3, 10


@dataclass(frozen=True, slots=True)
class Summary:
    """A discussion in a page: what was said, how it was said, what to replay, what to try next.

    ``what`` is in time order. ``reason`` tells why ``what`` is empty when too little was heard.
    """

    what: tuple[Quote, ...]
    key_terms: tuple[str, ...]
    concepts_named: tuple[str, ...]
    concepts_missing: tuple[str, ...]
    moments: tuple[Moment, ...]
    how: tuple[Message, ...]
    next_steps: tuple[Message, ...]
    reason: str = ""


def is_quotable(utterance: Utterance) -> bool:
    """Whether an utterance was heard well enough to be quoted."""
    if utterance.confidence is not None and utterance.confidence < MINIMUM_CONFIDENCE:
        return False
    heard = sum(word.probability > HEARD_PROBABILITY for word in utterance.words)
    return heard >= MINIMUM_HEARD * len(utterance.words)


def summarise(
    discussion: Discussion, measures: Sequence[Measure], past: Past | None = None
) -> Summary:
    """Summarise a discussion of any length from its transcript and its measures.

    ``measures`` are those of the same discussion, ``past`` the class's earlier values by measure
    name. Where fewer than 60 words were heard, nothing is quoted and ``reason`` says so.
    """
    texts = [heard_text(u) for u in discussion.utterances]
    words = sum(len(tokens(text)) for text in texts)
    enough = words >= MINIMUM_WORDS
    named = mentioned(discussion, texts)
    what = _central(discussion) if enough else []
    reason = ""
    if not enough:
        reason = ngettext(
            "Only %(n)s word so far; a summary needs %(needed)s.",
            "Only %(n)s words so far; a summary needs %(needed)s.",
            words,
            needed=MINIMUM_WORDS,
        )
    elif not what:
        reason = gettext("No line was heard clearly enough to quote.")
    return Summary(
        what=tuple(quote_of(u) for u in what),
        key_terms=tuple(key_terms(discussion)) if enough else (),
        concepts_named=tuple(c for c in discussion.concepts if c in named),
        concepts_missing=tuple(c for c in discussion.concepts if enough and c not in named),
        moments=tuple(find_moments(discussion, measures)),
        how=tuple(how(measures, past)),
        next_steps=tuple(next_steps(measures)),
        reason=reason,
    )


def _central(discussion: Discussion) -> list[Utterance]:
    """The lines that stand for the discussion, in time order.

    Maximal marginal relevance (Carbonell & Goldstein 1998): closeness to the centre of all that
    was said and to the lesson, less closeness to a line already chosen.
    """
    language = discussion.language
    lesson = vector(lesson_text(discussion), language)
    spoken = [
        (u, v)
        for u in discussion.utterances
        if u.role == "student" and is_quotable(u) and _SHORTEST <= len(tokens(u.text)) <= _LONGEST
        if len(v := vector(u.text, language)) >= _FEWEST_CONTENT
    ]
    centre = _centre([v for _, v in spoken])
    relevance = {
        u.id: cosine(v, centre)
        + _LESSON_WEIGHT * closeness(u.text, lesson, discussion.concepts, language)
        for u, v in spoken
    }
    wanted = round(discussion.seconds / 60.0 / _MINUTES_PER_QUOTE) + _FEWEST_QUOTES
    chosen: list[Utterance] = []
    nearest = dict.fromkeys(relevance, 0.0)
    rest: list[tuple[Utterance, Vector]] = spoken
    while rest and len(chosen) < min(wanted, _MOST_QUOTES):
        best, best_vector = max(
            rest, key=lambda pair: relevance[pair[0].id] - _DIVERSITY * nearest[pair[0].id]
        )
        chosen.append(best)
        rest = [(u, v) for u, v in rest if u.id != best.id]
        for u, v in rest:
            nearest[u.id] = max(nearest[u.id], cosine(v, best_vector))
    return sorted(chosen, key=lambda u: (u.start, u.end))


def _centre(vectors: Sequence[Vector]) -> Vector:
    total: Counter[str] = Counter()
    for v in vectors:
        total.update(v)
    length = sum(w * w for w in total.values()) ** 0.5
    return {word: w / length for word, w in total.items()} if length else {}


@dataclass(frozen=True, slots=True)
class GroupTalk:
    """One group's part in a session: its discussion, measures and summary."""

    name: str
    discussion: Discussion
    measures: Sequence[Measure]
    summary: Summary


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A session in a page.

    ``what`` has each group's most telling line by group name, ``key_terms`` what several groups
    talked about, ``concepts_missing`` the lesson's concepts that no group named, ``how`` where
    the groups differ, ``next_steps`` what most groups would gain from.
    """

    what: Mapping[str, Quote]
    key_terms: tuple[str, ...]
    concepts_missing: tuple[str, ...]
    how: tuple[Message, ...]
    next_steps: tuple[Message, ...]
    reason: str = ""


ALIKE = 0.1
"""Groups whose values differ by less than this are called alike."""

_COMPARED = ("participation_equality", "turn_taking", "reasoning", "open_questions", "on_topic")


def summarise_session(groups: Sequence[GroupTalk]) -> SessionSummary:
    """Summarise a session over its groups; groups that were hardly heard are named in ``how``."""
    heard = [group for group in groups if group.summary.what]
    unheard = [group.name for group in groups if not group.summary.what]
    terms = Counter(term for group in heard for term in group.summary.key_terms)
    shared = [term for term, n in terms.most_common() if n > 1 or len(heard) == 1]
    named = {concept for group in groups for concept in group.summary.concepts_named}
    planned = dict.fromkeys(c for group in heard for c in group.discussion.concepts)
    lines = [line for name in _COMPARED if (line := _compare(groups, name))]
    if unheard:
        lines.append(
            gettext(
                "Too little was heard to say what was discussed: %(groups)s.",
                groups=tuple(unheard),
            )
        )
    steps = Counter(step for group in heard for step in group.summary.next_steps)
    return SessionSummary(
        what={group.name: _most_telling(group) for group in heard},
        key_terms=tuple(shared[:8]),
        concepts_missing=tuple(c for c in planned if c not in named),
        how=tuple(lines),
        next_steps=tuple(
            step
            if len(heard) == 1
            else gettext("%(step)s (%(n)s of %(groups)s groups)", step=step, n=n, groups=len(heard))
            for step, n in steps.most_common(3)
        ),
        reason="" if heard else gettext("Too little was heard in any group."),
    )


def _most_telling(group: GroupTalk) -> Quote:
    """The quoted line that says most about the lesson, or else about the group's own terms."""
    discussion = group.discussion
    aim = vector(
        f"{lesson_text(discussion)} . {' . '.join(group.summary.key_terms)}", discussion.language
    )
    return max(
        group.summary.what,
        key=lambda quote: closeness(quote.text, aim, discussion.concepts, discussion.language),
    )


def _compare(groups: Sequence[GroupTalk], name: str) -> Message | None:
    """Which groups had the least and the most of a measure, of those whose value is steady.

    ``None`` where fewer than two have one: there is nothing to compare.
    """
    values = {
        group.name: measure.value
        for group in groups
        for measure in group.measures
        if measure.name == name and measure.status == "ok" and measure.value is not None
    }
    if len(values) < 2:
        return None
    low, high = min(values, key=lambda g: values[g]), max(values, key=lambda g: values[g])
    title, known, total = gettext(MEASURES[name].title), len(values), len(groups)
    if values[high] - values[low] >= ALIKE:
        return gettext(
            "%(title)s: least in %(low)s (%(least)s), most in %(high)s (%(most)s), of"
            " %(known)s of %(total)s groups with a steady value.",
            title=title, low=low, least=round(values[low], 2), high=high,
            most=round(values[high], 2), known=known, total=total,
        )  # fmt: skip
    middle = round(fmean(values.values()), 2)
    if known == total:
        return gettext(
            "%(title)s: all %(total)s groups alike, about %(value)s.",
            title=title, total=total, value=middle,
        )  # fmt: skip
    return gettext(
        "%(title)s: alike in the %(known)s of %(total)s groups with a steady value, about"
        " %(value)s. Of the others too little is known.",
        title=title, known=known, total=total, value=middle,
    )  # fmt: skip
