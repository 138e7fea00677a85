"""Questions in talk: is something asked, and does it invite more than a word in answer?

Recognised speech often lacks question marks, so the decision rests on word order and question
words, with the mark as one more hint. A logistic regression over the hints below, fitted on the
AMI meeting corpus (CC BY 4.0; ``bench/fit_moves.py``), weighs them; every hint is a plain
statement about the words.
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from importlib import resources
from typing import Literal

from classweave.language.coverage import coverage
from classweave.language.messages import ngettext
from classweave.language.spoken import (
    ENGLISH_ONLY,
    MIN_TURNS,
    Sentence,
    contributions,
    few_turns,
    is_english,
    quote,
    read,
    sentences,
    word_set,
)
from classweave.language.transcript import Discussion, Evidence, Measure, not_enough
from classweave.language.words import heard_text

Question = Literal["open", "closed", "none"]

MIN_QUESTIONS = 5
"""Fewer questions than this give no share of open ones."""

_LEAD = word_set(
    "so and but or okay ok um uh er erm well yeah yes no like oh now then hm hmm mm wait right "
    "alright i mean just also because actually"
)
_WH = word_set("what what's whats where where's who who's whose why when when's which how how's")
_AUXILIARIES = word_set(
    "do does did is are was were am can could would should will shall have has had may might must "
    "isn't aren't wasn't weren't don't doesn't didn't can't couldn't wouldn't shouldn't won't "
    "haven't hasn't"
)
_AUX = "|".join(sorted(_AUXILIARIES))
_SUBJECTS = word_set(
    "i you we they he she it this that there these those the your our my his her their a any "
    "anybody anyone everybody everyone somebody someone people"
)
_SUBJECT = "|".join(sorted(_SUBJECTS))
_CUT_OFF = word_set(
    "the a an to of uh um and but so i we with like is are was my your for if that's be have "
    "want think because"
)
_INVERSION = re.compile(
    rf"\b(?:{_AUX}) (?:i|you|we|they|he|she|it|there|anybody|anyone|everyone|everybody)\b"
)
_WH_INVERSION = re.compile(
    rf"\b(?:what|where|who|why|when|which|how)(?: \w+)?(?: \w+)? (?:{_AUX}) "
    rf"(?:{_SUBJECT})\b|\b(?:what|where|who|how)(?:'s| is| are| was)\b"
)
_TAG = re.compile(
    r"(?:\b(?:right|huh|okay|correct|yeah|no|hey|eh)|\b(?:is|are|was|do|does|did|wo|ca|could|would|"
    r"should|have|has)n't (?:it|that|he|she|they|we|you|i|there)|"
    r"\b(?:is|are|was|does|did|will|would|can) (?:it|that|he|she|they|we|you))$"
)
_INDIRECT = re.compile(
    r"\b(?:i wonder|(?:my|the|a|another|one|got a|have a) question|want(?:ed)? to know|"
    r"do you know|tell me|any (?:idea|ideas|questions|thoughts|comments|suggestions|opinions))\b"
)
_OPEN = re.compile(
    r"\b(?:why|how come|how(?! (?:many|much|long|old|far|big|often|tall|late|about|are you)\b)|"
    r"what if|what about|how about|what makes|what made|what(?: \w+)? happen(?:s|ed|ing)?|"
    r"what (?:do|does|did|would|could|should|can|might) \w+(?: \w+)? "
    r"(?:think|mean|notice|feel|say|suggest|reckon|wonder|see|believe|do|like)|what's your|"
    r"what (?:is|are|was) (?:your|the difference|the reason|the relationship)|"
    r"what's the difference|what else|what (?:are|were) you (?:going to say|saying|thinking)|"
    r"explain|describe|in what way|"
    r"tell (?:me|us) (?:about|more|how|why|what)|"
    r"any (?:idea|ideas|thoughts|comments|suggestions|opinions)|the reason)\b"
)
_LIMITED_HOW = re.compile(r"^how (?:is|are|was|were) (?:you|it|things)(?: going| doing)?$")


def _without_stutter(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Drop what was said twice in a row ("do you do you want") and cut-off first letters."""
    kept: list[str] = []
    for token in tokens:
        if len(token) == 1 and token not in ("a", "i", "x", "y") and not token.isdigit():
            continue
        kept.append(token)
        for width in (1, 2):
            if len(kept) >= 2 * width and kept[-width:] == kept[-2 * width : -width]:
                del kept[-width:]
    return tuple(kept)


