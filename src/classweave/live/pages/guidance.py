"""The rules of guidance as an organisation edits them: text, mistakes by line, history."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.permissions import Permission
from classweave.core.problems import Conflict, Invalid
from classweave.core.tenancy import Actor
from classweave.live.guidance_rules import current_edition, save_edition
from classweave.live.pages.forms import in_readers_words, show
from classweave.live.views.rules import read_edition, read_editions
from classweave.web.i18n import mark
from classweave.web.pages import redirect
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/live/guidance", include_in_schema=False)

_EDIT = [allow(Permission.GUIDANCE_RULES)]
RulesText = Annotated[str, Form(max_length=200_000)]


@router.get("", dependencies=_EDIT)
async def rules_page(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    edition: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """The rules in force, or an earlier edition to go back to."""
    current = await current_edition(session, actor.home)
    text = current.text
    if edition is not None:
        text = await read_edition(session, actor.home, edition)
    return await _show(request, session, actor, text, current.version, shown=edition)


@router.post("", dependencies=_EDIT)
async def save_rules(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    text: RulesText = "",
    based_on: Annotated[int, Form()] = 0,
) -> Response:
    """Keep the text as the next edition, or show each mistake with its line."""
    try:
        await save_edition(session, actor, text, based_on)
    except Invalid as problem:
        mistakes: list[dict[str, Any]] = problem.extra["errors"]
        return await _show(request, session, actor, text, based_on, mistakes=mistakes)
    except Conflict as problem:
        refusal = in_readers_words(request, problem.detail)
        return await _show(request, session, actor, text, based_on, refusal=refusal)
    return redirect("/live/guidance", mark("The rules are saved and apply from now on."))


async def _show(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    text: str,
    based_on: int,
    *,
    shown: int | None = None,
    mistakes: list[dict[str, Any]] | None = None,
    refusal: str | None = None,
) -> Response:
    return show(
        request,
        "guidance.html",
        status=422 if mistakes else 409 if refusal else 200,
        text=text,
        based_on=based_on,
        shown=shown,
        mistakes=mistakes or [],
        refusal=refusal,
        editions=await read_editions(session, actor.home),
    )
