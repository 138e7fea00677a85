from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import timedelta

import pytest
from compliance_people import Place, make_place
from sqlalchemy import delete, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance import consent
from classweave.compliance.consent import (
    ConsentChange,
    Evidence,
    may_capture,
    record_consent,
)
from classweave.compliance.models import (
    ConsentKind,
    ConsentMethod,
    ConsentState,
    CoppaCompliance,
    DataRequest,
    ParentalConsent,
    RequestStatus,
)
from classweave.compliance.proof import verify_chain
from classweave.compliance.rights import (
    as_csv,
    departed_children,
    erase_person,
    export_person,
    receipt_hash,
    request_erasure,
)
from classweave.core import clock
from classweave.core.audit import AuditLog
from classweave.core.database import Database
from classweave.core.personal_data import PersonalData, PersonalDataRegister, Subject, register
from classweave.core.problems import NotFound
from classweave.core.runtime import Runtime
from classweave.directory.models import Student, User

pytestmark = pytest.mark.anyio


@pytest.fixture
async def place(database: Database) -> Place:
    """An organisation whose child has two consents."""
    made = await make_place(database)
    async with database.transaction(made.admin) as session:
        for kind in (ConsentKind.TAKE_PART, ConsentKind.RECORDING):
            await record_consent(
                session,
                made.admin,
                made.child,
                kind,
                ConsentState.GIVEN,
                Evidence(ConsentMethod.PAPER_FORM, parent_name="=cmd()", note="Ada’s mother"),
            )
    return made


async def export(runtime: Runtime, place: Place, subject: Subject = Subject.STUDENT) -> bytes:
    person = place.child if subject is Subject.STUDENT else place.admin.id
    assert person is not None
    out = io.BytesIO()
    async with runtime.database.transaction(place.admin) as session:
        await export_person(session, runtime.files, subject, person, out)
    return out.getvalue()


async def erase(database: Database, place: Place) -> DataRequest:
    async with database.transaction(place.admin) as session:
        return await erase_person(session, Subject.STUDENT, place.child)


async def test_an_export_holds_everything_and_says_what_it_is(
    runtime: Runtime, place: Place
) -> None:
    with zipfile.ZipFile(io.BytesIO(await export(runtime, place))) as archive:
        data = json.loads(archive.read("data.json"))
        manifest = json.loads(archive.read("manifest.json"))
        consents = archive.read("csv/compliance.parental_consents.csv").decode()
    assert data["directory.students"][0]["display_name"] == "Ada"
    assert {row["consent_type"] for row in data["compliance.parental_consents"]} == {
        "take_part",
        "recording",
    }
    assert data["compliance.parental_consents"][0]["parent_name"] == "=cmd()"
    assert "'=cmd()" in consents
    assert data["compliance.audit_log"]
    assert manifest["rows"]["compliance.parental_consents"] == 2
    purposes = {table["table"]: table["purpose"] for table in manifest["tables"]}
    assert purposes["directory.students"]
    async with runtime.database.transaction(place.admin) as session:
        protection = await session.scalar(
            select(CoppaCompliance).where(CoppaCompliance.student_id == place.child)
        )
        assert protection is not None
        assert protection.parent_last_reviewed is not None


async def test_a_member_of_staff_receives_their_own(runtime: Runtime, place: Place) -> None:
    with zipfile.ZipFile(io.BytesIO(await export(runtime, place, Subject.USER))) as archive:
        data = json.loads(archive.read("data.json"))
    assert data["directory.users"][0]["name"] == "Office"
    assert len(data["compliance.parental_consents"]) == 2
    assert "Ada" not in json.dumps(data["compliance.audit_log"])


async def test_an_erasure_leaves_the_receipt_and_the_trail(
    database: Database, place: Place
) -> None:
    request = await erase(database, place)
    assert request.status is RequestStatus.COMPLETED
    assert request.receipt is not None
    assert request.receipt_hash == receipt_hash(request.receipt)
    assert request.counts["directory.students"] == 1
    assert request.counts["compliance.parental_consents"] == 2
    assert "compliance.audit_log" in request.receipt["kept"]
    async with database.transaction(place.admin) as session:
        assert await session.get(Student, place.child) is None
        for table in (ParentalConsent,):
            left = await session.scalar(
                select(func.count()).select_from(table).where(table.student_id == place.child)
            )
            assert left == 0
        protection = await session.scalar(
            select(CoppaCompliance).where(CoppaCompliance.student_id == place.child)
        )
        assert protection is not None
        assert protection.birth_year is None
        assert protection.deletion_requested_at is not None
        assert protection.deletion_completed_at is not None
        kept = await session.scalars(
            select(AuditLog.event_type).where(AuditLog.affected_student_ids.contains([place.child]))
        )
        assert {"consent.given", "data.erased"} <= set(kept)
        assert (await verify_chain(session, place.organization)).whole
        assert await session.get(Student, place.adult) is not None


async def test_no_word_of_the_child_remains_anywhere(database: Database, place: Place) -> None:
    async with database.transaction(place.admin) as session:
        student = await session.get_one(Student, place.child)
        student.family_name = "Lovelace-Unmistakable"
        student.given_name = "Ada-Unmistakable"
    await erase(database, place)
    async with database.transaction(place.admin) as session:
        tables = await session.execute(
            text(
                "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r', 'p')"
                " AND NOT c.relispartition AND c.relname <> 'alembic_version'"
                " AND c.relnamespace::regnamespace::text IN"
                " ('directory', 'compliance', 'live', 'attend', 'ops')"
            )
        )
        for table in tables.scalars().all():
            found = await session.scalar(
                text(f"SELECT count(*) FROM {table} AS t WHERE t::text LIKE '%Unmistakable%'")
            )
            assert found == 0, table


