"""What can be said of each member from turns and words. Pure, and nothing about feelings.

Every score is advice about talk that was heard, and absent where too little was.
"""

from __future__ import annotations

from dataclasses import dataclass

from classweave.language.coverage import is_shared_device, not_heard
from classweave.language.lexis import mtld
from classweave.language.participation import speaking_seconds
from classweave.language.questions import classify_question
from classweave.language.sentiment import supportive_phrases
from classweave.language.spoken import is_english, sentences
from classweave.language.transcript import Discussion
from classweave.language.turn_taking import ANSWER_SECONDS, Turn, turns
from classweave.language.words import heard_text, heard_tokens, is_filler

MINIMUM_GROUP_SECONDS = 60.0
MINIMUM_TURNS = 5
MINIMUM_WORDS = 100


@dataclass(frozen=True, slots=True)
class StudentMeasure:
    """One member's share in a discussion. Scores are 0-100 unless said otherwise.

    ``participation``: own talk over an equal share, at most 100; needs a minute of talk in the
    group, two members, and a microphone that was heard. ``initiative``: own turns that ask, or
    break a silence of 2.5 s. ``responsiveness``: own turns that answer another member within
    2.5 s. Both need five turns. ``vocabulary``: MTLD of the own words; ``fluency``: words per
    minute of own talk; both need 100 words. ``heard_share``: part of the discussion (0-1) in which
    the microphone was live.
    """

    member: str
    seconds: float
    turns: int
    mean_turn_seconds: float | None
    participation: float | None
    initiative: float | None
    responsiveness: float | None
    vocabulary: float | None
    fluency: float | None
    exchanges: int
    supportive: int
    questions: int
    heard_share: float


def measure_students(discussion: Discussion) -> list[StudentMeasure]:
    """Each member's share in a discussion; empty where one device heard several."""
    if is_shared_device(discussion):
        return []
    seconds = speaking_seconds(discussion)
    unheard = not_heard(discussion)
    found = turns(discussion)
    return [_measure(discussion, member, seconds, unheard, found) for member in discussion.members]


def _measure(
    discussion: Discussion,
    member: str,
    seconds: dict[str, float],
    unheard: frozenset[str],
    all_turns: list[Turn],
) -> StudentMeasure:
    own = [(i, turn) for i, turn in enumerate(all_turns) if turn.speaker == member]
    said = [u for u in discussion.utterances if u.speaker == member]
    texts = [heard_text(u) for u in said]
    words = [token for u in said for token in heard_tokens(u) if not is_filler(token)]
    english = is_english(discussion)
    initiated = sum(_opens(all_turns, i) for i, _ in own)
    answered = sum(_answers(all_turns, i) for i, _ in own)
    picked_up = sum(_answers(all_turns, i + 1) for i, _ in own)
    total = sum(seconds.values())
    comparable = total >= MINIMUM_GROUP_SECONDS and len(seconds) > 1 and member not in unheard
    enough_turns, enough_words = len(own) >= MINIMUM_TURNS, len(words) >= MINIMUM_WORDS
    talk = seconds.get(member, 0.0)
    return StudentMeasure(
        member=member,
        seconds=talk,
        turns=len(own),
        mean_turn_seconds=sum(t.end - t.start for _, t in own) / len(own) if own else None,
        participation=min(100.0, 100 * talk * len(seconds) / total) if comparable else None,
        initiative=100 * initiated / len(own) if enough_turns else None,
        responsiveness=100 * answered / len(own) if enough_turns else None,
        vocabulary=mtld(words) if enough_words else None,
        fluency=60 * len(words) / talk if enough_words and talk > 0 else None,
        exchanges=answered + picked_up,
        supportive=sum(bool(supportive_phrases(text)) for text in texts) if english else 0,
        questions=sum(_asks(text) for text in texts) if english else 0,
        heard_share=_heard_share(discussion, member),
    )


def _asks(text: str) -> int:
    return sum(classify_question(s.text) != "none" for s in sentences(text))


def _opens(found: list[Turn], i: int) -> bool:
    """Whether a turn asks something or breaks a silence."""
    asks = any(_asks(heard_text(u)) for u in found[i].utterances)
    return asks or i == 0 or found[i].start - found[i - 1].end > ANSWER_SECONDS


def _answers(found: list[Turn], i: int) -> bool:
    """Whether turn ``i`` picks up another member's turn before it within 2.5 s."""
    if not 0 < i < len(found):
        return False
    before, turn = found[i - 1], found[i]
    return before.speaker != turn.speaker and turn.start - before.end <= ANSWER_SECONDS


def _heard_share(discussion: Discussion, member: str) -> float:
    if discussion.seconds == 0:
        return 0.0
    heard = sum(t.heard_seconds for t in discussion.tracks if t.speaker == member)
    return min(1.0, heard / discussion.seconds)
