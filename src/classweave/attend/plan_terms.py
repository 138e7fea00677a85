"""Terms: listed, planned, changed. A day in more than one belongs to the shortest."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from psycopg import errors as pg
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.models import AttendanceSession, Term
from classweave.attend.open_term import begin_use
from classweave.core import audit
from classweave.core.database import driver_connection
from classweave.core.identifiers import uuid7
from classweave.core.problems import Conflict, Invalid, NotFound
from classweave.core.tenancy import Actor
from classweave.directory.models import Organization
from classweave.directory.service import access_organization, local_today, require_name
from classweave.web.i18n import mark

LONGEST = timedelta(days=1100)


@dataclass(frozen=True, slots=True)
class TermOverview:
    """A term as lists show it: ``sessions`` belong to it, of which ``taken`` have a roll."""

    term: Term
    organization: str
    sessions: int
    taken: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a form says of a term; ``None`` is a day that could not be read."""

    name: str
    starts_on: date | None
    ends_on: date | None


async def list_terms(session: AsyncSession) -> Sequence[TermOverview]:
    """Every term of the organisations the actor sees, the newest first."""
    counts = (
        select(
            AttendanceSession.term.label("number"),
            func.count().label("sessions"),
            func.count(AttendanceSession.marked_at).label("taken"),
        )
        .where(AttendanceSession.deleted_at.is_(None))
        .group_by(AttendanceSession.term)
        .subquery()
    )
    rows = await session.execute(
        select(
            Term,
            Organization.name,
            func.coalesce(counts.c.sessions, 0),
            func.coalesce(counts.c.taken, 0),
        )
        .join(Organization, Organization.id == Term.organization_id)
        .outerjoin(counts, counts.c.number == Term.number)
        .order_by(Term.starts_on.desc(), Organization.name, Term.name)
    )
    return [TermOverview(*row) for row in rows]


async def access_term(
    session: AsyncSession, actor: Actor, term_id: UUID, *, lock: bool = False
) -> Term:
    """A term of an organisation the actor sees; raises :class:`NotFound` for any other."""
    wanted = select(Term).where(Term.id == term_id)
    if lock:
        wanted = wanted.with_for_update().execution_options(populate_existing=True)
    found = await session.scalar(wanted)
    if found is None or found.organization_id not in actor.organizations:
        raise NotFound(mark("There is no such term."))
    return found


async def create_term(
    session: AsyncSession, actor: Actor, plan: Plan, organization_id: UUID | None = None
) -> Term:
    """Add a term; from now on Attend is in use in its organisation.

    Raises :class:`Invalid` by field.
    """
    home = await access_organization(session, actor, organization_id or actor.home)
    name, first, last = _checked(plan)
    await begin_use(await driver_connection(session), home.id)
    made = Term(id=uuid7(), organization_id=home.id, name=name, starts_on=first, ends_on=last)
    async with _unique_name(session):
        session.add(made)
    _record(session, made, "attendance.term_created", "Added a term")
    return made


async def change_term(session: AsyncSession, actor: Actor, term_id: UUID, plan: Plan) -> Term:
    """Rename or move a term. Sessions stay in the term that they were held in.

    Raises :class:`Invalid` by field, also for days that leave out one of its sessions: the term is
    archived as a whole.
    """
    term = await access_term(session, actor, term_id, lock=True)
    if term.archived_at is not None:
        raise Conflict(mark("This term is archived. It cannot be changed any more."))
    name, first, last = _checked(plan)
    earliest, latest = (
        await session.execute(
            select(
                func.coalesce(func.min(AttendanceSession.date), first),
                func.coalesce(func.max(AttendanceSession.date), last),
            ).where(AttendanceSession.term == term.number, AttendanceSession.deleted_at.is_(None))
        )
    ).one()
    outside = mark("Sessions of this term were held on other days. Its days must hold them all.")
    errors = [
        {"field": field, "message": outside}
        for field, beyond in (
            ("starts_on", earliest < first),
            ("ends_on", latest > last),
        )
        if beyond
    ]
    if errors:
        raise Invalid(outside, errors=errors)
    async with _unique_name(session):
        term.name, term.starts_on, term.ends_on = name, first, last
    _record(session, term, "attendance.term_changed", "Changed a term")
    return term


async def present_term(session: AsyncSession, actor: Actor) -> Term | None:
    """The term that reports begin with: the shortest of today, or else the last one begun."""
    today = local_today(actor)
    terms = (await session.scalars(select(Term))).all()
    now = [t for t in terms if t.starts_on <= today <= t.ends_on]
    if now:
        return min(now, key=lambda t: (t.archived_at is not None, t.ends_on - t.starts_on, t.name))
    past = [t for t in terms if t.starts_on <= today]
    return max(past, key=lambda t: (t.starts_on, t.name)) if past else None


def _checked(plan: Plan) -> tuple[str, date, date]:
    errors: list[dict[str, str]] = []
    name = ""
    try:
        name = require_name(plan.name, longest=80)
    except Invalid as problem:
        errors += problem.extra["errors"]
    first, last = plan.starts_on, plan.ends_on
    for field, day in (("starts_on", first), ("ends_on", last)):
        if day is None:
            errors.append({"field": field, "message": mark("Write the date as year-month-day.")})
    if first is not None and last is not None and last < first:
        errors.append({"field": "ends_on", "message": mark("A term ends after it starts.")})
    elif first is not None and last is not None and last - first > LONGEST:
        errors.append({"field": "ends_on", "message": mark("A term lasts three years at most.")})
    if errors or first is None or last is None:
        first_said = errors[0]["message"]
        raise Invalid(first_said, errors=errors)
    return name, first, last


@asynccontextmanager
async def _unique_name(session: AsyncSession) -> AsyncGenerator[None]:
    """What is written in here goes back alone when the name is taken."""
    try:
        # A savepoint begins by writing what came before it, so the change is made inside.
        async with session.begin_nested():
            yield
    except IntegrityError as error:
        if isinstance(error.orig, pg.UniqueViolation):
            message = mark("There is a term of this name already.")
            raise Invalid(message, errors=[{"field": "name", "message": message}]) from error
        raise


def _record(session: AsyncSession, term: Term, event: str, description: str) -> None:
    audit.record(
        session, event, resource="term", resource_id=term.id, description=description,
        data_accessed={"starts_on": str(term.starts_on), "ends_on": str(term.ends_on)},
        organization=term.organization_id,
    )  # fmt: skip