async def test_erasing_twice_is_erasing_once(database: Database, place: Place) -> None:
    first = await erase(database, place)
    second = await erase(database, place)
    assert (second.id, second.receipt_hash) == (first.id, first.receipt_hash)


async def test_a_request_waits_until_it_is_carried_out(database: Database, place: Place) -> None:
    async with database.transaction(place.admin) as session:
        asked = await request_erasure(session, Subject.STUDENT, place.child)
        assert asked.status is RequestStatus.REQUESTED
        assert (await request_erasure(session, Subject.STUDENT, place.child)).id == asked.id
    async with database.transaction(place.admin) as session:
        assert await session.get(Student, place.child) is not None
    assert (await erase(database, place)).id == asked.id


async def test_a_failed_erasure_leaves_everything(
    database: Database, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = PersonalDataRegister()
    failing.declare(
        PersonalData(
            table="directory.students",
            subject=Subject.STUDENT,
            where="id = :subject AND 1 / 0 = 1",
            purpose="fails",
            on_erasure="delete",
            on_export=("id",),
        )
    )
    monkeypatch.setattr(register, "entries", [*failing.entries, *register.entries])
    with pytest.raises(DBAPIError, match="division by zero"):
        await erase(database, place)
    async with database.transaction(place.admin) as session:
        assert await session.get(Student, place.child) is not None
        assert len((await session.scalars(select(ParentalConsent))).all()) == 2
        assert (await session.scalars(select(DataRequest))).all() == []


async def test_nothing_is_erased_while_a_room_is_missing(
    database: Database, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [entry for entry in register.entries if entry.table != "directory.enrollments"]
    monkeypatch.setattr(register, "entries", known)
    with pytest.raises(RuntimeError, match=r"directory\.enrollments"):
        await erase(database, place)
    async with database.transaction(place.admin) as session:
        assert await session.get(Student, place.child) is not None


async def test_rooms_take_back_what_quotes_the_child_and_it_still_counts(
    database: Database, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[ConsentKind] = []

    async def react(session: AsyncSession, change: ConsentChange) -> None:
        assert change.state is ConsentState.WITHDRAWN
        assert not await may_capture(session, change.student)
        await session.execute(
            delete(ParentalConsent).where(ParentalConsent.student_id == change.student)
        )
        seen.append(change.kind)

    monkeypatch.setattr(consent, "on_consent_change", [react])
    request = await erase(database, place)
    assert set(seen) == set(ConsentKind)
    assert request.counts["compliance.parental_consents"] == 2


async def test_files_are_only_condemned_until_the_commit(
    runtime: Runtime, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{place.organization}/sound/ada.opus"
    await runtime.files.put(path, b"voice")

    async def files(*_: object) -> list[str]:
        return [path]

    extra = PersonalData(
        table="compliance.parental_consents",
        subject=Subject.STUDENT,
        where="student_id = :subject AND false",
        purpose="recorded voice",
        on_erasure="delete",
        on_export=("id",),
        files=files,
    )
    monkeypatch.setattr(register, "entries", [*register.entries, extra])
    with zipfile.ZipFile(io.BytesIO(await export(runtime, place))) as archive:
        assert archive.read(f"files/{path}") == b"voice"
    request = await erase(runtime.database, place)
    assert request.receipt is not None
    assert request.receipt["files"] == 1
    assert await runtime.files.get(path) == b"voice"
    async with runtime.database.transaction(place.admin) as session:
        queued = await session.scalar(
            text(
                "SELECT count(*) FROM procrastinate_jobs"
                " WHERE task_name = 'compliance.delete_files' AND args->'paths' ? :path"
            ),
            {"path": path},
        )
    assert queued == 1


async def test_a_user_is_erased_and_their_decisions_stay(database: Database, place: Place) -> None:
    person = place.admin.id
    assert person is not None
    async with database.transaction(place.admin) as session:
        await erase_person(session, Subject.USER, person)
    async with database.transaction(place.admin) as session:
        user = await session.get_one(User, person)
        assert user.email is None
        rows = (await session.scalars(select(ParentalConsent))).all()
        assert len(rows) == 2
        assert {row.recorded_by for row in rows} == {None}
        assert {row.ip_address for row in rows} == {None}


async def test_a_stranger_is_not_found(database: Database, place: Place) -> None:
    other = await make_place(database)
    async with database.transaction(other.admin) as session:
        with pytest.raises(NotFound):
            await erase_person(session, Subject.STUDENT, place.child)
    async with database.transaction(place.admin) as session:
        assert await session.get(Student, place.child) is not None


async def test_departed_children_are_found_after_their_time(
    database: Database, place: Place
) -> None:
    async with database.transaction(place.admin) as session:
        assert await departed_children(session) == []
        with clock.shifted(timedelta(days=367)):
            assert await departed_children(session) == [place.child]
            protection = await session.scalar(
                select(CoppaCompliance).where(CoppaCompliance.student_id == place.child)
            )
            assert protection is not None
            protection.auto_delete_enabled = False
            await session.flush()
            assert await departed_children(session) == []


def test_csv_keeps_numbers_and_disarms_formulas() -> None:
    rows = [{"a": -1, "b": "+1", "c": {"k": [1]}, "d": None, "e": b"\x00\xff"}]
    header, line = csv.reader(io.StringIO(as_csv(rows)))
    assert header == ["a", "b", "c", "d", "e"]
    assert line[:2] == ["-1", "'+1"]
    assert json.loads(line[2]) == {"k": [1]}
    assert line[3] == ""
    assert json.loads(line[4]) == "00ff"
