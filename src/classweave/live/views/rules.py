"""The organisation's editions of the guidance rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.problems import NotFound
from classweave.directory.models import User
from classweave.live.guidance.rules import default_text
from classweave.live.models import GuidanceRules


@dataclass(frozen=True, slots=True)
class EditionRow:
    """One edition in the history. Version 0 is what everybody begins with."""

    version: int
    saved_at: datetime | None
    saved_by: str | None


async def read_editions(session: AsyncSession, organization: UUID) -> Sequence[EditionRow]:
    """All editions of an organisation, the newest first, the common beginning last."""
    rows = await session.execute(
        select(GuidanceRules.version, GuidanceRules.created_at, User.name)
        .outerjoin(User, User.id == GuidanceRules.created_by)
        .where(GuidanceRules.organization_id == organization)
        .order_by(GuidanceRules.version.desc())
    )
    return [*(EditionRow(*row) for row in rows), EditionRow(0, None, None)]


async def read_edition(session: AsyncSession, organization: UUID, version: int) -> str:
    """The text of one edition; raises :class:`NotFound`."""
    if version == 0:
        return default_text()
    text = await session.scalar(
        select(GuidanceRules.rules_toml).where(
            GuidanceRules.organization_id == organization, GuidanceRules.version == version
        )
    )
    if text is None:
        raise NotFound("There is no such edition.")
    return text
