from dataclasses import replace

import pytest
from discussion_builders import discuss, live, say, talk
from hypothesis import given, settings
from hypothesis import strategies as st

from classweave.language.advice import how, next_steps
from classweave.language.measure import measure_discussion
from classweave.language.summarise import GroupTalk, is_quotable, summarise, summarise_session
from classweave.language.transcript import Discussion, Measure, Word

LINES = (
    "I think the salt lowers the melting point of the ice.",
    "Our thermometer showed minus four degrees in the salt cup.",
    "So the salt cup melted faster because the melting point went down.",
    "Yeah, maybe.",
    "What did you have for lunch today, was it pizza again?",
    "But I disagree, because the plain cup stood nearer to the window.",
    "Then we should repeat it with both cups at the same place.",
    "The conclusion is that salt changes the freezing temperature of water.",
)
CONCEPTS = ("melting point", "salt", "freezing temperature", "pressure")


def lesson(*lines: str, **more) -> Discussion:
    d = talk(*lines, speakers="ana bo cy")
    return replace(d, tracks=live("ana bo cy", d.seconds), concepts=CONCEPTS, **more)


def summary_of(d: Discussion, past=None):
    return summarise(d, measure_discussion(d), past)


def test_lines_are_verbatim_in_time_order_and_on_the_matter():
    d = lesson(*LINES)
    found = summary_of(d)
    by_id = {u.id: u for u in d.utterances}
    assert 3 <= len(found.what) <= 4
    assert [q.start for q in found.what] == sorted(q.start for q in found.what)
    assert all(q.text == by_id[q.utterance].text for q in found.what)
    assert not any("pizza" in q.text for q in found.what)
    assert "salt" in " ".join(found.key_terms)
    assert found.concepts_named == CONCEPTS[:3]
    assert found.concepts_missing == ("pressure",)
    assert found.reason == ""


def test_what_was_badly_heard_is_never_quoted():
    d = lesson(*LINES * 2)
    doubtful = tuple(replace(u, confidence=0.4) if i % 2 else u for i, u in enumerate(d.utterances))
    quoted = {q.utterance for q in summary_of(replace(d, utterances=doubtful)).what}
    assert quoted
    assert not quoted & {u.id for u in doubtful if u.confidence == 0.4}
    words = tuple(Word(w, 0, 1, 0.9 if i else 0.1) for i, w in enumerate(["the", "ice", "melts"]))
    assert not is_quotable(say("ana", 0, 1, "the ice melts", words=words, confidence=0.7))


def test_too_little_says_so_and_quotes_nothing():
    found = summary_of(lesson("The ice melts.", "Yes it does."))
    assert found.what == ()
    assert found.concepts_missing == ()
    assert found.reason == "Only 6 words so far; a summary needs 60."
    assert "Not enough was heard to judge" in found.how[-1]


def test_nothing_quotable_says_so():
    d = lesson(*LINES)
    d = replace(d, utterances=tuple(replace(u, confidence=0.55) for u in d.utterances))
    assert "clearly enough to quote" in summary_of(d).reason


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 300))
def test_any_length_is_summarised_in_a_page(n):
    lines = [f"{LINES[i % len(LINES)]} run {i // 8}" for i in range(n)]
    found = summary_of(lesson(*lines))
    assert len(found.what) <= 10
    assert len({q.utterance for q in found.what}) == len(found.what)
    assert len(found.moments) <= 10
    assert len(found.next_steps) <= 3


def test_moments_say_where_and_why():
    d = discuss(
        say("ana", 0, 70, "I will explain all of it now"),
        say("bo", 72, 76, "It melts because the salt is there"),
        say("cy", 77, 80, "For example our data shows it"),
        say("ana", 81, 84, "Therefore it is the salt, because the cup was the same"),
        say("bo", 140, 142, "Hello"),
        members="ana bo cy",
        tracks=live("ana bo cy"),
    )
    moments = {m.kind: m for m in summary_of(d).moments}
    assert (moments["one_voice"].start, moments["one_voice"].end) == (0, 70)
    assert moments["silence"].end == 140
    assert "56 seconds" in moments["silence"].why
    assert moments["reasoning"].quote.speaker in {"ana", "bo", "cy"}
    assert moments["reasoning"].start <= 72 < moments["reasoning"].end <= 84


