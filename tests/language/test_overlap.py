import pytest
from discussion_builders import discuss, say

from classweave.language.overlap import interruptions, is_cross_talk, is_interruption

FIRST = say("ana", 0, 10, "I was going to say that the plants need light")


@pytest.mark.parametrize(
    ("start", "end", "text", "expected"),
    [
        (9.0, 14, "no wait listen to me", True),
        (9.8, 14, "no wait listen to me", False),  # starts too late
        (8.0, 14, "no wait listen to me", False),  # the other talks on for two seconds
        (9.0, 9.7, "no wait listen to me", False),  # gives way itself
        (9.0, 14, "yeah right", False),  # a backchannel
        (9.0, 14, "wait no", False),  # two words
    ],
)
def test_interruption_by_the_thresholds(start, end, text, expected):
    assert is_interruption(FIRST, say("bo", start, end, text)) is expected


def test_one_voice_in_two_microphones_is_no_interruption():
    echo = say("bo", 9, 14, "the plants need light")
    assert is_cross_talk(FIRST, echo)
    assert not is_cross_talk(FIRST, say("bo", 9, 14, "no wait listen to me"))


def test_turns_that_wait_are_no_interruptions():
    said = [say("ana" if i % 2 else "bo", 10 * i, 10 * i + 10) for i in range(12)]
    calm = interruptions(discuss(*said))
    assert calm.value == 0.0
    assert calm.details["overlap_share"] == 0.0
    assert calm.status == "uncertain"


def test_rate_per_hundred_turns_and_overlap_share():
    lines = "red apple tree|blue car road|cold wet rain|hot dry sand|big old ship|new gold coin"
    texts = (lines + "|" + lines).split("|")
    said = [
        say("ana" if i % 2 else "bo", 10 * i - (i > 0), 10 * i + 10, text)
        for i, text in enumerate(texts)
    ]
    measure = interruptions(discuss(*said))
    assert measure.value == pytest.approx(100 * 11 / 12)
    assert measure.details["overlap_share"] == pytest.approx(11 / 120)


def test_a_mixed_microphone_tells_nothing():
    said = [say("ana" if i % 2 else "bo", i, i + 1, track="table") for i in range(20)]
    measure = interruptions(discuss(*said))
    assert measure.status == "not_enough"
    assert "share a microphone" in measure.reason
    assert "One device" in interruptions(discuss(say(None, 0, 5))).reason
