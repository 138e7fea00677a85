"""Text that a spreadsheet opens: CSV, and cells that cannot become formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

# A spreadsheet runs what begins with one of these.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

BYTE_ORDER_MARK = "\ufeff"
"""First in a CSV file: without it spreadsheets misread names that are not ASCII."""


def csv_row(cells: Iterable[object]) -> str:
    """One line of RFC 4180; text that a spreadsheet would run as a formula gets an apostrophe."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow([safe_cell(cell) for cell in cells])
    return buffer.getvalue()


def safe_cell(value: object) -> str:
    """``value`` as text that no spreadsheet runs."""
    if value is None:
        return ""
    text = str(value)
    # Numbers of ours may be negative; whatever else begins like a formula is text.
    runs = text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA)
    return f"'{text}" if runs and not isinstance(value, (int, float)) else text
