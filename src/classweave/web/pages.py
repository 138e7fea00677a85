"""Pages from templates: the shell around every room's content."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.requests import HTTPConnection

from classweave.core.permissions import allowed
from classweave.core.problems import Problem
from classweave.core.tenancy import ANONYMOUS, Actor
from classweave.web.csrf import csrf_token
from classweave.web.i18n import negotiate
from classweave.web.services import services_of
from classweave.web.templating import Flash, NavItem, PageContext, render

_FLASH_COOKIE = "cw_flash"
_THEME_COOKIE = "cw_theme"


def wants_html(connection: HTTPConnection) -> bool:
    """Whether a person's browser asks for a page (and not a program for data)."""
    if connection.url.path.startswith("/api/"):
        return False
    return "text/html" in connection.headers.get("accept", "")


def actor_in(connection: HTTPConnection) -> Actor:
    """The actor of this request; a nobody where none was identified."""
    actor = getattr(connection.state, "actor", ANONYMOUS)
    assert isinstance(actor, Actor)
    return actor


def page_context(connection: HTTPConnection) -> PageContext:
    """What the shell around a page needs to know."""
    services = services_of(connection)
    actor = actor_in(connection)
    path = connection.url.path
    flash = connection.cookies.get(_FLASH_COOKIE, "")
    kind, _, text = unquote(flash).partition(":")
    return PageContext(
        locale=negotiate(connection.headers.get("accept-language"), actor.locale),
        timezone=actor.timezone,
        theme=connection.cookies.get(_THEME_COOKIE),
        user_name=actor.name or None,
        organization_name=getattr(connection.state, "organization_name", None),
        role=actor.role.value if actor.signed_in else None,
        navigation=[
            NavItem(entry.title, entry.href, path.startswith(entry.href), entry.icon)
            for entry in services.navigation
            if actor.signed_in and allowed(actor.role, entry.permission)
        ],
        csrf_token=csrf_token(connection, actor) if actor.session else None,
        flashes=[Flash(kind, text)] if text else [],
        path=path,
    )


def page(
    connection: HTTPConnection, template: str, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """Render ``template`` in the shell."""
    response = HTMLResponse(render(page_context(connection), template, **values), status)
    response.headers["Cache-Control"] = "no-store"
    if _FLASH_COOKIE in connection.cookies:
        response.delete_cookie(_FLASH_COOKIE)
    return response


def redirect(location: str, flash: str | None = None, kind: str = "success") -> RedirectResponse:
    """Go to ``location`` (303) and show ``flash`` there once."""
    response = RedirectResponse(location, status_code=303)
    if flash:
        response.set_cookie(
            _FLASH_COOKIE, quote(f"{kind}:{flash}", safe=":"), httponly=True, samesite="lax"
        )
    return response


def say_when(response: Response, problem: Problem) -> Response:
    """``response`` with the header that tells who asks too often when to come back."""
    if "retry_after" in problem.extra:
        response.headers["Retry-After"] = str(problem.extra["retry_after"])
    return response


async def problem_page(connection: HTTPConnection, problem: Problem) -> HTMLResponse:
    """Show ``problem`` to a person."""
    return page(connection, "errors/problem.html", status=problem.status, problem=problem.as_json())
