"""The own account: name, language, time zone, theme, password, sessions."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import available_timezones

from babel import Locale
from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from classweave.core.permissions import Permission
from classweave.core.tenancy import Actor
from classweave.directory import profile, reset_password, sign_in
from classweave.directory.ids import SignInId
from classweave.directory.pages.forms import Field, field_errors, filled, show
from classweave.web.i18n import available, mark
from classweave.web.pages import redirect
from classweave.web.requests import CurrentActor, Transaction, allow
from classweave.web.services import services_of

router = APIRouter(include_in_schema=False)

_THEME_COOKIE = "cw_theme"
_YEAR_SECONDS = 365 * 24 * 3600
Secret = Annotated[str, Form(max_length=1000)]


_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("CriOS/", "Chrome"),
             ("Chrome/", "Chrome"), ("Safari/", "Safari"))  # fmt: skip
_SYSTEMS = (("CrOS", "ChromeOS"), ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"),
            ("Windows", "Windows"), ("Mac OS", "macOS"), ("Linux", "Linux"))  # fmt: skip


def browser_name(user_agent: str | None) -> str | None:
    """What a person would call the browser and its system; ``None`` for a program."""
    agent = user_agent or ""
    browser = next((name for sign, name in _BROWSERS if sign in agent), None)
    if browser is None:
        return None
    system = next((name for sign, name in _SYSTEMS if sign in agent), None)
    return f"{browser}, {system}" if system else browser


async def _show(
    request: Request,
    session: Transaction,
    actor: Actor,
    *,
    errors: dict[str, str] | None = None,
    typed: dict[str, str] | None = None,
) -> Response:
    user = await profile.own_account(session, actor)
    return show(
        request,
        "directory/account.html",
        status=422 if errors else 200,
        values={
            "name": user.name,
            "email": user.email or "",
            "locale": user.locale or "",
            "timezone": user.timezone or "",
            **(typed or {}),
        },
        has_password=user.password_hash is not None,
        errors=errors or {},
        languages=[(tag, Locale.parse(tag).get_display_name() or tag) for tag in available()],
        timezones=[(zone, zone.replace("_", " ")) for zone in sorted(available_timezones())],
        browser_name=browser_name,
        sessions=await sign_in.list_sessions(session, actor),
        current=actor.session,
    )


@router.get("/account", dependencies=[allow(Permission.SIGNED_IN)])
async def account_page(request: Request, session: Transaction, actor: CurrentActor) -> Response:
    """Everything about the own account."""
    return await _show(request, session, actor)


@router.post("/account/profile", dependencies=[allow(Permission.SIGNED_IN)])
async def save_profile(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    name: Field = "",
    email: Field = "",
    locale: Field = "",
    timezone: Field = "",
    current: Secret = "",
) -> Response:
    """Change name, e-mail, language and time zone."""
    typed = {"name": name, "email": email, "locale": locale, "timezone": timezone}
    changes = {"name": name, "locale": filled(locale), "timezone": filled(timezone)}
    if email.strip():
        changes["email"] = email
    work = profile.update_profile(session, actor, changes, current_password=current)
    errors = await field_errors(request, session, work)
    if errors:
        return await _show(request, session, actor, errors=errors, typed=typed)
    return redirect("/account", mark("Your account was changed."))


@router.post("/account/password", dependencies=[allow(Permission.SIGNED_IN)])
async def save_password(
    request: Request,
    session: Transaction,
    actor: CurrentActor,
    current: Secret = "",
    password: Secret = "",
) -> Response:
    """Change the password; other sessions end."""
    work = reset_password.change_password(session, actor, current, password)
    errors = await field_errors(request, session, work)
    if errors:
        return await _show(request, session, actor, errors=errors)
    return redirect("/account", mark("Your password was changed. Other sessions were ended."))


@router.post("/account/theme", dependencies=[allow(Permission.SIGNED_IN)])
async def save_theme(request: Request, theme: Field = "") -> Response:
    """Light, dark, or as the device has it; kept on this device."""
    response = redirect("/account", mark("Saved."))
    if theme in ("light", "dark"):
        response.set_cookie(
            _THEME_COOKIE,
            theme,
            max_age=_YEAR_SECONDS,
            samesite="lax",
            secure=services_of(request).settings.secure_cookies,
        )
    else:
        response.delete_cookie(_THEME_COOKIE)
    return response


@router.post("/account/sessions/end-others", dependencies=[allow(Permission.SIGNED_IN)])
async def end_other_sessions(session: Transaction, actor: CurrentActor) -> Response:
    """End every session but this one."""
    assert actor.id is not None
    await sign_in.revoke_all_sessions(session, actor.id, keep=actor.session)
    return redirect("/account#sessions", mark("All other sessions were ended."))


@router.post("/account/sessions/{session_id}/end", dependencies=[allow(Permission.SIGNED_IN)])
async def end_session(session: Transaction, actor: CurrentActor, session_id: SignInId) -> Response:
    """End one session."""
    await sign_in.revoke_session(session, actor, session_id)
    return redirect("/account#sessions", mark("The session was ended."))
