"""What can go wrong, as RFC 9457 problem details. Raised anywhere, answered by ``web``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class Problem(Exception):
    """A refusal or failure a person should understand.

    ``code`` is stable and becomes the problem's ``type`` (``urn:classweave:problem:CODE``);
    ``detail`` says what happened and what to do, in plain words, without personal data.
    """

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str, *, code: str | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.extra = extra

    def as_json(self, instance: str | None = None) -> Mapping[str, Any]:
        """The RFC 9457 members of this problem."""
        body: dict[str, Any] = {
            "type": f"urn:classweave:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }
        if instance:
            body["instance"] = instance
        return body


class BadRequest(Problem):
    """The request cannot be understood."""

    status = 400
    default_code = "bad-request"
    title = "The request cannot be understood"


class SignInRequired(Problem):
    """Nobody is signed in."""

    status = 401
    default_code = "sign-in-required"
    title = "Please sign in"


class Forbidden(Problem):
    """The actor may not do this."""

    status = 403
    default_code = "forbidden"
    title = "Not allowed"


class NotFound(Problem):
    """There is no such thing, or not for this actor."""

    status = 404
    default_code = "not-found"
    title = "Not found"


class MethodNotAllowed(Problem):
    """The address exists, but takes no request of this kind."""

    status = 405
    default_code = "method-not-allowed"
    title = "Not possible here"


class Conflict(Problem):
    """The thing is not in a state that allows this."""

    status = 409
    default_code = "conflict"
    title = "Not possible now"


class TooLarge(Problem):
    """The body or file is larger than allowed."""

    status = 413
    default_code = "too-large"
    title = "Too large"


class Invalid(Problem):
    """The fields are understood but wrong; ``errors`` names each one."""

    status = 422
    default_code = "invalid"
    title = "Please correct the marked fields"


class TooMany(Problem):
    """Too many attempts; ``retry_after`` says how many seconds to wait."""

    status = 429
    default_code = "too-many-requests"
    title = "Too many attempts"


class Unavailable(Problem):
    """A part we depend on does not answer; trying again later is right."""

    status = 503
    default_code = "unavailable"
    title = "Temporarily unavailable"
