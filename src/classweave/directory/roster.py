"""A list of students as people have it: typed, pasted from a spreadsheet, or a CSV file.

Pure: text in, rows and problems out. Nothing is guessed silently; what could not be read is
reported with its line number.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from classweave.core.problems import TooLarge
from classweave.core.text import clean
from classweave.web.i18n import mark

MAXIMUM_BYTES = 10 * 1024 * 1024
MAXIMUM_ROWS = 500
MAXIMUM_NAME = 80

FIELDS = ("given_name", "family_name", "preferred_name", "email", "grade_level", "birth_year")

# Headings as student systems write them (OneRoster 1.2 first), without case and punctuation.
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "given_name": ("givenname", "firstname", "first", "given", "forename", "nombre", "nombres",
                   "vorname", "prenom"),
    "family_name": ("familyname", "lastname", "last", "surname", "family", "apellido",
                    "apellidos", "nachname", "nomdefamille"),
    "full_name": ("name", "fullname", "student", "studentname", "displayname", "alumno"),
    "preferred_name": ("preferredname", "preferredfirstname", "preferredgivenname", "nickname",
                       "knownas"),
    "email": ("email", "mail", "emailaddress", "correo"),
    "grade_level": ("grade", "grades", "gradelevel", "grado", "klasse"),
    "birth_year": ("birthyear", "yearofbirth", "born", "birthdate", "dateofbirth", "dob",
                   "fechadenacimiento", "geburtsdatum"),
}  # fmt: skip
_MEANING = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_YEAR = re.compile(r"(?<!\d)(1[89]\d\d|2[01]\d\d)(?!\d)")


@dataclass(frozen=True, slots=True)
class NewStudent:
    """One student to add. ``given_name`` is never empty; ``birth_year`` is a year or unknown."""

    given_name: str
    family_name: str | None = None
    preferred_name: str | None = None
    email: str | None = None
    grade_level: str | None = None
    birth_year: int | None = None

    @property
    def display_name(self) -> str:
        """What classmates see: the name a student goes by, and one letter of the family's."""
        called = self.preferred_name or self.given_name
        return f"{called} {first_letter(self.family_name)}." if self.family_name else called


@dataclass(frozen=True, slots=True)
class RosterRow:
    """A line that could be read. ``duplicate_of`` is the earlier line with the same student."""

    line: int
    student: NewStudent
    duplicate_of: int | None = None


@dataclass(frozen=True, slots=True)
class RosterProblem:
    """A line that could not be read, and why. Line 0 is the list as a whole."""

    line: int
    message: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Roster:
    """What a list says. ``ignored`` are the headings that have no place here."""

    rows: Sequence[RosterRow] = ()
    problems: Sequence[RosterProblem] = ()
    ignored: Sequence[str] = ()


@dataclass(slots=True)
class _Table:
    separator: str | None
    columns: list[str | None] | None = None
    ignored: list[str] = field(default_factory=list[str])


def decode_roster(content: bytes) -> str:
    """The text of a file: UTF-8 or UTF-16 by its mark, else UTF-8, else Windows-1252.

    Raises :class:`TooLarge` above 10 MB.
    """
    if len(content) > MAXIMUM_BYTES:
        raise TooLarge(
            mark("The file is larger than 10 MB. Leave out what is not needed, or split it.")
        )
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def parse_roster(text: str, this_year: int | None = None) -> Roster:
    """Read a list of students from ``text``; never raises.

    With headings, columns are found by name. Without, a line is a name ("Ana María Ruiz",
    "Ruiz, Ana María") or columns given name, family name, grade, year of birth, as copied from a
    spreadsheet.
    """
    this_year = this_year or date.today().year  # noqa: DTZ011 - a year is precise enough here
    text = text.removeprefix("\ufeff")
    if "\x00" in text:
        return Roster(problems=[RosterProblem(0, mark("This is not a text file."))])
    table = _Table(_separator(text))
    rows: list[RosterRow] = []
    problems: list[RosterProblem] = []
    seen: dict[tuple[str, str, int | None], int] = {}
    for line, cells in _lines(text, table.separator):
        if not any(cells):
            continue
        if table.columns is None and not rows and not problems and _take_header(table, cells):
            continue
        if len(rows) + len(problems) >= MAXIMUM_ROWS:
            problems.append(
                RosterProblem(line, mark("A class takes at most 500 students at once."))
            )
            break
        values = _by_column(table, cells)
        student, fault = _student(values, this_year)
        if student is None:
            problems.append(RosterProblem(line, fault, " ".join(cells)[:100]))
            continue
        key = (
            fold(student.given_name),
            fold(student.family_name or ""),
            student.birth_year,
        )
        rows.append(RosterRow(line, student, seen.get(key)))
        seen.setdefault(key, line)
    return Roster(rows, problems, table.ignored)


