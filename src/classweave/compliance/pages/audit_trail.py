"""The audit trail as an administrator reads it, and the proof that it is whole."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from classweave.compliance import labels
from classweave.compliance.overview import (
    PAGE_LINES,
    TrailFilter,
    audit_categories,
    audit_lines,
)
from classweave.compliance.pages import forms
from classweave.compliance.pages.oversight import (
    OrganizationChoice,
    chosen_organization,
    visible_organizations,
)
from classweave.compliance.proof import verify_chain
from classweave.core.identifiers import TypeIDError, decode, encode
from classweave.core.permissions import Permission
from classweave.web.i18n import mark
from classweave.web.pages import page
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/compliance/audit")

Written = Annotated[str, Query(max_length=80)]


@router.get("", dependencies=[allow(Permission.AUDIT_READ)])
async def audit_trail(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    organization: OrganizationChoice = None,
    category: Written = "",
    student: Written = "",
    person: Written = "",
    since: Written = "",
    until: Written = "",
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
) -> HTMLResponse:
    """Who saw or changed what, the newest first."""
    chosen = await chosen_organization(session, actor, organization)
    errors: dict[str, str] = {}
    people: dict[str, UUID | None] = {}
    for field, prefix, written in (("student", "student", student), ("person", "user", person)):
        try:
            people[field] = decode(prefix, written) if written else None
        except TypeIDError:
            people[field] = None
            errors[field] = mark("This is not an identifier of that kind.")
    days: dict[str, date | None] = {}
    for field, written in (("since", since), ("until", until)):
        try:
            days[field] = forms.day_of(written)
        except ValueError:
            days[field] = None
            errors[field] = mark("Write the date as year-month-day.")
    first, last = days["since"], days["until"]
    lines = await audit_lines(
        session,
        chosen.id,
        TrailFilter(
            category=category or None,
            student=people["student"],
            person=people["person"],
            since=forms.start_of(first, actor) if first else None,
            until=forms.start_of(last + timedelta(days=1), actor) if last else None,
            before=before,
        ),
    )
    query = {
        "organization": encode("org", chosen.id),
        "category": category,
        "student": student,
        "person": person,
        "since": since,
        "until": until,
    }
    older = None
    if len(lines) == PAGE_LINES:
        older = "?" + urlencode({**query, "before": lines[-1][0].sequence})
    return page(
        request,
        "compliance/audit_trail.html",
        status=422 if errors else 200,
        organization_key=query["organization"],
        organizations=await visible_organizations(session),
        categories=await audit_categories(session, chosen.id),
        lines=lines,
        encode=encode,
        query=query,
        older=older,
        errors=errors,
    )


@router.get("/proof", dependencies=[allow(Permission.AUDIT_READ)])
async def audit_proof(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    organization: OrganizationChoice = None,
) -> HTMLResponse:
    """Recompute the whole chain and say whether it is whole."""
    chosen = await chosen_organization(session, actor, organization)
    return page(
        request,
        "compliance/audit_proof.html",
        organization=chosen,
        organization_key=encode("org", chosen.id),
        proof=await verify_chain(session, chosen.id),
        labels=labels,
    )
