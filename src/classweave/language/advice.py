"""What the measures say in sentences, against the class's own past, and what to try next.

Every rule is one line of a table: which measure, when, and what to say. Nothing is advised on a
value that is uncertain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles

from classweave.language.measure import MEASURES
from classweave.language.transcript import Measure
from classweave.language.words import counted

Past = Mapping[str, Sequence[float]]
"""Earlier values of the same class by measure name, in any order."""

MINIMUM_PAST = 5
"""Fewer earlier values than this are no past to compare with."""
MOST_STEPS = 3


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


_SENTENCES: Mapping[str, Callable[[Measure, float], str]] = {
    "participation_equality": lambda m, v: (
        f"The talk was {'evenly' if v >= 0.8 else 'fairly evenly' if v >= 0.6 else 'unevenly'} "
        f"shared ({v:.2f}, where 1 is equal)."
    ),
    "dominance": lambda m, v: f"The member who talked most had {_percent(v)} of the talk.",
    "silent_members": lambda m, v: (
        f"{counted(round(v), 'member')} of {m.n} heard well hardly spoke."
        if v
        else f"All {m.n} members heard well spoke."
    ),
    "turn_taking": lambda m, v: f"Another member picked up {_percent(v)} of the turns at once.",
    "wait_time": lambda m, v: f"After a question there were usually {v:.1f} seconds of silence.",
    "interruptions": lambda m, v: f"There were {v:.0f} interruptions in a hundred turns.",
    "questions": lambda m, v: f"There were {v:.0f} questions in a hundred turns.",
    "open_questions": lambda m, v: f"{_percent(v)} of the questions were open ones.",
    "uptake": lambda m, v: f"{_percent(v)} of the turns clearly took up the turn before.",
    "reasoning": lambda m, v: f"At least {_percent(v)} of the turns gave a reason.",
    "on_topic": lambda m, v: f"About {_percent(v)} of the talk kept to the lesson.",
    "academic_vocabulary": lambda m, v: f"{100 * v:.1f} words in a hundred were academic words.",
}


def how(measures: Iterable[Measure], past: Past | None = None) -> list[str]:
    """The measures in plain sentences, each against the class's own past where there is one.

    Uncertain values say so. The last sentence names what there was not enough of to judge.
    """
    said: list[str] = []
    missing: list[str] = []
    for measure in measures:
        sentence = _SENTENCES.get(measure.name)
        if sentence is None:
            continue
        if measure.value is None:
            missing.append(MEASURES[measure.name].title.lower())
            continue
        parts = [
            sentence(measure, measure.value),
            _against(measure.value, (past or {}).get(measure.name, ())),
            f"(Uncertain: {measure.reason})" if measure.status == "uncertain" else "",
        ]
        said.append(" ".join(part for part in parts if part))
    if missing:
        said.append(f"Not enough was heard to judge: {', '.join(missing)}.")
    return said


def _against(value: float, earlier: Sequence[float]) -> str:
    """How a value stands among the class's earlier ones; empty without enough of a past."""
    if len(earlier) < MINIMUM_PAST:
        return ""
    low, _, high = quantiles(earlier, n=4, method="inclusive")
    if value > high:
        return "That is more than in most of this class's earlier discussions."
    if value < low:
        return "That is less than in most of this class's earlier discussions."
    return "That is usual for this class."


@dataclass(frozen=True, slots=True)
class _Rule:
    measure: str
    applies: Callable[[Measure, float], bool]
    say: str


_RULES = (
    _Rule(
        "conflict",
        lambda m, v: v >= 2,
        "Sit with the group for a minute: some turns were against each other, not the matter.",
    ),
    _Rule(
        "silent_members",
        lambda m, v: v >= 1,
        "Give the quiet members a way in: a question each prepares alone first, then a round in "
        "which everybody speaks once.",
    ),
    _Rule(
        "dominance",
        lambda m, v: m.details.get("alarm", 0.0) > 0,
        "Hand out roles (speaker, asker, note-taker) and let them change half-way, so that one "
        "voice does not carry the talk.",
    ),
    _Rule(
        "on_topic",
        lambda m, v: v < 0.4,
        "Begin next time with the goal in the group's own words, and come back to it half-way.",
    ),
    _Rule(
        "reasoning",
        lambda m, v: v < 0.1,
        "Ask for reasons: “What makes you think so?” after a claim, and let another member answer.",
    ),
    _Rule(
        "open_questions",
        lambda m, v: v < 0.2,
        "Offer question starters that need more than a word: why, how, what would happen if.",
    ),
    _Rule(
        "wait_time",
        lambda m, v: v < 1.0,
        "Count silently to three after a question before anyone answers.",
    ),
    _Rule(
        "interruptions",
        lambda m, v: v > 20,
        "Agree on a sign for “I would like to finish”, and try a talking piece for one round.",
    ),
)


def next_steps(measures: Iterable[Measure]) -> list[str]:
    """At most three things to try, by rule, from steady values only; most pressing first.

    A member who was not heard leads to a look at the device, ahead of any advice on silence.
    """
    by_name = {measure.name: measure for measure in measures}
    steps: list[str] = []
    silent = by_name.get("silent_members")
    if silent and silent.details.get("not_heard", 0.0) > 0:
        steps.append(
            "Check the devices first: "
            f"{counted(round(silent.details['not_heard']), 'member')} could not be heard well."
        )
    for rule in _RULES:
        measure = by_name.get(rule.measure)
        if (
            measure is not None
            and measure.status == "ok"
            and measure.value is not None
            and rule.applies(measure, measure.value)
        ):
            steps.append(rule.say)
    return steps[:MOST_STEPS]
