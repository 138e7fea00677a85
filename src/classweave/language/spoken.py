"""Sentences and contributions of English talk, as the measures of moves read them.

Recognised speech often lacks punctuation and case, so nothing here depends on either: a
question mark or a full stop is used when there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from classweave.language.messages import Message, gettext, ngettext
from classweave.language.transcript import Discussion, Evidence, Utterance
from classweave.language.words import content_lemmas, heard_text, idf, tokens

MIN_TURNS = 10
"""Fewer turns than this give no rate: one more or less would move it by a tenth."""


def word_set(text: str) -> frozenset[str]:
    """The words of a blank-separated list."""
    return frozenset(text.split())


MAX_IDF = 5.0
"""The most that one word can weigh; see :func:`weight`."""

_SENTENCE_END = re.compile(r"(?<=[.?!…])\s+")
_ASIDE = re.compile(r"\[[^\]]*\]|\([^)]*\)")
_NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
_NUMBERS = {word: str(value) for value, word in enumerate(_NUMBER_WORDS.split(" "))}
_LIGHT_VERBS = word_set(
    "go come say know mean think want need see look make take put let try tell thing stuff "
    "yes yeah yep okay ok right please thank thanks maybe actually really just"
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence (or an unpunctuated utterance) taken apart.

    ``tokens`` are lower-case words and numbers. ``content`` holds the lemmas that carry an idea,
    in order, small numbers as digits. ``marked`` says a question mark was written,
    ``punctuated`` that any sentence mark was.
    """

    text: str
    tokens: tuple[str, ...]
    content: tuple[str, ...]
    marked: bool
    punctuated: bool


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one speaker says before another does; on a shared device, one utterance.

    Pauses do not end it, so that an idea is not torn in two by a moment's thought.
    """

    speaker: str | None
    role: str
    utterances: tuple[Utterance, ...]

    @property
    def text(self) -> str:
        """The words heard with confidence."""
        return " ".join(map(heard_text, self.utterances))


@lru_cache(maxsize=8192)
def read(text: str) -> Sentence:
    """Take one sentence apart; asides of a transcriber in brackets are left out."""
    plain = _ASIDE.sub(" ", text)
    content = (_NUMBERS.get(word, word) for word in content_lemmas(plain))
    return Sentence(
        text=text.strip(),
        tokens=tokens(plain),
        content=tuple(word for word in content if word not in _LIGHT_VERBS),
        marked="?" in plain,
        punctuated=any(mark in plain for mark in ".?!"),
    )


@lru_cache(maxsize=8192)
def sentences(text: str) -> tuple[Sentence, ...]:
    """Cut at sentence marks where there are any; without them the text is one sentence."""
    parts = (read(part) for part in _SENTENCE_END.split(text.strip()))
    return tuple(part for part in parts if part.tokens)


def weight(words: Iterable[str]) -> float:
    """Information of distinct content lemmas: the sum of their inverse document frequencies.

    Each counts for at most ``MAX_IDF``, so that a word unknown to the list, often a slip of the
    recogniser, does not outweigh two that are known.
    """
    return sum(min(MAX_IDF, idf(word)) for word in set(words))


def reused(source: Iterable[str], reply: Iterable[str]) -> float:
    """Share (0-1) of the source's information that the reply says again; 0 for an empty source."""
    wanted = set(source)
    total = weight(wanted)
    return weight(wanted.intersection(reply)) / total if total else 0.0


def contributions(discussion: Discussion) -> tuple[Contribution, ...]:
    """Contributions in time order, of utterances in which at least one word was heard."""
    ordered = sorted(
        (u for u in discussion.utterances if read(heard_text(u)).tokens), key=lambda u: u.start
    )
    grouped = groupby(ordered, key=lambda u: (u.speaker, u.role, u.speaker or u.id))
    return tuple(Contribution(speaker, role, tuple(group)) for (speaker, role, _), group in grouped)


def quote(utterance: Utterance, text: str, note: str = "") -> Evidence:
    """Words of an utterance as evidence, with the utterance's times."""
    return Evidence(utterance.id, utterance.start, utterance.end, text, note)


def quote_turn(turn: Contribution, note: str = "") -> Evidence:
    """A whole contribution as evidence, from its first utterance's start to its last one's end."""
    first, last = turn.utterances[0], turn.utterances[-1]
    return Evidence(first.id, first.start, last.end, turn.text, note)


def is_english(discussion: Discussion) -> bool:
    """The cues and weights of this family of measures are English only."""
    return discussion.language.lower().split("-")[0] == "en"


ENGLISH_ONLY = gettext("The cues behind this measure are English.")


def few_turns(n: int, needed: int = MIN_TURNS) -> Message:
    """Why a rate is not given."""
    return ngettext(
        "Only %(n)s turn so far; %(needed)s are needed.",
        "Only %(n)s turns so far; %(needed)s are needed.",
        n,
        needed=needed,
    )


def few_words(n: int, needed: int) -> Message:
    """Why too few words give no number."""
    return ngettext(
        "Only %(n)s word so far; %(needed)s are needed.",
        "Only %(n)s words so far; %(needed)s are needed.",
        n,
        needed=needed,
    )