def hints(sentence: Sentence) -> dict[str, float]:
    """Every hint as a number, by name; see the fitted weights for what each is worth."""
    tokens = _without_stutter(sentence.tokens)
    start = 0
    while start < len(tokens) - 1 and tokens[start] in _LEAD:
        start += 1
    core = tokens[start:]
    first, second = (*core, "", "")[:2]
    text = " ".join(tokens)
    wh_first = first in _WH
    wh_order = bool(_WH_INVERSION.search(text))
    aux_first = first in _AUXILIARIES and second in _SUBJECTS
    inverted = bool(_INVERSION.search(text))
    tag = bool(_TAG.search(text)) and len(tokens) > 1
    bare = not sentence.punctuated
    marked = sentence.marked
    short = len(core) <= 2
    asking = wh_order or aux_first
    cut_off = bool(core) and core[-1] in _CUT_OFF
    return {
        "bias": 1.0,
        "marked": float(marked),
        "bare": float(bare),
        "wh_first": float(wh_first),
        "wh_first_alone": float(wh_first and short),
        "wh_first_unordered": float(wh_first and not wh_order and not short),
        "wh_order": float(wh_order),
        "why_first": float(first == "why" or text.startswith("how come")),
        "how_many": float("how many" in text or "how much" in text or "how long" in text),
        "which_first": float(first == "which"),
        "what_within": float(not wh_first and any(token in _WH for token in core)),
        "aux_first": float(aux_first),
        "aux_first_you": float(aux_first and second in ("you", "we", "i")),
        "inverted_within": float(inverted and not aux_first and not wh_order),
        "tag": float(tag),
        "tag_marked": float(tag and marked),
        "tag_bare": float(tag and bare),
        "or_last": float(bool(tokens) and tokens[-1] == "or"),
        "or_first": float(bool(tokens) and tokens[0] == "or"),
        "any_first": float(first in ("any", "anybody", "anyone", "anything", "anyone's")),
        "you_first": float(first == "you"),
        "you_first_marked": float(first == "you" and marked),
        "you_think": float("you think" in text or "you want" in text or "you mean" in text),
        "indirect": float(bool(_INDIRECT.search(text))),
        "pardon": float(first in ("sorry", "pardon", "excuse", "huh", "really", "beg") and short),
        "pardon_what": float(text in ("what", "huh", "a what", "mm")),
        "i_first": float(first in ("i", "i'm", "i'll", "i've", "i'd")),
        "offer": float(text.startswith(("shall", "do you want me", "should i", "can i", "may i"))),
        "acknowledges": float(bool(tokens) and tokens[0] in ("yeah", "yes", "okay", "mm", "no")),
        "asking_marked": float(asking and marked),
        "asking_bare": float(asking and bare),
        "asking_unmarked": float(asking and not marked and not bare),
        "asking_cut_off": float((asking or inverted) and cut_off),
        "cut_off": float(cut_off),
        "short": float(len(tokens) <= 2),
        "short_marked": float(len(tokens) <= 2 and marked),
        "length": math.log1p(len(tokens)),
        "length_bare": math.log1p(len(tokens)) * bare,
        "one_word": float(len(tokens) == 1),
    }


@lru_cache(maxsize=1)
def _weights() -> dict[str, float]:
    source = resources.files("classweave.language").joinpath("data/moves/questions.json")
    return json.loads(source.read_text("utf-8"))["weights"]


@lru_cache(maxsize=8192)
def question_probability(text: str) -> float:
    """Probability (0-1) that one sentence asks for information, a view or an action."""
    sentence = read(text)
    if not sentence.tokens:
        return 0.0
    weights = _weights()
    score = sum(weights[name] * value for name, value in hints(sentence).items())
    return 1.0 / (1.0 + math.exp(-score))


THRESHOLD = 0.33
"""Probability from which a sentence counts as a question: best F1 in cross-validation on AMI."""


def classify_question(text: str) -> Question:
    """Whether one sentence asks nothing, something with a short answer, or something open.

    Open questions ask why, how, what one thinks or for an explanation; closed ones can be
    answered by yes, no, a name or a number. Without a question mark only word order speaks, so
    a statement asked by intonation alone counts as none.
    """
    if question_probability(text) < THRESHOLD:
        return "none"
    words = " ".join(read(text).tokens)
    return "open" if _OPEN.search(words) and not _LIMITED_HOW.search(words) else "closed"


def _asked(discussion: Discussion) -> tuple[int, list[Evidence]]:
    """Number of the members' turns, and each of their questions with its kind as the note."""
    spoken = [turn for turn in contributions(discussion) if turn.role == "student"]
    found = [
        quote(utterance, sentence.text, kind)
        for contribution in spoken
        for utterance in contribution.utterances
        for sentence in sentences(heard_text(utterance))
        if (kind := classify_question(sentence.text)) != "none"
    ]
    return len(spoken), found


def questions(discussion: Discussion) -> Measure:
    """Questions that members ask per 100 of their turns; the teacher's do not count.

    ``details``: ``questions``, ``open``, ``closed`` as counts. Not enough below 10 turns or in a
    language other than English.
    """
    name, unit, cover = "questions", "per 100 turns", coverage(discussion)
    if not is_english(discussion):
        return not_enough(name, 0, "turns", cover, ENGLISH_ONLY, unit)
    n, found = _asked(discussion)
    if n < MIN_TURNS:
        return not_enough(name, n, "turns", cover, few_turns(n), unit)
    openly = sum(evidence.note == "open" for evidence in found)
    return Measure(
        name=name,
        value=100 * len(found) / n,
        n=n,
        n_unit="turns",
        coverage=cover,
        unit=unit,
        evidence=found,
        details={"questions": len(found), "open": openly, "closed": len(found) - openly},
    )


def open_questions(discussion: Discussion) -> Measure:
    """Share (0-1) of the members' questions that are open, with those as evidence.

    Not enough below 5 questions or in a language other than English.
    """
    name, unit, cover = "open_questions", "share of questions", coverage(discussion)
    if not is_english(discussion):
        return not_enough(name, 0, "questions", cover, ENGLISH_ONLY, unit)
    _, found = _asked(discussion)
    n = len(found)
    if n < MIN_QUESTIONS:
        reason = ngettext(
            "Only %(n)s question so far; %(needed)s are needed.",
            "Only %(n)s questions so far; %(needed)s are needed.",
            n,
            needed=MIN_QUESTIONS,
        )
        return not_enough(name, n, "questions", cover, reason, unit)
    openly = [evidence for evidence in found if evidence.note == "open"]
    return Measure(
        name=name,
        value=len(openly) / n,
        n=n,
        n_unit="questions",
        coverage=cover,
        unit=unit,
        evidence=openly,
        details={"open": len(openly), "closed": n - len(openly)},
    )
