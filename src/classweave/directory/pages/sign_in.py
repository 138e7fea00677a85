"""The door: the first page, signing in and out, a forgotten password."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from classweave.core.permissions import Permission
from classweave.core.problems import NotFound, Problem
from classweave.core.tenancy import Role
from classweave.directory import reset_password, sign_in
from classweave.directory.api.authenticate import COOKIE
from classweave.directory.pages.forms import field_errors, in_readers_language
from classweave.web.i18n import mark
from classweave.web.pages import page, redirect, say_when
from classweave.web.requests import CurrentActor, Transaction, allow
from classweave.web.services import services_of

router = APIRouter(include_in_schema=False)

_HOME = {
    Role.TEACHER: "/classes",
    Role.SCHOOL_ADMIN: "/organization",
    Role.DISTRICT_ADMIN: "/organization",
    Role.PLATFORM_ADMIN: "/organization",
    Role.STUDENT: "/join",
}

Secret = Annotated[str, Form(max_length=1000)]
Address = Annotated[str, Form(max_length=254)]
Path = Annotated[str, Form(max_length=1000)]


@router.get("/", dependencies=[allow(Permission.ANYONE)])
async def first_page(request: Request, actor: CurrentActor) -> Response:
    """Where each role begins; for a visitor, the two doors."""
    if actor.role in (Role.ANONYMOUS, Role.PARTICIPANT):
        return page(request, "directory/welcome.html")
    return redirect(_HOME.get(actor.role, "/account"))


@router.get("/sign-in", dependencies=[allow(Permission.ANYONE)])
async def sign_in_page(request: Request, actor: CurrentActor, next: str = "/") -> Response:
    """The form; who is signed in already goes on."""
    if actor.signed_in and actor.role is not Role.PARTICIPANT:
        return redirect(_local(next))
    return page(request, "directory/sign_in.html", email="", next=_local(next), refusal=None)


@router.post("/sign-in", dependencies=[allow(Permission.ANYONE)])
async def submit_sign_in(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    email: Address = "",
    password: Secret = "",
    next: Path = "/",
) -> Response:
    """Sign in, or show the form again with the address kept."""
    result = await sign_in.sign_in(session, actor, email, password)
    if isinstance(result, Problem):
        refusal = in_readers_language(request, {"text": result.detail})["text"]
        answer = page(
            request,
            "directory/sign_in.html",
            status=result.status,
            email=email,
            next=_local(next),
            refusal=refusal,
        )
        return say_when(answer, result)
    return _enter(request, result.token, _local(next))


@router.get("/sign-in/link/{token}", dependencies=[allow(Permission.ANYONE)])
async def follow_sign_in_link(
    request: Request, session: Transaction, actor: CurrentActor, token: str, next: str = "/"
) -> Response:
    """Sign in by a one-time link, and go on to ``next``."""
    key = services_of(request).signing_key
    try:
        signed = await sign_in.use_sign_in_link(session, key, actor, token)
    except Problem as problem:
        # Somebody who is signed in and follows an old link again need not be stopped.
        if actor.signed_in and actor.role is not Role.PARTICIPANT:
            return redirect(_local(next))
        refusal = in_readers_language(request, {"text": problem.detail})["text"]
        return page(
            request,
            "directory/sign_in.html",
            status=problem.status,
            email="",
            next=_local(next),
            refusal=refusal,
        )
    return _enter(request, signed.token, _local(next))


@router.post("/sign-out", dependencies=[allow(Permission.ANYONE)])
async def sign_out(request: Request, session: Transaction, actor: CurrentActor) -> Response:
    """End this session."""
    if actor.session is not None and actor.signed_in and actor.role is not Role.PARTICIPANT:
        await sign_in.revoke_session(session, actor, actor.session)
    response = redirect("/", mark("You are signed out."))
    response.delete_cookie(COOKIE, path="/")
    return response


@router.get("/sign-in/forgot", dependencies=[allow(Permission.ANYONE)])
async def forgot_page(request: Request) -> Response:
    """Ask for a link to set a new password."""
    return page(request, "directory/forgot.html", sent=False, email="", refusal=None)


@router.post("/sign-in/forgot", dependencies=[allow(Permission.ANYONE)])
async def submit_forgot(
    request: Request, session: Transaction, actor: CurrentActor, email: Address = ""
) -> Response:
    """Mail the link; the page says the same whether or not there is an account."""
    refused = await reset_password.request_reset(session, actor, email)
    if refused is None:
        return page(request, "directory/forgot.html", sent=True, email=email, refusal=None)
    refusal = in_readers_language(request, {"text": refused.detail})["text"]
    answer = page(
        request,
        "directory/forgot.html",
        status=refused.status,
        sent=False,
        email=email,
        refusal=refusal,
    )
    return say_when(answer, refused)


@router.get("/sign-in/password/{token}", dependencies=[allow(Permission.ANYONE)])
async def new_password_page(request: Request, token: str) -> Response:
    """Choose a new password."""
    return page(request, "directory/new_password.html", token=token, refusal=None, spent=False)


@router.post("/sign-in/password/{token}", dependencies=[allow(Permission.ANYONE)])
async def submit_new_password(
    request: Request, session: Transaction, actor: CurrentActor, token: str, password: Secret = ""
) -> Response:
    """Set it; every session of the account ends."""
    try:
        # A weak password must not spend the link: it is undone.
        errors = await field_errors(
            request, session, reset_password.reset_password(session, actor, token, password)
        )
    except NotFound as problem:
        refusal = in_readers_language(request, {"text": problem.detail})["text"]
        return page(
            request,
            "directory/new_password.html",
            status=problem.status,
            token=token,
            refusal=refusal,
            spent=True,
        )
    if errors:
        return page(
            request,
            "directory/new_password.html",
            status=422,
            token=token,
            refusal=errors["password"],
            spent=False,
        )
    return redirect("/sign-in", mark("Your new password is set. Sign in with it."))


def _local(target: str) -> str:
    """``target`` if it is a path of ours, else the first page: no redirects to other sites."""
    if target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable():
        return target
    return "/"


def _enter(request: Request, token: str, target: str) -> Response:
    response = redirect(target)
    response.set_cookie(
        COOKIE,
        token,
        httponly=True,
        samesite="lax",
        secure=services_of(request).settings.secure_cookies,
        path="/",
    )
    return response
