"""Forms that come back with what was typed and what to mend."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Annotated, Any

from fastapi import Form
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from classweave.core.identifiers import encode
from classweave.core.problems import Invalid
from classweave.core.text import clean
from classweave.web.i18n import translations
from classweave.web.pages import page, page_context

Field = Annotated[str, Form(max_length=500)]
Ticked = Annotated[str, Form(max_length=5)]


async def field_errors(
    connection: HTTPConnection, session: AsyncSession, work: Awaitable[object]
) -> dict[str, str]:
    """Run ``work``; when fields are wrong, undo it and say what is wrong, by field."""
    try:
        async with session.begin_nested():
            await work
    except Invalid as problem:
        return in_readers_language(
            connection, {error["field"]: error["message"] for error in problem.extra["errors"]}
        )
    return {}


def in_readers_language(connection: HTTPConnection, texts: Mapping[str, str]) -> dict[str, str]:
    """``texts`` translated for who looks at the page."""
    gettext = translations(page_context(connection).locale).gettext
    return {name: gettext(text) for name, text in texts.items()}


def filled(value: str) -> str | None:
    """What was typed, or ``None`` where nothing was."""
    return clean(value) or None


def show(
    connection: HTTPConnection, template: str, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """A page whose template can write identifiers as addresses have them: ``public_id``."""
    return page(connection, template, status=status, public_id=encode, **values)
