"""Talk moves: what a sentence does for the discussion, by the accountable-talk scheme.

Students relate to one another, ask for more information, make claims, give evidence or reasoning.
Teachers keep everyone together, get students to relate, restate, revoice, press for accuracy and
press for reasoning (Michaels & O'Connor; the scheme of Suresh et al. 2021). The cues are rules
written by hand (``data/moves/cues.toml``) and a few signs of context; where they disagree or say
little, the move is 'uncertain' and is counted in no rate.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from typing import Literal, NamedTuple, get_args

from classweave.language.coverage import coverage
from classweave.language.messages import gettext
from classweave.language.questions import THRESHOLD, question_probability
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
from classweave.language.words import heard_text, idf

StudentMove = Literal["relate", "ask", "claim", "evidence"]
TeacherMove = Literal[
    "together", "get_to_relate", "restate", "revoice", "press_accuracy", "press_reasoning"
]
MoveLabel = Literal[StudentMove, TeacherMove, "none"]
Role = Literal["student", "teacher"]


class Said(NamedTuple):
    """A sentence said before, with who said it (``None`` where unknown)."""

    text: str
    role: Role
    speaker: str | None = None


class Move(NamedTuple):
    """What a sentence does; not ``certain`` means that the cues are too weak or too mixed."""

    label: MoveLabel
    score: float
    certain: bool


class _Cue(NamedTuple):
    role: Role
    move: MoveLabel
    score: float
    pattern: re.Pattern[str]


@lru_cache(maxsize=1)
def _cues() -> tuple[_Cue, ...]:
    source = resources.files("classweave.language").joinpath("data/moves/cues.toml")
    data = tomllib.loads(source.read_text("utf-8"))
    return tuple(
        _Cue(
            cue["role"], cue["move"], data["strength"][cue["strength"]], re.compile(cue["pattern"])
        )
        for cue in data["cue"]
    )


@lru_cache(maxsize=8192)
def _cued(text: str, role: Role) -> dict[MoveLabel, float]:
    """The strongest cue of each move in one sentence."""
    sentence = read(text)
    asked = _asks(text)
    words = " ".join(sentence.tokens) + (" ?" if asked else "")
    scores: dict[MoveLabel, float] = {}
    for cue in _cues():
        if cue.role == role and cue.score > scores.get(cue.move, 0) and cue.pattern.search(words):
            scores[cue.move] = cue.score
    return scores


DECIDE = 0.3
"""A move is named from this score; F1 gains as long as a guess is right more than F1/2 times."""

CERTAIN = 0.55
"""A move is certain from this score, with ``MARGIN`` to the runner-up; 'none' below ``QUIET``."""

MARGIN = 0.1
QUIET = 0.2
RARE = 4.0
"""Inverse document frequency from which a capitalised word passes for a name."""

_ASSENT = word_set(
    "yes yeah yep no nope okay ok oh ah um uh mm hmm hm mhm huh right alright all thank you thanks "
    "miss sir so well and wait"
)


_QUANTITY = re.compile(
    r"\d|\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|"
    r"fifty|hundred|thousand|half|halves|thirds?|fourths?|quarters?|fifths?|sixths?|tenths?|"
    r"percent|double|times|plus|minus)\b"
)


_TAG = re.compile(
    r" (?:right|okay|correct|huh)$|\b(?:is|are|was|do|does|did|have|has|ca|wo)n't "
    r"(?:it|that|they|he|she|we|you|i)$"
)


class _Context(NamedTuple):
    """The same speaker's sentences just before, and those of whoever spoke before that.

    ``to_peer``: one known student speaks after another.
    """

    own: tuple[Said, ...]
    other: tuple[Said, ...]
    to_peer: bool


def _context(previous: Sequence[Said], role: Role, speaker: str | None) -> _Context:
    """Cut off the speaker's own run. Unknown students in a row pass for one: nobody can tell."""
    cut = len(previous)
    while (
        cut
        and previous[cut - 1].role == role
        and (role == "teacher" or previous[cut - 1].speaker == speaker)
    ):
        cut -= 1
    start = max(0, cut - 4)
    other = tuple(said for said in previous[start:cut] if said.role == previous[cut - 1].role)
    peer = bool(other) and other[-1].role == role == "student"
    return _Context(
        own=tuple(previous[cut:]),
        other=other,
        to_peer=peer and speaker is not None and other[-1].speaker is not None,
    )


