"""A device's cursor: the organisation's generation and revision in one integer."""

from __future__ import annotations

from dataclasses import dataclass

from classweave.core.problems import BadRequest

_GENERATION = 2**36
_LARGEST = 2**53 - 1
_NOTHING = frozenset({"", "0", "null", "undefined"})


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything up to ``rev`` of ``generation`` has been seen."""

    generation: int
    rev: int

    @property
    def number(self) -> int:
        """What devices call ``timestamp`` and ``last_pulled_at``."""
        return self.generation * _GENERATION + self.rev


def parse_cursor(text: str | None) -> Cursor | None:
    """The cursor in a query; ``None`` for a first synchronisation.

    Raises :class:`~classweave.core.problems.BadRequest` for what no server can have given.
    """
    if text is None or text.strip() in _NOTHING:
        return None
    # Sixteen digits are enough; Python refuses to read thousands.
    digits = text.isascii() and text.isdigit() and len(text) <= 16
    if not digits or not 0 < (number := int(text)) <= _LARGEST:
        raise BadRequest("last_pulled_at is the timestamp of the last pull, or null.")
    return Cursor(*divmod(number, _GENERATION))
