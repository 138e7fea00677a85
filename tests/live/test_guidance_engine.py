"""What the engine proposes on the demo's scripts, and what its limits hold back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from demo_talk import DEMO, snapshots, window

from classweave.language.transcript import Discussion, Evidence, Measure, Track, Utterance
from classweave.live.guidance.engine import (
    PastPrompt,
    Proposal,
    Snapshot,
    choose,
    propose,
)
from classweave.live.guidance.phase import phase_of
from classweave.live.guidance.quiet import quiet_seconds
from classweave.live.guidance.rules import Limits, Rule, default_rules, parse_rules
from classweave.live.states import Phase

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
RULES = default_rules().rules


def proposals_of(key: str) -> list[list[Proposal]]:
    """The proposals at each measurement of a demo group."""
    group = DEMO.group(key)
    history: list[Snapshot] = []
    found: list[list[Proposal]] = []
    for snapshot in snapshots(group):
        found.append(propose(RULES, group.name, snapshot, history))
        history.append(snapshot)
    return found


def test_the_group_with_one_voice_and_a_detour_gets_both_prompts() -> None:
    found = proposals_of("group_b")
    at_90 = [proposal.rule.id for proposal in found[2]]
    assert at_90[0] == "one-voice"
    assert {"drifting", "quiet-members"} <= set(at_90)
    drifting = next(p for p in found[2] if p.rule.id == "drifting")
    assert any("pizza" in e.quote or "game" in e.quote for e in drifting.evidence)
    # It finds its way back: nothing is left to say at the end.
    assert found[-1] == []


def test_the_good_group_is_only_told_of_its_quiet_member() -> None:
    found = proposals_of("group_a")
    assert {p.rule.id for proposals in found for p in proposals} == {"quiet-members"}
    first = next(p for proposals in found for p in proposals)
    assert "one member of Group A" in first.why


def test_a_prompt_names_no_student() -> None:
    names = {member.given_name for group in DEMO.groups for member in group.members}
    for key in ("group_a", "group_b", "reference"):
        for proposals in proposals_of(key):
            for proposal in proposals:
                said = proposal.message + proposal.why
                assert not any(name in said for name in names)
                assert "{" not in said


def test_every_proposal_quotes_the_words_behind_it() -> None:
    group = DEMO.group("group_b")
    spoken = {turn.text for turn in group.turns}
    for proposals in proposals_of("group_b"):
        for proposal in proposals:
            assert 1 <= len(proposal.evidence) <= 3
            assert all(evidence.quote in spoken for evidence in proposal.evidence)


def test_nothing_is_proposed_on_no_words() -> None:
    silence = Discussion((), ("a", "b"), 0.0, 30.0)
    assert propose(RULES, "Group", snapshot_of(Phase.DEVELOPMENT, quiet_seconds(silence)), []) == []


def measure(name: str, value: float | None, **more: object) -> Measure:
    fields: dict[str, object] = {"n": 100, "n_unit": "turns", "coverage": 1.0} | more
    if value is None:
        fields["status"] = "not_enough"
    return Measure(name=name, value=value, **fields)  # type: ignore[arg-type]


def snapshot_of(phase: Phase, *measures: Measure) -> Snapshot:
    by_name = {m.name: m for m in measures}
    return Snapshot(
        phase,
        {"recent": by_name, "rolling": by_name, "whole": by_name},
        (Evidence("u", 0, 1, "q"),),
    )


def rule(
    extra: str = "", when: str = 'measure = "uptake", window = "rolling", below = 0.5'
) -> Rule:
    (parsed,) = parse_rules(
        f"""
        [[rules]]
        id = "a-rule"
        category = "energy"
        priority = "low"
        timing = "immediate"
        when = [{{ {when} }}]
        cooldown_minutes = 5
        expires_minutes = 5
        message = "{{group}}: {{count}}, {{value}}, {{percent}}"
        why = "why"
        purpose = "purpose"
        objective = "objective"
        {extra}
        """
    ).rules
    return parsed


@pytest.mark.parametrize(
    "told",
    [
        measure("uptake", 0.2, status="uncertain"),
        measure("uptake", None),
        measure("uptake", 0.2, n=3),
        measure("uptake", 0.5),
    ],
)
def test_uncertain_scarce_or_healthy_values_never_trigger(told: Measure) -> None:
    needs_n = rule(when='measure = "uptake", window = "rolling", below = 0.5, n = 4')
    assert propose([needs_n], "G", snapshot_of(Phase.OPENING, told), []) == []


def test_a_rule_keeps_to_its_phases() -> None:
    only = rule('phases = ["closure"]')
    low = measure("uptake", 0.1)
    assert propose([only], "G", snapshot_of(Phase.OPENING, low), []) == []
    assert len(propose([only], "G", snapshot_of(Phase.CLOSURE, low), [])) == 1


def test_a_rule_of_two_runs_waits_for_the_second() -> None:
    twice = rule("runs = 2")
    low, fine = (snapshot_of(Phase.OPENING, measure("uptake", v)) for v in (0.1, 0.9))
    assert propose([twice], "G", low, []) == []
    assert propose([twice], "G", low, [fine]) == []
    assert len(propose([twice], "G", low, [fine, low])) == 1


def test_fallen_to_compares_with_the_groups_own_past() -> None:
    fall = rule(when='measure = "words_per_minute", window = "rolling", fallen_to = 0.5')

    def pace(value: float) -> Snapshot:
        return snapshot_of(Phase.OPENING, measure("words_per_minute", value))

    assert propose([fall], "G", pace(40), [pace(100)]) == []
    assert propose([fall], "G", pace(60), [pace(100), pace(100)]) == []
    assert len(propose([fall], "G", pace(40), [pace(100), pace(100)])) == 1


def test_words_are_filled_in() -> None:
    (proposal,) = propose(
        [rule(when='measure = "silent_members", window = "rolling", above = 0')],
        "Group 3",
        snapshot_of(Phase.OPENING, measure("silent_members", 2.0)),
        [],
    )
    assert proposal.message == "Group 3: two members, 2, 200 %"


def test_a_group_named_like_a_placeholder_is_only_a_name() -> None:
    (proposal,) = propose(
        [rule()], "{value}", snapshot_of(Phase.OPENING, measure("uptake", 0.1)), []
    )
    assert proposal.message.startswith("{value}: ")


def test_rules_are_tested_against_silence_only_where_devices_were_heard() -> None:
    quiet = Discussion(
        (Utterance("u", "t", "a", 100.0, 110.0, "Right."),),
        ("a",),
        20.0,
        200.0,
        (Track("t", "a", 180.0, 180.0),),
    )
    assert quiet_seconds(quiet).value == 90.0
    muted = Discussion(quiet.utterances, ("a",), 20.0, 200.0, (Track("t", "a", 180.0, 20.0),))
    assert quiet_seconds(muted).status == "not_enough"
    found = propose(RULES, "G", snapshot_of(Phase.OPENING, quiet_seconds(quiet)), [])
    assert [proposal.rule.id for proposal in found] == ["gone-quiet"]
    assert "90 seconds" in found[0].why


LIMITS = Limits(standing_per_teacher=2, minutes_between=3, minutes_between_high=1)


def past(rule_id: str, minutes_ago: float, *, standing: bool = False) -> PastPrompt:
    return PastPrompt(rule_id, NOW - timedelta(minutes=minutes_ago), standing)


@pytest.mark.parametrize(
    ("earlier", "of_teacher", "given"),
    [
        ([], 0, True),
        ([], 2, False),  # the teacher has enough before them
        ([past("other", 20, standing=True)], 1, False),  # one at a time for a group
        ([past("other", 2)], 0, False),  # not so soon after another
        ([past("other", 4)], 0, True),
        ([past("a-rule", 4)], 0, False),  # the rule cools down
        ([past("a-rule", 6)], 0, True),
    ],
)
def test_limits_hold_prompts_back(
    earlier: Sequence[PastPrompt], of_teacher: int, given: bool
) -> None:
    proposals = propose([rule()], "G", snapshot_of(Phase.OPENING, measure("uptake", 0.1)), [])
    assert (choose(proposals, LIMITS, earlier, of_teacher, NOW) is not None) is given


def test_a_pressing_prompt_need_not_wait_as_long() -> None:
    proposals = proposals_of("group_b")[2]
    chosen = choose(proposals, LIMITS, [past("other", 2)], 0, NOW)
    assert chosen is not None
    assert chosen.rule.id == "one-voice"
    chosen = choose(proposals, LIMITS, [past("one-voice", 2)], 0, NOW)
    assert chosen is not None
    assert chosen.rule.id == "drifting"


@pytest.mark.parametrize(
    ("planned", "minutes", "phase"),
    [
        (20, 0, Phase.OPENING),
        (20, 1.9, Phase.OPENING),
        (20, 2, Phase.DEVELOPMENT),
        (20, 14, Phase.SYNTHESIS),
        (20, 18, Phase.CLOSURE),
        (20, 60, Phase.CLOSURE),
        (120, 5.5, Phase.DEVELOPMENT),
        (20, -1, Phase.OPENING),
    ],
)
def test_phases_follow_the_plan(planned: float, minutes: float, phase: Phase) -> None:
    assert phase_of(planned, minutes * 60) is phase


def test_the_windows_hold_the_whole_script() -> None:
    group = DEMO.group("group_a")
    assert len(window(group, 0.0, group.seconds).utterances) == len(group.turns)
