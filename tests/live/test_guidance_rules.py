"""The rules as data: the shipped edition is whole, and a mistake is named with its line."""

from __future__ import annotations

import textwrap

import pytest

from classweave.language.measure import MEASURES
from classweave.live.guidance.rules import (
    LONGEST,
    RuleMistake,
    RulesError,
    default_rules,
    default_text,
    parse_rules,
)
from classweave.live.models.guidance import PromptCategory
from classweave.live.states import Phase

RULE = """
[[rules]]
id = "one"
category = "energy"
priority = "low"
timing = "immediate"
when = [
  { measure = "dominance", window = "rolling", above = 0.5 },
  { measure = "uptake", window = "rolling", below = 0.5 },
]
cooldown_minutes = 5
expires_minutes = 5
message = "Look at {group}."
why = "{percent}."
purpose = "p"
objective = "o"
"""


def mistakes(text: str) -> tuple[RuleMistake, ...]:
    with pytest.raises(RulesError) as caught:
        parse_rules(text)
    return caught.value.mistakes


def test_the_shipped_rules_cover_every_category_and_every_phase() -> None:
    rules = default_rules().rules
    assert 15 <= len(rules) <= 25
    assert {rule.category for rule in rules} == set(PromptCategory)
    for phase in Phase:
        assert any(phase in rule.phases for rule in rules), phase
        if phase is not Phase.CLOSURE:
            assert any(set(rule.phases) != set(Phase) and phase in rule.phases for rule in rules)


def test_the_shipped_rules_speak_of_the_group() -> None:
    for rule in default_rules().rules:
        assert "{group}" in rule.message
        assert len(rule.message) < 160


def test_what_the_shipped_file_explains_is_all_there_is() -> None:
    head = default_text().partition("\n[limits]\n")[0]
    for name in ("standing_per_teacher", "minutes_between_high", "fallen_to", "quotes", "runs"):
        assert name in head


def test_no_rule_rests_on_tone() -> None:
    assert "sentiment" in MEASURES
    (mistake,) = mistakes(RULE.replace('"dominance"', '"sentiment"'))
    assert mistake.line == 8
    assert "sentiment" in mistake.problem


@pytest.mark.parametrize(
    ("before", "after", "line", "word"),
    [
        ('priority = "low"', 'priority = "urgent"', 5, "priority"),
        ('priority = "low"', "priority = low", 5, ""),
        ('id = "one"', 'id = "One Rule"', 3, "id"),
        ("cooldown_minutes = 5", "cooldown_minutes = -1", 11, "cooldown_minutes"),
        ("expires_minutes = 5", "expires = 5", 12, "expires"),
        ('"Look at {group}."', '"Look at {name}."', 13, "{name}"),
        ('"Look at {group}."', '"Look at {group."', 13, "braces"),
        ('"uptake"', '"happiness"', 9, "happiness"),
        ("below = 0.5", "below = 0.5, above = 1", 9, "exactly one"),
        ("above = 0.5", 'above = "loudness"', 8, "alarm_share"),
        ('"rolling", below', '"weekly", below', 9, "window"),
    ],
)
def test_a_mistake_names_its_line(before: str, after: str, line: int, word: str) -> None:
    assert before in RULE
    found = mistakes(RULE.replace(before, after))
    assert line in {mistake.line for mistake in found}, found
    assert any(word in mistake.problem for mistake in found), found


def test_a_mistake_in_a_later_rule_names_that_rule() -> None:
    second = RULE.replace('"one"', '"two"').replace('"energy"', '"magic"')
    (mistake,) = mistakes(RULE + second)
    assert mistake.line == len(RULE.splitlines()) + 4


def test_an_id_may_not_repeat() -> None:
    (mistake,) = mistakes(RULE + RULE)
    assert (mistake.line, "before" in mistake.problem) == (len(RULE.splitlines()) + 3, True)


def test_limits_are_checked_too() -> None:
    text = textwrap.dedent(
        """
        [limits]
        standing_per_teacher = 0
        """
    )
    assert mistakes(text + RULE)[0].line == 3


def test_rules_of_more_than_64_kib_are_refused() -> None:
    assert "KiB" in mistakes("#" * (LONGEST + 1))[0].problem
