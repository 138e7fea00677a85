"""Terms: the list, the form, archiving with what it will do, and the archive's files."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from classweave.attend.archive_term import (
    NOTHING,
    archive_term,
    check_archivable,
    held_in,
    read_archive,
)
from classweave.attend.ids import TermId
from classweave.attend.pages.forms import (
    Short,
    day_of,
    mistakes,
    organization_choices,
    show,
)
from classweave.attend.plan_terms import Plan, access_term, change_term, create_term, list_terms
from classweave.core.identifiers import TypeIDError, decode, encode
from classweave.core.permissions import Permission
from classweave.core.problems import Conflict, Invalid
from classweave.directory.service import local_today
from classweave.web.i18n import mark
from classweave.web.pages import redirect
from classweave.web.requests import CurrentActor, Transaction, allow
from classweave.web.services import services_of

router = APIRouter(prefix="/attend/terms")
MANAGE = [allow(Permission.ATTEND_MANAGE)]

_NEW = {"name": "", "starts_on": "", "ends_on": "", "organization": ""}


@router.get("", dependencies=MANAGE)
async def terms(request: Request, session: Transaction, actor: CurrentActor) -> Response:
    """Every term, the newest first."""
    return show(
        request,
        "terms.html",
        terms=await list_terms(session),
        today=local_today(actor),
        several=len(actor.organizations) > 1,
    )


@router.get("/new", dependencies=MANAGE)
async def new_term(request: Request, session: Transaction, actor: CurrentActor) -> Response:
    """An empty form."""
    typed = _NEW | {"organization": encode("org", actor.home)}
    return await _form(request, session, None, typed, {})


@router.post("", dependencies=MANAGE)
async def add_term(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    name: Short = "",
    starts_on: Short = "",
    ends_on: Short = "",
    organization: Short = "",
) -> Response:
    """Add a term."""
    plan = Plan(name, day_of(starts_on), day_of(ends_on))
    typed = {"name": name, "starts_on": starts_on, "ends_on": ends_on, "organization": organization}
    try:
        home = decode("org", organization) if organization else None
        await create_term(session, actor, plan, home)
    except Invalid as problem:
        return await _form(request, session, None, typed, mistakes(request, problem, "name"))
    except TypeIDError:
        message = mark("There is no such organisation.")
        wrong = Invalid(message, errors=[{"field": "organization", "message": message}])
        return await _form(request, session, None, typed, mistakes(request, wrong, "name"))
    return redirect("/attend/terms", mark("The term is added."))


@router.get("/{term_id}", dependencies=MANAGE)
async def edit_term(
    request: Request, session: Transaction, actor: CurrentActor, term_id: TermId
) -> Response:
    """The form of a term."""
    term = await access_term(session, actor, term_id)
    if term.archived_at is not None:
        return redirect(
            "/attend/terms",
            mark("This term is archived. It cannot be changed any more."),
            "warning",
        )
    typed = {"name": term.name, "starts_on": str(term.starts_on), "ends_on": str(term.ends_on)}
    return await _form(request, session, encode("term", term_id), typed, {})


@router.post("/{term_id}", dependencies=MANAGE)
async def save_term(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    term_id: TermId,
    name: Short = "",
    starts_on: Short = "",
    ends_on: Short = "",
) -> Response:
    """Change a term."""
    plan = Plan(name, day_of(starts_on), day_of(ends_on))
    key = encode("term", term_id)
    try:
        await change_term(session, actor, term_id, plan)
    except Invalid as problem:
        typed = {"name": name, "starts_on": starts_on, "ends_on": ends_on}
        return await _form(request, session, key, typed, mistakes(request, problem, "name"))
    return redirect("/attend/terms", mark("The term is changed."))


@router.get("/{term_id}/archive", dependencies=MANAGE)
async def archive_page(
    request: Request, session: Transaction, actor: CurrentActor, term_id: TermId
) -> Response:
    """What archiving will do, before it is done."""
    term = await access_term(session, actor, term_id)
    refusal = None
    try:
        check_archivable(term, actor)
    except Conflict as problem:
        refusal = problem.detail
    held = await held_in(session, term)
    if refusal is None and held.sessions == 0:
        refusal = NOTHING
    return show(
        request,
        "archive.html",
        term=term,
        key=encode("term", term_id),
        refusal=refusal,
        held=held,
    )


@router.post("/{term_id}/archive", dependencies=MANAGE)
async def archive(
    request: Request, session: Transaction, actor: CurrentActor, term_id: TermId
) -> Response:
    """Archive a term."""
    await archive_term(session, services_of(request).files, actor, term_id)
    return redirect("/attend/terms", mark("The term is archived. Its reports go on."))


@router.get("/{term_id}/archive/{part}.csv.zst", dependencies=MANAGE)
async def archive_file(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    term_id: TermId,
    part: Literal["sessions", "records"],
) -> Response:
    """A file of an archived term."""
    name, content = await read_archive(session, services_of(request).files, actor, term_id, part)
    return Response(
        content,
        media_type="application/zstd",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _form(
    request: Request,
    session: Transaction,
    key: str | None,
    typed: dict[str, str],
    errors: dict[str, str],
) -> Response:
    return show(
        request,
        "term_form.html",
        status=422 if errors else 200,
        key=key,
        typed=typed,
        errors=errors,
        organizations=await organization_choices(session),
    )
