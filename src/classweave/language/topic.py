"""What the talk is about: whether neighbouring turns belong together, and whether it is the lesson.

Both compare turns as vectors of content lemmas weighted by rarity (tf-idf with the language at
large as background, from wordfreq). They see words, not meaning: a turn that keeps to the topic in
quite other words is missed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

from classweave.language.concepts import mentions
from classweave.language.coverage import coverage
from classweave.language.messages import Message, gettext, ngettext
from classweave.language.transcript import Discussion, Evidence, Measure, Utterance, not_enough
from classweave.language.words import content_lemmas, heard_text, idf, word_list

MINIMUM_TURNS = 8
UNCERTAIN_TURNS = 20

ON_TOPIC_SCORE = 0.07
"""A turn is on topic above this score; about 5 % of other lessons' turns pass it."""
CONCEPT_SCORE = 0.3
"""Least closeness of a turn that names a lesson concept outright."""
CONTEXT_TURNS = 5
CONTEXT_DECAY = 0.7
"""Talk does not repeat its subject in every turn, so nearby turns lend closeness, ever less."""

_UNTELLING = 0.5
"""Factor on the weight of words that name no topic ("think", "thing")."""

Vector = Mapping[str, float]


@lru_cache(maxsize=8192)
def vector(text: str, language: str = "en") -> Vector:
    """A text as a unit vector of content lemmas: (1 + ln tf) x rarity. Empty without content."""
    counts: dict[str, int] = {}
    for word in content_lemmas(text, language):
        counts[word] = counts.get(word, 0) + 1
    everyday = word_list("everyday_words")
    weights = {
        word: (1.0 + math.log(n)) * idf(word, language) * (_UNTELLING if word in everyday else 1.0)
        for word, n in counts.items()
    }
    length = math.sqrt(sum(w * w for w in weights.values()))
    return {word: w / length for word, w in weights.items()} if length else {}


def cosine(a: Vector, b: Vector) -> float:
    """Cosine of two unit vectors, 0-1; 0 when either is empty."""
    if len(b) < len(a):
        a, b = b, a
    return sum(w * b[word] for word, w in a.items() if word in b)


def cohesion(vectors: Sequence[Vector]) -> tuple[float, float]:
    """Mean cosine of neighbours, and what it would be in shuffled order.

    The second is the exact mean over all orders, which is the mean over all pairs; no shuffle is
    drawn. Needs at least two vectors, else ``ValueError``.
    """
    n = len(vectors)
    if n < 2:
        raise ValueError("cohesion needs two turns")
    near = [cosine(a, b) for a, b in pairwise(vectors)]
    total: dict[str, float] = {}
    for v in vectors:
        for word, w in v.items():
            total[word] = total.get(word, 0.0) + w
    # sum over pairs of v_i . v_j = (|sum v|^2 - sum |v|^2) / 2
    own = sum(w * w for v in vectors for w in v.values())
    pairs = (sum(w * w for w in total.values()) - own) / 2.0
    return sum(near) / len(near), max(0.0, pairs / (n * (n - 1) / 2.0))


def topical_cohesion(discussion: Discussion) -> Measure:
    """How much more a turn shares with the turn before it than with any turn of the discussion.

    Mean cosine of neighbouring turns minus its mean over all orders; about 0 (no thread) to .3.
    Only turns with content words count. ``details``: ``neighbours`` and ``baseline``.
    """
    name, cover = "topical_cohesion", coverage(discussion)
    spoken = _content_turns(discussion)
    n = len(spoken)
    if n < MINIMUM_TURNS:
        return not_enough(name, n, "turns", cover, _few(n), "cosine")
    vectors = [v for _, v in spoken]
    neighbours, baseline = cohesion(vectors)
    linked = sorted(pairwise(spoken), key=lambda pair: -cosine(pair[0][1], pair[1][1]))
    return Measure(
        name=name,
        value=neighbours - baseline,
        n=n,
        n_unit="turns",
        coverage=cover,
        status="uncertain" if n < UNCERTAIN_TURNS else "ok",
        reason=gettext("Few turns so far.") if n < UNCERTAIN_TURNS else "",
        unit="cosine",
        evidence=tuple(
            Evidence(
                b.id,
                b.start,
                b.end,
                b.text,
                gettext("shares %(words)s with the turn before", words=_shared(va, vb)),
            )
            for (_, va), (b, vb) in linked[:3]
            if _shared(va, vb)
        ),
        details={"neighbours": neighbours, "baseline": baseline},
    )


