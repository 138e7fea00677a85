"""Reports to take away: what stands in them, in the reader's language, audited."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from babel.dates import format_date, format_skeleton, get_day_names
from babel.numbers import format_decimal, format_percent
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.documents import Bars, Cell, Document, Format, Kind, Table, written
from classweave.attend.find_at_risk import find_at_risk
from classweave.attend.rates import Rule, Tally
from classweave.attend.report_attendance import (
    ClassReport,
    Named,
    OrganizationReport,
    Period,
    report_class,
    report_organization,
    rules_of,
)
from classweave.core import audit
from classweave.core.tenancy import Actor
from classweave.directory.service import local_today
from classweave.web.i18n import babel_locale, mark, translations

_TALLY: tuple[tuple[str, Kind], ...] = (
    (mark("Rate"), "percent"),
    (mark("Taken"), "number"),
    (mark("Not taken"), "number"),
    (mark("Places"), "number"),
    (mark("On time"), "number"),
    (mark("Late"), "number"),
    (mark("Left early"), "number"),
    (mark("Excused"), "number"),
    (mark("Absent"), "number"),
)
_COUNTED: tuple[tuple[str, Kind], ...] = (
    (mark("Rate"), "percent"),
    (mark("Held"), "number"),
    (mark("On time"), "number"),
    (mark("Late"), "number"),
    (mark("Left early"), "number"),
    (mark("Excused"), "number"),
    (mark("Absent"), "number"),
)
RATE_EXPLAINED = mark(
    "The rate is who was present, late or left early, of the places in sessions whose roll was"
    " taken. A session whose roll was not taken counts for nobody."
)
EXCUSED_COUNTS = mark("Excused students count as attended.")
EXCUSED_DOES_NOT = mark("Excused students do not count as attended.")


_NOT_TAKEN: list[Cell] = [None, 0, 1, None, None, None, None, None, None]


@dataclass(frozen=True, slots=True)
class File:
    """A finished file."""

    name: str
    media_type: str
    content: bytes


class Words:
    """A reader's language: translated strings, numbers and days."""

    def __init__(self, locale: str) -> None:
        self.locale = locale
        self.say: Callable[[str], str] = translations(locale).gettext
        self._babel = babel_locale(locale)

    def percent(self, value: float | None) -> str:
        """A share, or that there is none."""
        return (
            self.say(mark("not taken"))
            if value is None
            else format_percent(value, locale=self._babel)
        )

    def number(self, value: int) -> str:
        """A number with its separators."""
        return format_decimal(value, locale=self._babel)

    def day(self, value: date) -> str:
        """A day in words."""
        return format_date(value, "medium", locale=self._babel)

    def short_days(self, days: Iterable[date]) -> dict[date, str]:
        """Days as a plot has room for them, with the year only where they are of several."""
        days = list(days)
        skeleton = "MMMd" if len({day.year for day in days}) < 2 else "yMMMd"
        return {day: format_skeleton(skeleton, day, locale=self._babel) for day in days}

    def weekday(self, number: int) -> str:
        """The name of a weekday, 1 (Monday) to 7."""
        names: Mapping[int, str] = get_day_names("wide", "stand-alone", locale=self._babel)
        return names[number - 1].capitalize()

    def short_weekday(self, number: int) -> str:
        """The name of a weekday as the head of a narrow column."""
        names: Mapping[int, str] = get_day_names("abbreviated", "stand-alone", locale=self._babel)
        return names[number - 1].capitalize()

    def columns(self, *columns: tuple[str, Kind]) -> list[tuple[str, Kind]]:
        """Columns with their heads translated."""
        return [(self.say(name), kind) for name, kind in columns]


async def export_organization(
    session: AsyncSession,
    actor: Actor,
    period: Period,
    organization: UUID | None,
    form: Format,
    words: Words,
) -> File:
    """The organisation report as a file."""
    report = await report_organization(session, actor, period, organization)
    rules = await rules_of(session)
    _audit(session, "attend.report", None, form, ())
    return await _file(organization_document(report, words, _note(rules.values(), words)), form)


