import pytest
from discussion_builders import discuss, live, say
from hypothesis import given
from hypothesis import strategies as st

from classweave.language.participation import (
    dominance,
    entropy,
    equality,
    participation_equality,
    silent_members,
    speaking_seconds,
    union_seconds,
)
from classweave.language.transcript import Track

amounts = st.lists(st.floats(0, 1e4), min_size=2, max_size=8).filter(lambda x: sum(x) > 1e-3)


@given(amounts, st.randoms())
def test_equality_and_entropy_are_bounded_and_ignore_the_order_of_members(values, rng):
    shuffled = list(values)
    rng.shuffle(shuffled)
    for share in (equality, entropy):
        assert 0.0 <= share(values) <= 1.0
        assert share(shuffled) == pytest.approx(share(values), abs=1e-9)


@given(amounts, st.floats(0.01, 100))
def test_equality_does_not_depend_on_the_unit(values, factor):
    assert equality([x * factor for x in values]) == pytest.approx(equality(values), abs=1e-9)


@given(st.integers(2, 8), st.floats(1, 1e4))
def test_equality_is_one_for_all_alike_and_zero_for_one_voice(n, x):
    assert equality([x] * n) == pytest.approx(1.0)
    assert equality([x] + [0.0] * (n - 1)) == pytest.approx(0.0)


def test_equality_by_hand():
    # |60-30| + |60-10| + |30-10| = 100, twice over 2 * 3 * 100: G = 1/3, E = 1 - G * 3/2.
    assert equality([60, 30, 10]) == pytest.approx(0.5)


@pytest.mark.parametrize("bad", [[], [3.0], [0.0, 0.0]])
def test_equality_refuses_what_cannot_be_compared(bad):
    with pytest.raises(ValueError, match="two members"):
        equality(bad)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=12))
def test_union_is_between_the_longest_and_the_sum(pairs):
    spans = [(min(p), max(p)) for p in pairs]
    lengths = [b - a for a, b in spans]
    assert max(lengths, default=0.0) - 1e-9 <= union_seconds(spans) <= sum(lengths) + 1e-9


def test_a_silent_member_lowers_equality_and_is_counted():
    d = discuss(
        say("ana", 0, 60), say("bo", 60, 120), members="ana bo cy", tracks=live("ana bo cy")
    )
    assert participation_equality(d).value == pytest.approx(0.5)
    silent = silent_members(d)
    assert (silent.value, silent.n, silent.status) == (1.0, 3, "ok")
    assert silent.details["silent:cy"] == 1.0
    assert dominance(d).value == pytest.approx(0.5)


@pytest.mark.parametrize(
    "track",
    [
        Track("cy", "cy", 180, 180, muted=True),
        Track("cy", "cy", 100, 100),
        Track("cy", "cy", 180, 20),
    ],
    ids=["muted", "away", "dead"],
)
def test_who_was_not_heard_is_not_silent_and_not_counted_in_equality(track):
    d = discuss(
        say("ana", 0, 60),
        say("bo", 60, 120),
        members="ana bo cy",
        tracks=(*live("ana bo"), track),
    )
    silent = silent_members(d)
    assert silent.value == 0.0
    assert silent.details["not_heard:cy"] == 1.0
    equal = participation_equality(d)
    assert equal.value == pytest.approx(1.0)
    assert equal.status == "uncertain"
    assert "not heard" in equal.reason


def test_two_tracks_of_a_member_who_reconnected_add_up():
    tracks = (*live("ana"), Track("b1", "bo", 90, 90), Track("b2", "bo", 85, 85))
    assert silent_members(discuss(members="ana bo", tracks=tracks)).value == 2.0


def test_a_shared_device_says_nothing_of_members():
    d = discuss(say(None, 0, 90), members="ana bo")
    for take in (participation_equality, dominance, silent_members):
        measure = take(d)
        assert measure.status == "not_enough"
        assert measure.value is None
        assert "One device" in measure.reason


def test_little_talk_is_not_enough():
    d = discuss(say("ana", 0, 5), say("bo", 5, 10))
    assert "10 seconds" in participation_equality(d).reason


def test_the_teacher_is_no_member_and_time_outside_the_window_does_not_count():
    d = discuss(say("ms", 0, 50, role="teacher"), say("ana", -10, 20), say("bo", 170, 999))
    assert speaking_seconds(d) == {"ana": 20.0, "bo": 10.0}


def test_dominance_alarms_half_way_to_a_monologue():
    d = discuss(say("ana", 0, 70), say("bo", 70, 90), say("cy", 90, 100))
    measure = dominance(d)
    assert measure.value == pytest.approx(0.7)
    assert measure.details["alarm_share"] == pytest.approx(2 / 3)
    assert measure.details["alarm"] == 1.0
    assert measure.evidence[0].utterance == "ana-0"


def test_who_may_have_talked_in_unread_sound_is_not_called_silent():
    said = [say("ana", 0, 60), say("bo", 60, 120), say("cy", 120, 122)]
    # Cy has 2 s of the 5 s that make one heard; 4 s unread could be talk, 2 s could not.
    for unread, value, not_heard in ((4.0, 0.0, 1.0), (2.0, 1.0, 0.0)):
        tracks = (*live("ana bo"), Track("cy", "cy", 180.0, 180.0 - unread, unread_seconds=unread))
        measure = silent_members(discuss(*said, members="ana bo cy", tracks=tracks))
        assert (measure.value, measure.details["not_heard"]) == (value, not_heard)