def lesson_text(discussion: Discussion) -> str:
    """What the teacher said the lesson is about; concepts weigh twice."""
    concepts = " . ".join(discussion.concepts)
    return f"{concepts} . {concepts} . {discussion.goal} . {discussion.title}"


def closeness(text: str, lesson: Vector, concepts: Iterable[str], language: str = "en") -> float:
    """How close one turn alone is to the lesson, 0-1: its cosine, or more for a named concept."""
    own = cosine(vector(text, language), lesson)
    named = own < CONCEPT_SCORE and any(mentions(text, concept, language) for concept in concepts)
    return CONCEPT_SCORE if named else own


def with_context(scores: Sequence[float]) -> list[float]:
    """Each score plus those up to five turns before and after, each step weighing .7 of the last.

    A lone on-topic turn thus carries its neighbours, as one sentence carries a conversation.
    """
    n = len(scores)
    found = list(scores)
    for step in range(1, CONTEXT_TURNS + 1):
        weight = CONTEXT_DECAY**step
        for i in range(n - step):
            found[i] += weight * scores[i + step]
            found[i + step] += weight * scores[i]
    return found


def on_topic(discussion: Discussion) -> Measure:
    """Share of turns with content (0-1) that are about the lesson.

    A turn's closeness to the lesson text, in the context of its neighbours, must pass a threshold
    set so that about 5 % of other lessons' turns pass. Turns without two content words ("yeah,
    okay") count neither way. ``details["direct"]`` is the share that is close without context.
    """
    name, cover = "on_topic", coverage(discussion)
    lesson = vector(lesson_text(discussion), discussion.language)
    if not lesson:
        why = gettext("The lesson has no concepts, goal or title to compare the talk with.")
        return not_enough(name, 0, "turns", cover, why, "share")
    spoken = _content_turns(discussion)
    n = len(spoken)
    if n < MINIMUM_TURNS:
        return not_enough(name, n, "turns", cover, _few(n), "share")
    scores = [
        closeness(heard_text(u), lesson, discussion.concepts, discussion.language)
        for u, _ in spoken
    ]
    direct = [(u, x) for (u, _), x in zip(spoken, scores, strict=True) if x > ON_TOPIC_SCORE]
    return Measure(
        name=name,
        value=sum(x > ON_TOPIC_SCORE for x in with_context(scores)) / n,
        n=n,
        n_unit="turns",
        coverage=cover,
        status="uncertain" if n < UNCERTAIN_TURNS else "ok",
        reason=gettext("Few turns so far.") if n < UNCERTAIN_TURNS else "",
        unit="share",
        evidence=tuple(
            Evidence(u.id, u.start, u.end, u.text)
            for u, _ in sorted(direct, key=lambda pair: -pair[1])[:5]
        ),
        details={"direct": len(direct) / n},
    )


def _content_turns(discussion: Discussion) -> list[tuple[Utterance, Vector]]:
    """Student utterances of two content words or more, with their vectors, in time order."""
    found: list[tuple[Utterance, Vector]] = []
    for u in discussion.utterances:
        if u.role == "student":
            v = vector(heard_text(u), discussion.language)
            if len(v) >= 2:
                found.append((u, v))
    return found


def _shared(a: Vector, b: Vector) -> str:
    common = sorted(a.keys() & b.keys(), key=lambda word: -a[word] * b[word])
    return ", ".join(f"“{word}”" for word in common[:3])


def _few(n: int) -> Message:
    return ngettext(
        "Only %(n)s turn with content so far; %(needed)s are needed.",
        "Only %(n)s turns with content so far; %(needed)s are needed.",
        n,
        needed=MINIMUM_TURNS,
    )
