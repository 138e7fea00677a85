"""Dividing a class into groups, and making codes a class can type. No database."""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from typing import TypeVar

# No 0/O, 1/I/L, 5/S, 2/Z, 8/B: read from the back row, typed on a phone.
ALPHABET = "ACDEFGHJKMNPQRTUVWXY3467"
CODE_LENGTH = 6

Item = TypeVar("Item")


def new_access_code() -> str:
    """Six characters that cannot be confused with one another; 191 million codes."""
    return "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))


def read_access_code(typed: str) -> str:
    """What was meant by what was typed: case, spaces and hyphens do not matter."""
    return "".join(character for character in typed.upper() if character.isalnum())


def divide(members: Sequence[Item], size: int, generator: random.Random) -> list[list[Item]]:
    """Random groups of about ``size``, none smaller than the others by more than one.

    Raises ``ValueError`` when ``size`` is below one.
    """
    if size < 1:
        raise ValueError("a group has at least one member")
    if not members:
        return []
    shuffled = list(members)
    generator.shuffle(shuffled)
    count = max(1, round(len(shuffled) / size))
    return [shuffled[index::count] for index in range(count)]
