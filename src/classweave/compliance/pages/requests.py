"""Requests to receive or erase everything about a student."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.background import BackgroundTask

from classweave.compliance import labels
from classweave.compliance.models import DataRequest, RequestKind, RequestStatus
from classweave.compliance.pages import forms
from classweave.compliance.rights import erase_person, export_person, request_erasure
from classweave.core.identifiers import Prefix, encode
from classweave.core.permissions import Permission
from classweave.core.personal_data import Subject
from classweave.core.problems import NotFound
from classweave.directory.ids import StudentId
from classweave.directory.models import Student
from classweave.directory.service import access_student
from classweave.web.i18n import mark
from classweave.web.pages import page, redirect
from classweave.web.requests import CurrentActor, Transaction, allow
from classweave.web.services import services_of

router = APIRouter(prefix="/compliance")

RequestId = Annotated[UUID, Prefix("request")]

_NOTHING = mark("There is no such request.")


@router.get("/requests", dependencies=[allow(Permission.DATA_RIGHTS)])
async def data_requests(
    request: Request, session: Transaction, actor: CurrentActor
) -> HTMLResponse:
    """All requests, those that wait first."""
    rows = await session.execute(
        select(DataRequest, Student.display_name)
        .outerjoin(Student, Student.id == DataRequest.subject_id)
        .order_by(DataRequest.status, DataRequest.id.desc())
        .limit(200)
    )
    return page(
        request,
        "compliance/requests.html",
        requests=[(encode("request", row.id), row, name) for row, name in rows],
        subject_key=_subject_key,
        labels=labels,
    )


@router.get("/requests/{request_id}", dependencies=[allow(Permission.DATA_RIGHTS)])
async def data_request(
    request: Request,
    request_id: RequestId,
    session: Transaction,
    actor: CurrentActor,
) -> HTMLResponse:
    """One request and its receipt."""
    found = await session.get(DataRequest, request_id)
    if found is None:
        raise NotFound(_NOTHING)
    return await _request_page(request, session, found, "")


@router.post("/students/{student_id}/export", dependencies=[allow(Permission.DATA_RIGHTS)])
async def export_student(
    request: Request, student_id: StudentId, session: Transaction, actor: CurrentActor
) -> Response:
    """Everything kept about a student, as a ZIP archive. No copy stays on the server."""
    await access_student(session, actor, student_id)
    with tempfile.NamedTemporaryFile(suffix=".zip", delete=False) as archive:
        path = Path(archive.name)
        try:
            await export_person(
                session, services_of(request).files, Subject.STUDENT, student_id, archive
            )
        except BaseException:
            await asyncio.to_thread(path.unlink)
            raise
    return FileResponse(
        path,
        media_type="application/zip",
        filename=f"{encode('student', student_id)}.zip",
        headers={"Cache-Control": "no-store"},
        background=BackgroundTask(path.unlink),
    )


@router.post("/students/{student_id}/erasure", dependencies=[allow(Permission.DATA_RIGHTS)])
async def ask_for_erasure(
    request: Request, student_id: StudentId, session: Transaction, actor: CurrentActor
) -> Response:
    """Record that a family asked for erasure; nothing is deleted yet."""
    await access_student(session, actor, student_id)
    made = await request_erasure(session, Subject.STUDENT, student_id)
    return redirect(
        f"/compliance/requests/{encode('request', made.id)}",
        mark("The request is recorded. Nothing has been deleted yet."),
    )


@router.post("/requests/{request_id}/erase", dependencies=[allow(Permission.DATA_RIGHTS)])
async def carry_out_erasure(
    request: Request,
    request_id: RequestId,
    session: Transaction,
    actor: CurrentActor,
) -> Response:
    """Erase, once the name was typed to confirm it."""
    found = await session.get(DataRequest, request_id)
    if found is None or found.request_type is not RequestKind.ERASE:
        raise NotFound(_NOTHING)
    if found.status is RequestStatus.REQUESTED:
        typed = forms.text_of(await request.form(), "name")
        if typed != await _name(session, found):
            return await _request_page(
                request, session, found, mark("Type the name exactly as it is shown.")
            )
        await erase_person(session, found.subject_type, found.subject_id)
    return redirect(
        f"/compliance/requests/{encode('request', found.id)}", mark("The erasure is complete.")
    )


async def _request_page(
    request: Request, session: AsyncSession, found: DataRequest, error: str
) -> HTMLResponse:
    return page(
        request,
        "compliance/request.html",
        status=422 if error else 200,
        request_key=encode("request", found.id),
        asked=found,
        name=await _name(session, found),
        subject_key=_subject_key(found),
        error=error,
        labels=labels,
    )


async def _name(session: AsyncSession, found: DataRequest) -> str | None:
    return await session.scalar(select(Student.display_name).where(Student.id == found.subject_id))


def _subject_key(found: DataRequest) -> str:
    prefix = "student" if found.subject_type is Subject.STUDENT else "user"
    return encode(prefix, found.subject_id)