def _student(sentence: Sentence, context: _Context) -> dict[MoveLabel, float]:
    """Scores of the student moves: cues, then who spoke before, length and continuation."""
    scores = dict(_cued(sentence.text, "student"))
    own, other, to_peer = context
    n = len(sentence.tokens)
    asked_before = bool(other) and _asks(other[-1].text)
    exact = bool(_QUANTITY.search(" ".join(sentence.tokens)))
    # an answer in a rising voice ("Two?") is an answer: the order of words says what is asked
    asks = question_probability(sentence.text.replace("?", ".")) >= THRESHOLD
    if n >= 20 and not asks:
        _raise(scores, "evidence", 0.54)
    elif n >= 10 and not asks and not to_peer:
        _raise(scores, "evidence", 0.52 if exact else 0.3)
    if sentence.content and own and not asks:
        reasoned = any(_cued(said.text, "student").get("evidence", 0.0) >= 0.5 for said in own)
        long = sum(len(read(said.text).tokens) for said in own) >= 20
        if reasoned or long:
            _raise(scores, "evidence", 0.7 if reasoned else 0.54)
    if all(token in _ASSENT for token in sentence.tokens):
        if to_peer:
            _raise(scores, "relate", 0.4)
        elif asked_before and "get_to_relate" in _cued(other[-1].text, "teacher"):
            _raise(scores, "relate", 0.6)
    elif to_peer:
        cued = "relate" in scores
        _raise(scores, "relate", 0.65 if cued else 0.53 if exact or asked_before else 0.5)
    elif sentence.content and not asks:
        if exact:
            _raise(scores, "claim", 0.75 if n < 6 else 0.55 if n < 10 else 0.4)
        else:
            _raise(scores, "claim", 0.5 if asked_before else 0.31 if n >= 5 else 0.25)
    return scores


def _teacher(sentence: Sentence, context: _Context) -> dict[MoveLabel, float]:
    """Scores of the six teacher moves: cues, then how much of a student's words come back."""
    scores = dict(_cued(sentence.text, "teacher"))
    own, other, _ = context
    if _is_name(sentence, own, other):
        _raise(scores, "together", 0.65)
    if _asks(sentence.text) or not other or len(own) > 1:
        return scores
    source = read(" ".join(said.text for said in other))
    said, before = " ".join(sentence.tokens), " ".join(source.tokens)
    near = not own
    if said in {before, " ".join(read(other[-1].text).tokens)}:
        _raise(scores, "restate", 0.9 if near else 0.45)
    elif f" {said} " in f" {before} ":
        _raise(scores, "restate", 0.7 if near and len(sentence.tokens) > 1 else 0.45)
    elif sentence.content:
        words = set(sentence.content)
        if len(words.intersection(source.content)) >= 0.3 * len(words):
            _raise(scores, "revoice", 0.62 if near else 0.25)
    return scores


def _is_name(sentence: Sentence, own: Sequence[Said], other: Sequence[Said]) -> bool:
    """Whether somebody is called on: one capitalised rare word that nobody has just said."""
    words = sentence.content
    if len(words) != 1 or len(sentence.tokens) > 2 or idf(words[0]) < RARE:
        return False
    if not re.search(r"\b[A-Z][a-z]+\W*$", sentence.text):
        return False
    return not any(words[0] in read(said.text).content for said in (*own[-2:], *other))


def _raise(scores: dict[MoveLabel, float], move: MoveLabel, score: float) -> None:
    scores[move] = max(score, scores.get(move, 0.0))


@lru_cache(maxsize=8192)
def _asks(text: str) -> bool:
    """Whether a sentence asks; without punctuation, weaker signs of order and tags suffice."""
    sentence = read(text)
    if sentence.punctuated:
        return sentence.marked or question_probability(text) >= 0.5
    tagged = len(sentence.tokens) > 2 and bool(_TAG.search(" ".join(sentence.tokens)))
    return tagged or question_probability(text) >= THRESHOLD


