"""The words of a discussion: density, diversity, academic vocabulary and concepts.

All count only words that were heard with confidence. English only, apart from diversity.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from classweave.language.concepts import mentioned, mentions, terms
from classweave.language.coverage import coverage
from classweave.language.messages import gettext
from classweave.language.spoken import ENGLISH_ONLY, few_words, is_english
from classweave.language.transcript import Discussion, Evidence, Measure, Utterance, not_enough
from classweave.language.words import (
    heard_text,
    heard_tokens,
    is_filler,
    is_function_word,
    lemma,
    word_list,
)

MINIMUM_WORDS = 50
UNCERTAIN_WORDS = 100
MTLD_THRESHOLD = 0.72


def student_words(discussion: Discussion) -> list[str]:
    """All tokens the students were heard to say, in order, without fillers."""
    return [
        token
        for u in discussion.utterances
        if u.role == "student"
        for token in heard_tokens(u)
        if not is_filler(token)
    ]


def words_per_minute(discussion: Discussion) -> Measure:
    """Words heard per minute of the window, all students together; fillers are no words."""
    n = len(student_words(discussion))
    cover, unit = coverage(discussion), "words/min"
    if discussion.seconds < 30:
        why = gettext("Less than half a minute has passed.")
        return not_enough("words_per_minute", n, "words", cover, why, unit)
    return Measure(
        name="words_per_minute",
        value=60.0 * n / discussion.seconds,
        n=n,
        n_unit="words",
        coverage=cover,
        unit=unit,
    )


def lexical_density(discussion: Discussion) -> Measure:
    """Content words over all words, 0-1; talk is usually about .4 to .5. Source: Ure (1971)."""
    found = _enough(discussion, "lexical_density", "share", english=True)
    if isinstance(found, Measure):
        return found
    content = sum(not is_function_word(word) for word in found)
    return _measure(
        discussion,
        "lexical_density",
        content / len(found),
        "share",
        len(found),
        _densest(discussion),
        {"content_words": float(content)},
    )


def mtld(words: Sequence[str]) -> float:
    """Measure of textual lexical diversity: mean length of runs that keep TTR above .72.

    The mean of a forward and a backward pass; the rest at the end counts as a part of a factor by
    how far its type-token ratio has fallen. A text without a repeat has no factor: its length is
    returned, as a lower bound. 0 for no words. Source: McCarthy & Jarvis (2010).
    """
    return (_mtld_pass(words) + _mtld_pass(words[::-1])) / 2.0


def _mtld_pass(words: Sequence[str]) -> float:
    factors, length, ratio = 0.0, 0, 1.0
    types: set[str] = set()
    for word in words:
        length += 1
        types.add(word)
        ratio = len(types) / length
        if ratio < MTLD_THRESHOLD:
            factors += 1
            length, ratio = 0, 1.0
            types.clear()
    if length:
        factors += (1.0 - ratio) / (1.0 - MTLD_THRESHOLD)
    return len(words) / factors if factors else float(len(words))


def lexical_diversity(discussion: Discussion) -> Measure:
    """MTLD of the students' words together, usually 20 to 120; see :func:`mtld`."""
    found = _enough(discussion, "lexical_diversity", "words", english=False)
    if isinstance(found, Measure):
        return found
    return _measure(discussion, "lexical_diversity", mtld(found), "words", len(found), (), {})


@lru_cache(maxsize=16384)
def is_academic(token: str) -> bool:
    """Whether an English token belongs to the packaged list of academic vocabulary.

    Matched by lemma, and by the commonest derivations of a headword ("evaluate", "evaluation").
    Words of everyday talk ("exactly") are left out even where they derive from a headword.
    """
    if token in word_list("everyday_words"):
        return False
    listed = word_list("academic_words")
    base = lemma(token)
    return base in listed or any(stem in listed for stem in _stems(base))


_DERIVATIONS = (
    ("ization", ("ize", "ise")), ("isation", ("ise", "ize")), ("ise", ("ize",)),
    ("ification", ("ify",)), ("ation", ("ate", "e", "")), ("ition", ("e", "")),
    ("ution", ("ute",)), ("ction", ("ct",)), ("sion", ("se", "d", "de")), ("ion", ("e", "")),
    ("ability", ("able",)), ("ibility", ("ible",)), ("icity", ("ic",)), ("ivity", ("ive",)),
    ("ity", ("e", "")), ("ically", ("ic",)), ("ally", ("al",)), ("ably", ("able",)),
    ("ly", ("", "le")), ("ment", ("",)), ("ness", ("",)), ("ance", ("", "e")), ("ence", ("ent",)),
    ("ency", ("ent",)), ("ancy", ("ant",)), ("er", ("", "e")), ("or", ("", "e")),
    ("ative", ("ate", "e", "")), ("ive", ("e", "")), ("able", ("", "e")), ("al", ("", "e")),
    ("ical", ("ic", "y")), ("ed", ("", "e")), ("ing", ("", "e")),
)  # fmt: skip


