"""An administrator's pages: the school, its people, its settings, the schools of a district."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from babel import Locale
from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.identifiers import encode
from classweave.core.permissions import Permission
from classweave.core.problems import Invalid
from classweave.core.tenancy import Actor, Role
from classweave.directory import manage_people, service
from classweave.directory.ids import OrganizationId, UserId
from classweave.directory.models import OrganizationKind, PersonRole, SettingType
from classweave.directory.pages.forms import Field, field_errors, filled, show
from classweave.directory.reset_password import public_url
from classweave.directory.sign_in import create_sign_in_link
from classweave.web.i18n import available, mark
from classweave.web.pages import redirect
from classweave.web.requests import CurrentActor, Transaction, allow
from classweave.web.services import services_of

router = APIRouter(include_in_schema=False)

_KINDS_BELOW = {
    OrganizationKind.DISTRICT: (
        OrganizationKind.SCHOOL,
        OrganizationKind.UNIVERSITY,
        OrganizationKind.DISTRICT,
    ),
    OrganizationKind.UNIVERSITY: (OrganizationKind.FACULTY,),
    OrganizationKind.FACULTY: (OrganizationKind.FACULTY,),
    OrganizationKind.SCHOOL: (),
}
_DETAILS = ("name", "state", "region", "superintendent_name", "contact_email", "contact_phone",
            "website", "domain", "admin_email", "timezone", "locale")  # fmt: skip


def organization_url(organization_id: OrganizationId) -> str:
    """The page of an organisation."""
    return f"/organizations/{encode('org', organization_id)}"


async def _show(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    organization_id: OrganizationId,
    *,
    errors: dict[str, str] | None = None,
    typed: dict[str, str] | None = None,
    link: tuple[str, str] | None = None,
) -> Response:
    organization = await service.access_organization(session, actor, organization_id)
    grantable = service.GRANTABLE.get(actor.role, frozenset()) - {PersonRole.STUDENT}
    may_add = actor.role is not Role.SCHOOL_ADMIN
    return show(
        request,
        "directory/organization.html",
        status=422 if errors else 200,
        organization=organization,
        above=await _parent(session, organization.parent_id),
        below=await manage_people.organizations_below(session, organization_id),
        kinds=_KINDS_BELOW[organization.kind] if may_add else (),
        people=await manage_people.list_people(session, actor, organization_id),
        roles=sorted(grantable, key=list(PersonRole).index),
        settings=await manage_people.list_settings(session, actor, organization_id),
        boolean=SettingType.BOOLEAN,
        own_id=actor.id,
        errors=errors or {},
        typed={"name": "", "email": "", "role": "teacher", "org_name": "", **(typed or {})},
        link=link,
    )


async def _parent(session: AsyncSession, parent_id: OrganizationId | None) -> Any:
    """The organisation above, where the reader may see it."""
    if parent_id is None:
        return None
    return await session.get(service.Organization, parent_id)


@router.get("/organization", dependencies=[allow(Permission.ORGANIZATION_MANAGE)])
async def own_organization(actor: CurrentActor) -> Response:
    """The reader's own organisation."""
    return redirect(organization_url(actor.home))


@router.get(
    "/organizations/{organization_id}", dependencies=[allow(Permission.ORGANIZATION_MANAGE)]
)
async def organization_page(
    request: Request, session: Transaction, actor: CurrentActor, organization_id: OrganizationId
) -> Response:
    """One organisation: figures, people, settings, what is below."""
    return await _show(request, session, actor, organization_id)


@router.get(
    "/organizations/{organization_id}/edit", dependencies=[allow(Permission.ORGANIZATION_MANAGE)]
)
async def edit_organization_page(
    request: Request, session: Transaction, actor: CurrentActor, organization_id: OrganizationId
) -> Response:
    """The form for its details."""
    organization = await service.access_organization(session, actor, organization_id)
    values = {name: getattr(organization, name) or "" for name in _DETAILS}
    values["data_retention_days"] = organization.data_retention_days
    return _form(request, organization_id, values, {})


def _form(
    request: Request,
    organization_id: OrganizationId,
    values: dict[str, Any],
    errors: dict[str, str],
) -> Response:
    return show(
        request,
        "directory/organization_form.html",
        status=422 if errors else 200,
        back=organization_url(organization_id),
        values=values,
        errors=errors,
        languages=[(tag, Locale.parse(tag).get_display_name() or tag) for tag in available()],
        timezones=[(zone, zone.replace("_", " ")) for zone in sorted(available_timezones())],
    )


