"""The timetable: importing it in two steps, first looking, then writing."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import Response

from classweave.attend.import_timetable import apply_import, preview_import
from classweave.attend.pages.forms import Short, mistakes, show
from classweave.attend.plan_terms import list_terms
from classweave.attend.read_timetable import MAXIMUM_BYTES
from classweave.core.identifiers import TypeIDError, decode, encode
from classweave.core.permissions import Permission
from classweave.core.problems import Invalid, TooLarge
from classweave.directory.manage_classes import list_classes
from classweave.web.i18n import mark
from classweave.web.pages import redirect
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/attend/timetable")
MANAGE = [allow(Permission.ATTEND_MANAGE)]

SHOWN = 200
Packed = Annotated[str, Form(max_length=14_000_000)]


@router.get("", dependencies=MANAGE)
async def timetable(request: Request, session: Transaction, actor: CurrentActor) -> Response:
    """The form to choose a file with."""
    return await _form(request, session, actor, {}, {})


@router.post("/preview", dependencies=MANAGE)
async def preview(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    term: Short = "",
    source: Short = "",
    school_class: Annotated[str, Form(alias="class", max_length=80)] = "",
    file: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """What the file would do; nothing is written."""
    typed = {"term": term, "source": source, "class": school_class}
    try:
        term_id, class_id = _known("term", term), _known("class", school_class)
        if term_id is None:
            raise _wrong("term", mark("Choose a term."))
        if file is None or not file.filename:
            raise _wrong("file", mark("Choose a file."))
        # One byte more than allowed tells "too large" without reading a huge file whole.
        content = await file.read(MAXIMUM_BYTES + 1)
        found = await preview_import(
            session, actor, term_id, content, source or file.filename, class_id
        )
    except (Invalid, TooLarge) as problem:
        errors = mistakes(request, problem, "file")
        return await _form(request, session, actor, typed, errors, problem.status)
    classes = {c.school_class.id: c.school_class for c in await list_classes(session, actor)}
    return show(
        request, "timetable_preview.html", found=found, classes=classes, shown=SHOWN, term=term
    )


@router.post("", dependencies=MANAGE)
async def apply(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    term: Short = "",
    source: Short = "",
    meetings: Packed = "",
) -> Response:
    """Write what the preview showed."""
    try:
        term_id = _known("term", term)
        if term_id is None:
            raise _wrong("term", mark("Choose a term."))
        await apply_import(session, actor, term_id, meetings, source)
    except Invalid as problem:
        typed = {"term": term, "source": source}
        return await _form(request, session, actor, typed, mistakes(request, problem, "file"))
    return redirect("/attend/timetable", mark("The timetable is imported."))


def _known(prefix: str, written: str) -> UUID | None:
    try:
        return decode(prefix, written) if written else None
    except TypeIDError:
        return None


def _wrong(field: str, message: str) -> Invalid:
    return Invalid(message, errors=[{"field": field, "message": message}])


async def _form(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    typed: dict[str, str],
    errors: dict[str, str],
    status: int = 422,
) -> Response:
    terms = [one for one in await list_terms(session) if one.term.archived_at is None]
    several = len(actor.organizations) > 1
    return show(
        request,
        "timetable.html",
        status=status if errors else 200,
        terms=[
            (
                encode("term", one.term.id),
                f"{one.term.name} ({one.organization})" if several else one.term.name,
            )
            for one in terms
        ],
        classes=[
            (
                encode("class", c.school_class.id),
                f"{c.school_class.name} ({c.school_class.code})"
                if c.school_class.code
                else c.school_class.name,
            )
            for c in await list_classes(session, actor)
        ],
        typed=typed,
        errors=errors,
    )
