import pytest
from discussion_builders import discuss, say, talk

from classweave.language.questions import (
    classify_question,
    open_questions,
    question_probability,
    questions,
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Why would it stay up?", "open"),
        ("how do you explain that", "open"),
        ("so um what do you think about the cork", "open"),
        ("What would happen in salt water?", "open"),
        ("do we agree that it floats", "closed"),
        ("Is that the density?", "closed"),
        ("how many spoons did you add", "closed"),
        ("Which one is heavier?", "closed"),
        ("The rock went straight down.", "none"),
        ("i think heavy things sink", "none"),
        ("okay", "none"),
        ("", "none"),
        ("🙂", "none"),
    ],
)
def test_a_question_is_known_by_its_words_with_or_without_a_mark(text, kind):
    assert classify_question(text) == kind


def test_a_question_mark_alone_makes_a_question_likelier():
    assert question_probability("the red one?") > question_probability("the red one.") + 0.3


def test_a_stutter_does_not_hide_a_question():
    assert classify_question("do you do you w want to to test it") == "closed"


LINES = (
    "Why does the log float?",
    "It is light.",
    "Is it lighter than the coin?",
    "No, it is much heavier.",
    "how do you explain that",
    "The wood has more volume.",
    "What do you think, Owen?",
    "Maybe because of the air.",
    "Did anyone measure it?",
    "Yes, we did.",
)


def test_questions_are_counted_by_turns_and_quoted():
    measure = questions(talk(*LINES))
    assert (measure.value, measure.n, measure.status) == (50.0, 10, "ok")
    assert measure.details == {"questions": 5, "open": 3, "closed": 2}
    assert [e.quote for e in measure.evidence] == list(LINES[0:9:2])
    assert measure.evidence[1].note == "closed"
    assert open_questions(talk(*LINES)).value == pytest.approx(3 / 5)


def test_the_teachers_questions_are_not_the_groups():
    said = talk(*LINES).utterances
    teacher = say("t", 90, 92, "Why is that?", role="teacher")
    assert questions(discuss(*said, teacher)).details["questions"] == 5


def test_two_questions_in_one_utterance_are_two():
    lines = ("Then what else is different? Why would it stay up?", *LINES[1:])
    assert questions(talk(*lines)).details["questions"] == 6


def test_too_little_talk_gives_no_number():
    measure = questions(talk(*LINES[:4]))
    assert (measure.status, measure.value, measure.n) == ("not_enough", None, 4)
    assert open_questions(talk(*LINES[:6])).status == "not_enough"


def test_another_language_gives_no_number():
    spanish = discuss(*talk(*LINES).utterances, language="es")
    assert questions(spanish).status == open_questions(spanish).status == "not_enough"


def test_words_that_were_not_heard_do_not_count():
    doubtful = [
        say("ana", i * 5.0, i * 5.0 + 4, line, confidence=0.2) for i, line in enumerate(LINES)
    ]
    measure = questions(discuss(*doubtful))
    assert (measure.status, measure.n, measure.coverage) == ("not_enough", 0, 0.0)
