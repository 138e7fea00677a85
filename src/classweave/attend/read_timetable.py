"""Reading a timetable: iCalendar or CSV becomes meetings, and what was not understood, by line.

Pure: no database. Classes are told by what a line says of them; which class that is, is decided by
:func:`classweave.attend.import_timetable.match_classes`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events  # pyright: ignore[reportMissingTypeStubs]

from classweave.core.problems import Invalid, TooLarge
from classweave.core.text import clean
from classweave.web.i18n import mark

MAXIMUM_BYTES = 10 * 1024 * 1024
MAXIMUM_MEETINGS = 20_000
LONGEST_TEXT = 200
_WEEK = timedelta(days=7)

_COLUMNS = {
    "class": ("class", "code", "course", "clase", "curso", "codigo", "código", "asignatura"),
    "date": ("date", "day", "fecha"),
    "weekday": ("weekday", "dia", "día", "dia de la semana", "día de la semana"),
    "starts_on": ("starts_on", "start_date", "from", "first day", "desde", "inicio"),
    "ends_on": ("ends_on", "end_date", "until", "to", "last day", "hasta", "fin"),
    "start_time": ("start_time", "start", "begins", "hora inicio", "hora_inicio", "empieza"),
    "end_time": ("end_time", "end", "ends", "hora fin", "hora_fin", "termina"),
    "room": ("room", "location", "place", "aula", "sala", "lugar"),
    "title": ("title", "topic", "titulo", "título", "tema"),
}
_NAMES = {name: column for column, names in _COLUMNS.items() for name in names}
_WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            ("1", "mon", "monday", "lun", "lunes"),
            ("2", "tue", "tues", "tuesday", "mar", "martes"),
            ("3", "wed", "wednesday", "mie", "mié", "miercoles", "miércoles"),
            ("4", "thu", "thur", "thurs", "thursday", "jue", "jueves"),
            ("5", "fri", "friday", "vie", "viernes"),
            ("6", "sat", "saturday", "sab", "sáb", "sabado", "sábado"),
            ("7", "sun", "sunday", "dom", "domingo"),
        )
    )
    for name in names
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A meeting as the file has it. ``names``: what may say the class, the surest first."""

    line: int
    names: tuple[str, ...]
    date: date
    start: time
    end: time | None
    room: str | None
    title: str | None
    uid: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A line that was not understood, and why (a marked message)."""

    line: int
    message: str
    shown: str = ""


@dataclass(slots=True)
class Timetable:
    """What was read. ``outside`` counts meetings before or after the term; ``kind`` is its form."""

    kind: str
    entries: list[Entry] = field(default_factory=list[Entry])
    troubles: list[Trouble] = field(default_factory=list[Trouble])
    outside: int = 0
    cancelled: int = 0


def read_timetable(content: bytes, first: date, last: date, zone: ZoneInfo) -> Timetable:
    """Meetings from ``first`` to ``last``, in the local time of ``zone``.

    Raises :class:`TooLarge` beyond the limits and :class:`Invalid` for what is no timetable.
    """
    if len(content) > MAXIMUM_BYTES:
        raise TooLarge(mark("A timetable may have 10 MB at most."))
    text = _decoded(content)
    if not text.strip():
        raise _invalid(mark("The file is empty."))
    if re.match(r"\s*BEGIN:VCALENDAR\b", text, re.IGNORECASE):
        return _read_calendar(text, first, last, zone)
    return _read_sheet(text, first, last)


def _invalid(message: str) -> Invalid:
    return Invalid(message, errors=[{"field": "file", "message": message}])


def _decoded(content: bytes) -> str:
    for encoding in (
        ("utf-8-sig", "utf-16") if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",)
    ):
        try:
            return content.decode(encoding).replace("\0", "")
        except UnicodeDecodeError:
            continue
    return content.decode("cp1252", errors="replace").replace("\0", "")


def _kept(value: object) -> str | None:
    """Text of a field in one line; ``None`` when there is nothing to see."""
    return (
        clean(str(value)[: 4 * LONGEST_TEXT])[:LONGEST_TEXT] or None if value is not None else None
    )


# iCalendar -----------------------------------------------------------------------------------


def _read_calendar(text: str, first: date, last: date, zone: ZoneInfo) -> Timetable:
    try:
        return _expand(icalendar.Calendar.from_ical(text), text, first, last, zone)
    # What a broken property raises depends on the library's parser of it, and on the platform.
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        raise _invalid(mark("This is not a calendar that can be read.")) from error


def _expand(calendar: Any, text: str, first: date, last: date, zone: ZoneInfo) -> Timetable:
    found = Timetable("iCalendar")
    starts = [n for n, row in enumerate(text.splitlines(), 1) if _BEGIN.match(row)]
    events: list[Any] = list(calendar.walk("VEVENT"))
    if len(events) > MAXIMUM_MEETINGS:
        raise TooLarge(mark("A timetable may have 20,000 meetings at most."))
    lines: dict[str, int] = {}
    sound: list[Any] = []
    for index, event in enumerate(events):
        line = starts[index] if index < len(starts) else 1
        try:
            trouble = _event_trouble(event)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            trouble = mark("It has a property that cannot be read.")
        if trouble:
            found.troubles.append(Trouble(line, trouble, _kept(event.get("SUMMARY")) or ""))
            continue
        if "UID" not in event:
            event.add("UID", f"line-{line}")
        lines.setdefault(str(event["UID"]), line)
        sound.append(event)
    calendar.subcomponents = [c for c in calendar.subcomponents if c.name != "VEVENT"] + sound
    for occurrence in _occurrences(calendar, first, last):
        _keep_occurrence(found, occurrence, lines.get(str(occurrence.get("UID")), 1), zone)
        if len(found.entries) > MAXIMUM_MEETINGS:
            raise TooLarge(mark("A timetable may have 20,000 meetings at most."))
    dated = [event for event in sound if "RRULE" not in event]
    found.outside = sum(not first <= _day(event, zone) <= last for event in dated)
    return found


_MOST_OFTEN = 10_000
_MOST_NAMES = 20
_BEGIN = re.compile(r"\s*BEGIN:VEVENT\s*$", re.IGNORECASE)


def _event_trouble(event: Any) -> str | None:
    start = getattr(event.get("DTSTART"), "dt", None)
    if start is None:
        return mark("It does not say when it begins.")
    if not isinstance(start, datetime):
        return mark("It lasts all day: a meeting has a time.")
    if not 1990 <= start.year <= 2200:
        return mark("Its date is far from any term.")
    int(event.get("SEQUENCE", 0))  # which event of two is newer
    if len(_several(event.get("UID"))) > 1:
        return mark("It has more than one identifier (UID).")
    end = getattr(event.get("DTEND"), "dt", start)
    if not isinstance(end, date) or not 1990 <= end.year <= 2200:
        return mark("Its end cannot be read.")
    lasts = getattr(event.get("DURATION"), "dt", timedelta())
    if not timedelta() <= lasts <= timedelta(days=1):
        return mark("It does not end on the day it begins.")
    for rule in _several(event.get("RRULE")):
        words: Mapping[str, Any] = rule
        often = str(next(iter(words.get("FREQ", ["YEARLY"])))).upper()
        if often not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY") or any(
            name in words for name in ("BYHOUR", "BYMINUTE", "BYSECOND")
        ):
            return mark("It repeats within a day: no timetable does.")
        numbers = [*words.get("INTERVAL", [1]), *words.get("COUNT", [1])]
        if any(not 1 <= int(number) <= _MOST_OFTEN for number in numbers):
            return mark("It repeats too often, or never.")
    return None


def _several(value: Any) -> list[Any]:
    """What may stand in an event once, many times or not at all."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownArgumentType]