def _stems(word: str) -> list[str]:
    """Candidate headwords of a derived word of at least seven letters."""
    if len(word) < 7:
        return []
    return [
        word.removesuffix(ending) + other
        for ending, others in _DERIVATIONS
        if word.endswith(ending)
        for other in others
    ]


def academic_vocabulary(discussion: Discussion) -> Measure:
    """Share of words (0-1) from a list of academic vocabulary common to school subjects.

    Classroom talk has about .03 of its words from this list, edited articles about .08. The words
    found are the evidence.
    """
    found = _enough(discussion, "academic_vocabulary", "share", english=True)
    if isinstance(found, Measure):
        return found
    academic = [word for word in found if is_academic(word)]
    evidence: list[Evidence] = []
    for u in _students(discussion):
        used = dict.fromkeys(t for t in heard_tokens(u) if is_academic(t))
        if used:
            evidence.append(Evidence(u.id, u.start, u.end, u.text, ", ".join(used)))
    return _measure(
        discussion,
        "academic_vocabulary",
        len(academic) / len(found),
        "share",
        len(found),
        evidence[-8:],
        {"academic_words": float(len(academic)), "distinct": float(len(set(academic)))},
    )


def conceptual_density(discussion: Discussion) -> Measure:
    """Distinct lesson concepts and recurring specific terms per 100 words.

    ``details["concepts"]`` counts the lesson's concepts named, ``details["terms"]`` the other
    terms said at least twice. No accuracy is claimed for the terms.
    """
    found = _enough(discussion, "conceptual_density", "per 100 words", english=True)
    if isinstance(found, Measure):
        return found
    texts = [heard_text(u) for u in _students(discussion)]
    concepts = mentioned(discussion, texts)
    counts: dict[str, int] = {}
    for text in texts:
        for term in terms(text, discussion.language):
            counts[term] = counts.get(term, 0) + 1
    own = {
        term
        for term, n in counts.items()
        if n > 1 and not any(mentions(term, c, discussion.language) for c in concepts)
    }
    evidence = [
        Evidence(u.id, u.start, u.end, u.text, ", ".join(sorted(named)))
        for u in _students(discussion)
        if (named := mentioned(discussion, [heard_text(u)]))
    ]
    return _measure(
        discussion,
        "conceptual_density",
        100.0 * (len(concepts) + len(own)) / len(found),
        "per 100 words",
        len(found),
        evidence[-8:],
        {
            "concepts": float(len(concepts)),
            "concepts_planned": float(len(discussion.concepts)),
            "terms": float(len(own)),
            **{f"concept:{name}": 1.0 for name in concepts},
        },
    )


def _students(discussion: Discussion) -> list[Utterance]:
    return [u for u in discussion.utterances if u.role == "student"]


def _densest(discussion: Discussion) -> list[Evidence]:
    """The three utterances of five words or more with the largest share of content words."""
    ranked: list[tuple[float, Utterance]] = []
    for u in _students(discussion):
        words = [t for t in heard_tokens(u) if not is_filler(t)]
        if len(words) >= 5:
            share = sum(not is_function_word(word) for word in words) / len(words)
            ranked.append((share, u))
    ranked.sort(key=lambda pair: -pair[0])
    return [
        Evidence(
            u.id,
            u.start,
            u.end,
            u.text,
            gettext("%(share)s %% content words", share=round(100 * share)),
        )
        for share, u in ranked[:3]
    ]


def _enough(discussion: Discussion, name: str, unit: str, *, english: bool) -> list[str] | Measure:
    """The students' words, or why they do not suffice."""
    cover = coverage(discussion)
    if english and not is_english(discussion):
        return not_enough(name, 0, "words", cover, ENGLISH_ONLY, unit)
    found = student_words(discussion)
    if len(found) < MINIMUM_WORDS:
        why = few_words(len(found), MINIMUM_WORDS)
        return not_enough(name, len(found), "words", cover, why, unit)
    return found


def _measure(
    discussion: Discussion,
    name: str,
    value: float,
    unit: str,
    n: int,
    evidence: Sequence[Evidence],
    details: dict[str, float],
) -> Measure:
    early = n < UNCERTAIN_WORDS
    return Measure(
        name=name,
        value=value,
        n=n,
        n_unit="words",
        coverage=coverage(discussion),
        status="uncertain" if early else "ok",
        reason=gettext(
            "Only %(n)s words so far; %(needed)s make it steady.", n=n, needed=UNCERTAIN_WORDS
        )
        if early
        else "",
        unit=unit,
        evidence=tuple(evidence),
        details=details,
    )