@router.post(
    "/organizations/{organization_id}/edit", dependencies=[allow(Permission.ORGANIZATION_MANAGE)]
)
async def submit_edit_organization(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    organization_id: OrganizationId,
    name: Field = "",
    state: Field = "",
    region: Field = "",
    superintendent_name: Field = "",
    contact_email: Field = "",
    contact_phone: Field = "",
    website: Field = "",
    domain: Field = "",
    admin_email: Field = "",
    timezone: Field = "UTC",
    locale: Field = "en",
    data_retention_days: Field = "",
) -> Response:
    """Save its details."""
    typed = {
        "name": name,
        "state": state,
        "region": region,
        "superintendent_name": superintendent_name,
        "contact_email": contact_email,
        "contact_phone": contact_phone,
        "website": website,
        "domain": domain,
        "admin_email": admin_email,
        "timezone": timezone,
        "locale": locale,
    }
    needed = {"name", "timezone", "locale"}
    changes: dict[str, Any] = {
        key: value if key in needed else filled(value) for key, value in typed.items()
    }

    async def save() -> None:
        days = data_retention_days.strip()
        if not days.isdecimal() or not 1 <= int(days) <= 36500:
            raise service.invalid("data_retention_days", mark("Give a number of days."))
        if timezone not in available_timezones():
            raise service.invalid("timezone", mark("There is no such time zone."))
        if locale not in available():
            raise service.invalid("locale", mark("This language is not available."))
        changes["data_retention_days"] = int(days)
        await manage_people.update_organization(session, actor, organization_id, changes)

    errors = await field_errors(request, session, save())
    if errors:
        values = {**typed, "data_retention_days": data_retention_days}
        return _form(request, organization_id, values, errors)
    return redirect(organization_url(organization_id), mark("The details were changed."))


@router.post(
    "/organizations/{organization_id}/organizations",
    dependencies=[allow(Permission.ORGANIZATION_MANAGE)],
)
async def submit_organization(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    organization_id: OrganizationId,
    org_name: Field = "",
    kind: Field = "school",
) -> Response:
    """Add a school (or faculty) below; it takes over language and time zone."""
    above = await service.access_organization(session, actor, organization_id)
    locale, timezone, region = above.locale, above.timezone, above.region

    async def make() -> None:
        if kind not in list(OrganizationKind):
            raise service.invalid("kind", mark("Choose what it is."))
        try:
            await service.create_organization(
                session,
                name=org_name,
                kind=OrganizationKind(kind),
                parent_id=organization_id,
                timezone=timezone,
                locale=locale,
                region=region,
            )
        except Invalid as problem:
            raise service.invalid("org_name", problem.detail) from problem

    errors = await field_errors(request, session, make())
    if errors:
        typed = {"org_name": org_name}
        return await _show(request, session, actor, organization_id, errors=errors, typed=typed)
    return redirect(organization_url(organization_id), mark("It was added."))


@router.post(
    "/organizations/{organization_id}/settings",
    dependencies=[allow(Permission.ORGANIZATION_MANAGE)],
)
async def submit_setting(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    organization_id: OrganizationId,
    key: Field = "",
    value: Field = "",
) -> Response:
    """Change one setting."""
    work = manage_people.change_setting(session, actor, organization_id, key, value)
    errors = await field_errors(request, session, work)
    if errors:
        return await _show(request, session, actor, organization_id, errors=errors)
    return redirect(f"{organization_url(organization_id)}#settings", mark("Saved."))


@router.post(
    "/organizations/{organization_id}/people", dependencies=[allow(Permission.PEOPLE_MANAGE)]
)
async def submit_person(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    organization_id: OrganizationId,
    name: Field = "",
    email: Field = "",
    role: Field = "",
) -> Response:
    """Invite a member of staff."""

    async def invite() -> None:
        if role not in list(PersonRole):
            raise service.invalid("role", mark("Choose a role."))
        await manage_people.invite_person(
            session,
            actor,
            organization_id=organization_id,
            role=PersonRole(role),
            name=name,
            email=email,
        )

    errors = await field_errors(request, session, invite())
    if errors:
        typed = {"name": name, "email": email, "role": role}
        return await _show(request, session, actor, organization_id, errors=errors, typed=typed)
    return redirect(
        f"{organization_url(organization_id)}#people",
        mark("The invitation is on its way by mail."),
    )


@router.post("/people/{user_id}/status", dependencies=[allow(Permission.PEOPLE_MANAGE)])
async def submit_status(
    session: Transaction, actor: CurrentActor, user_id: UserId, active: Field = ""
) -> Response:
    """Let a person sign in again, or stop them at once."""
    user = await manage_people.set_status(session, actor, user_id, active=bool(active))
    return redirect(f"{organization_url(user.organization_id)}#people", mark("Saved."))


@router.post("/people/{user_id}/role", dependencies=[allow(Permission.PEOPLE_MANAGE)])
async def submit_role(
    session: Transaction, actor: CurrentActor, user_id: UserId, role: Field = ""
) -> Response:
    """Give a person another role."""
    if role not in list(PersonRole):
        raise service.invalid("role", mark("Choose a role."))
    user = await manage_people.set_role(session, actor, user_id, PersonRole(role))
    return redirect(f"{organization_url(user.organization_id)}#people", mark("Saved."))


@router.post("/people/{user_id}/link", dependencies=[allow(Permission.PEOPLE_MANAGE)])
async def make_link(
    request: Request, session: Transaction, actor: CurrentActor, user_id: UserId
) -> Response:
    """Show a one-time link that signs a person in, for schools without mail. Audited."""
    user = await manage_people.allow_link(session, actor, user_id)
    services = services_of(request)
    link = create_sign_in_link(services.signing_key, public_url(services.settings), user)
    return await _show(request, session, actor, user.organization_id, link=(user.name, link))
