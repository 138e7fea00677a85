"""The code that students check in by: it changes every ten seconds. Pure: no database.

An HMAC of the window's secret over the number of the time step, as RFC 6238 has it. The present
and the previous step count, so a code is good for ten to twenty seconds.
"""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta

STEP = timedelta(seconds=10)
CODE_LENGTH = 6
# No 0/O, 1/I/L, 5/S, 2/Z, 8/B: read from the back row, typed on a phone. 191 million codes.
ALPHABET = "ACDEFGHJKMNPQRTUVWXY3467"


def step_of(moment: datetime) -> int:
    """The number of the step that ``moment`` falls into, counted from 1970."""
    return int(moment.timestamp() // STEP.total_seconds())


def time_left(moment: datetime) -> timedelta:
    """How long from ``moment`` until the code changes: more than nothing, at most a step."""
    return timedelta(seconds=(step_of(moment) + 1) * STEP.total_seconds() - moment.timestamp())


def code_of(secret: bytes, step: int) -> str:
    """The code of one step."""
    number = int.from_bytes(hmac.digest(secret, step.to_bytes(8, "big"), "sha256")[:8], "big")
    letters = ""
    for _ in range(CODE_LENGTH):
        number, letter = divmod(number, len(ALPHABET))
        letters += ALPHABET[letter]
    return letters


def read_code(typed: str) -> str:
    """What was meant by what was typed: case, spaces and hyphens do not matter."""
    return "".join(character for character in typed.upper() if character.isalnum())


def accepts(secret: bytes, typed: str, moment: datetime) -> bool:
    """Whether ``typed`` is the code of the present or the previous step.

    Takes as long for a wrong code as for a right one.
    """
    given = read_code(typed).encode()
    now = step_of(moment)
    same = [hmac.compare_digest(code_of(secret, step).encode(), given) for step in (now, now - 1)]
    return any(same)
