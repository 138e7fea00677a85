"""Erasing a person takes their attendance from the database and from every device."""

from __future__ import annotations

import io
import json
import zipfile
from uuid import UUID

import psycopg
import pytest
from devices import record_row, register, session_row
from test_sync import digest

from classweave.compliance.models import DataRequest
from classweave.compliance.rights import erase_person, export_person
from classweave.core.personal_data import Subject
from classweave.core.runtime import Runtime
from school_fixtures import School

pytestmark = pytest.mark.anyio

DAY = "2099-11-25"
ROWS = """
SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND c.relnamespace = 'attend'::regnamespace ORDER BY 1
"""


async def erase(school: School, subject: Subject, person: UUID) -> DataRequest:
    async with school.database.transaction(school.admin) as session:
        return await erase_person(session, subject, person)


async def test_an_erased_student_leaves_no_record_anywhere(
    school: School, owner: psycopg.Connection
) -> None:
    phone, laptop = await register(school), await register(school)
    gone, other = school.student_ids[:2]
    await phone.pull()
    roll = session_row(school, DAY, marked_at=1_764_000_100_000)
    marks = [record_row(roll, gone, notes="Unmistakable"), record_row(roll, other)]
    await phone.sync(attendance_sessions={"created": [roll]}, attendance_records={"created": marks})
    await phone.sync(attendance_records={"updated": [marks[0] | {"status": "late"}]})
    owner.execute(
        "UPDATE attend.revisions SET reason = 'Unmistakable' WHERE organization_id = %s"
        " AND rev = (SELECT until_rev FROM attend.record_history WHERE organization_id = %s)",
        (school.organization_id, school.organization_id),
    )
    owner.execute(
        "INSERT INTO attend.check_ins (organization_id, session_no, student_id, device_hash)"
        " SELECT organization_id, no, %s, 'x' FROM attend.attendance_sessions WHERE id = %s",
        (gone, roll["id"]),
    )
    await laptop.pull()
    request = await erase(school, Subject.STUDENT, gone)
    assert {table: n for table, n in request.counts.items() if table.startswith("attend.")} == {
        "attend.revisions": 1,
        "attend.places": 1,
        "attend.record_history": 1,
        "attend.attendance_records": 1,
        "attend.check_ins": 1,
    }
    for (table,) in owner.execute(ROWS).fetchall():
        for trace in ("%Unmistakable%", f"%{gone}%"):
            # That the directory's row went is what tells devices to forget it.
            if table != "attend.directory_changes":
                left = owner.execute(
                    f"SELECT count(*) FROM {table} t WHERE t::text LIKE %s", (trace,)
                ).fetchone()
                assert left == (0,), (table, trace)
    for device in (phone, laptop):
        await device.pull()
        assert set(device.table("attendance_records")) == {marks[1]["id"]}
        assert str(gone) not in json.dumps(device.rows)
        session = device.table("attendance_sessions")[roll["id"]]
        assert (session["total_enrolled"], session["total_present"], session["total_absent"]) == (
            7, 1, 6,
        )  # fmt: skip
        assert session["digest"] == digest(device, roll["id"])
    # A device that was away sends it once more: it does not come back.
    assert (await laptop.push(attendance_records={"created": [marks[0]]})).status_code == 200
    await laptop.pull()
    assert set(laptop.table("attendance_records")) == {marks[1]["id"]}
    counters = owner.execute(
        "SELECT held, present FROM attend.standings WHERE student_id = %s", (other,)
    ).fetchone()
    assert counters == (1, 1)


async def test_a_student_receives_their_attendance(runtime: Runtime, school: School) -> None:
    phone = await register(school)
    await phone.pull()
    roll = session_row(school, DAY, marked_at=1_764_000_100_000)
    marks = [record_row(roll, s, notes=f"note {s}") for s in school.student_ids[:2]]
    await phone.sync(attendance_sessions={"created": [roll]}, attendance_records={"created": marks})
    out = io.BytesIO()
    async with runtime.database.transaction(school.admin) as session:
        await export_person(session, runtime.files, Subject.STUDENT, school.student_ids[0], out)
    with zipfile.ZipFile(out) as archive:
        data = json.loads(archive.read("data.json"))
    assert [row["notes"] for row in data["attend.attendance_records"]] == [marks[0]["notes"]]
    assert [row["class_id"] for row in data["attend.places"]] == [str(school.class_id)]


async def test_an_erased_teachers_devices_are_emptied_and_signed_out(
    school: School, owner: psycopg.Connection
) -> None:
    phone = await register(school, name="Ada’s phone")
    await phone.pull()
    roll = session_row(school, DAY, marked_at=1_764_000_100_000)
    mark = record_row(roll, school.student_ids[0])
    await phone.sync(
        attendance_sessions={"created": [roll]}, attendance_records={"created": [mark]},
        students={"updated": [{"id": str(school.student_ids[0]), "name": "Nobody"}]},
    )  # fmt: skip
    await erase(school, Subject.USER, school.teacher_id)
    refused = await phone.client.get("/api/attend/sync")
    assert refused.status_code == 401
    organization = school.organization_id
    for table, rows in (
        ("sync_metadata", 0), ("corrections", 0), ("attendance_sessions", 1), ("sync_log", 2),
    ):  # fmt: skip
        found = owner.execute(
            f"SELECT count(*) FROM attend.{table} WHERE organization_id = %s", (organization,)
        ).fetchone()
        assert found == (rows,), table
    device = owner.execute(
        "SELECT name, platform, revoked_at IS NOT NULL FROM attend.devices"
        " WHERE organization_id = %s",
        (organization,),
    ).fetchone()
    assert device == ("Former device", None, True)
