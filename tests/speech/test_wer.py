import pytest

from classweave.speech.wer import normalise, word_errors


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Don’t — stop!", "don't stop"),
        ('\'Tis a well-known fact, "she" said.', "tis a well known fact she said"),
        ("¿Qué pasó?", "qué pasó"),
        ("3.5 kg", "35 kg"),
        ("  ", ""),
    ],
)
def test_normalisation_is_minimal(text: str, plain: str) -> None:
    assert normalise(text) == plain


def test_errors_are_counted_by_kind() -> None:
    errors = word_errors(["the cat sat on the mat", "yes"], ["the cat sit on mat", "yes yes"])
    assert (errors.substitutions, errors.deletions, errors.insertions) == (1, 1, 1)
    assert errors.rate == pytest.approx(3 / 7)


def test_words_where_nobody_spoke_are_insertions() -> None:
    assert word_errors([""], ["you"]).insertions == 1
    assert word_errors([""], [""]).rate == 0.0
    assert word_errors(["one two", ""], ["one two", "thank you"]).rate == pytest.approx(1.0)
