"""The code that changes every ten seconds, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from classweave.attend.check_in_code import (
    ALPHABET,
    CODE_LENGTH,
    STEP,
    accepts,
    code_of,
    step_of,
    time_left,
)

SECRET = bytes(range(32))
BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def test_a_code_is_of_its_step_and_secret() -> None:
    step = step_of(BEGIN)
    code = code_of(SECRET, step)
    assert len(code) == CODE_LENGTH
    assert set(code) <= set(ALPHABET)
    assert code == code_of(SECRET, step)
    assert len({code_of(SECRET, step + n) for n in range(1000)}) == 1000
    assert code != code_of(bytes(32), step)
    # Nothing in it can be taken for something else.
    assert not set(ALPHABET) & set("0O1IL5S2Z8B")


def test_the_letters_are_spread_evenly() -> None:
    drawn = "".join(code_of(SECRET, step) for step in range(8000))
    for letter in ALPHABET:
        assert drawn.count(letter) == pytest.approx(len(drawn) / len(ALPHABET), rel=0.1)


@pytest.mark.parametrize(
    ("age", "good"),
    [
        (timedelta(0), True),
        (timedelta(seconds=9.999), True),
        (timedelta(seconds=10), True),
        (timedelta(seconds=19.999), True),
        (timedelta(seconds=20), False),
        (timedelta(seconds=-0.001), False),
        (timedelta(days=1), False),
    ],
)
def test_the_present_and_the_previous_step_count(age: timedelta, good: bool) -> None:
    assert accepts(SECRET, code_of(SECRET, step_of(BEGIN)), BEGIN + age) is good


def test_it_is_read_as_people_type() -> None:
    code = code_of(SECRET, step_of(BEGIN))
    for typed in (code.lower(), f" {code[:3]} {code[3:]} ", f"{code[:3]}-{code[3:]}"):
        assert accepts(SECRET, typed, BEGIN)
    for typed in ("", code[:5], code + "A", "é" * 6, "\0", "😀"):
        assert not accepts(SECRET, typed, BEGIN)


def test_time_is_left_until_the_next() -> None:
    assert time_left(BEGIN) == STEP
    assert time_left(BEGIN + timedelta(seconds=9.5)) == timedelta(seconds=0.5)
    assert step_of(BEGIN + STEP) == step_of(BEGIN) + 1
