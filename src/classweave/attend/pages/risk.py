"""Students at risk, and the rule that says who is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response

from classweave.attend.choose_period import chosen_organization
from classweave.attend.documents import Format
from classweave.attend.export_report import export_at_risk
from classweave.attend.find_at_risk import PAGE, change_rule, find_at_risk, rule_of
from classweave.attend.pages.forms import (
    OrganizationChoice,
    Short,
    mistakes,
    organization_choices,
    query_of,
    show,
    whole_number,
    words_of,
)
from classweave.attend.pages.reports import download
from classweave.attend.rates import Rule
from classweave.core.identifiers import encode
from classweave.core.permissions import Permission
from classweave.core.problems import Invalid
from classweave.directory.ids import OrganizationId
from classweave.directory.service import access_organization
from classweave.web.i18n import mark
from classweave.web.pages import redirect
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/attend/risk")
READ = [allow(Permission.ATTEND_REPORT)]
MANAGE = [allow(Permission.ATTEND_MANAGE)]

Skipped = Annotated[int, Query(ge=0, le=1_000_000)]


@router.get("", dependencies=READ)
async def at_risk(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    organization: OrganizationChoice = None,
    skip: Skipped = 0,
) -> Response:
    """Who is at risk, the lowest rates first."""
    chosen = await chosen_organization(session, actor, organization)
    found = await find_at_risk(session, actor, chosen.id if chosen else None, skip=skip)
    key = encode("org", chosen.id) if chosen else None
    return show(
        request,
        "risk.html",
        found=found,
        rule=await rule_of(session, chosen.id if chosen else actor.home),
        rule_key=key or encode("org", actor.home),
        organization_key=key,
        organizations=await organization_choices(session),
        export=query_of({"organization": key}),
        previous=_page(key, skip - PAGE) if skip else None,
        following=_page(key, skip + PAGE) if skip + PAGE < found.total else None,
    )


@router.get("/export.{form}", dependencies=READ)
async def at_risk_file(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    form: Format,
    organization: OrganizationChoice = None,
) -> Response:
    """Everyone at risk as a file."""
    chosen = await chosen_organization(session, actor, organization)
    return download(
        await export_at_risk(session, actor, chosen.id if chosen else None, form, words_of(request))
    )


@router.get("/rules/{organization_id}", dependencies=MANAGE)
async def edit_rule(
    request: Request, session: Transaction, actor: CurrentActor, organization_id: OrganizationId
) -> Response:
    """The rule of an organisation."""
    rule = await rule_of(session, organization_id)
    typed = {
        "below": str(rule.below),
        "at_least": str(rule.at_least),
        "excused_counts": "1" if rule.excused_counts else "",
    }
    return await _form(request, session, actor, organization_id, typed, {})


@router.post("/rules/{organization_id}", dependencies=MANAGE)
async def save_rule(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    organization_id: OrganizationId,
    below: Short = "",
    at_least: Short = "",
    excused_counts: Annotated[bool, Form()] = False,
) -> Response:
    """Change the rule of an organisation."""
    # What is no number is none that a rule may have.
    percent, held = (-1 if (n := whole_number(w)) is None else n for w in (below, at_least))
    rule = Rule(percent, held, excused_counts)
    try:
        await change_rule(session, actor, organization_id, rule)
    except Invalid as problem:
        typed = {"below": below, "at_least": at_least}
        typed["excused_counts"] = "1" if excused_counts else ""
        errors = mistakes(request, problem, "below")
        return await _form(request, session, actor, organization_id, typed, errors)
    return redirect(
        f"/attend/risk?organization={encode('org', organization_id)}", mark("The rule is changed.")
    )


async def _form(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    organization_id: OrganizationId,
    typed: dict[str, str],
    errors: dict[str, str],
) -> Response:
    return show(
        request,
        "rule.html",
        status=422 if errors else 200,
        organization=await access_organization(session, actor, organization_id),
        key=encode("org", organization_id),
        typed=typed,
        errors=errors,
    )


def _page(organization: str | None, skip: int) -> str:
    query = query_of({"organization": organization, "skip": str(max(0, skip))})
    return f"/attend/risk{query}"
