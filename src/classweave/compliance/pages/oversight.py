"""The administrator's overview, and the retention policies."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance import labels
from classweave.compliance.models import (
    DataRequest,
    PolicyType,
    RequestStatus,
    RetentionPolicy,
    RetentionRun,
)
from classweave.compliance.overview import consents_by_class, consents_of_everyone
from classweave.compliance.pages import forms
from classweave.compliance.retention import RetentionTerms, change_policy, policies_of
from classweave.core.identifiers import encode
from classweave.core.permissions import Permission
from classweave.core.problems import Invalid, NotFound
from classweave.core.tenancy import Actor
from classweave.directory.ids import OrganizationId
from classweave.directory.models import Organization
from classweave.directory.service import access_organization
from classweave.web.i18n import mark
from classweave.web.pages import page, redirect
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/compliance")

OrganizationChoice = Annotated[OrganizationId | None, Query(alias="organization")]


async def chosen_organization(
    session: AsyncSession, actor: Actor, organization: UUID | None
) -> Organization:
    """The organisation a page is about: the actor's own unless another was chosen."""
    return await access_organization(session, actor, organization or actor.home)


async def visible_organizations(session: AsyncSession) -> list[tuple[str, str]]:
    """(identifier, name) of every organisation the actor sees, for a choice between them."""
    rows = await session.execute(
        select(Organization.id, Organization.name)
        .where(Organization.deleted_at.is_(None))
        .order_by(Organization.name)
    )
    return [(encode("org", key), name) for key, name in rows]


@router.get("", dependencies=[allow(Permission.AUDIT_READ)])
async def overview(request: Request, session: Transaction, actor: CurrentActor) -> HTMLResponse:
    """Who lacks consent, which requests wait, how long things are kept."""
    classes = await consents_by_class(session)
    waiting = await session.scalar(
        select(func.count())
        .select_from(DataRequest)
        .where(DataRequest.status == RequestStatus.REQUESTED)
    )
    return page(
        request,
        "compliance/overview.html",
        classes=[(encode("class", c.class_id) if c.class_id else None, c) for c in classes],
        everyone=await consents_of_everyone(session),
        waiting=waiting,
        policies=await policies_of(session, actor.home),
        labels=labels,
    )


@router.get("/retention", dependencies=[allow(Permission.RETENTION_MANAGE)])
async def retention_policies(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    organization: OrganizationChoice = None,
) -> HTMLResponse:
    """How long each kind of data is kept, and what the nightly runs deleted."""
    chosen = await chosen_organization(session, actor, organization)
    runs = await session.scalars(
        select(RetentionRun)
        .where(RetentionRun.organization_id == chosen.id)
        .order_by(RetentionRun.id.desc())
        .limit(14)
    )
    return page(
        request,
        "compliance/retention.html",
        organization=chosen,
        organization_key=encode("org", chosen.id),
        organizations=await visible_organizations(session),
        policies=await policies_of(session, chosen.id),
        runs=runs.all(),
        labels=labels,
    )


@router.get(
    "/retention/{organization_id}/{policy_type}",
    dependencies=[allow(Permission.RETENTION_MANAGE)],
)
async def edit_policy(
    request: Request,
    organization_id: OrganizationId,
    policy_type: PolicyType,
    session: Transaction,
    actor: CurrentActor,
) -> HTMLResponse:
    """The terms of one policy."""
    chosen = await chosen_organization(session, actor, organization_id)
    policy = await session.scalar(
        select(RetentionPolicy).where(
            RetentionPolicy.organization_id == chosen.id,
            RetentionPolicy.policy_type == policy_type,
        )
    )
    if policy is None:
        raise NotFound(mark("There is no such policy here."))
    values = {
        "retention_days": str(policy.retention_days),
        "delete_after_days": str(policy.delete_after_days),
        "legal_basis": policy.legal_basis,
        "auto_delete_enabled": "1" if policy.auto_delete_enabled else "",
    }
    return _policy_page(request, chosen, policy_type, values, {})


@router.post(
    "/retention/{organization_id}/{policy_type}",
    dependencies=[allow(Permission.RETENTION_MANAGE)],
)
async def save_policy(
    request: Request,
    organization_id: OrganizationId,
    policy_type: PolicyType,
    session: Transaction,
    actor: CurrentActor,
) -> Response:
    """Change the terms of one policy."""
    chosen = await chosen_organization(session, actor, organization_id)
    form = await request.form()
    numbers: dict[str, int] = {}
    errors: dict[str, str] = {}
    for field in ("retention_days", "delete_after_days"):
        written = forms.text_of(form, field, 9)
        if written.isdecimal():
            numbers[field] = int(written)
        else:
            errors[field] = mark("Give a whole number of days.")
    if not errors:
        terms = RetentionTerms(
            **numbers,
            legal_basis=forms.text_of(form, "legal_basis"),
            auto_delete_enabled=forms.text_of(form, "auto_delete_enabled") == "1",
        )
        try:
            await change_policy(session, chosen.id, policy_type, terms)
        except Invalid as problem:
            errors = forms.errors_of(problem)
        else:
            return redirect(
                f"/compliance/retention?organization={encode('org', chosen.id)}",
                mark("The policy is changed. The next nightly run follows it."),
            )
    return _policy_page(request, chosen, policy_type, forms.typed(form), errors)


def _policy_page(
    request: Request,
    organization: Organization,
    policy_type: PolicyType,
    values: dict[str, str],
    errors: dict[str, str],
) -> HTMLResponse:
    return page(
        request,
        "compliance/retention_policy.html",
        status=422 if errors else 200,
        organization=organization,
        organization_key=encode("org", organization.id),
        policy_type=policy_type,
        values=values,
        errors=errors,
        labels=labels,
    )