def write_roster(students: Iterable[NewStudent]) -> str:
    """``students`` as tab-separated text with headings; :func:`parse_roster` reads it back."""
    written = io.StringIO()
    writer = csv.writer(written, delimiter="\t", lineterminator="\n")
    writer.writerow(FIELDS)
    for student in students:
        writer.writerow([getattr(student, name) for name in FIELDS])
    return written.getvalue()


def fold(name: str) -> str:
    """``name`` without case and accents, for comparing and sorting."""
    parts = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in parts if not unicodedata.combining(c)).strip()


def first_letter(name: str) -> str:
    """The first letter of ``name`` with the marks that belong to it."""
    end = 1
    while end < len(name) and (unicodedata.combining(name[end]) or name[end] in "\u200d\ufe0f"):
        end += 1
    return name[:end].upper()


def _separator(text: str) -> str | None:
    """The separator of the first line that has one; "Ruiz, Ana" alone is a name, not columns."""
    lines = [line for line in text.splitlines()[:50] if line.strip()]
    for candidate in ("\t", ";"):
        if lines and any(candidate in line for line in lines[:5]):
            return candidate
    named = all(re.fullmatch(r"[^,\"]+, [^,\"]+", line) for line in lines if "," in line)
    if any("," in line for line in lines) and (not named or _is_header(lines[0].split(","))):
        return ","
    return None


def _lines(text: str, separator: str | None) -> Iterable[tuple[int, list[str]]]:
    if separator is None:
        for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
            yield number, [clean(line)]
        return
    csv.field_size_limit(MAXIMUM_BYTES)
    # A single unbalanced quote must not swallow the rest of the list.
    quoting = csv.QUOTE_MINIMAL if text.count('"') % 2 == 0 else csv.QUOTE_NONE
    source = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    reader = csv.reader((f"{line}\n" for line in source), delimiter=separator, quoting=quoting)
    before = 0
    for cells in reader:
        yield before + 1, [clean(cell) for cell in cells]
        before = reader.line_num


def _heading(cell: str) -> str:
    return re.sub(r"[^a-z0-9]", "", fold(cell))


def _is_header(cells: Sequence[str]) -> bool:
    known = [_MEANING[h] for h in map(_heading, cells) if h in _MEANING]
    return bool({"given_name", "full_name", "family_name"} & set(known)) and (
        len(known) > 1 or len(cells) == 1
    )


def _take_header(table: _Table, cells: Sequence[str]) -> bool:
    if not _is_header(cells):
        return False
    table.columns = [_MEANING.get(_heading(cell)) for cell in cells]
    table.ignored = [
        cell for cell, meaning in zip(cells, table.columns, strict=True) if meaning is None and cell
    ]
    return True


def _by_column(table: _Table, cells: Sequence[str]) -> dict[str, str]:
    if table.columns is not None:
        values: dict[str, str] = {}
        for column, cell in zip(table.columns, cells, strict=False):
            if column is not None and cell:
                values.setdefault(column, cell)
        return values
    if len(cells) == 1:
        return {"full_name": cells[0]}
    names = ("given_name", "family_name", "grade_level", "birth_year")
    return {name: cell for name, cell in zip(names, cells, strict=False) if cell}


def _student(values: dict[str, str], this_year: int) -> tuple[NewStudent | None, str]:
    given, family = values.get("given_name", ""), values.get("family_name", "")
    if not given and "full_name" in values:
        given, family_of_full = _split(values["full_name"])
        family = family or family_of_full
    if not given:
        given, family = family, ""
    if not given:
        return None, mark("There is no name in this line.")
    preferred = values.get("preferred_name") or None
    if max(len(given), len(family), len(preferred or "")) > MAXIMUM_NAME:
        return None, mark("This name is longer than 80 characters.")
    email = values.get("email") or None
    if email is not None and (len(email) > 254 or not _EMAIL.fullmatch(email)):
        return None, mark("This is not an e-mail address.")
    grade = values.get("grade_level") or None
    if grade is not None and len(grade) > 20:
        return None, mark("A grade is at most 20 characters.")
    year: int | None = None
    if values.get("birth_year"):
        found = _YEAR.search(values["birth_year"])
        year = int(found[1]) if found else None
        if year is None or not this_year - 110 <= year <= this_year - 2:
            return None, mark("This is not a year of birth.")
    return NewStudent(given, family or None, preferred, email, grade, year), ""


def _split(name: str) -> tuple[str, str]:
    """Given and family name of a full name: "Ruiz, Ana María" or "Ana María Ruiz"."""
    if "," in name:
        family, _, given = (part.strip() for part in name.partition(","))
        return (given, family) if given else (family, "")
    given, _, family = name.rpartition(" ")
    return (given, family) if given else (family, "")
