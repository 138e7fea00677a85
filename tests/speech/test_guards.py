import pytest

from classweave.speech import guards


@pytest.mark.parametrize(
    "text",
    [
        "no no no no no no no no no",
        "I think so, I think so, I think so, I think so, I think so.",
        "the plant the plant the plant the plant the plant the plant the plant the plant",
    ],
)
def test_loops_are_seen(text: str) -> None:
    assert guards.repeats(text)
    assert guards.doubtful(text, 30.0) == "repetition"
    assert guards.rejection(text, 30.0, 0.0, -0.1, [0.9]) == "repetition"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No, no, no, that is not what I meant.",
        "Because when the light is off, the leaves stop, and when it is on they go again.",
        "¿Por qué crees que la planta crece hacia la luz?",
    ],
)
def test_plain_speech_is_not_a_loop(text: str) -> None:
    assert not guards.repeats(text)


def test_more_words_than_a_mouth_can_say_are_refused() -> None:
    text = " ".join(f"word{number}" for number in range(20))
    assert guards.too_fast(text, 1.0)
    assert not guards.too_fast(text, 4.0)
    assert guards.rejection(text, 1.0, 0.0, -0.1, [0.9]) == "impossible word rate"


def test_a_decoding_without_an_end_is_tried_again() -> None:
    assert guards.doubtful("and then", 3.0, ended=False) == "no end of text"
    assert guards.doubtful("and then", 3.0) == ""


def test_no_speech_needs_both_signs() -> None:
    assert guards.rejection("hello", 2.0, 0.9, -1.5, [0.5]) == "no speech"
    assert guards.rejection("hello there", 2.0, 0.9, -0.2, [0.9, 0.9]) == ""


def test_a_phantom_phrase_is_refused_only_in_doubt() -> None:
    assert guards.rejection("Thank you.", 1.0, 0.1, -0.6, [0.3, 0.4]) == "phantom phrase"
    assert guards.rejection("Thank you.", 1.0, 0.05, -0.2, [0.95, 0.98]) == ""
    assert guards.rejection("Thank you for the leaf.", 1.5, 0.1, -0.6, [0.4] * 5) == ""


def test_punctuation_is_not_a_caption() -> None:
    assert guards.rejection("...", 2.0, 0.1, -0.3, [0.9]) == "no words"
    assert guards.rejection("", 2.0, 0.1, -0.3, []) == ""


def test_compression_tells_loops_from_speech() -> None:
    assert guards.compression_ratio("") == 0.0
    assert guards.compression_ratio("so " * 60) > guards.MAX_COMPRESSION_RATIO
    assert guards.compression_ratio("The roots take in water.") < 1.2
