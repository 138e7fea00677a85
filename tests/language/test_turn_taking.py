import pytest
from discussion_builders import discuss, say, talk

from classweave.language.turn_taking import (
    answer_gap,
    is_backchannel,
    turn_taking,
    turns,
    wait_time,
)


def test_pauses_within_a_speaker_join_and_long_ones_part():
    d = discuss(say("ana", 0, 3), say("ana", 5, 8), say("ana", 20, 22), say("bo", 23, 25))
    assert [(t.speaker, t.start, t.end) for t in turns(d)] == [
        ("ana", 0, 8),
        ("ana", 20, 22),
        ("bo", 23, 25),
    ]


def test_assent_while_another_speaks_takes_no_turn_but_an_answer_does():
    over = discuss(say("ana", 0, 10), say("bo", 4, 5, "yeah, mm-hm"), say("ana", 11, 12))
    assert len(turns(over)) == 1
    after = discuss(say("ana", 0, 10), say("bo", 11, 12, "yeah"))
    assert len(turns(after)) == 2


@pytest.mark.parametrize("text", ["Yeah.", "mm-hmm", "okay, right", "Uh-huh!", "😀"])
def test_backchannels(text):
    assert is_backchannel(text)


@pytest.mark.parametrize("text", ["because it melts", "why", "yeah but no but yes"])
def test_no_backchannels(text):
    assert not is_backchannel(text)


def test_turn_taking_is_the_share_picked_up_in_time():
    said = [say("ana" if i % 2 else "bo", 10 * i, 10 * i + 8) for i in range(20)]
    quick = turn_taking(discuss(*said, seconds=200))
    assert quick.value == pytest.approx(1.0)
    assert quick.status == "ok"
    assert quick.details["turns_per_minute"] == pytest.approx(6.0)
    assert quick.details["mean_turn_seconds"] == pytest.approx(8.0)
    slow = [say("ana" if i % 2 else "bo", 10 * i, 10 * i + 7) for i in range(20)]
    measured = turn_taking(discuss(*slow, seconds=200))
    assert measured.value == 0.0
    assert measured.details["switch_share"] == 1.0


def test_the_gap_is_the_median_and_negative_in_overlap():
    ends = [8, 18, 28, 38, 48, 58, 68]
    said = [say("ana" if i % 2 else "bo", e - 8, e - 1) for i, e in enumerate(ends)]
    assert answer_gap(discuss(*said)).value == pytest.approx(3.0)
    over = [say("ana" if i % 2 else "bo", e - 8, e + 3) for i, e in enumerate(ends)]
    gap = answer_gap(discuss(*over))
    assert gap.value == pytest.approx(-1.0)
    assert gap.details["overlapped_share"] == 1.0


def test_wait_time_is_the_silence_after_questions_alone():
    said = []
    for i, wait in enumerate([1.0, 2.0, 4.0]):
        start = 30.0 * i
        said.append(say("ms", start, start + 5, "Why does the ice melt?", role="teacher"))
        said.append(say("ana", start + 5 + wait, start + 15, "It is warm in the room."))
    measure = wait_time(discuss(*said))
    assert measure.value == pytest.approx(2.0)
    assert measure.details["teacher"] == pytest.approx(2.0)
    assert (measure.n, measure.status) == (3, "uncertain")
    assert measure.evidence[0].note == "1 s of silence followed"


@pytest.mark.parametrize("take", [turn_taking, answer_gap, wait_time])
def test_not_enough_and_shared(take):
    assert take(talk("hello there")).status == "not_enough"
    assert "One device" in take(discuss(say(None, 0, 9))).reason


def test_there_is_no_silence_after_a_question_while_another_still_talks():
    said = []
    for i in range(3):
        start = 40.0 * i
        said += [
            say("bo", start, start + 20, "I keep on telling how the ice got so small"),
            say("ana", start + 5, start + 8, "Why does the ice melt?"),
            say("cy", start + 21, start + 24, "It is warm in the room."),
        ]
    # Ana asks until 8, Bo talks until 20, Cy begins at 21: nobody let a silence of 13 s stand.
    # Only the second between Bo's end and Cy's start is silent.
    assert wait_time(discuss(*said)).value == pytest.approx(1.0)


def test_questions_are_not_looked_for_in_another_language():
    said = [say("ana" if i % 2 else "bo", 5.0 * i, 5.0 * i + 3, "¿Por qué?") for i in range(8)]
    assert wait_time(discuss(*said, language="es")).status == "not_enough"