def classify_turn(
    text: str, previous: Sequence[Said], role: Role, speaker: str | None = None
) -> Move:
    """The talk move of one sentence, in the light of the sentences before it, oldest first.

    ``speaker`` tells which of ``previous`` the same student said; ``None`` is an unknown voice,
    as on a shared device. A teacher's are always the teacher's own. A label that is not
    ``certain`` is the best guess, for measuring; the measures leave it out.
    """
    sentence = read(text)
    if not sentence.tokens:
        return Move("none", 0.0, True)
    context = _context(previous, role, speaker)
    scores = (_teacher if role == "teacher" else _student)(sentence, context)
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    label, score = ranked[0] if ranked else ("none", 0.0)
    runner_up = ranked[1][1] if len(ranked) > 1 else 0.0
    if label == "none" or score < DECIDE:
        return Move("none", score, label == "none" or score < QUIET)
    return Move(label, score, score >= CERTAIN and score - runner_up >= MARGIN)


MAX_ABSTAINED = 0.5
"""With more than this share of sentences undecided, a rate is 'uncertain'."""


def _moves(
    discussion: Discussion, role: Role
) -> tuple[int, list[tuple[Evidence, Move]], list[Move]]:
    """Turns of the role, its certain moves with their words, and all its judged sentences."""
    n, found, judged = 0, list[tuple[Evidence, Move]](), list[Move]()
    previous: list[Said] = []
    for contribution in contributions(discussion):
        mine = contribution.role == role
        n += mine
        for utterance in contribution.utterances:
            for sentence in sentences(heard_text(utterance)):
                if mine:
                    move = classify_turn(sentence.text, previous[-8:], role, utterance.speaker)
                    judged.append(move)
                    if move.certain and move.label != "none":
                        found.append((quote(utterance, sentence.text, move.label), move))
                previous.append(Said(sentence.text, utterance.role, utterance.speaker))
    return n, found, judged


def _rate(discussion: Discussion, role: Role, labels: tuple[MoveLabel, ...]) -> Measure:
    name, unit, cover = f"{role}_moves", "per 100 turns", coverage(discussion)
    if not is_english(discussion):
        return not_enough(name, 0, "turns", cover, ENGLISH_ONLY, unit)
    n, found, judged = _moves(discussion, role)
    if n < MIN_TURNS:
        return not_enough(name, n, "turns", cover, few_turns(n), unit)
    abstained = sum(not move.certain for move in judged) / len(judged)
    doubtful = abstained > MAX_ABSTAINED
    rates = {label: 100 * sum(move.label == label for _, move in found) / n for label in labels}
    return Measure(
        name=name,
        value=100 * len(found) / n,
        n=n,
        n_unit="turns",
        coverage=cover,
        status="uncertain" if doubtful else "ok",
        reason=gettext(
            "No clear move in %(share)s %% of the sentences.", share=round(100 * abstained)
        )
        if doubtful
        else "",
        unit=unit,
        evidence=[evidence for evidence, _ in found],
        details={**rates, "abstained": abstained},
    )


def student_moves(discussion: Discussion) -> Measure:
    """Certain talk moves of students per 100 student turns.

    ``details`` has the rate of each move (``relate``, ``ask``, ``claim``, ``evidence``) and
    ``abstained``, the share (0-1) of sentences left undecided. 'Uncertain' when that exceeds one
    half; not enough below 10 turns or in a language other than English.
    """
    return _rate(discussion, "student", get_args(StudentMove))


def teacher_moves(discussion: Discussion) -> Measure:
    """Certain talk moves of the teacher per 100 teacher turns; see :func:`student_moves`.

    ``details`` has ``together``, ``get_to_relate``, ``restate``, ``revoice``, ``press_accuracy``,
    ``press_reasoning`` and ``abstained``.
    """
    return _rate(discussion, "teacher", get_args(TeacherMove))
