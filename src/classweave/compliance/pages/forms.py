"""Reading the fields that this room's forms share."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import TypeVar
from zoneinfo import ZoneInfo

from starlette.datastructures import FormData

from classweave.compliance.consent import Evidence
from classweave.compliance.models import ConsentKind, ConsentMethod, ConsentState
from classweave.core.problems import Invalid
from classweave.core.tenancy import Actor
from classweave.core.text import clean
from classweave.directory.service import local_today
from classweave.web.i18n import mark

Member = TypeVar("Member", bound=StrEnum)


def text_of(form: FormData, field: str, longest: int = 500) -> str:
    """A text field, trimmed; empty when it was not sent."""
    value = form.get(field, "")
    return value.strip()[:longest] if isinstance(value, str) else ""


def texts_of(form: FormData, field: str) -> list[str]:
    """All values of a field that may come many times."""
    return [value for value in form.getlist(field) if isinstance(value, str)]


def member_of(kind: type[Member], value: str) -> Member | None:
    """The member of ``kind`` written as ``value``, if there is one."""
    return kind(value) if value in {member.value for member in kind} else None


def start_of(day: date, actor: Actor) -> datetime:
    """Midnight at the beginning of ``day`` where the actor is."""
    return datetime.combine(day, time(), ZoneInfo(actor.timezone))


def day_of(written: str) -> date | None:
    """An ISO date of this age, or ``None`` for nothing. Raises ``ValueError``."""
    if not written:
        return None
    day = date.fromisoformat(written)
    if not 1900 <= day.year <= 2200:
        raise ValueError("so far away that a day more or another time zone may not exist")
    return day


def read_evidence(form: FormData, actor: Actor) -> tuple[Evidence, dict[str, str]]:
    """How a decision reached the school, and what could not be read, by field."""
    errors: dict[str, str] = {}
    days: dict[str, date | None] = {}
    for field in ("decided_on", "expires_on"):
        try:
            days[field] = day_of(text_of(form, field))
        except ValueError:
            days[field] = None
            errors[field] = mark("Write the date as year-month-day.")
    decided, expires = days["decided_on"], days["expires_on"]
    # Today's decision was made just now; any other day counts from its beginning.
    decided_at = None if decided in (None, local_today(actor)) else start_of(decided, actor)
    evidence = Evidence(
        method=member_of(ConsentMethod, text_of(form, "method")),
        decided_at=decided_at,
        expires_at=start_of(expires + timedelta(days=1), actor) if expires else None,
        parent_name=clean(text_of(form, "parent_name")) or None,
        parent_email=text_of(form, "parent_email") or None,
        relationship=text_of(form, "relationship") or None,
        note=text_of(form, "note"),
    )
    if evidence.parent_email and "@" not in evidence.parent_email:
        errors["parent_email"] = mark("This is not an e-mail address.")
    return evidence, errors


def read_decision(form: FormData) -> tuple[list[ConsentKind], ConsentState | None, dict[str, str]]:
    """Which kinds and which decision, and what is missing, by field."""
    errors: dict[str, str] = {}
    kinds = [kind for kind in ConsentKind if kind.value in texts_of(form, "kind")]
    state = member_of(ConsentState, text_of(form, "state"))
    if state is ConsentState.EXPIRED:
        state = None
    if not kinds:
        errors["kind"] = mark("Choose what was decided about.")
    if state is None:
        errors["state"] = mark("Choose what was decided.")
    return kinds, state, errors


def errors_of(problem: Invalid) -> dict[str, str]:
    """The problem's messages by field."""
    return {item["field"]: item["message"] for item in problem.extra.get("errors", [])}


def typed(form: FormData) -> dict[str, str]:
    """What was typed, to fill the form again."""
    return {field: value for field, value in form.items() if isinstance(value, str)}


def empty_decision(actor: Actor) -> dict[str, str]:
    """A fresh form: decided today, nothing else assumed."""
    return {"decided_on": local_today(actor).isoformat()}
