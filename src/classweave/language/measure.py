"""All measures of a discussion in one place: what they are called, mean, and how to take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from classweave.language.argumentation import argumentation, claims, evidence, reasoning
from classweave.language.lexis import (
    academic_vocabulary,
    conceptual_density,
    lexical_density,
    lexical_diversity,
    words_per_minute,
)
from classweave.language.messages import gettext, mark
from classweave.language.overlap import interruptions
from classweave.language.participation import dominance, participation_equality, silent_members
from classweave.language.questions import open_questions, questions
from classweave.language.sentiment import conflict, sentiment, supportive_interactions
from classweave.language.talk_moves import student_moves, teacher_moves
from classweave.language.topic import on_topic, topical_cohesion
from classweave.language.transactivity import transactivity
from classweave.language.transcript import Discussion, Measure
from classweave.language.turn_taking import answer_gap, turn_taking, wait_time
from classweave.language.uptake import uptake

STEADY_COVERAGE = 0.5
"""Below this coverage every value is at best uncertain."""


@dataclass(frozen=True, slots=True)
class MeasureInfo:
    """What a measure is called and means, as a teacher reads it.

    ``higher_is_better`` is ``None`` where neither direction is better in itself. ``bounds`` are
    the least and the greatest possible value, ``None`` where there is none.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool | None
    explanation: str
    bounds: tuple[float | None, float | None]
    take: Callable[[Discussion], Measure]


def _talk_moves(discussion: Discussion) -> Measure:
    return replace(student_moves(discussion), name="talk_moves")


