"""Requests forged by other sites are refused twice: by origin, and by a session-bound token."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request
from starlette.requests import HTTPConnection

from classweave.core.problems import Forbidden
from classweave.core.secrets import same, sign
from classweave.core.tenancy import Actor
from classweave.web.services import services_of

HEADER = "x-csrf-token"
FIELD = "csrf_token"


def csrf_token(connection: HTTPConnection, actor: Actor) -> str:
    """The token of this actor's sign-in session."""
    return sign(services_of(connection).signing_key, "csrf", str(actor.session))


def check_origin(connection: HTTPConnection) -> None:
    """Refuse a request (or WebSocket handshake) that a browser sends for another site."""
    site = connection.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        raise Forbidden("This request came from another site.", code="cross-site")
    origin = connection.headers.get("origin")
    if origin is None:
        return
    expected = {connection.headers.get("host")}
    public = services_of(connection).settings.public_url
    if public is not None:
        expected.add(urlsplit(str(public)).netloc)
    # "null", of a sandboxed page or a file, has no host.
    if urlsplit(origin).netloc not in expected:
        raise Forbidden("This request came from another site.", code="cross-site")


async def check_token(request: Request, actor: Actor) -> None:
    """Refuse a cookie-authenticated change without the session's CSRF token."""
    given = request.headers.get(HEADER)
    if given is None and request.headers.get("content-type", "").startswith(
        ("application/x-www-form-urlencoded", "multipart/form-data")
    ):
        field = (await request.form()).get(FIELD)
        given = field if isinstance(field, str) else None
    if given is None or not same(given, csrf_token(request, actor)):
        raise Forbidden(
            "This form has expired. Nothing was changed; reload the page and try again.",
            code="csrf",
        )