def test_silence_of_a_dead_microphone_is_no_moment():
    d = discuss(say("ana", 0, 5), say("bo", 100, 105), tracks=live("ana bo", 60))
    assert "silence" not in {m.kind for m in summary_of(d).moments}


def _measure(name: str, value: float, **more) -> Measure:
    return Measure(name, value, more.pop("n", 4), "members", 1.0, **more)


def test_values_stand_against_the_class_s_own_past():
    past = {"dominance": [0.3, 0.35, 0.4, 0.42, 0.45]}
    assert "more than in most" in how([_measure("dominance", 0.8)], past)[0]
    assert "less than in most" in how([_measure("dominance", 0.2)], past)[0]
    assert "usual for this class" in how([_measure("dominance", 0.4)], past)[0]
    assert how([_measure("dominance", 0.4)], {"dominance": [0.4]}) == [
        "The member who talked most had 40 % of the talk."
    ]


def test_steps_come_from_steady_values_and_devices_come_first():
    silent = _measure("silent_members", 1.0, details={"not_heard": 1.0})
    doubtful = _measure("on_topic", 0.1, status="uncertain", reason="Few turns so far.")
    loud = _measure("dominance", 0.9, details={"alarm": 1.0})
    steps = next_steps([loud, doubtful, silent])
    assert steps[0].startswith("Check the devices first: 1 member could")
    assert "quiet members" in steps[1]
    assert "roles" in steps[2]
    assert not any("goal" in step for step in steps)


def _group(name: str, d: Discussion) -> GroupTalk:
    measures = measure_discussion(d)
    return GroupTalk(name, d, measures, summarise(d, measures))


def test_a_session_compares_its_groups_and_names_the_unheard():
    off = ["We watched the football game on television yesterday evening."] * 24
    found = summarise_session(
        [
            _group("Red", lesson(*LINES * 3)),
            _group("Blue", lesson(*off)),
            _group("Green", lesson("Hm.")),
        ]
    )
    assert set(found.what) == {"Red", "Blue"}
    assert "salt" in found.what["Red"].text
    assert found.concepts_missing == ("pressure",)
    assert any("least in Blue" in line and "most in Red" in line for line in found.how)
    assert any("Green" in line for line in found.how)


@pytest.mark.parametrize("groups", [[], [_group("Red", lesson("Hm."))]])
def test_a_session_without_talk_says_so(groups):
    assert summarise_session(groups).reason == "Too little was heard in any group."


def _known(name: str, value: float | None) -> GroupTalk:
    group = _group(name, lesson(*LINES))
    measure = _measure("participation_equality", 0.0 if value is None else value)
    return replace(group, measures=[] if value is None else [measure])


def test_groups_are_alike_only_as_far_as_is_known():
    some = summarise_session([_known("Red", 0.80), _known("Blue", 0.84), _known("Green", None)])
    # (0.80 + 0.84) / 2 = 0.82, of two of the three groups.
    assert some.how == (
        "Equal participation: alike in the 2 of 3 groups with a steady value, about 0.82."
        " Of the others too little is known.",
    )
    all_of_them = summarise_session([_known("Red", 0.80), _known("Blue", 0.84)])
    assert all_of_them.how == ("Equal participation: all 2 groups alike, about 0.82.",)
    apart = summarise_session([_known("Red", 0.5), _known("Blue", 0.84), _known("Green", None)])
    assert apart.how == (
        "Equal participation: least in Red (0.5), most in Blue (0.84), of 2 of 3 groups with a"
        " steady value.",
    )
    assert summarise_session([_known("Red", 0.5), _known("Green", None)]).how == ()
