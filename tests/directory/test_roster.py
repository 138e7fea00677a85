from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classweave.core.problems import TooLarge
from classweave.directory.roster import (
    MAXIMUM_BYTES,
    MAXIMUM_ROWS,
    NewStudent,
    clean,
    decode_roster,
    first_letter,
    fold,
    parse_roster,
    write_roster,
)

YEAR = 2026


def students(text: str) -> list[NewStudent]:
    return [row.student for row in parse_roster(text, YEAR).rows]


@pytest.mark.parametrize(
    ("line", "given", "family"),
    [
        ("Ana", "Ana", None),
        ("Ana María Ruiz", "Ana María", "Ruiz"),
        ("Ruiz Pérez, Ana María", "Ana María", "Ruiz Pérez"),
        ("Ana\tRuiz", "Ana", "Ruiz"),
        ("Ana;Ruiz", "Ana", "Ruiz"),
        ("Ana,Ruiz", "Ana", "Ruiz"),
        ("محمد علي", "محمد", "علي"),
        ("👩‍🚀 Star", "👩‍🚀", "Star"),
        ("\u202eAna\u202c Ruiz", "Ana", "Ruiz"),
    ],
)
def test_a_typed_line_is_a_name(line: str, given: str, family: str | None) -> None:
    assert students(line) == [NewStudent(given, family)]


def test_columns_without_headings_are_name_grade_and_year() -> None:
    assert students("Ana\tRuiz\t8\t2012") == [
        NewStudent("Ana", "Ruiz", grade_level="8", birth_year=2012)
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_headings_of_student_systems_are_understood(
    separator: str, newline: str, mark: str
) -> None:
    rows = [
        ["sourcedId", "Given Name", "familyName", "grades", "birthDate", "E-Mail"],
        ["x1", "Ana", "Ruiz", "08", "2012-05-01", "ana@school.example"],
    ]
    text = mark + newline.join(separator.join(row) for row in rows)
    found = parse_roster(text, YEAR)
    assert [row.student for row in found.rows] == [
        NewStudent("Ana", "Ruiz", None, "ana@school.example", "08", 2012)
    ]
    assert found.ignored == ["sourcedId"]
    assert not found.problems


def test_a_file_is_read_in_its_own_encoding() -> None:
    text = "Name\nZoë Müller"
    for content in (
        text.encode(),
        text.encode("utf-8-sig"),
        text.encode("utf-16"),
        text.encode("cp1252"),
    ):
        assert students(decode_roster(content)) == [NewStudent("Zoë", "Müller")]


def test_problems_carry_the_line_and_do_not_stop_the_rest() -> None:
    text = (
        "firstName,lastName,born,email\nAna,Ruiz,2012,\n,,2012,\nBo,Li,soon,\n"
        "Cy,Oz,,nonsense\nDi,,,"
    )
    found = parse_roster(text, YEAR)
    assert [row.line for row in found.rows] == [2, 6]
    assert [problem.line for problem in found.problems] == [3, 4, 5]


def test_a_quoted_line_break_does_not_shift_the_line_numbers() -> None:
    found = parse_roster('given,family\n"Ana\nMaría",Ruiz\nBo,Li', YEAR)
    assert [(row.line, row.student.given_name) for row in found.rows] == [
        (2, "Ana María"),
        (4, "Bo"),
    ]


def test_a_stray_quote_does_not_swallow_the_list() -> None:
    assert len(students('Ana;"Ruiz\nBo;Li\nCy;Oz')) == 3


def test_duplicates_are_named_and_namesakes_of_another_year_are_not() -> None:
    found = parse_roster("name;born\nAna Ruíz;2012\nANA RUIZ;2012\nAna Ruiz;2013", YEAR)
    assert [row.duplicate_of for row in found.rows] == [None, 2, None]


def test_a_list_longer_than_a_class_says_so() -> None:
    found = parse_roster("\n".join(f"Student {n}" for n in range(MAXIMUM_ROWS + 50)), YEAR)
    assert len(found.rows) == MAXIMUM_ROWS
    assert len(found.problems) == 1
    assert found.problems[0].line == MAXIMUM_ROWS + 1


def test_a_file_above_ten_megabytes_is_refused_and_one_below_is_read() -> None:
    with pytest.raises(TooLarge):
        decode_roster(b"x" * (MAXIMUM_BYTES + 1))
    line = "given,family\n" + "Ana,Ruiz\n"
    content = (line + " " * (MAXIMUM_BYTES - len(line))).encode()
    assert students(decode_roster(content)) == [NewStudent("Ana", "Ruiz")]


def test_what_is_not_text_is_a_problem() -> None:
    found = parse_roster(decode_roster(b"PK\x03\x04\x00\x00" * 10), YEAR)
    assert not found.rows
    assert found.problems[0].line == 0


@pytest.mark.parametrize("year", ["2025", "1800", "99"])
def test_impossible_years_of_birth_are_refused(year: str) -> None:
    found = parse_roster(f"name;born\nAna;{year}", YEAR)
    assert not found.rows
    assert len(found.problems) == 1


@given(st.text(max_size=400))
def test_any_text_is_read_without_failing(text: str) -> None:
    found = parse_roster(text, YEAR)
    for row in found.rows:
        assert row.student.given_name == clean(row.student.given_name) != ""
        assert row.student.display_name


@given(st.binary(max_size=400))
def test_any_file_is_read_without_failing(content: bytes) -> None:
    parse_roster(decode_roster(content), YEAR)


_names = (
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
    .map(clean)
    .filter(lambda name: any(not c.isspace() and c not in "\u200c\u200d" for c in name))
)
_students = st.builds(
    NewStudent,
    given_name=_names,
    family_name=st.none() | _names,
    preferred_name=st.none() | _names,
    email=st.none() | st.just("someone@school.example"),
    grade_level=st.none() | st.sampled_from(["K", "8", "12"]),
    birth_year=st.none() | st.integers(2000, 2020),
)


@given(st.lists(_students, max_size=20))
def test_what_the_preview_keeps_reads_back_as_it_was(rows: list[NewStudent]) -> None:
    assert students(write_roster(rows)) == rows


@given(_names)
def test_cleaning_twice_changes_nothing(name: str) -> None:
    assert clean(name) == name


def test_display_names_show_one_letter_of_the_family() -> None:
    assert NewStudent("Ana", "ruiz").display_name == "Ana R."
    assert NewStudent("Ana", "Ruiz", "Anita").display_name == "Anita R."
    assert NewStudent("Ana").display_name == "Ana"
    assert first_letter("e\u0301tienne") == "E\u0301"
    assert fold("Étienne") == "etienne"
