"""Who follows whom: turns, the gaps between them, and the time given to think after a question."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import mean, median

from classweave.language.coverage import coverage, is_shared_device, seconds_coverage
from classweave.language.messages import gettext, ngettext
from classweave.language.participation import SHARED_DEVICE
from classweave.language.questions import classify_question
from classweave.language.spoken import ENGLISH_ONLY, is_english
from classweave.language.transcript import (
    Discussion,
    Evidence,
    Measure,
    Status,
    Utterance,
    not_enough,
)
from classweave.language.words import heard_text, is_filler, tokens

ANSWER_SECONDS = 2.5
"""A turn is answered when another member begins within this time of its end (WSW window)."""

MINIMUM_TURNS = 6
UNCERTAIN_TURNS = 15
MINIMUM_QUESTIONS = 3
UNCERTAIN_QUESTIONS = 6

_ASSENTS = frozenset({"yeah", "yes", "yep", "okay", "ok", "right", "sure", "no", "wow", "true"})


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch in which one speaker holds the floor: one utterance or several in a row."""

    speaker: str
    utterances: tuple[Utterance, ...]

    @property
    def start(self) -> float:
        """When the first utterance begins, in seconds."""
        return self.utterances[0].start

    @property
    def end(self) -> float:
        """When the last sound of the turn ends, in seconds."""
        return max(u.end for u in self.utterances)

    @property
    def is_teacher(self) -> bool:
        """Whether the teacher speaks."""
        return self.utterances[0].role == "teacher"


def is_backchannel(text: str) -> bool:
    """Whether a text is at most two words of assent or hesitation ("yeah", "mm-hm, right")."""
    words = [token for token in tokens(text) if not is_filler(token)]
    return len(words) <= 2 and all(word in _ASSENTS for word in words)


def turns(discussion: Discussion) -> list[Turn]:
    """Turns of known speakers in time order.

    Utterances of one speaker less than 2.5 s apart are one turn. Assent uttered while another
    speaks ("yeah", "mm-hm") takes no turn. Utterances of a shared device are left out.
    """
    ordered = sorted(
        (u for u in discussion.utterances if u.speaker is not None), key=lambda u: (u.start, u.end)
    )
    found: list[Turn] = []
    for u in ordered:
        last = found[-1] if found else None
        if last and u.speaker == last.speaker and u.start - last.end <= ANSWER_SECONDS:
            found[-1] = Turn(last.speaker, (*last.utterances, u))
        elif last and u.start < last.end and is_backchannel(u.text):
            continue
        elif u.speaker is not None:
            found.append(Turn(u.speaker, (u,)))
    return found


def turn_taking(discussion: Discussion) -> Measure:
    """Share of turns (0-1) that another member picks up within 2.5 s.

    ``details``: ``turns``, ``turns_per_minute``, ``mean_turn_seconds``, ``switches`` (boundaries
    where the floor changes hands) and ``switch_share`` of all boundaries. The teacher's turns
    break a boundary rather than count in one.
    """
    name, cover = "turn_taking", seconds_coverage(discussion)
    if is_shared_device(discussion):
        return not_enough(name, 0, "turns", cover, SHARED_DEVICE, "share")
    found = turns(discussion)
    own = [turn for turn in found if not turn.is_teacher]
    pairs = _student_pairs(found)
    if len(pairs) < MINIMUM_TURNS:
        return not_enough(name, len(own), "turns", cover, _few(len(own)), "share")
    switches = [(a, b) for a, b in pairs if a.speaker != b.speaker]
    answered = [(a, b) for a, b in switches if b.start - a.end <= ANSWER_SECONDS]
    return Measure(
        name=name,
        value=len(answered) / len(pairs),
        n=len(own),
        n_unit="turns",
        coverage=cover,
        status=_status(len(pairs)),
        reason=_early(len(pairs)),
        unit="share",
        evidence=tuple(_pair(a, b) for a, b in answered[-3:]),
        details={
            "turns": float(len(own)),
            "turns_per_minute": 60.0 * len(own) / max(discussion.seconds, 1.0),
            "mean_turn_seconds": mean(turn.end - turn.start for turn in own),
            "switches": float(len(switches)),
            "switch_share": len(switches) / len(pairs),
        },
    )


