"""What a device pushed, read strictly where it must be and kindly where it may be.

Pure. A body that is no push at all is refused; a row that cannot be right is listed in
:attr:`Push.wrong` and corrected by the next pull, for a refusal would block the device for ever.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, cast
from uuid import UUID

import orjson

from classweave.attend.models import Status
from classweave.attend.sync.tables import FEEDS
from classweave.core.problems import BadRequest
from classweave.core.text import clean

RECORDS, SESSIONS, CLASSES = "attendance_records", "attendance_sessions", "classes"
TABLES = frozenset({*FEEDS, RECORDS})
LONGEST_NOTE = 2000
LONGEST_NAME = 120

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::[0-5][0-9])?")
_LATEST_MS = 253_402_300_799_000  # the year 9999
_YEARS = range(2000, 2101)

_STATUSES = {status.value: status for status in Status}


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as a device has it."""

    id: str
    class_id: UUID
    date: date
    start_time: str | None
    end_time: str | None
    note: str | None
    marked_at: datetime | None


@dataclass(frozen=True, slots=True)
class RecordRow:
    """A record as a device has it. ``class_id`` is what the device says, if it says."""

    id: str
    session_id: str
    student_id: UUID
    class_id: UUID | None
    status: Status
    minutes: int | None
    marked_at: datetime | None
    notes: str | None


@dataclass(slots=True)
class Push:
    """A push in parts. ``wrong`` holds (table, id, reason) of what cannot be taken."""

    classes: dict[UUID, str] = field(default_factory=dict[UUID, str])
    sessions: list[SessionRow] = field(default_factory=list[SessionRow])
    records: list[RecordRow] = field(default_factory=list[RecordRow])
    deleted_sessions: list[str] = field(default_factory=list[str])
    deleted_records: list[str] = field(default_factory=list[str])
    wrong: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])

    @property
    def empty(self) -> bool:
        """Whether nothing at all was pushed."""
        return not (
            self.classes or self.sessions or self.records
            or self.deleted_sessions or self.deleted_records or self.wrong
        )  # fmt: skip


class _Wrong(ValueError):
    """A row that cannot be right."""


def parse_push(body: bytes) -> Push:
    """Read a body. Raises :class:`~classweave.core.problems.BadRequest` for what is no push."""
    whole = _object(_json(body), "The body")
    changes = _object(whole.get("changes"), "changes")
    push = Push()
    for table, part in changes.items():
        if table not in TABLES:
            raise BadRequest("changes names a table that there is not.")
        lists = _object(part, f"changes.{table}")
        rows = [
            _object(row, f"A row of {table}")
            for key in ("created", "updated")
            for row in _list(lists.get(key, []), f"changes.{table}.{key}")
        ]
        deleted = [_id(i, table) for i in _list(lists.get("deleted", []), f"{table}.deleted")]
        _take(push, table, rows, deleted)
    return push


def _take(push: Push, table: str, rows: list[dict[str, Any]], deleted: list[str]) -> None:
    for row in rows:
        key = _id(row.get("id"), table)
        try:
            if table == SESSIONS:
                push.sessions.append(_session(key, row))
            elif table == RECORDS:
                push.records.append(_record(key, row))
            elif table == CLASSES:
                push.classes[_uuid(key)] = _name(row.get("name"))
            else:
                raise _Wrong("read-only")
        except _Wrong as reason:
            push.wrong.append((table, key, str(reason)))
    if table == SESSIONS:
        push.deleted_sessions += deleted
    elif table == RECORDS:
        push.deleted_records += deleted
    else:
        push.wrong += [(table, key, "read-only") for key in deleted]


def _session(key: str, row: dict[str, Any]) -> SessionRow:
    return SessionRow(
        id=key,
        class_id=_uuid(row.get("class_id")),
        date=_date(row.get("date")),
        start_time=_time(row.get("start_time")),
        end_time=_time(row.get("end_time")),
        note=_note(row.get("note")),
        marked_at=_moment(row.get("marked_at")),
    )


def _record(key: str, row: dict[str, Any]) -> RecordRow:
    session, said = row.get("session_id"), row.get("class_id")
    if not isinstance(session, str) or not _ID.fullmatch(session):
        raise _Wrong("session")
    status = row.get("status")
    if not isinstance(status, str) or status not in _STATUSES:
        raise _Wrong("status")
    return RecordRow(
        id=key,
        session_id=session,
        student_id=_uuid(row.get("student_id")),
        class_id=_uuid(said) if said not in (None, "") else None,
        status=_STATUSES[status],
        minutes=_minutes(row.get("minutes")),
        marked_at=_moment(row.get("marked_at")),
        notes=_note(row.get("notes")),
    )


# Values -----------------------------------------------------------------------------------------


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        # Half of a surrogate pair is JSON, and only this parser reads it.
        return json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is not JSON.") from error


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadRequest(f"{name} must be an object.")
    return cast("dict[str, Any]", value)


def _list(value: Any, name: str) -> Iterator[Any]:
    if not isinstance(value, list):
        raise BadRequest(f"{name} must be a list.")
    return iter(cast("list[Any]", value))


def _id(value: Any, table: str) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise BadRequest(f"An id in {table} has another form than [A-Za-z0-9._-]{{1,64}}.")
    return value


def _uuid(value: Any) -> UUID:
    try:
        if isinstance(value, str):
            return UUID(value)
    except ValueError:
        pass
    raise _Wrong("reference")


def _date(value: Any) -> date:
    try:
        if isinstance(value, str) and (day := date.fromisoformat(value)).year in _YEARS:
            return day
    except ValueError:
        pass
    raise _Wrong("date")


def _time(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and (found := _TIME.fullmatch(value)):
        return f"{int(found[1]):02d}:{found[2]}"
    raise _Wrong("time")


def _moment(value: Any) -> datetime | None:
    number = _number(value)
    if not number:
        return None
    if not 0 < number <= _LATEST_MS:
        raise _Wrong("moment")
    return datetime.fromtimestamp(number / 1000, UTC)


def _minutes(value: Any) -> int | None:
    number = _number(value)
    if number is None:
        return None
    if not 0 <= number <= 1440:
        raise _Wrong("minutes")
    return int(number)


def _number(value: Any) -> float | None:
    """A number; JavaScript has only one kind, Python's ``True`` is not one."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Wrong("number")
    # A whole number may be too large to be a float: it is compared as it is.
    if value != value or abs(value) >= 2**53:
        raise _Wrong("number")
    return value


def _note(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise _Wrong("note")
    kept = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in value if c != "\0")
    if len(kept) > LONGEST_NOTE:
        raise _Wrong("note")
    return kept or None


def _name(value: Any) -> str:
    name = clean(value) if isinstance(value, str) else ""
    if not 1 <= len(name) <= LONGEST_NAME:
        raise _Wrong("name")
    return name
