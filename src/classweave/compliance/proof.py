"""Whether the audit trail of an organisation is whole, computed from the rows themselves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


class Fault(StrEnum):
    """What is wrong with a line of the trail."""

    MISSING = "missing"
    CHANGED = "changed"
    UNLINKED = "unlinked"
    CUT = "cut"
    ANCHOR = "anchor"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place in the chain that was noted elsewhere: ``SEQUENCE:HASH`` (hash in hex)."""

    sequence: int
    row_hash: bytes

    @classmethod
    def parse(cls, written: str) -> Anchor:
        """Read ``SEQUENCE:HASH``; raises ``ValueError``."""
        number, _, digest = written.partition(":")
        return cls(int(number), bytes.fromhex(digest))

    def __str__(self) -> str:
        return f"{self.sequence}:{self.row_hash.hex()}"


@dataclass(frozen=True, slots=True)
class Proof:
    """The result: ``lines`` read, the chain's end, and the first fault, if there is one.

    ``sequence`` and ``line_id`` say where; a cut tail has no line.
    """

    organization: UUID
    lines: int
    head: Anchor | None
    fault: Fault | None = None
    sequence: int | None = None
    line_id: UUID | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return self.fault is None


# One pass in the order of the chain: each line must be the next, name the hash of the one before,
# and still have the contents that its own hash was made of.
_WALK = text(
    """
WITH walk AS (
  SELECT id, sequence, row_hash,
    row_number() OVER chain AS expected,
    previous_hash IS NOT DISTINCT FROM lag(row_hash, 1, sha256(''::bytea)) OVER chain AS linked,
    row_hash IS NOT DISTINCT FROM compliance.audit_digest(line) AS unchanged
  FROM compliance.audit_log AS line
  WHERE organization_id = :organization
  WINDOW chain AS (ORDER BY sequence)
)
SELECT tail.lines, head.sequence, head.row_hash,
  tail.lines = coalesce(head.sequence, 0)
    AND tail.row_hash IS NOT DISTINCT FROM nullif(head.row_hash, sha256(''::bytea)) AS complete,
  bad.id, bad.expected, bad.fault
FROM (SELECT count(*) AS lines, (array_agg(row_hash ORDER BY sequence DESC))[1] AS row_hash
      FROM walk) AS tail
LEFT JOIN compliance.audit_heads AS head ON head.organization_id = :organization
LEFT JOIN LATERAL (
  SELECT id, expected,
    CASE WHEN sequence <> expected THEN 'missing'
         WHEN NOT unchanged THEN 'changed'
         ELSE 'unlinked' END AS fault
  FROM walk WHERE sequence <> expected OR NOT linked OR NOT unchanged
  ORDER BY sequence LIMIT 1) AS bad ON true
"""
)

_AT = text(
    "SELECT row_hash FROM compliance.audit_log"
    " WHERE organization_id = :organization AND sequence = :sequence"
)


async def verify_chain(
    session: AsyncSession, organization: UUID, anchor: Anchor | None = None
) -> Proof:
    """Recompute the whole chain of ``organization`` and compare it with its recorded end.

    Finds a changed, inserted, reordered or missing line, and a cut tail. Whoever may rewrite both
    the lines and the recorded end (a superuser of the database) can forge a consistent chain;
    that shows only against an ``anchor`` noted outside the database before.
    """
    row = (await session.execute(_WALK, {"organization": organization})).one()
    head = Anchor(row.sequence, bytes(row.row_hash)) if row.sequence else None
    if row.fault is not None:
        return Proof(organization, row.lines, head, Fault(row.fault), row.expected, row.id)
    if not row.complete:
        return Proof(organization, row.lines, head, Fault.CUT, row.lines + 1)
    if anchor is not None:
        noted = {"organization": organization, "sequence": anchor.sequence}
        found = await session.scalar(_AT, noted)
        if found is None or bytes(found) != anchor.row_hash:
            return Proof(organization, row.lines, head, Fault.ANCHOR, anchor.sequence)
    return Proof(organization, row.lines, head)
