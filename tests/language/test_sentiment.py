import pytest
from discussion_builders import discuss, talk

from classweave.language.sentiment import (
    conflict,
    conflict_phrases,
    polarity,
    sentiment,
    supportive_interactions,
    supportive_phrases,
)

HAPPY = "this is a great and lovely idea and I really love how well it works for everybody here"
GLOOMY = "this is a terrible and awful mess and I hate how badly it all goes wrong for us"


def test_the_arc_follows_the_minutes():
    d = talk(*[HAPPY] * 12, *[GLOOMY] * 12)
    measure = sentiment(d)
    assert measure.details["minute:0"] > 0.5 > -0.5 > measure.details["minute:1"]
    assert -1 <= measure.value <= 1


def test_no_evidence_of_tone_names_an_utterance_or_a_member():
    measure = sentiment(talk(*[HAPPY] * 12))
    assert measure.evidence
    assert all(e.utterance == "" for e in measure.evidence)
    assert not any(name in e.quote for e in measure.evidence for name in ("ana", "bo"))
    assert not any(key for key in measure.details if not key.startswith("minute:"))


def test_tone_needs_words_and_english():
    assert sentiment(talk("great")).status == "not_enough"
    d = talk(*[HAPPY] * 12)
    assert "English" in sentiment(discuss(*d.utterances, language="de")).reason
    assert polarity("😀") == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "That’s a good idea!",
        "Thank you",
        "I agree with Bo",
        "do you need help",
        "what do you think",
    ],
)
def test_support(text):
    assert supportive_phrases(text)


@pytest.mark.parametrize("text", ["I don't agree", "that's not a good idea", "it is a plant", ""])
def test_no_support(text):
    assert not supportive_phrases(text)


@pytest.mark.parametrize("text", ["Shut up!", "you're so annoying", "that's not fair", "stop it"])
def test_conflict(text):
    assert conflict_phrases(text)


@pytest.mark.parametrize(
    "text", ["I disagree", "I don't think so", "that's wrong because ice floats", "no, it is nine"]
)
def test_disagreeing_about_the_matter_is_no_conflict(text):
    assert not conflict_phrases(text)


def test_counts_with_their_words():
    d = talk("Shut up!", "I agree.", "It melts.", "Thanks, good idea.", "So what is next?")
    assert supportive_interactions(d).value == 2.0
    assert conflict(d).value == 1.0
    assert conflict(d).evidence[0].note == "shut up"
    assert conflict(talk("It melts.")).status == "not_enough"
