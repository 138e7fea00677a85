"""Names and titles as people type and paste them."""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"
# Letters and signs by their category, and yet nothing to see: Hangul fillers, empty Braille.
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"


def clean(value: str) -> str:
    """``value`` in one line and normal form (NFC), without control and direction characters.

    Zero-width joiners stay: emoji and Persian need them. Where nothing can be seen, nothing is
    left: the answer is empty.
    """
    kept = (
        " " if c.isspace() else c
        for c in unicodedata.normalize("NFC", value)
        if c.isspace()
        or c in _JOINERS
        or (not _is_none(c) and unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
    )
    text = " ".join("".join(kept).split())
    return text if any(_can_be_seen(c) for c in text) else ""


def _is_none(character: str) -> bool:
    """Whether ``character`` is none, for ever: XML, for one, cannot hold it."""
    return ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF


def _can_be_seen(character: str) -> bool:
    """Whether ``character`` shows by itself: no space, mark or joiner."""
    return unicodedata.category(character)[0] not in "MZ" and character not in _JOINERS + _BLANK
