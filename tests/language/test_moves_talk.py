import time

import pytest
from discussion_builders import discuss, say, talk

from classweave.language.argumentation import argumentation
from classweave.language.questions import questions
from classweave.language.talk_moves import Said, classify_turn, student_moves, teacher_moves
from classweave.language.transactivity import transactivity
from classweave.language.uptake import uptake

ASKED = (Said("How many halves are in two?", "teacher"),)
ANSWERED = (*ASKED, Said("There are four halves in two.", "student", "ana"))
PEER = (Said("The log is lighter than water.", "student", "ana"),)


@pytest.mark.parametrize(
    ("text", "previous", "label"),
    [
        ("I agree with Ana.", PEER, "relate"),
        ("What do you mean?", PEER, "ask"),
        ("i don't understand", ASKED, "ask"),
        ("Four.", ASKED, "claim"),
        ("Because two halves make a whole.", ASKED, "evidence"),
        ("Thank you.", ASKED, "none"),
    ],
)
def test_moves_of_students(text, previous, label):
    move = classify_turn(text, previous, "student", "bo")
    assert (move.label, move.certain) == (label, True)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Does that make sense?", "together"),
        ("Do you agree with what she said?", "get_to_relate"),
        ("There are four halves in two.", "restate"),
        ("So four pieces, each one a half.", "revoice"),
        ("What is the denominator?", "press_accuracy"),
        ("Why do you think so?", "press_reasoning"),
        ("Okay.", "none"),
    ],
)
def test_moves_of_teachers(text, label):
    move = classify_turn(text, ANSWERED, "teacher")
    assert (move.label, move.certain) == (label, True)


def test_a_word_back_is_restating_only_after_a_student_said_it():
    assert classify_turn("Four halves.", ANSWERED, "teacher").label == "restate"
    assert classify_turn("Four halves.", ASKED, "teacher").label != "restate"


def test_a_rising_voice_is_still_an_answer():
    assert classify_turn("Two?", ASKED, "student").label == "claim"


def test_weak_signs_are_not_certain():
    move = classify_turn("and the boat was over there", PEER, "student", "bo")
    assert not move.certain


def test_ones_own_sentence_before_is_not_another_students():
    alone = classify_turn("It floats on the top.", PEER, "student", "ana")
    answering = classify_turn("It floats on the top.", PEER, "student", "bo")
    assert answering.label == "relate"
    assert alone.label != "relate"


def test_nothing_said_is_no_move():
    assert classify_turn("[inaudible]", (), "student") == ("none", 0.0, True)


DEBATE = (
    "I agree with Bo because the wood is light.",
    "I don't understand, what do you mean?",
    "Because it has more volume.",
    "I disagree with that.",
    "Because the coin is smaller and it still sank.",
)


def test_student_moves_are_rates_with_the_words_behind_them():
    measure = student_moves(talk(*DEBATE * 2))
    assert measure.n == 10
    assert measure.details["ask"] == 20.0
    assert measure.details["relate"] == 40.0
    rates = ("relate", "ask", "claim", "evidence")
    assert measure.value == pytest.approx(sum(measure.details[rate] for rate in rates))
    assert {e.quote for e in measure.evidence} <= set(DEBATE)


def test_many_undecided_sentences_make_the_rate_uncertain():
    measure = student_moves(talk(*["and the boat was over there"] * 12))
    assert measure.details["abstained"] > 0.5
    assert measure.status == "uncertain"
    assert "No clear move" in measure.reason


def test_without_a_teacher_there_are_no_teacher_moves():
    assert teacher_moves(talk(*DEBATE * 2)).status == "not_enough"


def test_teacher_moves_count_the_teachers_turns():
    lines = [
        utterance
        for i in range(10)
        for utterance in (
            say("ana", i * 10, i * 10 + 3, "The wood is light."),
            say("t", i * 10 + 4, i * 10 + 6, "Why do you think so?", role="teacher"),
        )
    ]
    measure = teacher_moves(discuss(*lines))
    assert (measure.n, measure.details["press_reasoning"]) == (10, 100.0)


def test_a_window_of_600_words_is_measured_in_time_for_the_console():
    lines = [f"{DEBATE[i % 5]} We counted {i} spoons of salt in the tank" for i in range(40)]
    window = talk(*lines)
    assert 500 < sum(len(line.split()) for line in lines) < 800
    measures = (questions, student_moves, uptake, argumentation, transactivity)
    for take in measures:
        take(window)
    began = time.perf_counter()
    for take in measures:
        take(window)
    # 10 ms on a quiet machine; the margin is for a busy one
    assert time.perf_counter() - began < 0.3
