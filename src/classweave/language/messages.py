"""Sentences for people, kept apart from the language that a reader has.

This room knows no reader. What it says is English text that also remembers its pattern and its
values, so that a page can say the same in another language. The names are those of gettext: the
catalogues are filled by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Value = int | float | str | tuple[str, ...]
"""A number, a name, a message, or several of them; only messages are translated."""


class Message(str):
    """English text with the pattern and the values it was made of.

    ``plural`` and ``n`` are set where the pattern depends on a number. Patterns are in the
    printf style with names (``%(turns)s``); a literal per cent sign is written ``%%``.
    """

    pattern: str
    plural: str | None
    n: int
    values: Mapping[str, Value]


def mark(text: str) -> str:
    """Mark a text without values for translation; it is its own pattern."""
    return text


def gettext(pattern: str, **values: Value) -> Message:
    """A message whose pattern is the same for every number."""
    return remake(pattern, None, 0, values)


def ngettext(one: str, many: str, n: int, **values: Value) -> Message:
    """A message about ``n`` things; ``%(n)s`` stands for it."""
    return remake(one, many, n, {**values, "n": n})


def remake(pattern: str, plural: str | None, n: int, values: Mapping[str, Any]) -> Message:
    """The message with these parts, as :func:`gettext` or :func:`ngettext` made it."""
    chosen = pattern if plural is None or n == 1 else plural
    made = Message(chosen % {key: _english(value) for key, value in values.items()})
    made.pattern, made.plural, made.n, made.values = pattern, plural, n, values
    return made


def _english(value: Value) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
