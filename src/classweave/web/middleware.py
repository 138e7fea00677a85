"""Around every request: a limit to its size, security headers, metrics, an answer to any error."""

from __future__ import annotations

import time

import structlog
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from classweave.core.problems import Problem
from classweave.core.telemetry import REQUEST_SECONDS
from classweave.web.errors import respond

log = structlog.get_logger(__name__)

# Room for a file of 10 MB and the form around it.
MAX_BODY_BYTES = 16 * 1024 * 1024

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; style-src 'self' "
    "'unsafe-inline'; connect-src 'self' ws: wss:; media-src 'self' blob:; worker-src 'self' blob:;"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
}


class ResponseMiddleware:
    """Plain ASGI: it neither buffers a stream nor moves the end of a transaction."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; complete the response as it starts."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # With a slash at its end or without, an address is the same.
        if scope["path"] != "/":
            scope = {**scope, "path": scope["path"].removesuffix("/")}
        began = time.perf_counter()
        answered = False
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                # The framework lets only its own exception out of the reading of a body.
                raise HTTPException(413)
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                route = getattr(scope.get("route"), "path", "unknown")
                REQUEST_SECONDS.labels(scope["method"], route, str(message["status"])).observe(
                    time.perf_counter() - began
                )
            await send(message)

        try:
            await self.app(scope, receive_within_limit, send_with_headers)
        except Exception as error:
            if answered:
                raise
            # Here and not in the framework's outermost layer, where the answer would lack the
            # headers and the metrics would not see it.
            log.error("unhandled_error", error=type(error).__name__, exc_info=error)
            problem = Problem("Nothing was changed. Please try again.")
            response = await respond(Request(scope, receive), problem)
            await response(scope, receive, send_with_headers)
