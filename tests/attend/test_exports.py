"""Reports as files: the same numbers, no formula that runs, a PDF that a screen reader reads."""

from __future__ import annotations

import csv
import io

import openpyxl
import psycopg
import pytest
from rolls import browser, class_key
from test_reports import stocked

from classweave.attend.documents import Bars, Document, Format, Table, written
from classweave.core.identifiers import encode
from classweave.core.tenancy import Role
from school_fixtures import School

FORMULA = '=HYPERLINK("http://evil.invalid","Ada")'


def document(*names: str) -> Document:
    rows = [[name, 3, 0.5] for name in names] + [["Nobody", None, None]]
    columns = [("Name", "text"), ("Held", "number"), ("Rate", "percent")]
    table = Table("Students: [all] of */them", columns, rows)  # type: ignore[arg-type]
    plot = Bars("Trend", "Rate by week: 50 %", [("1", 0.5, "50 %"), ("2", None, "not taken")])
    return Document("x", "Attendance", "Autumn", [("Rate", "50 %")], [table, table], [plot])


@pytest.mark.parametrize("name", [FORMULA, "+1", "-1+1", "@SUM(A1)", "\t=1", " =1"])
def test_no_spreadsheet_runs_a_name(name: str) -> None:
    (_, row, _) = csv.reader(io.StringIO(written(document(name), Format.CSV).decode("utf-8-sig")))
    assert row == [f"'{name}", "3", "0.5"]
    book = openpyxl.load_workbook(io.BytesIO(written(document(name), Format.XLSX)))
    cell = book.worksheets[0]["A2"]
    assert (cell.data_type, str(cell.value)[0]) == ("s", "'")
    assert book.worksheets[0]["C2"].value == 0.5
    assert book.worksheets[0]["C3"].value is None


def test_signs_that_no_sheet_may_have_do_not_break_it() -> None:
    made = written(document("a\x01b\x0b\ufffec\uffff"), Format.XLSX)
    assert openpyxl.load_workbook(io.BytesIO(made)).worksheets[0]["A2"].value == "abc"


def test_the_pdf_is_tagged_and_takes_any_name_as_text() -> None:
    made = written(document("#panic()", "فاطمة", "$x$ *b* <a>", "\\"), Format.PDF)
    assert made.startswith(b"%PDF-1.7")
    for mark in (b"/StructTreeRoot", b"/Lang", b"pdfuaid:part", b"/Alt"):
        assert mark in made


@pytest.mark.anyio
async def test_every_report_as_every_file(school: School, owner: psycopg.Connection) -> None:
    await stocked(school, owner)
    owner.execute(
        "UPDATE directory.students SET display_name = %s WHERE id = %s",
        (FORMULA, school.student_ids[0]),
    )
    owner.execute(
        "INSERT INTO attend.risk_rules (organization_id, below, at_least) VALUES (%s, 100, 1)",
        (school.organization_id,),
    )
    owner.execute(
        "UPDATE directory.enrollments SET starts_on = '2020-01-01' WHERE class_id = %s",
        (school.class_id,),
    )
    bases = ["/attend/reports", f"/attend/reports/classes/{class_key(school)}", "/attend/risk"]
    async with await browser(school) as admin:
        for base in bases:
            for form in Format:
                answer = await admin.get(f"{base}/export.{form.value}")
                assert answer.status_code == 200, answer.text[:500]
                assert answer.headers["content-type"] == form.media_type
                assert answer.headers["content-disposition"].endswith(f'.{form.value}"')
        sheet = (await admin.get(f"{bases[1]}/export.csv")).content.decode("utf-8-sig")
        lines = list(csv.reader(io.StringIO(sheet)))
        assert lines[0][:3] == ["Student", "Number", "Rate"]
        assert f"'{FORMULA}" in {line[0] for line in lines}
        owner.execute("UPDATE directory.users SET locale = 'es' WHERE id = %s", (school.admin_id,))
        spanish = await admin.get(f"{bases[2]}/export.csv")
        assert spanish.content.decode("utf-8-sig").startswith("Estudiante")
        assert (await admin.get("/attend/risk/export.exe")).status_code == 422
    lines_of_audit = owner.execute(
        "SELECT count(*) FROM compliance.audit_log WHERE organization_id = %s"
        " AND event_type = 'attendance.exported'",
        (school.organization_id,),
    ).fetchone()
    assert lines_of_audit == (11,)


@pytest.mark.anyio
async def test_no_file_of_another_school(
    school: School, other_school: School, owner: psycopg.Connection
) -> None:
    await stocked(school, owner)
    async with await browser(other_school, Role.TEACHER) as stranger:
        answer = await stranger.get(f"/attend/reports/classes/{class_key(school)}/export.csv")
        assert answer.status_code == 404
        query = {"organization": encode("org", school.organization_id)}
        for base in ("/attend/reports", "/attend/risk"):
            answer = await stranger.get(f"{base}/export.csv", params=query)
            assert answer.status_code == 404