async def export_class(
    session: AsyncSession, actor: Actor, class_id: UUID, form: Format, words: Words
) -> File:
    """A class report as a file."""
    report = await report_class(session, actor, class_id)
    _audit(session, "class", class_id, form, [s.id for s in report.students],
           report.school_class.organization_id)  # fmt: skip
    return await _file(class_document(report, words), form)


async def export_at_risk(
    session: AsyncSession, actor: Actor, organization: UUID | None, form: Format, words: Words
) -> File:
    """Everyone at risk as a file."""
    found = await find_at_risk(session, actor, organization, limit=None)
    _audit(session, "attend.risk", None, form, {one.student_id for one in found.students})
    rows: list[list[Cell]] = [
        [
            one.name, one.class_name, one.code, one.organization, one.rate, one.counted.held,
            one.counted.present, one.counted.late, one.counted.left_early, one.counted.excused,
            one.counted.absent,
        ]
        for one in found.students
    ]  # fmt: skip
    columns = words.columns(
        (mark("Student"), "text"), (mark("Class"), "text"), (mark("Code"), "text"),
        (mark("Organisation"), "text"), *_COUNTED,
    )  # fmt: skip
    title = words.say(mark("Students at risk"))
    document = Document(
        "at-risk", title, words.day(local_today(actor)),
        [(words.say(mark("Students")), words.number(found.total))], [Table(title, columns, rows)],
        more=_more(words), locale=words.locale,
    )  # fmt: skip
    return await _file(document, form)


def organization_document(report: OrganizationReport, words: Words, note: str) -> Document:
    """The organisation report: classes first, then the sums of everything else."""
    say = words.say
    tally = words.columns(*_TALLY)
    named = words.columns((mark("Name"), "text"))
    classes = words.columns(
        (mark("Class"), "text"), (mark("Code"), "text"), (mark("Teacher"), "text"),
        (mark("Organisation"), "text"), *_TALLY,
    )  # fmt: skip
    rows: list[list[Cell]] = [
        [c.name, c.code, c.teacher, c.organization, *_cells(c.tally)] for c in report.classes
    ]
    tables = [
        Table(say(mark("By class")), classes, rows),
        Table(say(mark("By organisation")), [*named, *tally], _named(report.organizations)),
        Table(say(mark("By teacher")), [*named, *tally], _named(report.teachers)),
        Table(
            say(mark("By weekday")), [*words.columns((mark("Weekday"), "text")), *tally],
            [[words.weekday(n), *_cells(t)] for n, t in report.weekdays.items()],
        ),
        Table(
            say(mark("By week")), [*words.columns((mark("Week of"), "date")), *tally],
            [[monday, *_cells(t)] for monday, t in report.weeks.items()],
        ),
    ]  # fmt: skip
    period = f"{words.day(report.period.first)} – {words.day(report.period.last)}"
    if report.period.term is not None:
        period = f"{report.period.term.name} · {period}"
    return Document(
        "attendance", say(mark("Attendance")), period, _facts(report.total, words), tables,
        [weeks_plot(report.weeks, words), weekdays_plot(report.weekdays, words)],
        note, _more(words), locale=words.locale,
    )  # fmt: skip