def _day(event: Any, zone: ZoneInfo) -> date:
    return _local(event["DTSTART"].dt, zone).date()


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    """A moment where the organisation is; a time without a zone is meant there."""
    return moment.astimezone(zone) if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def _occurrences(calendar: Any, first: date, last: date) -> Iterator[Any]:
    query = recurring_ical_events.of(calendar, skip_bad_series=True)
    start = first - timedelta(days=1)
    seen: set[tuple[str, str]] = set()
    while start <= last + timedelta(days=1):
        week: list[Any] = query.between(start, start + _WEEK)
        for event in week:
            key = (str(event.get("UID")), str(event["DTSTART"].dt))
            if key not in seen:
                seen.add(key)
                yield event
        start += _WEEK


def _keep_occurrence(found: Timetable, event: Any, line: int, zone: ZoneInfo) -> None:
    shown = _kept(event.get("SUMMARY")) or ""
    start = _local(event["DTSTART"].dt, zone)
    end = getattr(event.get("DTEND"), "dt", None)
    end = _local(end, zone) if isinstance(end, datetime) else None
    if str(event.get("STATUS", "")).upper() == "CANCELLED":
        found.cancelled += 1
        return
    if end is not None and (end.date() != start.date() or end < start):
        found.troubles.append(Trouble(line, mark("It does not end on the day it begins."), shown))
        return
    found.entries.append(
        Entry(
            line, tuple(islice(_class_names(event), _MOST_NAMES)),
            start.date(), start.time().replace(second=0),
            end.time().replace(second=0) if end and end > start else None,
            _kept(event.get("LOCATION")), _kept(event.get("SUMMARY")), str(event.get("UID")),
        )
    )  # fmt: skip


