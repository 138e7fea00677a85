"""What the administrator's and teacher's pages of this room share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from fastapi import Form, Query
from fastapi.responses import HTMLResponse
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from classweave.attend.export_report import Words
from classweave.attend.ids import TermId
from classweave.core.identifiers import encode
from classweave.core.permissions import Permission, allowed
from classweave.core.problems import Problem
from classweave.directory.ids import OrganizationId
from classweave.directory.models import Organization
from classweave.web.i18n import translations
from classweave.web.pages import actor_in, page, page_context

Short = Annotated[str, Form(max_length=2000)]
OrganizationChoice = Annotated[OrganizationId | None, Query(alias="organization")]
TermChoice = Annotated[TermId | None, Query(alias="term")]


def show(
    connection: HTTPConnection, template: str, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """A page of this room; ``public_id`` writes identifiers as addresses have them."""
    return page(
        connection,
        f"attend/{template}",
        status=status,
        public_id=encode,
        words=words_of(connection),
        manages=allowed(actor_in(connection).role, Permission.ATTEND_MANAGE),
        **values,
    )


def words_of(connection: HTTPConnection) -> Words:
    """The reader's language."""
    return Words(page_context(connection).locale)


def mistakes(connection: HTTPConnection, problem: Problem, field: str) -> dict[str, str]:
    """What is wrong by field, in the reader's language; what names no field stands at ``field``."""
    named: list[dict[str, str]] = problem.extra.get("errors", [])
    found = {error["field"]: error["message"] for error in named} or {field: problem.detail}
    return in_readers_words(connection, found)


def in_readers_words(connection: HTTPConnection, marked: Mapping[str, str]) -> dict[str, str]:
    """Marked messages by field, translated for who looks at the page."""
    say = translations(page_context(connection).locale).gettext
    return {name: say(text) for name, text in marked.items()}


def day_of(written: str) -> date | None:
    """An ISO date of this age; ``None`` for anything else."""
    try:
        day = date.fromisoformat(written.strip())
    except ValueError:
        return None
    return day if 1990 <= day.year <= 2200 else None


def whole_number(written: str) -> int | None:
    """A whole number of at most nine digits; ``None`` for anything else."""
    written = written.strip()
    return int(written) if written.isascii() and written.isdigit() and len(written) < 10 else None


async def organization_choices(session: AsyncSession) -> list[tuple[str, str]]:
    """(identifier, name) of every organisation that the actor sees."""
    rows = await session.execute(
        select(Organization.id, Organization.name)
        .where(Organization.deleted_at.is_(None))
        .order_by(Organization.name)
    )
    return [(encode("org", key), name) for key, name in rows]


def query_of(values: Mapping[str, str | None]) -> str:
    """A query string of what is there; the values are identifiers, which need no quoting."""
    parts = [f"{name}={value}" for name, value in values.items() if value]
    return "?" + "&".join(parts) if parts else ""
