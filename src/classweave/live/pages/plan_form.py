"""Reading and keeping what a teacher types about a session."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.datastructures import FormData

from classweave.core import clock
from classweave.core.tenancy import Actor
from classweave.live.prepare_session import Plan
from classweave.web.i18n import mark

SWITCHES = (
    "transcription_enabled",
    "ai_analysis_enabled",
    "recording_enabled",
    "allow_display_names",
    "recording_consent_obtained",
)
_NUMBERS = {
    "planned_duration_minutes": mark("Write the minutes as a number."),
    "target_group_size": mark("Write the size as a number."),
    "max_students": mark("Write how many as a number."),
}
_TEXTS = ("title", "goal", "subject", "language")
LANGUAGES = (
    ("en", mark("English")),
    ("es", mark("Spanish")),
    ("fr", mark("French")),
    ("de", mark("German")),
    ("pt", mark("Portuguese")),
    ("it", mark("Italian")),
    ("xx", mark("Another, or several: find out by itself")),
)
SUBJECT_NAMES = {
    "general": mark("General"),
    "math": mark("Mathematics"),
    "science": mark("Science"),
    "literature": mark("Literature"),
    "history": mark("History"),
    "languages": mark("Languages"),
    "arts": mark("Arts"),
}


def typed_of(plan: Plan, actor: Actor) -> dict[str, str]:
    """A plan as the form's fields show it."""
    start = plan.scheduled_start
    local = start.astimezone(ZoneInfo(actor.timezone)) if start else None
    return {
        **{name: getattr(plan, name) for name in _TEXTS},
        **{name: str(getattr(plan, name)) for name in _NUMBERS},
        **{name: "1" if getattr(plan, name) else "" for name in SWITCHES},
        "concepts": "\n".join(plan.concepts),
        "scheduled_start": local.strftime("%Y-%m-%dT%H:%M") if local else "",
    }


def typed_in(form: FormData) -> dict[str, str]:
    """What came back from the form, field by field."""
    names = (*_TEXTS, *_NUMBERS, *SWITCHES, "concepts", "scheduled_start", "class")
    return {name: value if isinstance(value := form.get(name, ""), str) else "" for name in names}


def read_plan(
    typed: dict[str, str], before: Plan, actor: Actor, *, start_stands: bool
) -> tuple[Plan, dict[str, str]]:
    """``before`` changed by what was typed, and what cannot be read of it, by field.

    ``start_stands``: the session is open already, and its start is no longer asked for.
    """
    errors: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for name, complaint in _NUMBERS.items():
        try:
            numbers[name] = int(typed[name].strip())
        except ValueError:
            errors[name] = complaint
    start = before.scheduled_start
    if not start_stands:
        try:
            start = _moment(typed["scheduled_start"], actor)
        except ValueError:
            errors["scheduled_start"] = mark("Write date and time, for example 2027-03-01 10:15.")
        else:
            late = start is not None and start < clock.now() - timedelta(minutes=5)
            if late and start != before.scheduled_start:
                errors["scheduled_start"] = mark("The start lies in the past.")
    changes: dict[str, Any] = {
        **{name: typed[name].strip() for name in _TEXTS},
        **numbers,
        **{name: typed[name] == "1" for name in SWITCHES},
        "concepts": tuple(concepts_in(typed["concepts"])),
        "scheduled_start": start,
    }
    return replace(before, **changes), errors


def concepts_in(written: str) -> list[str]:
    """Concepts one a line or between commas, each once, in the order written."""
    found = (" ".join(part.split()) for part in re.split(r"[,;\n]", written))
    return list(dict.fromkeys(part for part in found if part))


def _moment(written: str, actor: Actor) -> datetime | None:
    """A local date and time; raises ``ValueError``."""
    if not written.strip():
        return None
    return datetime.fromisoformat(written.strip()).replace(tzinfo=ZoneInfo(actor.timezone))