_ALL = (
    MeasureInfo(
        "participation_equality",
        mark("Equal participation"),
        mark("share"),
        True,
        mark(
            "How evenly the members talk: 1 when all talk the same, 0 when one voice "
            "does it all. Equal is not the same as fair: someone may have good reason"
            " to listen."
        ),
        (0.0, 1.0),
        participation_equality,
    ),
    MeasureInfo(
        "dominance",
        mark("Largest voice"),
        mark("share"),
        False,
        mark("The part of the talk that belongs to the member who talks most."),
        (0.0, 1.0),
        dominance,
    ),
    MeasureInfo(
        "silent_members",
        mark("Silent members"),
        mark("members"),
        False,
        mark(
            "Members whose microphone worked and who hardly spoke. A member who was "
            "not heard, because the device was away or muted, is not called silent."
        ),
        (0.0, None),
        silent_members,
    ),
    MeasureInfo(
        "turn_taking",
        mark("Turn-taking"),
        mark("share"),
        True,
        mark("How often a turn is picked up by another member within two and a half seconds."),
        (0.0, 1.0),
        turn_taking,
    ),
    MeasureInfo(
        "answer_gap",
        mark("Gap before an answer"),
        mark("seconds"),
        None,
        mark(
            "The usual silence before another member takes over; below zero they "
            "overlap. Long gaps may be thinking or drifting apart."
        ),
        (None, None),
        answer_gap,
    ),
    MeasureInfo(
        "wait_time",
        mark("Time to think"),
        mark("seconds"),
        True,
        mark(
            "The usual silence after a question before anyone talks. Three seconds or"
            " more let people think."
        ),
        (0.0, None),
        wait_time,
    ),
    MeasureInfo(
        "interruptions",
        mark("Interruptions"),
        mark("per 100 turns"),
        False,
        mark(
            "Times a member talked over another who then gave way, per hundred turns."
            " Lively talk overlaps too. Only where everyone has a microphone of their"
            " own."
        ),
        (0.0, None),
        interruptions,
    ),
    MeasureInfo(
        "questions",
        mark("Questions"),
        mark("per 100 turns"),
        True,
        mark("Questions the members ask, per hundred turns."),
        (0.0, None),
        questions,
    ),
    MeasureInfo(
        "open_questions",
        mark("Open questions"),
        mark("share of questions"),
        True,
        mark(
            "The part of the questions that ask for more than a word in answer: why, how, what if."
        ),
        (0.0, 1.0),
        open_questions,
    ),
    MeasureInfo(
        "talk_moves",
        mark("Students' talk moves"),
        mark("per 100 turns"),
        True,
        mark(
            "Sentences in which members relate to one another, ask for information, "
            "claim or give evidence, per hundred turns. Only clear cases are counted."
        ),
        (0.0, None),
        _talk_moves,
    ),
    MeasureInfo(
        "teacher_moves",
        mark("Teacher's talk moves"),
        mark("per 100 turns"),
        None,
        mark(
            "Sentences in which the teacher keeps everyone together, restates, "
            "revoices or presses for accuracy or reasoning, per hundred turns of the "
            "teacher. Only clear cases."
        ),
        (0.0, None),
        teacher_moves,
    ),
    MeasureInfo(
        "uptake",
        mark("Uptake"),
        mark("share of turns"),
        True,
        mark("The part of the turns that take up what another speaker has just said."),
        (0.0, 1.0),
        uptake,
    ),
    MeasureInfo(
        "claims",
        mark("Claims"),
        mark("share of content turns"),
        True,
        mark(
            "The part of the turns that make a claim in plain words of claiming. "
            "Claims made without such words are missed."
        ),
        (0.0, 1.0),
        claims,
    ),
    MeasureInfo(
        "evidence",
        mark("Evidence"),
        mark("share of content turns"),
        True,
        mark("The part of the turns that point at evidence or give an example."),
        (0.0, 1.0),
        evidence,
    ),
    MeasureInfo(
        "reasoning",
        mark("Reasoning"),
        mark("share of content turns"),
        True,
        mark("The part of the turns that give a reason: because, so that, if and then."),
        (0.0, 1.0),
        reasoning,
    ),
    MeasureInfo(
        "argumentation",
        mark("Depth of argument"),
        mark("share of claims"),
        True,
        mark("The part of the claims that are backed or contested within the next three turns."),
        (0.0, 1.0),
        argumentation,
    ),
    MeasureInfo(
        "transactivity",
        mark("Building on each other"),
        mark("share of turns"),
        True,
        mark(
            "The part of the turns that work on another member's idea: extend it, doubt it, use it."
        ),
        (0.0, 1.0),
        transactivity,
    ),
    MeasureInfo(
        "topical_cohesion",
        mark("Common thread"),
        mark("cosine"),
        True,
        mark(
            "How much a turn has in common with the turn before, beyond what any two "
            "turns of this discussion have. It sees words, not meaning."
        ),
        (-1.0, 1.0),
        topical_cohesion,
    ),
    MeasureInfo(
        "on_topic",
        mark("On topic"),
        mark("share"),
        True,
        mark(
            "The part of the talk that is close to the lesson's concepts, goal and "
            "title, or stands amid talk that is. Talk about the topic in quite other "
            "words is missed; about one turn in twenty of other talk passes by "
            "chance."
        ),
        (0.0, 1.0),
        on_topic,
    ),
    MeasureInfo(
        "lexical_density",
        mark("Density of content"),
        mark("share"),
        None,
        mark("The part of the words that carry content. Ordinary talk has about two fifths."),
        (0.0, 1.0),
        lexical_density,
    ),
    MeasureInfo(
        "lexical_diversity",
        mark("Variety of words"),
        mark("words"),
        True,
        mark("How many words the group says, on average, before it begins to repeat itself."),
        (0.0, None),
        lexical_diversity,
    ),
    MeasureInfo(
        "academic_vocabulary",
        mark("Academic words"),
        mark("share"),
        True,
        mark(
            "The part of the words that belong to the language of school subjects: "
            "compare, evidence, factor."
        ),
        (0.0, 1.0),
        academic_vocabulary,
    ),
    MeasureInfo(
        "conceptual_density",
        mark("Concepts"),
        mark("per 100 words"),
        True,
        mark("Different lesson concepts and recurring special terms, per hundred words."),
        (0.0, None),
        conceptual_density,
    ),
    MeasureInfo(
        "sentiment",
        mark("Tone of the group"),
        "",
        None,
        mark(
            "Whether the group's words are positive (up to 1) or negative (down to "
            "-1). From words alone, for the group alone, and a weak sign: friendly "
            "people discuss sad things."
        ),
        (-1.0, 1.0),
        sentiment,
    ),
    MeasureInfo(
        "supportive_interactions",
        mark("Support"),
        mark("turns"),
        True,
        mark("Turns that help, praise, thank or invite another, in plain phrases."),
        (0.0, None),
        supportive_interactions,
    ),
    MeasureInfo(
        "conflict",
        mark("Conflict"),
        mark("turns"),
        False,
        mark(
            "Turns in which members turn on each other rather than on the matter, in "
            "plain phrases. It may be a joke: read the words."
        ),
        (0.0, None),
        conflict,
    ),
    MeasureInfo(
        "words_per_minute",
        mark("Words per minute"),
        mark("words/min"),
        None,
        mark("How much the group talks."),
        (0.0, None),
        words_per_minute,
    ),
)

MEASURES: Mapping[str, MeasureInfo] = MappingProxyType({info.name: info for info in _ALL})
"""Every measure by name, in the order in which a page shows them."""

COUNTED = (
    mark("seconds"), mark("turns"), mark("words"), mark("questions"), mark("claims"),
    mark("members"),
)  # fmt: skip
"""What a measure may be counted over (its ``n_unit``)."""


def measure_discussion(discussion: Discussion, *, sentiment: bool = True) -> list[Measure]:
    """Take every measure of a discussion, in the order of :data:`MEASURES`.

    ``sentiment=False`` leaves the tone of the group out, for where it is switched off or
    forbidden. A value that rests on less than half of the talk is at best uncertain.
    """
    return [
        _doubt(info.take(discussion))
        for info in MEASURES.values()
        if sentiment or info.name != "sentiment"
    ]


def _doubt(measure: Measure) -> Measure:
    if measure.status == "ok" and measure.coverage < STEADY_COVERAGE:
        why = gettext("Less than half of the talk was heard well enough to count.")
        return replace(measure, status="uncertain", reason=why)
    return measure
