"""Passwords: Argon2id, as long as a phrase, never shown, never logged."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from classweave.web.i18n import mark

MINIMUM_LENGTH = 10
MAXIMUM_LENGTH = 200

# OWASP Password Storage Cheat Sheet: Argon2id with 19 MiB, two passes, one lane. A class of
# teachers who sign in at once must fit in memory.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

# Verified when there is no such account, so that the answer takes as long as for one that exists.
_NOBODY = _HASHER.hash("nobody has this password")


async def hash_password(password: str) -> str:
    """The Argon2id hash to store, with its salt and costs."""
    return await asyncio.to_thread(_HASHER.hash, password)


async def verify_password(stored: str | None, password: str) -> bool:
    """Whether ``password`` is the one behind ``stored``; as slow when there is none."""

    def verify() -> bool:
        try:
            return _HASHER.verify(stored or _NOBODY, password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False

    return await asyncio.to_thread(verify)


def weakness(password: str, email: str | None) -> str | None:
    """Why ``password`` is refused for the account of ``email``; ``None`` when it will do.

    Length is what counts (NIST SP 800-63B, section 3.1.1.2); no rules about kinds of characters.
    """
    if len(password) < MINIMUM_LENGTH:
        return mark("A password needs at least 10 characters. A few words make a good one.")
    if len(password) > MAXIMUM_LENGTH:
        return mark("A password has at most 200 characters.")
    if email is not None and password.casefold() == email.casefold():
        return mark("The password must not be the e-mail address.")
    if len(set(password)) < 4:
        return mark("This password repeats too few characters.")
    return None
