from __future__ import annotations

import io
import re
import zipfile
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select

from classweave.compliance.consent import may_capture, standing_consents
from classweave.compliance.models import (
    ConsentKind,
    ConsentState,
    DataRequest,
    PolicyType,
    RetentionPolicy,
)
from classweave.core import clock
from classweave.core.audit import AuditLog
from classweave.core.database import Database
from classweave.core.identifiers import encode
from classweave.core.tenancy import Role
from classweave.directory.models import Student
from school_fixtures import School

pytestmark = pytest.mark.anyio

TODAY = clock.now().date().isoformat()
GIVEN = {"state": "given", "decided_on": TODAY, "method": "paper_form"}


@pytest.fixture
async def teacher(school: School) -> httpx.AsyncClient:
    return await school.sign_in(Role.TEACHER)


@pytest.fixture
async def admin(school: School) -> httpx.AsyncClient:
    return await school.sign_in(Role.SCHOOL_ADMIN)


def class_page(school: School) -> str:
    return f"/compliance/classes/{encode('class', school.class_id)}/consents"


def student_page(school: School, index: int = 0) -> str:
    return f"/compliance/students/{school.student(index)}/consents"


async def test_a_teacher_withdraws_for_one_and_gives_for_everyone(
    database: Database, school: School, teacher: httpx.AsyncClient
) -> None:
    answer = await teacher.post(
        class_page(school),
        data={
            "student": school.student(0),
            "kind": ["recording"],
            "state": "withdrawn",
            "decided_on": TODAY,
        },
    )
    assert answer.status_code == 303
    async with database.transaction(school.teacher) as session:
        assert not await may_capture(session, school.student_ids[0])
        assert await may_capture(session, school.student_ids[1])
    shown = await teacher.get(class_page(school))
    assert shown.status_code == 200
    assert "7 of 8 students may be recorded" in shown.text
    assert "فاطمة" in shown.text
    answer = await teacher.post(
        class_page(school),
        data=GIVEN | {"everyone": "1", "kind": ["take_part", "recording", "analysis"]},
    )
    assert answer.status_code == 303
    assert "8 of 8 students may be recorded" in (await teacher.get(class_page(school))).text


async def test_a_refused_form_keeps_what_was_typed_and_writes_nothing(
    database: Database, school: School, teacher: httpx.AsyncClient
) -> None:
    async with database.transaction(school.teacher) as session:
        before = await session.scalar(select(func.count()).select_from(AuditLog))
    tomorrow = (clock.now() + timedelta(days=2)).date().isoformat()
    answer = await teacher.post(
        class_page(school),
        data={
            "student": school.student(2),
            "kind": ["recording"],
            "state": "given",
            "decided_on": tomorrow,
            "note": "filed in the blue folder",
        },
    )
    assert answer.status_code == 422
    assert "cannot lie in the future" in answer.text
    assert "Say how the consent was given" in answer.text
    assert "filed in the blue folder" in answer.text
    assert f'value="{school.student(2)}" checked' in answer.text
    async with database.transaction(school.teacher) as session:
        given = await session.scalar(
            select(func.count())
            .select_from(AuditLog)
            .where(AuditLog.event_type == "consent.given", AuditLog.sequence > (before or 0))
        )
        assert given == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state": "given"}, "Choose at least one student"),
        ({"student": "x", "everyone": "1", "kind": "nothing"}, "Choose what was decided about"),
        ({"everyone": "1", "kind": "recording", "state": "expired"}, "Choose what was decided."),
        ({"everyone": "1", "kind": "email", "state": "withdrawn"}, "no consent in force"),
        ({"everyone": "1", "decided_on": "32.13.2025"}, "Write the date"),
    ],
)
async def test_bad_input_gets_a_clear_answer(
    school: School, teacher: httpx.AsyncClient, change: dict[str, str], message: str
) -> None:
    answer = await teacher.post(class_page(school), data=GIVEN | {"kind": "recording"} | change)
    assert answer.status_code == 422
    assert message in answer.text


async def test_a_student_has_a_history_that_names_who_recorded_it(
    school: School, teacher: httpx.AsyncClient
) -> None:
    answer = await teacher.post(
        student_page(school),
        data=GIVEN
        | {
            "kind": ["email", "disclosure"],
            "parent_name": "Anne <b>Byron</b>",
            "parent_email": "anne@example.org",
            "relationship": "mother",
        },
    )
    assert answer.status_code == 303
    shown = (await teacher.get(student_page(school))).text
    assert "Anne &lt;b&gt;Byron&lt;/b&gt;" in shown
    assert "Teacher" in shown
    assert "Download the archive" not in shown


async def test_reading_is_audited(
    database: Database, school: School, teacher: httpx.AsyncClient
) -> None:
    await teacher.get(student_page(school, 3))
    async with database.transaction(school.admin) as session:
        line = await session.scalar(
            select(AuditLog)
            .where(AuditLog.event_type == "consent.read")
            .order_by(AuditLog.sequence.desc())
        )
        assert line is not None
        assert line.affected_student_ids == [school.student_ids[3]]
        assert line.actor_id == school.teacher_id


