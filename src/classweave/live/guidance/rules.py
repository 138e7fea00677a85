"""The rules of guidance, read from TOML and checked; every mistake names its line."""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from classweave.language.measure import MEASURES
from classweave.live.guidance import quiet
from classweave.live.models.guidance import Priority, PromptCategory, Timing
from classweave.live.states import Phase

Window = Literal["recent", "rolling", "whole"]
WINDOWS: Sequence[Window] = get_args(Window)

# No prompt rests on a group's tone: it is switched off in places, and weak everywhere.
USABLE = frozenset(MEASURES) - {"sentiment"} | {quiet.NAME}
DETAILS = frozenset({"alarm_share"})
PLACEHOLDERS = frozenset({"group", "value", "percent", "count"})
LONGEST = 64 * 1024

_Text = Annotated[str, Field(min_length=1, max_length=400)]


@dataclass(frozen=True, slots=True)
class RuleMistake:
    """What is wrong, and on which line (counted from 1)."""

    line: int
    problem: str


class RulesError(ValueError):
    """A set of rules that cannot stand; ``mistakes`` has each one with its line."""

    def __init__(self, mistakes: Sequence[RuleMistake]) -> None:
        super().__init__("; ".join(f"line {m.line}: {m.problem}" for m in mistakes))
        self.mistakes = tuple(mistakes)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Condition(_Table):
    """One thing that must be so: a measure over a window beyond a bound, with enough behind it."""

    measure: str
    window: Window
    above: float | str | None = None
    below: float | str | None = None
    fallen_to: Annotated[float, Field(gt=0, lt=1)] | None = None
    n: Annotated[int, Field(ge=0)] = 0

    @field_validator("measure")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in USABLE:
            raise ValueError(f"there is no measure {value!r} that a rule may use")
        return value

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        bounds = [self.above, self.below, self.fallen_to]
        if sum(bound is not None for bound in bounds) != 1:
            raise ValueError("give exactly one of above, below and fallen_to")
        for bound in (self.above, self.below):
            if isinstance(bound, str) and bound not in DETAILS:
                raise ValueError(f"a bound is a number or one of: {', '.join(sorted(DETAILS))}")
        return self


class Rule(_Table):
    """When to prompt, with what words, and how often."""

    id: Annotated[str, Field(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
    category: PromptCategory
    priority: Priority
    timing: Timing
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)] = tuple(Phase)
    when: Annotated[tuple[Condition, ...], Field(min_length=1, max_length=6)]
    runs: Annotated[int, Field(ge=1, le=5)] = 1
    cooldown_minutes: Annotated[float, Field(ge=0, le=240)]
    expires_minutes: Annotated[float, Field(gt=0, le=60)]
    quotes: Literal["measure", "latest"] = "measure"
    message: _Text
    why: _Text
    purpose: _Text
    objective: _Text

    @field_validator("message", "why")
    @classmethod
    def _fillable(cls, value: str) -> str:
        try:
            fields = [(field, spec) for _, field, spec, _ in string.Formatter().parse(value)]
        except ValueError as error:
            raise ValueError(f"the braces do not match: {error}") from None
        for field, spec in fields:
            if field is not None and (field not in PLACEHOLDERS or spec):
                allowed = ", ".join(f"{{{name}}}" for name in sorted(PLACEHOLDERS))
                raise ValueError(f"{{{field}}} is no placeholder; there are {allowed}")
        return value

    @property
    def target(self) -> Condition:
        """The condition whose measure the prompt should change."""
        return self.when[0]


class Limits(_Table):
    """How many prompts a teacher and a group can bear."""

    standing_per_teacher: Annotated[int, Field(ge=1, le=20)] = 3
    minutes_between: Annotated[float, Field(ge=0, le=60)] = 3
    minutes_between_high: Annotated[float, Field(ge=0, le=60)] = 2


class RuleBook(_Table):
    """All rules of an organisation, with the limits that hold for them together."""

    limits: Limits = Limits()
    rules: Annotated[tuple[Rule, ...], Field(max_length=100)]


def parse_rules(text: str) -> RuleBook:
    """Read rules from TOML; raises :class:`RulesError` with every mistake and its line."""
    if len(text.encode()) > LONGEST:
        raise RulesError([RuleMistake(1, f"longer than {LONGEST // 1024} KiB")])
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RulesError([_syntax(str(error), text)]) from None
    try:
        book = RuleBook.model_validate(table)
    except ValidationError as error:
        lines = _Lines(text)
        raise RulesError(
            [_mistake(lines, e["loc"], e["msg"]) for e in error.errors(include_url=False)]
        ) from None
    seen: set[str] = set()
    for index, rule in enumerate(book.rules):
        if rule.id in seen:
            line = _Lines(text).of(("rules", index, "id"))
            raise RulesError([RuleMistake(line, f"the id {rule.id!r} was used before")])
        seen.add(rule.id)
    return book


def default_text() -> str:
    """The rules that everybody begins with, as TOML."""
    return (Path(__file__).parent / "rules.toml").read_text("utf-8")


@lru_cache(maxsize=1)
def default_rules() -> RuleBook:
    """The same, read."""
    return parse_rules(default_text())


def _syntax(message: str, text: str) -> RuleMistake:
    found = re.search(r" \(at line (\d+), column \d+\)$", message)
    if found is None:
        return RuleMistake(text.count("\n") + 1, message)
    return RuleMistake(int(found[1]), message[: found.start()])


def _mistake(lines: _Lines, where: Sequence[int | str], message: str) -> RuleMistake:
    named = [str(part) for part in where if isinstance(part, str) and part not in ("rules", "str")]
    problem = message.removeprefix("Value error, ")
    label = ".".join(part for part in named if part not in ("float", "function-after"))
    return RuleMistake(lines.of(where), f"{label}: {problem}" if label else problem)


class _Lines:
    """Finds the line of a value by the shape of the text: tables by header, keys within a table."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()

    def of(self, where: Sequence[int | str]) -> int:
        """The line, from 1, that is nearest to a value's place in the table."""
        match list(where):
            case ["rules", int(index), *rest]:
                starts = self._headers("[[rules]]")
                if index >= len(starts):
                    return 1
                end = starts[index + 1] if index + 1 < len(starts) else len(self._lines)
                return self._within(starts[index], end, rest) + 1
            case ["limits", *rest]:
                start = next(iter(self._headers("[limits]")), 0)
                return self._within(start, len(self._lines), rest) + 1
            case _:
                return 1

    def _headers(self, header: str) -> list[int]:
        return [i for i, line in enumerate(self._lines) if line.replace(" ", "").startswith(header)]

    def _within(self, start: int, end: int, path: Sequence[int | str]) -> int:
        if not path:
            return start
        key = re.compile(rf"\s*{re.escape(str(path[0]))}\s*=")
        line = next((i for i in range(start, end) if key.match(self._lines[i])), start)
        nth = next((part for part in path if isinstance(part, int)), None)
        if path[0] != "when" or nth is None:
            return line
        conditions = [i for i in range(line, end) if "{" in self._lines[i]]
        return conditions[nth] if nth < len(conditions) else line
