"""The lesson's concepts in the talk, and the terms that the talk itself brings up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from classweave.language.transcript import Discussion
from classweave.language.words import (
    content_lemmas,
    heard_text,
    idf,
    is_filler,
    is_function_word,
    lemma,
    tokens,
    word_list,
    zipf,
)

_LONGEST_TERM = 3
_SHARED_STEM = 6
_SPECIFIC_ZIPF = 4.8
"""Words commoner than this ("people", "number") carry a term only beside a rarer one."""


@lru_cache(maxsize=4096)
def _lemmas(text: str, language: str) -> tuple[str, ...]:
    return tuple(lemma(token, language) for token in tokens(text))


def _same_word(concept: str, spoken: str) -> bool:
    """Whether two lemmas are one word, or share a long stem ("photosynthesis", "-synthetic")."""
    if concept == spoken:
        return True
    n = max(_SHARED_STEM, min(len(concept), len(spoken)) - 4)
    return len(concept) > n and len(spoken) > n and concept[:n] == spoken[:n]


@lru_cache(maxsize=16384)
def mentions(text: str, concept: str, language: str = "en") -> bool:
    """Whether ``text`` names ``concept``: its words in order and side by side, as lemmas."""
    wanted, said = _lemmas(concept, language), _lemmas(text, language)
    span = len(wanted)
    return span > 0 and any(
        all(_same_word(a, b) for a, b in zip(wanted, said[i : i + span], strict=True))
        for i in range(len(said) - span + 1)
    )


def mentioned(discussion: Discussion, texts: Iterable[str]) -> set[str]:
    """The lesson concepts that any of the texts names."""
    said = [text for text in texts if text]
    return {
        concept
        for concept in discussion.concepts
        if any(mentions(text, concept, discussion.language) for text in said)
    }


@lru_cache(maxsize=16384)
def terms(text: str, language: str = "en") -> tuple[str, ...]:
    """Noun-phrase-like terms of a text: runs of up to three content words, as lemmas.

    Function words, fillers and words of everyday talk ("think", "thing", "go") end a run. There is
    no part-of-speech tagger behind this, so some terms are no noun phrases.
    """
    found: list[str] = []
    run: list[str] = []
    everyday = word_list("everyday_words")
    for token in (*tokens(text), ""):
        base = lemma(token, language) if token else ""
        carries = (
            len(base) > 2
            and not base.isdigit()
            and not is_function_word(token)
            and not is_filler(token)
            and token not in everyday
            and base not in everyday
        )
        if carries:
            run.append(base)
            continue
        for i in range(0, len(run), _LONGEST_TERM):
            piece = run[i : i + _LONGEST_TERM]
            if min(zipf(word, language) for word in piece) < _SPECIFIC_ZIPF:
                found.append(" ".join(piece))
        run.clear()
    return tuple(found)


def key_terms(discussion: Discussion, limit: int = 8) -> list[str]:
    """The terms that tell most about a discussion, best first.

    A term scores by how often it was said times the rarity of its rarest word in the language at
    large; a lesson concept counts double. Said once is not enough, unless it is a concept.
    """
    counts: Counter[str] = Counter()
    for utterance in discussion.utterances:
        text = heard_text(utterance)
        for term in terms(text, discussion.language):
            counts.update({term, *term.split()})
        for concept in discussion.concepts:
            if mentions(text, concept, discussion.language):
                counts[concept.casefold()] += 2
    concepts = {concept.casefold() for concept in discussion.concepts}
    scores = {
        term: n * max(idf(word, discussion.language) for word in term.split())
        for term, n in counts.items()
        if term in concepts or (n > 1 and _is_specific(term, discussion.language))
    }
    chosen: list[str] = []
    for term in sorted(scores, key=lambda t: (-scores[t], t)):
        stems = set(content_lemmas(term, discussion.language)) or {term}
        if not any(stems & set(content_lemmas(c, discussion.language)) for c in chosen):
            chosen.append(term)
        if len(chosen) == limit:
            break
    return chosen


def _is_specific(term: str, language: str) -> bool:
    return min(zipf(word, language) for word in term.split()) < _SPECIFIC_ZIPF