def answer_gap(discussion: Discussion) -> Measure:
    """Median silence in seconds before another member takes over; below 0 when they overlap."""
    name, cover = "answer_gap", seconds_coverage(discussion)
    if is_shared_device(discussion):
        return not_enough(name, 0, "turns", cover, SHARED_DEVICE, "seconds")
    switches = [(a, b) for a, b in _student_pairs(turns(discussion)) if a.speaker != b.speaker]
    n = len(switches)
    if n < MINIMUM_TURNS:
        return not_enough(name, n, "turns", cover, _few(n), "seconds")
    gaps = [b.start - a.end for a, b in switches]
    slowest = sorted(switches, key=lambda pair: pair[0].end - pair[1].start)[:3]
    return Measure(
        name=name,
        value=median(gaps),
        n=n,
        n_unit="turns",
        coverage=cover,
        status=_status(n),
        reason=_early(n),
        unit="seconds",
        evidence=tuple(_pair(a, b) for a, b in slowest),
        details={"overlapped_share": sum(gap < 0 for gap in gaps) / n},
    )


def wait_time(discussion: Discussion) -> Measure:
    """Median seconds of silence left after a question before anyone talks again.

    Counts the teacher's questions and the members' alike; ``details["teacher"]`` is the median
    after the teacher's, where there are any. Source: Rowe (1986), wait time 1.
    """
    name, cover = "wait_time", coverage(discussion)
    if is_shared_device(discussion):
        return not_enough(name, 0, "questions", cover, SHARED_DEVICE, "seconds")
    if not is_english(discussion):
        return not_enough(name, 0, "questions", cover, ENGLISH_ONLY, "seconds")
    ordered = sorted(discussion.utterances, key=lambda u: u.start)
    # Whoever began earlier may still be talking when the question ends: then there is no silence.
    reached = accumulate((u.end for u in ordered), max)
    waits = [
        (max(0.0, after.start - until), question)
        for (question, after), until in zip(pairwise(ordered), reached, strict=False)
        if classify_question(_last_sentence(heard_text(question))) != "none"
    ]
    n = len(waits)
    if n < MINIMUM_QUESTIONS:
        why = ngettext(
            "Only %(n)s question so far; %(needed)s are needed.",
            "Only %(n)s questions so far; %(needed)s are needed.",
            n,
            needed=MINIMUM_QUESTIONS,
        )
        return not_enough(name, n, "questions", cover, why, "seconds")
    teacher = [wait for wait, question in waits if question.role == "teacher"]
    shortest = sorted(waits, key=lambda pair: pair[0])[:3]
    return Measure(
        name=name,
        value=median(wait for wait, _ in waits),
        n=n,
        n_unit="questions",
        coverage=cover,
        status="uncertain" if n < UNCERTAIN_QUESTIONS else "ok",
        reason=gettext("Few questions so far.") if n < UNCERTAIN_QUESTIONS else "",
        unit="seconds",
        evidence=tuple(
            Evidence(
                q.id,
                q.start,
                q.end,
                q.text,
                gettext("%(seconds)s s of silence followed", seconds=round(wait, 1)),
            )
            for wait, q in shortest
        ),
        details={"teacher": median(teacher)} if teacher else {},
    )


def _student_pairs(found: list[Turn]) -> list[tuple[Turn, Turn]]:
    return [(a, b) for a, b in pairwise(found) if not a.is_teacher and not b.is_teacher]


def _last_sentence(text: str) -> str:
    for mark in "?!.…؟。？":
        text = text.replace(mark, mark + "\n")
    sentences = [line.strip() for line in text.splitlines() if tokens(line)]
    return sentences[-1] if sentences else ""


def _pair(first: Turn, second: Turn) -> Evidence:
    """The turn that answers, with the gap before it."""
    answer = second.utterances[0]
    gap = second.start - first.end
    if gap >= 0:
        note = gettext("%(seconds)s s after the turn before", seconds=round(gap, 1))
    else:
        note = gettext("%(seconds)s s before the turn before ended", seconds=round(-gap, 1))
    return Evidence(answer.id, answer.start, answer.end, answer.text, note)


def _status(n: int) -> Status:
    return "uncertain" if n < UNCERTAIN_TURNS else "ok"


def _early(n: int) -> str:
    return gettext("Few turns so far.") if n < UNCERTAIN_TURNS else ""


def _few(n: int) -> str:
    return ngettext(
        "Only %(n)s turn so far, too few to see a pattern.",
        "Only %(n)s turns so far, too few to see a pattern.",
        n,
    )
