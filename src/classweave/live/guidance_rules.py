"""An organisation's own edition of the guidance rules: kept by version, the newest stands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import audit
from classweave.core.problems import Conflict, Invalid
from classweave.core.tenancy import Actor
from classweave.live.guidance.rules import RuleBook, RulesError, default_text, parse_rules
from classweave.live.models import GuidanceRules

_read = lru_cache(maxsize=64)(parse_rules)


@dataclass(frozen=True, slots=True)
class Edition:
    """The rules in force as text. Version 0 is the one that everybody begins with."""

    version: int
    text: str


async def current_edition(session: AsyncSession, organization: UUID) -> Edition:
    """The organisation's newest edition, or the default one."""
    newest = await session.scalar(
        select(GuidanceRules)
        .where(GuidanceRules.organization_id == organization)
        .order_by(GuidanceRules.version.desc())
        .limit(1)
    )
    return Edition(0, default_text()) if newest is None else _edition(newest)


async def rules_of(session: AsyncSession, organization: UUID) -> RuleBook:
    """The organisation's rules, read."""
    return _read((await current_edition(session, organization)).text)


async def save_edition(session: AsyncSession, actor: Actor, text: str, based_on: int) -> Edition:
    """Keep ``text`` as the organisation's next edition.

    ``based_on`` is the version that was edited: where somebody else has saved since, nothing is
    kept and :class:`Conflict` says so. Raises :class:`Invalid` with the line of each mistake.
    """
    text = text.replace("\r\n", "\n")
    try:
        book = _read(text)
    except RulesError as error:
        raise Invalid(
            "The rules were not saved: some lines need a correction.",
            errors=[
                {"field": "text", "line": mistake.line, "message": mistake.problem}
                for mistake in error.mistakes
            ],
        ) from None
    current = await current_edition(session, actor.home)
    if current.version != based_on:
        raise Conflict(
            f"Somebody saved edition {current.version} meanwhile. Nothing was changed.",
            code="rules-changed",
        )
    if text == current.text:
        return current
    row = GuidanceRules(
        organization_id=actor.home,
        version=current.version + 1,
        rules_toml=text,
        created_by=actor.id,
    )
    session.add(row)
    await session.flush()
    audit.record(
        session, "guidance.rules_changed", resource="guidance_rules", resource_id=row.id,
        description=f"saved edition {row.version} of the guidance rules ({len(book.rules)} rules)",
    )  # fmt: skip
    return _edition(row)


def _edition(row: GuidanceRules) -> Edition:
    return Edition(row.version, row.rules_toml)
