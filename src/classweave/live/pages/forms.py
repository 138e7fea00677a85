"""What the pages of this room share: fields, refusals in the reader's language, addresses."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import Form, Query
from fastapi.responses import HTMLResponse, Response
from starlette.requests import HTTPConnection

from classweave.core.identifiers import TypeIDError, decode, encode
from classweave.core.problems import Problem
from classweave.web.i18n import translations
from classweave.web.pages import page, page_context, redirect
from classweave.web.services import services_of

Text = Annotated[str, Form(max_length=20_000)]
Short = Annotated[str, Form(max_length=500)]
Ticked = Annotated[bool, Form()]
Written = Annotated[str, Query(max_length=80)]


def show(
    connection: HTTPConnection, template: str, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """A page of this room; ``public_id`` writes identifiers as addresses have them."""
    return page(connection, f"live/{template}", status=status, public_id=encode, **values)


def in_readers_words(connection: HTTPConnection, text: str) -> str:
    """``text`` translated for who looks at the page."""
    return translations(page_context(connection).locale).gettext(text)


def mistakes(connection: HTTPConnection, problem: Problem, field: str) -> dict[str, str]:
    """What is wrong by field; what names no field stands at ``field``."""
    named: list[dict[str, str]] = problem.extra.get("errors", [])
    found = {error["field"]: error["message"] for error in named} or {field: problem.detail}
    return {name: in_readers_words(connection, text) for name, text in found.items()}


def known_id(prefix: str, written: str) -> UUID | None:
    """The identifier in a form's field; ``None`` for nothing or something else."""
    try:
        return decode(prefix, written) if written else None
    except TypeIDError:
        return None


def by_htmx(connection: HTTPConnection) -> bool:
    """Whether a part of a page is asked for, and not a page."""
    return connection.headers.get("hx-request") == "true"


def done(connection: HTTPConnection, location: str, flash: str | None = None) -> Response:
    """After a change: nothing for htmx (events refresh the page), else the page anew."""
    if by_htmx(connection):
        return Response(status_code=204)
    return redirect(location, flash)


def join_address(connection: HTTPConnection) -> str:
    """Where people join, as their browsers reach it: ``https://school.example/join``."""
    public = services_of(connection).settings.public_url
    base = str(public) if public is not None else str(connection.base_url)
    return base.rstrip("/") + "/join"
