"""Reports: what staff see first, an organisation with its plots, a class, and their files."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from classweave.attend.choose_period import chosen_organization, chosen_period
from classweave.attend.documents import Format
from classweave.attend.export_report import File, export_class, export_organization
from classweave.attend.find_at_risk import find_at_risk
from classweave.attend.pages.forms import (
    OrganizationChoice,
    TermChoice,
    organization_choices,
    query_of,
    show,
    words_of,
)
from classweave.attend.plan_terms import list_terms
from classweave.attend.report_attendance import report_class, report_organization
from classweave.core.identifiers import encode
from classweave.core.permissions import Permission
from classweave.core.tenancy import Role
from classweave.directory.ids import ClassId
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/attend")
READ = [allow(Permission.ATTEND_REPORT)]

Search = Annotated[str, Query(max_length=80)]


@router.get("", dependencies=READ)
async def overview(request: Request, session: Transaction, actor: CurrentActor) -> Response:
    """Where attendance stands: the present term, and for a teacher the way to the app."""
    period = await chosen_period(session, actor, None)
    report = await report_organization(session, actor, period)
    at_risk = await find_at_risk(session, actor, limit=5)
    return show(
        request,
        "overview.html",
        report=report,
        at_risk=at_risk,
        takes=actor.role is Role.TEACHER,
    )


@router.get("/reports", dependencies=READ)
async def organization_report(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    organization: OrganizationChoice = None,
    term: TermChoice = None,
) -> Response:
    """Rates by organisation, class, teacher, weekday and week, with plots."""
    chosen = await chosen_organization(session, actor, organization)
    period = await chosen_period(session, actor, term)
    report = await report_organization(session, actor, period, chosen.id if chosen else None)
    query = {
        "organization": encode("org", chosen.id) if chosen else None,
        "term": encode("term", period.term.id) if period.term else None,
    }
    return show(
        request,
        "report.html",
        report=report,
        organization=chosen,
        organizations=await organization_choices(session),
        terms=await list_terms(session),
        query=query,
        export=query_of(query),
    )


@router.get("/reports/export.{form}", dependencies=READ)
async def organization_file(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    form: Format,
    organization: OrganizationChoice = None,
    term: TermChoice = None,
) -> Response:
    """The organisation report as a file."""
    chosen = await chosen_organization(session, actor, organization)
    period = await chosen_period(session, actor, term)
    return download(
        await export_organization(
            session, actor, period, chosen.id if chosen else None, form, words_of(request)
        )
    )


@router.get("/reports/classes/{class_id}", dependencies=READ)
async def class_report(
    request: Request, session: Transaction, actor: CurrentActor, class_id: ClassId
) -> Response:
    """A class: its students and its sessions."""
    report = await report_class(session, actor, class_id)
    return show(request, "class.html", report=report, key=encode("class", class_id))


@router.get("/reports/classes/{class_id}/export.{form}", dependencies=READ)
async def class_file(
    request: Request, session: Transaction, actor: CurrentActor, class_id: ClassId, form: Format
) -> Response:
    """A class report as a file."""
    return download(await export_class(session, actor, class_id, form, words_of(request)))


def download(file: File) -> Response:
    """``file`` as a browser saves it."""
    return Response(
        file.content,
        media_type=file.media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{file.name}"',
            "Cache-Control": "no-store",
        },
    )