async def test_another_school_finds_nothing(
    school: School, other_school: School, admin: httpx.AsyncClient
) -> None:
    stranger = await other_school.sign_in(Role.SCHOOL_ADMIN)
    made = await admin.post(f"/compliance/students/{school.student(0)}/erasure")
    assert made.status_code == 303
    organization = encode("org", school.organization_id)
    for path in (
        class_page(school),
        class_page(school).replace("consents", "consent-form"),
        student_page(school),
        made.headers["location"],
        f"/compliance/retention?organization={organization}",
        f"/compliance/retention/{organization}/sound",
        f"/compliance/audit?organization={organization}",
        f"/compliance/audit/proof?organization={organization}",
    ):
        assert (await stranger.get(path)).status_code == 404, path
    for path in (
        class_page(school),
        student_page(school),
        f"/compliance/students/{school.student(0)}/export",
        f"/compliance/students/{school.student(0)}/erasure",
        made.headers["location"] + "/erase",
        f"/compliance/retention/{organization}/sound",
    ):
        answer = await stranger.post(path, data=GIVEN | {"kind": "recording", "everyone": "1"})
        assert answer.status_code == 404, path
    assert school.student(0) not in (await stranger.get("/compliance/requests")).text


async def test_teachers_have_no_oversight(school: School, teacher: httpx.AsyncClient) -> None:
    for path in (
        "/compliance/",
        "/compliance/retention",
        "/compliance/audit",
        "/compliance/audit/proof",
        "/compliance/requests",
    ):
        assert (await teacher.get(path)).status_code == 403
    for deed in ("export", "erasure"):
        path = f"/compliance/students/{school.student(0)}/{deed}"
        assert (await teacher.post(path)).status_code == 403


async def test_the_overview_counts_who_lacks_consent(
    school: School, admin: httpx.AsyncClient
) -> None:
    await school.consent([ConsentKind.RECORDING], ConsentState.WITHDRAWN, school.student_ids[:3])
    shown = await admin.get("/compliance/")
    assert shown.status_code == 200
    numbers = re.findall(r"<td[^>]*number[^>]*><span>(.*?)</span></td>", shown.text)
    assert numbers[:3] == ["8", "5", "8"]


async def test_the_printed_form_names_each_right_and_period(
    school: School, teacher: httpx.AsyncClient
) -> None:
    await school.consent([ConsentKind.ANALYSIS], ConsentState.REFUSED, school.student_ids[:1])
    shown = await teacher.get(class_page(school).replace("consents", "consent-form"))
    assert shown.status_code == 200
    assert "Consent to discussions" in shown.text
    assert "30 days" in shown.text


async def test_an_administrator_changes_a_period(
    database: Database, school: School, admin: httpx.AsyncClient
) -> None:
    path = f"/compliance/retention/{encode('org', school.organization_id)}/sound"
    terms = {"retention_days": "5", "delete_after_days": "7", "legal_basis": "consent"}
    assert (await admin.get(path)).status_code == 200
    refused = await admin.post(path, data=terms | {"delete_after_days": "3"})
    assert refused.status_code == 422
    assert "cannot come before" in refused.text
    assert (await admin.post(path, data=terms | {"retention_days": "-1"})).status_code == 422
    answer = await admin.post(path, data=terms | {"auto_delete_enabled": "1"})
    assert answer.status_code == 303
    async with database.transaction(school.admin) as session:
        policy = await session.scalar(
            select(RetentionPolicy).where(RetentionPolicy.policy_type == PolicyType.SOUND)
        )
        assert policy is not None
        assert (policy.retention_days, policy.delete_after_days) == (5, 7)
    assert (await admin.get("/compliance/retention")).status_code == 200


async def test_the_trail_is_filtered_and_proved(school: School, admin: httpx.AsyncClient) -> None:
    whole = await admin.get("/compliance/audit/proof")
    assert "The trail is whole" in whole.text
    shown = await admin.get("/compliance/audit", params={"category": "consent"})
    assert "consent.given" in shown.text
    assert "student.created" not in shown.text
    mine = await admin.get("/compliance/audit", params={"student": school.student(1)})
    assert mine.text.count("consent.given") == 3
    assert (await admin.get("/compliance/audit?student=nobody")).status_code == 422
    nothing = await admin.get("/compliance/audit", params={"until": "2001-01-01"})
    assert "Nothing in the trail matches" in nothing.text


async def test_an_administrator_exports_and_erases(
    database: Database, school: School, admin: httpx.AsyncClient
) -> None:
    who = school.student(4)
    archive = await admin.post(f"/compliance/students/{who}/export")
    assert archive.status_code == 200
    assert archive.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(archive.content)) as opened:
        assert "csv/directory.students.csv" in opened.namelist()
    asked = await admin.post(f"/compliance/students/{who}/erasure")
    path = asked.headers["location"]
    assert (await admin.get(path)).status_code == 200
    refused = await admin.post(path + "/erase", data={"name": "somebody else"})
    assert refused.status_code == 422
    done = await admin.post(path + "/erase", data={"name": "Eun-ji"})
    assert done.status_code == 303
    receipt = await admin.get(path)
    assert "directory.students" in receipt.text
    again = await admin.post(path + "/erase", data={"name": "Eun-ji"})
    assert again.status_code == 303
    assert (await admin.get("/compliance/requests")).status_code == 200
    assert (await admin.get(student_page(school, 4))).status_code == 404
    async with database.transaction(school.admin) as session:
        assert await session.get(Student, school.student_ids[4]) is None
        erased = await session.scalars(
            select(DataRequest).where(DataRequest.subject_id == school.student_ids[4])
        )
        assert len(erased.all()) == 2
        standing = await standing_consents(session, [school.student_ids[4]])
        assert standing[school.student_ids[4]] == {}
