"""What a report is about: the days of a term, and one organisation or all that are seen."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.plan_terms import access_term, present_term
from classweave.attend.report_attendance import Period
from classweave.core.tenancy import Actor
from classweave.directory.models import Organization
from classweave.directory.service import access_organization, local_today


async def chosen_period(session: AsyncSession, actor: Actor, term_id: UUID | None) -> Period:
    """The days of a term: the one asked for, or the present one; else the last half year."""
    term = (
        await access_term(session, actor, term_id)
        if term_id is not None
        else await present_term(session, actor)
    )
    if term is not None:
        return Period(term.starts_on, term.ends_on, term)
    today = local_today(actor)
    return Period(today - timedelta(days=182), today)


async def chosen_organization(
    session: AsyncSession, actor: Actor, organization: UUID | None
) -> Organization | None:
    """The one organisation that a report is narrowed to, if it is."""
    if organization is None:
        return None
    return await access_organization(session, actor, organization)
