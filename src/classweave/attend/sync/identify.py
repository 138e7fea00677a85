"""Which device asks: by its token, in the transaction that it is about to use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from classweave.core.permissions import Permission, allowed
from classweave.core.problems import Forbidden, SignInRequired
from classweave.core.secrets import token_hash
from classweave.core.tenancy import Actor, Role

# States the caller to the database by the way: what follows in the transaction sees its rows, and
# waits for nobody for longer than a device does.
_IDENTIFY = """
SELECT d.device_id, d.user_id, d.organization_id, d.role, d.name,
  set_config('classweave.actor', d.user_id::text, true),
  set_config('classweave.role', d.role, true),
  set_config('classweave.organizations', d.organization_id::text, true),
  set_config('classweave.device', d.device_id::text, true), set_config('lock_timeout', '5s', true)
FROM attend.identify_device(%s) d
"""

ORGANIZATION = "(ops.current_organizations())[1]"
"""The caller's organisation, in SQL behind :func:`ask_for_caller`."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A device and the teacher whose it is."""

    device: UUID
    user: UUID
    organization: UUID
    role: Role
    name: str

    @property
    def actor(self) -> Actor:
        """The teacher, as the author of a transaction."""
        return Actor(
            role=self.role, id=self.user, organization=self.organization,
            organizations=(self.organization,), session=self.device, credential="bearer",
            name=self.name,
        )  # fmt: skip


async def ask_for_caller(
    connection: psycopg.AsyncConnection[Any], authorization: str | None
) -> psycopg.AsyncCursor[Any]:
    """Ask who shows ``Authorization: Bearer …``; :func:`caller_of` reads the answer.

    Asked and read apart, so that both can be part of a pipeline. Raises
    :class:`~classweave.core.problems.SignInRequired` where no token is shown.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise SignInRequired("A device shows its token: Authorization: Bearer …")
    return await connection.execute(_IDENTIFY, (token_hash(token.strip()),))


async def caller_of(answer: psycopg.AsyncCursor[Any]) -> Caller:
    """The device behind a token.

    Raises :class:`~classweave.core.problems.SignInRequired` for a token that is unknown or
    revoked, :class:`~classweave.core.problems.Forbidden` for a role that takes no attendance.
    """
    row = await answer.fetchone()
    if row is None:
        raise SignInRequired("This device is not known, or was signed out. Sign in on it again.")
    caller = Caller(row[0], row[1], row[2], Role(row[3]), row[4])
    if not allowed(caller.role, Permission.ATTEND_TAKE):
        raise Forbidden("Your role does not allow this.")
    return caller
