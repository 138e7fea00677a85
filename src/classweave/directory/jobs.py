"""Background work of the directory: mail, birthdays, tidying."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from classweave.core import clock
from classweave.core.database import Database
from classweave.core.jobs import job_database, job_runtime, jobs
from classweave.core.mail import send_mail
from classweave.core.settings import Settings
from classweave.core.tenancy import system_actor
from classweave.directory.models import User
from classweave.directory.reset_password import (
    INVITATION_VALID,
    RESET_VALID,
    new_reset_token,
    public_url,
)
from classweave.web.i18n import mark, translations

_RESET = mark(
    """Hello {name},

someone, probably you, asked for a new password for Classweave. Set it here within one hour:

{link}

If it was not you, do nothing: your password stays as it is.
"""
)
_INVITATION = mark(
    """Hello {name},

you have an account for Classweave at your school. Choose a password here within seven days:

{link}
"""
)


async def send_password_link(
    database: Database, settings: Settings, user_id: UUID, organization_id: UUID, *, invited: bool
) -> bool:
    """Mail ``user_id`` a link to set a password; says whether there was somebody to mail it to.

    The token is made here and lives in the mail alone. The mail goes out before the commit: one
    that cannot be sent leaves no token, and the job is tried again.
    """
    async with database.transaction(system_actor(organization_id)) as session:
        user = await session.get(User, user_id)
        if user is None or user.email is None or user.deleted_at is not None:
            return False
        token = await new_reset_token(session, user, INVITATION_VALID if invited else RESET_VALID)
        gettext = translations(user.locale or "en").gettext
        link = f"{public_url(settings)}/sign-in/password/{token}"
        subject = gettext("Your Classweave account") if invited else gettext("A new password")
        body = gettext(_INVITATION) if invited else gettext(_RESET)
        await send_mail(settings, user.email, subject, body.format(name=user.name, link=link))
    return True


@jobs.task(queue="directory", name="directory.mail_password_reset", retry=5)
async def mail_password_reset(user_id: str, organization_id: str) -> None:
    """Mail a link to somebody who forgot the password."""
    await send_password_link(
        job_database(), job_runtime().settings, UUID(user_id), UUID(organization_id), invited=False
    )


@jobs.task(queue="directory", name="directory.mail_invitation", retry=5)
async def mail_invitation(user_id: str, organization_id: str) -> None:
    """Mail a link to somebody new."""
    await send_password_link(
        job_database(), job_runtime().settings, UUID(user_id), UUID(organization_id), invited=True
    )


async def refresh_all_ages(database: Database) -> int:
    """Recompute who is under 13 in every organisation; returns how many students changed."""
    async with database.transaction(system_actor()) as session:
        rows = await session.execute(text("SELECT id FROM directory.all_organizations()"))
        organizations = [row.id for row in rows]
    changed = 0
    for organization in organizations:
        async with database.transaction(system_actor(organization)) as session:
            found = await session.scalar(text("SELECT directory.refresh_ages()"))
            changed += int(found or 0)
    return changed


@jobs.periodic(cron="10 2 * * *")
@jobs.task(queue="directory", name="directory.refresh_ages")
async def refresh_ages(timestamp: int) -> None:
    """Every night: a new year makes students older."""
    await refresh_all_ages(job_database())


@jobs.periodic(cron="20 2 * * *")
@jobs.task(queue="directory", name="directory.forget_attempts")
async def forget_old_attempts(timestamp: int) -> None:
    """Every night: what is left of yesterday's failed sign-ins."""
    async with job_database().transaction(system_actor()) as session:
        await session.execute(
            text("DELETE FROM directory.sign_in_throttle WHERE window_started_at < :before"),
            {"before": clock.now() - timedelta(days=1)},
        )
