import json
import math
import time
from dataclasses import asdict, replace

import pytest
from discussion_builders import discuss, live, say, talk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classweave.language.measure import MEASURES, measure_discussion
from classweave.language.transcript import Discussion, Utterance, Word

NAMES = """
participation_equality dominance silent_members turn_taking answer_gap wait_time interruptions
questions open_questions talk_moves uptake claims evidence reasoning argumentation transactivity
topical_cohesion on_topic lexical_density lexical_diversity academic_vocabulary conceptual_density
sentiment supportive_interactions conflict words_per_minute
"""

LINES = (
    "I think the ice melts because the room is warm.",
    "But why would it melt faster in salt water?",
    "Good point, so if the salt goes in then the temperature changes.",
    "According to our data the salt one melted in four minutes.",
    "How do you know that it was the salt?",
    "Building on what you said, we could compare two cups.",
    "That's a good idea, let's measure both with the thermometer.",
    "I disagree, the cups are not the same size.",
)

text = st.one_of(
    st.sampled_from(LINES),
    st.text(max_size=80),
    st.sampled_from(
        ["", "   ", "😀😀", "שלום עולם", "مرحبا كيف حالك", "?", "a" * 500, "\u200f\u0000"]
    ),
)
seconds = st.floats(0, 400)


@st.composite
def utterances(draw, number: int) -> Utterance:
    start, other = draw(seconds), draw(seconds)
    said = draw(text)
    words = draw(st.booleans()) and said.split()
    return Utterance(
        id=f"u{number}",
        track=draw(st.sampled_from(["a", "b", "c"])),
        speaker=draw(st.sampled_from(["ana", "bo", "cy", None])),
        start=min(start, other),
        end=max(start, other) if draw(st.booleans()) else min(start, other),
        text=said,
        words=tuple(Word(w, start, start, draw(st.floats(0, 1))) for w in words or ()),
        confidence=draw(st.none() | st.floats(0, 1)),
        role=draw(st.sampled_from(["student", "student", "student", "teacher"])),
    )


@st.composite
def discussions(draw) -> Discussion:
    n = draw(st.integers(0, 25))
    said = sorted((draw(utterances(i)) for i in range(n)), key=lambda u: u.start)
    return Discussion(
        tuple(said),
        draw(st.sampled_from([(), ("ana",), ("ana", "bo", "cy", "di")])),
        0.0,
        draw(st.sampled_from([0.0, 200.0, 400.0])),
        tracks=draw(st.sampled_from([(), live("ana bo cy di", 400)])),
        concepts=draw(st.sampled_from([(), ("salt", "melting point"), ("", "😀")])),
        goal=draw(text),
        language=draw(st.sampled_from(["en", "en", "es", "xx", ""])),
    )


def test_every_promised_measure_has_a_name_a_meaning_and_one_home():
    assert set(NAMES.split()) <= set(MEASURES)
    for name, info in MEASURES.items():
        assert info.name == name
        assert info.title
        assert info.explanation.endswith(".")
    assert [m.name for m in measure_discussion(talk(*LINES))] == list(MEASURES)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(discussions())
def test_any_discussion_at_all_is_measured_within_bounds_or_declined_with_a_reason(d):
    for m in measure_discussion(d):
        info = MEASURES[m.name]
        assert (m.value is None) == (m.status == "not_enough")
        assert m.status == "ok" or m.reason
        assert 0.0 <= m.coverage <= 1.0 + 1e-9
        assert m.n >= 0
        assert m.unit == info.unit
        assert all(math.isfinite(x) for x in m.details.values())
        if m.value is not None:
            low, high = info.bounds
            assert low is None or m.value >= low - 1e-9
            assert high is None or m.value <= high + 1e-9
        known = {u.id for u in d.utterances} | {""}
        assert all(e.utterance in known for e in m.evidence)
        json.dumps(asdict(m))


@settings(max_examples=40, deadline=None)
@given(discussions(), st.randoms())
def test_the_order_of_members_and_of_tracks_does_not_matter(d, rng):
    members, tracks = list(d.members), list(d.tracks)
    rng.shuffle(members)
    rng.shuffle(tracks)
    other = replace(d, members=tuple(members), tracks=tuple(tracks))
    for a, b in zip(measure_discussion(d), measure_discussion(other), strict=True):
        assert (a.value is None) == (b.value is None)
        assert a.value is None or a.value == pytest.approx(b.value)


def test_a_rich_discussion_is_measured_throughout():
    d = replace(
        talk(*LINES * 4, speakers="ana bo cy"),
        tracks=live("ana bo cy", 160),
        concepts=("ice", "salt", "temperature"),
        goal="Find out why ice melts",
    )
    measures = {m.name: m for m in measure_discussion(d)}
    assert {n for n, m in measures.items() if m.value is None} <= {"teacher_moves"}
    assert measures["participation_equality"].value > 0.95
    assert measures["on_topic"].value > 0.8
    assert measures["open_questions"].value > 0.5


def test_tone_can_be_switched_off():
    off = measure_discussion(talk(*LINES), sentiment=False)
    assert "sentiment" not in {m.name for m in off}
    assert len(off) == len(MEASURES) - 1


def test_a_badly_heard_window_is_at_best_uncertain():
    d = talk(*LINES * 4)
    doubtful = tuple(
        replace(u, words=tuple(Word(w, u.start, u.end, 0.9 if i % 3 else 0.2)
                               for i, w in enumerate(u.text.split())), confidence=0.4)
        for u in d.utterances
    )  # fmt: skip
    half = replace(d, utterances=doubtful, tracks=live("ana bo cy", 70))
    for m in measure_discussion(half):
        assert m.status != "ok" or m.coverage >= 0.5


def test_a_window_takes_little_time():
    lines = [f"{line} {i} {i + 1} and {i + 2}" for i in range(7) for line in LINES]
    d = talk(*lines, seconds_each=2.0)
    measure_discussion(d)
    begun = time.process_time()
    measure_discussion(replace(d, concepts=("ice", "salt")))
    assert time.process_time() - begun < 1.0  # a tripwire; bench/measures.py has the figure


def test_zero_length_and_empty_windows():
    nothing = Discussion((), (), 0.0, 0.0)
    assert all(m.value is None for m in measure_discussion(nothing))
    blips = discuss(*(say("ana" if i % 2 else "bo", i, i, "") for i in range(40)))
    assert measure_discussion(blips)
