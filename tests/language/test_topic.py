import pytest
from discussion_builders import discuss, say, talk
from hypothesis import given
from hypothesis import strategies as st

from classweave.language.topic import (
    cohesion,
    cosine,
    on_topic,
    topical_cohesion,
    vector,
    with_context,
)

words = st.sampled_from(["leaf", "light", "water", "root", "glucose", "river", "cloud", "engine"])
texts = st.lists(st.lists(words, min_size=1, max_size=6).map(" ".join), min_size=2, max_size=7)


@given(texts)
def test_cosines_are_bounded_symmetric_and_one_with_themselves(found):
    a, b = vector(found[0]), vector(found[1])
    assert 0.0 <= cosine(a, b) <= 1.0 + 1e-9
    assert cosine(a, b) == pytest.approx(cosine(b, a))
    assert cosine(a, a) == pytest.approx(1.0)


@given(texts)
def test_the_baseline_is_the_mean_over_all_pairs_and_so_over_all_orders(found):
    vectors = [vector(text) for text in found]
    pairs = [cosine(a, b) for i, a in enumerate(vectors) for b in vectors[:i]]
    assert cohesion(vectors)[1] == pytest.approx(sum(pairs) / len(pairs), abs=1e-9)
    assert cohesion(vectors)[1] == pytest.approx(cohesion(vectors[::-1])[1], abs=1e-9)


def test_talk_in_threads_coheres_and_mixed_talk_does_not():
    plants = ["the leaf needs light", "light on the leaf makes sugar", "sugar feeds the leaf"]
    rivers = ["the river floods the valley", "a valley river carries sand", "sand fills the river"]
    thread = talk(*plants * 2, *rivers * 2)
    mixed = talk(*[line for pair in zip(plants * 2, rivers * 2, strict=True) for line in pair])
    assert topical_cohesion(thread).value > 0.1 > topical_cohesion(mixed).value


@given(st.lists(st.floats(0, 1), max_size=30))
def test_context_only_adds_and_fades(scores):
    around = with_context(scores)
    assert len(around) == len(scores)
    assert all(b >= a for a, b in zip(scores, around, strict=True))
    assert all(b <= 1 + 2 * sum(0.7**k for k in range(1, 6)) for b in around)


def _lesson(*lines: str):
    said = talk(*lines).utterances
    return discuss(
        *said,
        concepts=("photosynthesis", "chlorophyll"),
        goal="Explain how plants turn light into energy",
        title="Photosynthesis",
    )


def test_on_topic_tells_the_lesson_from_the_weekend():
    lesson = ["chlorophyll catches the light energy", "the plants turn it into sugar energy"] * 6
    weekend = ["we watched a football game yesterday", "my brother scored a great goal"] * 6
    assert on_topic(_lesson(*lesson)).value == 1.0
    assert on_topic(_lesson(*lesson)).evidence
    off = on_topic(_lesson(*weekend))
    assert off.value <= 0.5
    mixed = on_topic(_lesson(*lesson, *weekend)).value
    assert off.value < mixed < 1.0


def test_without_a_lesson_or_enough_turns_it_declines():
    assert "no concepts" in on_topic(talk("the leaf needs light")).reason
    assert on_topic(_lesson("the leaf needs light")).status == "not_enough"
    assert topical_cohesion(discuss(say("ana", 0, 1, ""))).status == "not_enough"
