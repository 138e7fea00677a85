import pytest
from discussion_builders import discuss, talk

from classweave.language.argumentation import argumentation, claims, evidence, marks, reasoning


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I think heavy things sink", {"claim"}),
        ("it sinks because iron is dense", {"reasoning"}),
        ("according to the book wood floats", {"evidence"}),
        ("but the candle floated", {"counter"}),
        ("if you add salt the egg floats", {"reasoning"}),
        ("do you think it should sink", set()),
        ("the red boat", set()),
    ],
)
def test_markers(text, found):
    assert marks(text) == found


BARE_CLAIM = "I think heavy things sink"
FILLER = "the boat was in the tank"


def test_shares_are_of_turns_with_content():
    window = talk(*(BARE_CLAIM, "it sinks because iron is dense", FILLER, "okay") * 5)
    assert claims(window).n == 15
    assert claims(window).value == reasoning(window).value == pytest.approx(1 / 3)
    assert evidence(window).value == 0.0
    assert "lower bound" in claims(window).reason


def test_depth_counts_what_backs_or_contests_a_claim_within_three_turns():
    backed = talk(*(BARE_CLAIM, FILLER, FILLER, "because iron is dense metal") * 8)
    too_late = talk(*(BARE_CLAIM, FILLER, FILLER, FILLER, "because iron is dense metal") * 8)
    contested = talk(*(BARE_CLAIM, "but the candle floated", FILLER, FILLER) * 8)
    assert argumentation(backed).details == {"backed": 1.0, "contested": 0.0}
    assert argumentation(too_late).value == 0.0
    assert argumentation(contested).details == {"backed": 0.0, "contested": 1.0}
    assert len(argumentation(contested).evidence) == 8


def test_few_claims_are_uncertain_and_fewer_no_number():
    six = talk(*(BARE_CLAIM, FILLER) * 6)
    four = talk(*(BARE_CLAIM, FILLER) * 4)
    assert (argumentation(six).status, argumentation(six).n) == ("uncertain", 6)
    assert argumentation(four).status == "not_enough"


def test_another_language_gives_no_number():
    window = discuss(*talk(*[BARE_CLAIM] * 12).utterances, language="fr")
    for take in (claims, evidence, reasoning, argumentation):
        assert take(window).status == "not_enough"
