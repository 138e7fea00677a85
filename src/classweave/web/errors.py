"""Every failure is a problem: JSON for programs, a kind page for people, one shape for both."""

from __future__ import annotations

from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from classweave.core.problems import (
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    Problem,
    SignInRequired,
    TooLarge,
    Unavailable,
)
from classweave.web.i18n import mark
from classweave.web.pages import problem_page, say_when, wants_html

log = structlog.get_logger(__name__)

# What the framework says of these is not for people.
_IN_PLAIN_WORDS = {
    404: mark("There is nothing here."),
    405: mark("This address does not take such a request."),
    413: mark("What was sent is larger than 16 MB. Nothing was changed."),
}

_UNSTORABLE = mark("There is a character or a number in it that cannot be kept. Nothing was saved.")

_BY_STATUS: dict[int, type[Problem]] = {
    400: BadRequest,
    401: SignInRequired,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    413: TooLarge,
    422: Invalid,
    503: Unavailable,
}


async def respond(request: HTTPConnection, problem: Problem) -> Response:
    """Answer ``problem`` in the form the client asked for."""
    if wants_html(request):
        if isinstance(problem, SignInRequired) and request.url.path != "/sign-in":
            url = request.url
            back = quote(f"{url.path}?{url.query}" if url.query else url.path)
            return RedirectResponse(f"/sign-in?next={back}", status_code=303)
        return say_when(await problem_page(request, problem), problem)
    answer = JSONResponse(
        problem.as_json(instance=request.url.path),
        status_code=problem.status,
        media_type="application/problem+json",
    )
    return say_when(answer, problem)


def install_error_handlers(app: FastAPI) -> None:
    """Teach ``app`` to answer what is raised as a problem.

    What nobody foresaw is answered by :class:`~classweave.web.middleware.ResponseMiddleware`.
    """

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return await respond(request, error)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = _BY_STATUS.get(error.status_code)
        if kind is None:
            return JSONResponse(
                {"type": "about:blank", "title": str(error.detail), "status": error.status_code},
                status_code=error.status_code,
                media_type="application/problem+json",
                headers=dict(error.headers or {}),
            )
        detail = _IN_PLAIN_WORDS.get(error.status_code, str(error.detail))
        response = await respond(request, kind(detail))
        response.headers.update(error.headers or {})
        return response

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        errors = [
            {"field": ".".join(str(part) for part in item["loc"][1:]), "message": item["msg"]}
            for item in error.errors()
        ]
        return await respond(request, Invalid("Some fields are missing or wrong.", errors=errors))

    async def on_unstorable(request: Request, error: Exception) -> Response:
        """A text or number arrived that PostgreSQL cannot hold: NUL, half a surrogate pair, …"""
        log.warning("unstorable", error=type(error).__name__)
        return await respond(request, Invalid(_UNSTORABLE))

    async def on_database(request: Request, error: Exception) -> Response:
        state = getattr(getattr(error, "orig", None), "sqlstate", None)
        log.error("database_error", error=type(error).__name__, sqlstate=state)
        if isinstance(error, OperationalError):
            return await respond(
                request,
                Unavailable(
                    "The database does not answer. Nothing was changed; try again in a moment."
                ),
            )
        return await respond(request, Problem("Nothing was changed. Please try again."))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(DBAPIError, on_database)
    app.add_exception_handler(DataError, on_unstorable)
    app.add_exception_handler(UnicodeEncodeError, on_unstorable)
