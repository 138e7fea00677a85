"""A report as a document: tables and bars, written as CSV, Excel or PDF. Pure: no database."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from importlib.resources import files
from typing import Any, Literal

import orjson
import typst
from babel.dates import format_date
from babel.numbers import format_decimal, format_percent
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from classweave.core.spreadsheets import BYTE_ORDER_MARK, csv_row, safe_cell

MOST_PRINTED = 2_000
"""Rows of a table in a PDF: who needs more takes the spreadsheet."""

_TEMPLATE = "report.typ"
_SHORT = 16
"""Characters up to which a column of text in a PDF is as wide as its words."""
_new_cell: Any = WriteOnlyCell  # a function that the stubs take for a class
# What XML cannot hold.
_ILLEGAL = dict.fromkeys([*(n for n in range(32) if n not in (9, 10, 13)), 0xFFFE, 0xFFFF])

Cell = str | int | float | date | None
Kind = Literal["text", "number", "percent", "date"]


class Format(StrEnum):
    """What a report can be taken away as, by the ending of the file."""

    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"

    @property
    def media_type(self) -> str:
        """How a browser is told what it receives."""
        return {
            Format.CSV: "text/csv; charset=utf-8",
            Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Format.PDF: "application/pdf",
        }[self]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; percentages are shares (0-1), ``None`` is nothing known."""

    title: str
    columns: Sequence[tuple[str, Kind]]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Bars:
    """A plot: a share (0-1) for each label, and what the page says beside it."""

    title: str
    alt: str
    bars: Sequence[tuple[str, float | None, str]]


@dataclass(frozen=True, slots=True)
class Document:
    """A report to be taken away, in the reader's language."""

    name: str
    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    tables: Sequence[Table]
    plots: Sequence[Bars] = field(default_factory=list[Bars])
    note: str = ""
    more: str = ""
    nothing: str = "–"
    locale: str = "en"


def written(document: Document, form: Format) -> bytes:
    """``document`` as the bytes of a file. May take seconds: not for the event loop."""
    return {Format.CSV: as_csv, Format.XLSX: as_xlsx, Format.PDF: as_pdf}[form](document)


def as_csv(document: Document) -> bytes:
    """The first table, one header line: what programs and spreadsheets read."""
    table = document.tables[0]
    lines = [csv_row(name for name, _kind in table.columns)]
    lines += [csv_row(_rounded(cell) for cell in row) for row in table.rows]
    return (BYTE_ORDER_MARK + "".join(lines)).encode()


def as_xlsx(document: Document) -> bytes:
    """A sheet for each table, numbers as numbers, text as text."""
    book = Workbook(write_only=True)
    taken: set[str] = set()
    for table in document.tables:
        sheet: Any = book.create_sheet(_sheet_name(table.title, taken))
        sheet.freeze_panes = "A2"
        for index, (name, _kind) in enumerate(table.columns):
            widest = max([len(name), *(_width(row[index]) for row in table.rows[:200])])
            sheet.column_dimensions[get_column_letter(index + 1)].width = min(48, widest + 3)
        sheet.append([_head(sheet, name) for name, _kind in table.columns])
        for row in table.rows:
            sheet.append(
                [
                    _cell(sheet, value, kind)
                    for value, (_, kind) in zip(row, table.columns, strict=True)
                ]
            )
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def as_pdf(document: Document) -> bytes:
    """A tagged PDF (PDF/UA-1 wherever the fonts have every character of the names)."""
    locale = document.locale.replace("-", "_")

    def shown(value: Cell, kind: Kind) -> str:
        if value is None:
            return document.nothing
        if isinstance(value, date):
            return format_date(value, "medium", locale=locale)
        if isinstance(value, str):
            return value
        if kind == "percent":
            return format_percent(value, locale=locale)
        return format_decimal(value, locale=locale)

    data = {
        "title": document.title,
        "subtitle": document.subtitle,
        "lang": document.locale.partition("-")[0],
        "facts": document.facts,
        "note": document.note,
        "plots": [{"title": p.title, "alt": p.alt, "bars": p.bars} for p in document.plots],
        "tables": [
            {
                "title": table.title,
                "columns": [name for name, _kind in table.columns],
                "narrow": [_narrow(table, index) for index in range(len(table.columns))],
                "right": [kind in ("number", "percent") for _name, kind in table.columns],
                "rows": [
                    [shown(v, kind) for v, (_, kind) in zip(row, table.columns, strict=True)]
                    for row in table.rows[:MOST_PRINTED]
                ],
                "more": document.more if len(table.rows) > MOST_PRINTED else "",
            }
            for table in document.tables
        ],
    }
    template = files("classweave.attend").joinpath(_TEMPLATE).read_bytes()
    inputs = {"data": orjson.dumps(data).decode()}
    try:
        made = typst.compile(template, format="pdf", sys_inputs=inputs, pdf_standards="ua-1")
    except typst.TypstError:
        # The standard wants a glyph for every character, and a name may hold any. Tagged all the
        # same, with a box for what no font of this machine has.
        made = typst.compile(template, format="pdf", sys_inputs=inputs)
    assert isinstance(made, bytes)
    return made


def _rounded(cell: Cell) -> Cell:
    return round(cell, 4) if isinstance(cell, float) else cell


def _width(cell: Cell) -> int:
    """How many characters a spreadsheet shows; of a share, no more than "100.0%"."""
    return 6 if isinstance(cell, float) else len(str(cell or ""))


def _narrow(table: Table, index: int) -> bool:
    """Whether a column of a PDF needs no more room than its words: figures, codes, states."""
    if table.columns[index][1] != "text":
        return True
    return index > 0 and all(_width(row[index]) <= _SHORT for row in table.rows[:MOST_PRINTED])


def _head(sheet: Any, name: str) -> Any:
    cell = _new_cell(sheet, safe_cell(name))
    cell.font = Font(bold=True)
    return cell


def _cell(sheet: Any, value: Cell, kind: Kind) -> Any:
    if isinstance(value, str):
        # An apostrophe as in the CSV: openpyxl would write "=…" as a formula.
        cell = _new_cell(sheet, safe_cell(value.translate(_ILLEGAL)))
        cell.data_type = "s"
        return cell
    cell = _new_cell(sheet, _rounded(value))
    if value is not None and kind == "percent":
        cell.number_format = "0.0%"
    elif value is not None and kind == "date":
        cell.number_format = "yyyy-mm-dd"
    return cell


def _sheet_name(title: str, taken: set[str]) -> str:
    """A name as Excel takes it: 31 characters, none of its own signs, each once."""
    plain = "".join(c for c in title if c not in "[]:*?/\\'").strip()[:28] or "Table"
    name, number = plain, 2
    while name.casefold() in taken:
        name, number = f"{plain} {number}", number + 1
    taken.add(name.casefold())
    return name
