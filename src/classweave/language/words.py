"""Words: tokens, lemmas, function words and how common a word is.

Every measure that looks at words cuts them here, so that two measures never disagree about what
a word is. All functions are pure; word lists are loaded once.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import resources

import simplemma
import wordfreq
from wordfreq.tokens import simple_tokenize

from classweave.language.transcript import Utterance

HEARD_PROBABILITY = 0.5
"""A word counts as heard when the recogniser gave it more than this probability."""

_MAX_ZIPF = 8.0
_RAREST_LEMMA = 1.5
_LEMMA_LANGUAGES = frozenset({"en", "es", "fr", "de", "it", "pt", "nl", "sv", "pl", "tr", "ru"})


@lru_cache(maxsize=16384)
def tokens(text: str) -> tuple[str, ...]:
    """Case-folded words of ``text`` in any script, without punctuation, digits kept.

    Emoji and symbols are no words. Typographic apostrophes become plain ones.
    """
    cut = simple_tokenize(text.replace("’", "'"))
    return tuple(token for token in cut if any(map(str.isalnum, token)))


@lru_cache(maxsize=65536)
def lemma(token: str, language: str = "en") -> str:
    """Dictionary form of a case-folded token; the token itself where no dictionary is at hand."""
    if language not in _LEMMA_LANGUAGES or not token.isalpha():
        return token.removesuffix("'s")
    found = simplemma.lemmatize(token, lang=language).casefold()
    # The lemmatiser guesses where its dictionary ends ("thinke"); a guess nobody writes is none.
    return found if found == token or zipf(found, language) > _RAREST_LEMMA else token


@lru_cache(maxsize=65536)
def zipf(token: str, language: str = "en") -> float:
    """How common a word is: log10 of occurrences per billion words (0 unknown, about 7.7 "the").

    Source: wordfreq (Speer 2022). Languages it does not know give 0.
    """
    return wordfreq.zipf_frequency(token, language) if language in _known_languages() else 0.0


def idf(token: str, language: str = "en") -> float:
    """Weight of a word by its rarity in the language at large, 0 (commonest) to 8 (unknown)."""
    return max(0.0, _MAX_ZIPF - zipf(token, language))


@cache
def _known_languages() -> frozenset[str]:
    return frozenset(wordfreq.available_languages())


@cache
def word_list(name: str) -> frozenset[str]:
    """A packaged word list from ``data/NAME.txt``: words parted by blanks, ``#`` starts a comment.

    Raises ``FileNotFoundError`` when the package has no such list.
    """
    text = resources.files("classweave.language").joinpath("data", f"{name}.txt").read_text("utf-8")
    return frozenset(
        word for line in text.splitlines() for word in line.partition("#")[0].casefold().split()
    )


def is_filler(token: str) -> bool:
    """Whether a token is a sound of hesitation or assent ("um", "mm") rather than a word."""
    return token in word_list("fillers")


def is_function_word(token: str) -> bool:
    """Whether an English token is a function word (article, pronoun, auxiliary, ...)."""
    return token in word_list("function_words")


@lru_cache(maxsize=16384)
def content_lemmas(text: str, language: str = "en") -> tuple[str, ...]:
    """Lemmas of the content words of ``text`` in order, repeats kept.

    Function words, fillers and, outside English, the hundred or so commonest words are left out.
    """
    if language == "en":
        kept = (t for t in tokens(text) if not is_function_word(t) and not is_filler(t))
    else:
        kept = (t for t in tokens(text) if zipf(t, language) < 6.0)
    return tuple(lemma(t, language) for t in kept)


def heard_text(utterance: Utterance) -> str:
    """The part of an utterance that was recognised with confidence.

    With word probabilities: the words above :data:`HEARD_PROBABILITY`. Without: the whole text,
    unless the utterance's own confidence is at or below it. A typed transcript has neither and
    counts in full.
    """
    if utterance.words:
        if all(word.probability > HEARD_PROBABILITY for word in utterance.words):
            return utterance.text
        heard = (w.text.strip() for w in utterance.words if w.probability > HEARD_PROBABILITY)
        return " ".join(heard)
    if utterance.confidence is not None and utterance.confidence <= HEARD_PROBABILITY:
        return ""
    return utterance.text


def heard_tokens(utterance: Utterance) -> tuple[str, ...]:
    """Tokens of :func:`heard_text`, fillers included."""
    return tokens(heard_text(utterance))