def class_document(report: ClassReport, words: Words) -> Document:
    """A class: its students, then its sessions."""
    say = words.say
    students: list[list[Cell]] = [
        [
            s.name, s.number, s.rate, s.counted.held, s.counted.present, s.counted.late,
            s.counted.left_early, s.counted.excused, s.counted.absent,
            say(mark("at risk")) if s.at_risk else (None if s.enrolled else say(mark("has left"))),
        ]
        for s in report.students
    ]  # fmt: skip
    sessions: list[list[Cell]] = [
        [s.date, s.start_time, *(_cells(s.tally) if s.taken else _NOT_TAKEN)]
        for s in reversed(report.sessions)
    ]
    head = words.columns((mark("Student"), "text"), (mark("Number"), "text"), *_COUNTED)
    state = words.columns((mark("State"), "text"))
    days = words.columns((mark("Date"), "date"), (mark("Time"), "text"), *_TALLY)
    tables = [
        Table(say(mark("Students")), [*head, *state], students),
        Table(say(mark("Sessions")), days, sessions),
    ]
    title = report.school_class.name
    held = [s.date for s in report.sessions]
    period = f"{words.day(min(held))} – {words.day(max(held))}" if held else ""
    subtitle = " · ".join(filter(None, (report.school_class.code, period)))
    return Document(
        f"attendance-{title}", say(mark("Attendance: %(name)s")) % {"name": title}, subtitle,
        _facts(report.total, words), tables,
        [weeks_plot(report.weeks, words), weekdays_plot(report.weekdays, words)],
        _note([report.rule], words), _more(words), locale=words.locale,
    )  # fmt: skip


def weeks_plot(weeks: Mapping[date, Tally], words: Words) -> Bars:
    """The trend."""
    say = words.say
    days = words.short_days(weeks)
    bars = [(days[d], t.rate, words.percent(t.rate)) for d, t in weeks.items()]
    return Bars(say(mark("Trend by week")), _said(say(mark("Rate by week")), bars), bars)


def weekdays_plot(weekdays: Mapping[int, Tally], words: Words) -> Bars:
    """The days of the week beside each other."""
    say = words.say
    bars = [(words.weekday(n), t.rate, words.percent(t.rate)) for n, t in weekdays.items()]
    return Bars(say(mark("Rate by weekday")), _said(say(mark("Rate by weekday")), bars), bars)


def _said(what: str, bars: Iterable[tuple[str, float | None, str]]) -> str:
    return f"{what}: " + "; ".join(f"{label} {shown}" for label, _share, shown in bars)


def _facts(total: Tally, words: Words) -> list[tuple[str, str]]:
    say = words.say
    return [
        (say(mark("Rate")), words.percent(total.rate)),
        (say(mark("Sessions taken")), words.number(total.taken)),
        (say(mark("Sessions not taken")), words.number(total.not_taken)),
        (say(mark("Absences")), words.number(total.absent)),
    ]


def _note(rules: Iterable[Rule], words: Words) -> str:
    counts = {rule.excused_counts for rule in rules} or {True}
    note = words.say(RATE_EXPLAINED)
    if len(counts) == 1:
        note += " " + words.say(EXCUSED_COUNTS if counts == {True} else EXCUSED_DOES_NOT)
    return note


def _more(words: Words) -> str:
    return words.say(mark("The table goes on; the spreadsheet has all of it."))


def _cells(tally: Tally) -> list[Cell]:
    return [
        tally.rate, tally.taken, tally.not_taken, tally.enrolled, tally.on_time, tally.late,
        tally.left_early, tally.excused, tally.absent,
    ]  # fmt: skip


def _named(lines: Iterable[Named]) -> list[list[Cell]]:
    return [[line.name, *_cells(line.tally)] for line in lines]


def _audit(
    session: AsyncSession,
    resource: str,
    key: UUID | None,
    form: Format,
    students: Iterable[UUID],
    organization: UUID | None = None,
) -> None:
    audit.record(
        session, "attendance.exported", resource=resource, resource_id=key,
        description=f"Exported a report of attendance as {form.value}", students=list(students),
        organization=organization,
    )  # fmt: skip


async def _file(document: Document, form: Format) -> File:
    content = await asyncio.to_thread(written, document, form)
    words = re.sub(r"[^a-z0-9]+", "-", document.name.lower()).strip("-")[:60] or "attendance"
    return File(f"{words}.{form.value}", form.media_type, content)
