"""The rights of the person in the records: to receive everything, and to have it erased."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Any
from uuid import UUID

import orjson
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance.consent import take_back_everything
from classweave.compliance.file_deletion import delete_files_later
from classweave.compliance.models import (
    CoppaCompliance,
    DataRequest,
    RequestKind,
    RequestStatus,
)
from classweave.compliance.personal_data import register
from classweave.core import audit, clock
from classweave.core.database import actor_of
from classweave.core.model import Json
from classweave.core.personal_data import Subject
from classweave.core.problems import NotFound
from classweave.core.storage import FileStore
from classweave.directory.models import Enrollment, Student, User
from classweave.web.i18n import mark

_EXPORT_BASIS = "right of access (GDPR art. 15 and 20, FERPA 34 CFR 99.10, COPPA 16 CFR 312.6)"
_ERASURE_BASIS = "right to erasure (GDPR art. 17, COPPA 16 CFR 312.6)"


@dataclass(frozen=True, slots=True)
class Person:
    """Whose data it is, and the organisation they belong to."""

    subject: Subject
    id: UUID
    organization: UUID


async def find_person(session: AsyncSession, subject: Subject, person: UUID) -> Person:
    """The person, if the actor may see them. Raises :class:`NotFound`."""
    found = await session.get(Student if subject is Subject.STUDENT else User, person)
    if found is None:
        raise NotFound(mark("There is nobody here with this identifier."))
    return Person(subject, person, found.organization_id)


async def export_person(
    session: AsyncSession, files: FileStore, subject: Subject, person_id: UUID, target: IO[bytes]
) -> DataRequest:
    """Write everything kept about a person to ``target`` as a ZIP archive; returns the request.

    The archive holds ``data.json`` (exact), one CSV per table (for reading), the stored files,
    and ``manifest.json``: what each table is for and what an erasure would do with it.
    Raises :class:`NotFound`.
    """
    person = await find_person(session, subject, person_id)
    await require_whole_register(session)
    data = await register.export(session, subject, person_id)
    paths = await register.files_of(session, subject, person_id)
    counts = {table: len(rows) for table, rows in data.items() if rows}
    receipt: Json = {
        "type": RequestKind.EXPORT.value,
        "subject": subject.value,
        "subject_id": str(person_id),
        "organization_id": str(person.organization),
        "completed_at": clock.now().isoformat(),
        "rows": counts,
        "files": len(paths),
    }
    missing: list[str] = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.json", _json(data))
        for table, rows in data.items():
            if rows:
                archive.writestr(f"csv/{table}.csv", as_csv(rows))
        for path in paths:
            try:
                archive.writestr(f"files/{path}", await files.get(path))
            except FileNotFoundError:
                missing.append(path)
        archive.writestr(
            "manifest.json", _json(receipt | {"missing_files": missing, "tables": _about(subject)})
        )
    if subject is Subject.STUDENT:
        await session.execute(
            update(CoppaCompliance)
            .where(CoppaCompliance.student_id == person_id)
            .values(parent_last_reviewed=clock.now())
        )
    request = DataRequest(
        organization_id=person.organization,
        request_type=RequestKind.EXPORT,
        subject_type=subject,
        subject_id=person_id,
        status=RequestStatus.REQUESTED,
        requested_by=actor_of(session).id,
    )
    session.add(request)
    _complete(request, receipt)
    _audit(session, "data.exported", person, "Everything kept was exported", counts, _EXPORT_BASIS)
    return request


async def request_erasure(session: AsyncSession, subject: Subject, person_id: UUID) -> DataRequest:
    """Record that an erasure was asked for; asking twice is one request. Raises `NotFound`."""
    if known := await _erasure_of(session, person_id):
        return known
    person = await find_person(session, subject, person_id)
    request = DataRequest(
        organization_id=person.organization,
        request_type=RequestKind.ERASE,
        subject_type=subject,
        subject_id=person_id,
        status=RequestStatus.REQUESTED,
        requested_by=actor_of(session).id,
    )
    session.add(request)
    await session.execute(
        update(CoppaCompliance)
        .where(CoppaCompliance.student_id == person_id)
        .values(deletion_requested_at=clock.now())
    )
    await session.flush()
    _audit(session, "data.erasure_requested", person, "Erasure was asked for", {}, _ERASURE_BASIS)
    return request


async def erase_person(session: AsyncSession, subject: Subject, person_id: UUID) -> DataRequest:
    """Erase a person everywhere, in this one transaction; returns the request with its receipt.

    Files go once the transaction has committed. Doing it again returns the first receipt.
    Raises :class:`NotFound` for somebody who is not (and never was) here.
    """
    request = await request_erasure(session, subject, person_id)
    if request.status is RequestStatus.COMPLETED:
        return request
    person = await find_person(session, subject, person_id)
    await require_whole_register(session)
    # Counted first: what rooms take back by themselves belongs to the receipt as well.
    counts = await _count(session, subject, person_id)
    paths = await register.files_of(session, subject, person_id)
    await delete_files_later(session, paths)
    if subject is Subject.STUDENT:
        await take_back_everything(session, person.organization, person_id)
    await register.erase(session, subject, person_id)
    receipt: Json = {
        "type": RequestKind.ERASE.value,
        "subject": subject.value,
        "subject_id": str(person_id),
        "organization_id": str(person.organization),
        "completed_at": clock.now().isoformat(),
        "rows": {table: rows for table, rows in counts.items() if rows},
        "files": len(paths),
        "kept": {
            entry["table"]: entry["reason"]
            for entry in _about(subject)
            if entry["on_erasure"] == "keep"
        },
    }
    _complete(request, receipt)
    await session.flush()
    _audit(session, "data.erased", person, "The person was erased", counts, _ERASURE_BASIS)
    return request


async def departed_children(session: AsyncSession) -> Sequence[UUID]:
    """Students under 13 whose last enrolment ended longer ago than their record allows."""
    last_day = (
        select(func.coalesce(func.max(Enrollment.ends_on), func.date(Student.created_at)))
        .where(Enrollment.student_id == Student.id)
        .scalar_subquery()
    )
    still_here = (
        select(Enrollment.id)
        .where(Enrollment.student_id == Student.id, Enrollment.ends_on.is_(None))
        .exists()
    )
    rows = await session.execute(
        select(Student.id, last_day, CoppaCompliance.delete_after_days)
        .join(CoppaCompliance, CoppaCompliance.student_id == Student.id)
        .where(Student.is_under_13, CoppaCompliance.auto_delete_enabled, ~still_here)
    )
    today = clock.now().date()
    return [student for student, left, days in rows if left + timedelta(days=days) < today]


def receipt_hash(receipt: Json) -> str:
    """SHA-256 (hex) of the receipt's canonical JSON: sorted keys, no spaces, UTF-8."""
    return hashlib.sha256(orjson.dumps(receipt, option=orjson.OPT_SORT_KEYS)).hexdigest()


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """``rows`` as CSV with a header. A text that a spreadsheet would run is quoted with ``'``."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(rows[0].keys())
    for row in rows:
        writer.writerow([_cell(value) for value in row.values()])
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
    if isinstance(value, (dict, list, bytes)):
        return _json(value).decode()
    return str(value)


def _json(value: Any) -> bytes:
    def plain(other: Any) -> Any:
        return other.hex() if isinstance(other, bytes) else str(other)

    return orjson.dumps(value, default=plain, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)


def _about(subject: Subject) -> list[dict[str, str]]:
    """What every table is for and what an erasure does with it."""
    return [
        {
            "table": entry.table,
            "purpose": entry.purpose,
            "on_erasure": entry.on_erasure,
            "reason": entry.reason,
        }
        for entry in register.of(subject)
    ]


_POINTING_AT_STUDENTS = text(
    "SELECT DISTINCT format('%s.%s', n.nspname, c.relname) FROM pg_constraint k"
    " JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE k.contype = 'f' AND k.confrelid = 'directory.students'::regclass"
)


async def require_whole_register(session: AsyncSession) -> None:
    """Raise ``RuntimeError`` where a room's declarations are not loaded in this process.

    Half an export or half an erasure would look like a whole one.
    """
    pointing = await session.scalars(_POINTING_AT_STUDENTS)
    unknown = set(pointing.all()) - {entry.table for entry in register.of(Subject.STUDENT)}
    if unknown:
        raise RuntimeError(f"not in the register of personal data: {', '.join(sorted(unknown))}")


async def _count(session: AsyncSession, subject: Subject, person: UUID) -> dict[str, int]:
    """How many rows an erasure is about to delete or clear, by table."""
    counts: dict[str, int] = {}
    for entry in register.of(subject):
        if entry.on_erasure != "keep":
            found = await session.scalar(
                text(f"SELECT count(*) FROM {entry.table} WHERE {entry.where}"),
                {"subject": person},
            )
            counts[entry.table] = counts.get(entry.table, 0) + int(found or 0)
    return counts


async def _erasure_of(session: AsyncSession, person: UUID) -> DataRequest | None:
    return await session.scalar(
        select(DataRequest)
        .where(
            DataRequest.subject_id == person,
            DataRequest.request_type == RequestKind.ERASE,
        )
        .with_for_update()
    )


def _complete(request: DataRequest, receipt: Json) -> None:
    request.status = RequestStatus.COMPLETED
    request.completed_at = clock.now()
    request.counts = receipt["rows"]
    request.receipt = receipt
    request.receipt_hash = receipt_hash(receipt)


def _audit(
    session: AsyncSession,
    event: str,
    person: Person,
    description: str,
    counts: dict[str, int],
    basis: str,
) -> None:
    audit.record(
        session,
        event,
        resource=person.subject.value,
        resource_id=person.id,
        description=description,
        students=[person.id] if person.subject is Subject.STUDENT else [],
        data_accessed={"rows": counts},
        compliance_basis=basis,
        organization=person.organization,
    )
