"""What the measures say in sentences, against the class's own past, and what to try next.

Every rule is one line of a table: which measure, when, and what to say. Nothing is advised on a
value that is uncertain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles

from classweave.language.measure import MEASURES
from classweave.language.messages import Message, gettext, ngettext
from classweave.language.transcript import Measure

Past = Mapping[str, Sequence[float]]
"""Earlier values of the same class by measure name, in any order."""

MINIMUM_PAST = 5
"""Fewer earlier values than this are no past to compare with."""
MOST_STEPS = 3


def _percent(value: float) -> int:
    return round(100 * value)


def _shared(m: Measure, v: float) -> Message:
    equality = round(v, 2)
    if v >= 0.8:
        return gettext(
            "The talk was evenly shared (%(equality)s, where 1 is equal).", equality=equality
        )
    if v >= 0.6:
        return gettext(
            "The talk was fairly evenly shared (%(equality)s, where 1 is equal).",
            equality=equality,
        )
    return gettext(
        "The talk was unevenly shared (%(equality)s, where 1 is equal).", equality=equality
    )


def _silent(m: Measure, v: float) -> Message:
    if not v:
        return ngettext(
            "The %(n)s member heard well spoke.", "All %(n)s members heard well spoke.", m.n
        )
    return ngettext(
        "%(n)s member of %(heard)s heard well hardly spoke.",
        "%(n)s members of %(heard)s heard well hardly spoke.",
        round(v),
        heard=m.n,
    )


_SENTENCES: Mapping[str, Callable[[Measure, float], Message]] = {
    "participation_equality": _shared,
    "dominance": lambda m, v: gettext(
        "The member who talked most had %(share)s %% of the talk.", share=_percent(v)
    ),
    "silent_members": _silent,
    "turn_taking": lambda m, v: gettext(
        "Another member picked up %(share)s %% of the turns at once.", share=_percent(v)
    ),
    "wait_time": lambda m, v: gettext(
        "After a question there were usually %(seconds)s seconds of silence.", seconds=round(v, 1)
    ),
    "interruptions": lambda m, v: ngettext(
        "There was %(n)s interruption in a hundred turns.",
        "There were %(n)s interruptions in a hundred turns.",
        round(v),
    ),
    "questions": lambda m, v: ngettext(
        "There was %(n)s question in a hundred turns.",
        "There were %(n)s questions in a hundred turns.",
        round(v),
    ),
    "open_questions": lambda m, v: gettext(
        "%(share)s %% of the questions were open ones.", share=_percent(v)
    ),
    "uptake": lambda m, v: gettext(
        "%(share)s %% of the turns clearly took up the turn before.", share=_percent(v)
    ),
    "reasoning": lambda m, v: gettext(
        "At least %(share)s %% of the turns gave a reason.", share=_percent(v)
    ),
    "on_topic": lambda m, v: gettext(
        "About %(share)s %% of the talk kept to the lesson.", share=_percent(v)
    ),
    "academic_vocabulary": lambda m, v: gettext(
        "%(words)s words in a hundred were academic words.", words=round(100 * v, 1)
    ),
}


def how(measures: Iterable[Measure], past: Past | None = None) -> list[Message]:
    """The measures in plain sentences, each against the class's own past where there is one.

    Uncertain values say so. The last sentence names what there was not enough of to judge.
    """
    said: list[Message] = []
    missing: list[Message] = []
    for measure in measures:
        sentence = _SENTENCES.get(measure.name)
        if sentence is None:
            continue
        if measure.value is None:
            missing.append(gettext(MEASURES[measure.name].title))
            continue
        line = sentence(measure, measure.value)
        against = _against(measure.value, (past or {}).get(measure.name, ()))
        if against:
            line = gettext("%(sentence)s %(comparison)s", sentence=line, comparison=against)
        if measure.status == "uncertain":
            line = gettext(
                "%(sentence)s (Uncertain: %(reason)s)", sentence=line, reason=measure.reason
            )
        said.append(line)
    if missing:
        said.append(
            gettext("Not enough was heard to judge: %(measures)s.", measures=tuple(missing))
        )
    return said


def _against(value: float, earlier: Sequence[float]) -> str:
    """How a value stands among the class's earlier ones; empty without enough of a past."""
    if len(earlier) < MINIMUM_PAST:
        return ""
    low, _, high = quantiles(earlier, n=4, method="inclusive")
    if value > high:
        return gettext("That is more than in most of this class's earlier discussions.")
    if value < low:
        return gettext("That is less than in most of this class's earlier discussions.")
    return gettext("That is usual for this class.")


@dataclass(frozen=True, slots=True)
class _Rule:
    measure: str
    applies: Callable[[Measure, float], bool]
    say: Message


_RULES = (
    _Rule(
        "conflict",
        lambda m, v: v >= 2,
        gettext(
            "Sit with the group for a minute: some turns were against each other, not the matter."
        ),
    ),
    _Rule(
        "silent_members",
        lambda m, v: v >= 1,
        gettext(
            "Give the quiet members a way in: a question each prepares alone first, "
            "then a round in which everybody speaks once."
        ),
    ),
    _Rule(
        "dominance",
        lambda m, v: m.details.get("alarm", 0.0) > 0,
        gettext(
            "Hand out roles (speaker, asker, note-taker) and let them change half-"
            "way, so that one voice does not carry the talk."
        ),
    ),
    _Rule(
        "on_topic",
        lambda m, v: v < 0.4,
        gettext(
            "Begin next time with the goal in the group's own words, and come back to it half-way."
        ),
    ),
    _Rule(
        "reasoning",
        lambda m, v: v < 0.1,
        gettext(
            "Ask for reasons: “What makes you think so?” after a claim, "
            "and let another member answer."
        ),
    ),
    _Rule(
        "open_questions",
        lambda m, v: v < 0.2,
        gettext(
            "Offer question starters that need more than a word: why, how, what would happen if."
        ),
    ),
    _Rule(
        "wait_time",
        lambda m, v: v < 1.0,
        gettext("Count silently to three after a question before anyone answers."),
    ),
    _Rule(
        "interruptions",
        lambda m, v: v > 20,
        gettext(
            "Agree on a sign for “I would like to finish”, and try a talking piece for one round."
        ),
    ),
)


def next_steps(measures: Iterable[Measure]) -> list[Message]:
    """At most three things to try, by rule, from steady values only; most pressing first.

    A member who was not heard leads to a look at the device, ahead of any advice on silence.
    """
    by_name = {measure.name: measure for measure in measures}
    steps: list[Message] = []
    silent = by_name.get("silent_members")
    if silent and silent.details.get("not_heard", 0.0) > 0:
        steps.append(
            ngettext(
                "Check the devices first: %(n)s member could not be heard well.",
                "Check the devices first: %(n)s members could not be heard well.",
                round(silent.details["not_heard"]),
            )
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