def _class_names(event: Any) -> Iterator[str]:
    for name, value in event.property_items(recursive=False):
        if str(name).upper().startswith("X-"):
            yield _kept(value) or ""
    for one in _several(event.get("CATEGORIES")):
        for word in getattr(one, "cats", ()):
            yield _kept(word) or ""
    if event.get("SUMMARY") is not None:
        yield _kept(event["SUMMARY"]) or ""


# CSV -----------------------------------------------------------------------------------------


def _read_sheet(text: str, first: date, last: date) -> Timetable:
    found = Timetable("CSV")
    head = text.lstrip().splitlines()[0]
    delimiter = max(",;\t", key=head.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns: dict[str, int] | None = None
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if columns is None:
                columns = _columns(cells)
                continue
            _keep_row(found, rows.line_num, cells, columns, first, last)
            if len(found.entries) > MAXIMUM_MEETINGS:
                raise TooLarge(mark("A timetable may have 20,000 meetings at most."))
    except csv.Error as error:
        raise _invalid(mark("This is not a table that can be read.")) from error
    return found


def _columns(cells: Iterable[str]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for index, cell in enumerate(cells):
        column = _NAMES.get(" ".join(cell.casefold().split()))
        if column is not None:
            columns.setdefault(column, index)
    dated = "date" in columns or {"weekday", "starts_on", "ends_on"} <= columns.keys()
    if "start_time" not in columns or not dated:
        raise _invalid(
            mark(
                "The first line names the columns: class, date (or weekday, starts_on, ends_on),"
                " start_time, end_time, room, title."
            )
        )
    return columns


def _keep_row(
    found: Timetable, line: int, cells: list[str], columns: dict[str, int], first: date, last: date
) -> None:
    def cell(name: str) -> str:
        index = columns.get(name)
        return cells[index] if index is not None and index < len(cells) else ""

    try:
        start = _time(cell("start_time"))
        end = _time(cell("end_time")) if cell("end_time") else None
        if end is not None and end <= start:
            raise _NotReadError(mark("It ends before it begins."))
        days = list(_days(cell, first, last))
    except _NotReadError as problem:
        found.troubles.append(
            Trouble(line, problem.message, " · ".join(c for c in cells if c)[:120])
        )
        return
    inside = [day for day in days if first <= day <= last]
    found.outside += len(days) - len(inside)
    name = _kept(cell("class"))
    for day in inside:
        found.entries.append(
            Entry(
                line, (name,) if name else (), day, start, end, _kept(cell("room")),
                _kept(cell("title")), "",
            )
        )  # fmt: skip


class _NotReadError(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def _days(cell: Any, first: date, last: date) -> Iterator[date]:
    if cell("date"):
        yield _date(cell("date"))
        return
    weekday = _WEEKDAYS.get(cell("weekday").casefold().rstrip("."))
    if weekday is None:
        raise _NotReadError(mark("It names neither a date nor a day of the week."))
    since, until = _date(cell("starts_on")), _date(cell("ends_on"))
    if until < since:
        raise _NotReadError(mark("It ends before it begins."))
    # Nothing outside the term is kept, so nothing outside is counted day by day.
    day = max(since, first)
    day += timedelta(days=(weekday - day.weekday()) % 7)
    while day <= min(until, last):
        yield day
        day += _WEEK


def _date(written: str) -> date:
    try:
        day = date.fromisoformat(written)
    except ValueError:
        raise _NotReadError(mark("Write the date as year-month-day.")) from None
    if not 1990 <= day.year <= 2200:
        raise _NotReadError(mark("Its date is far from any term."))
    return day


_TIME = re.compile(r"(\d{1,2})[:.h](\d{2})(?::\d{2})?\s*(am|pm|a\. ?m\.|p\. ?m\.)?", re.IGNORECASE)


def _time(written: str) -> time:
    match = _TIME.fullmatch(written.strip())
    if match is None or not match[1].isascii() or not match[2].isascii():
        raise _NotReadError(mark("Write the time as hour:minute."))
    hour, minute = int(match[1]), int(match[2])
    half = (match[3] or "").casefold()[:1]
    if half and 1 <= hour <= 12:
        hour = hour % 12 + (12 if half == "p" else 0)
    if hour > 23 or minute > 59:
        raise _NotReadError(mark("Write the time as hour:minute."))
    return time(hour, minute)
