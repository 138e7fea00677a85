"""Work by the clock: consents that run out, data that passed its retention, children who left."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from classweave.compliance import consent, retention, rights
from classweave.compliance.file_deletion import delete_files
from classweave.core.jobs import enqueue, job_database, jobs
from classweave.core.personal_data import Subject
from classweave.core.tenancy import system_actor

__all__ = ["delete_files", "expire", "retain", "schedule_expiry", "schedule_retention"]


async def _organizations() -> list[UUID]:
    async with job_database().transaction(system_actor()) as session:
        found = await session.scalars(text("SELECT id FROM directory.all_organizations()"))
        return list(found.all())


@jobs.periodic(cron="17 3 * * *")
@jobs.task(queue="compliance", name="compliance.schedule_retention")
async def schedule_retention(timestamp: int) -> None:
    """Once a night: one retention job for each organisation."""
    for organization in await _organizations():
        async with job_database().transaction(system_actor(organization)) as session:
            name = f"compliance.retain:{organization}"
            await enqueue(
                session, retain, lock=name, queueing_lock=name, organization=str(organization)
            )


@jobs.task(queue="compliance", name="compliance.retain", retry=3)
async def retain(organization: str) -> None:
    """Delete what passed the organisation's policies, and erase the children who left long ago."""
    await retention.retain(job_database(), UUID(organization))
    actor = system_actor(UUID(organization))
    async with job_database().transaction(actor) as session:
        departed = await rights.departed_children(session)
    for student in departed:
        async with job_database().transaction(actor) as session:
            await rights.erase_person(session, Subject.STUDENT, student)


@jobs.periodic(cron="*/10 * * * *")
@jobs.task(queue="compliance", name="compliance.schedule_expiry")
async def schedule_expiry(timestamp: int) -> None:
    """Every ten minutes: record what ran out. Streams judge expiry themselves, at once."""
    for organization in await _organizations():
        async with job_database().transaction(system_actor(organization)) as session:
            name = f"compliance.expire:{organization}"
            await enqueue(
                session, expire, lock=name, queueing_lock=name, organization=str(organization)
            )


@jobs.task(queue="compliance", name="compliance.expire", retry=3)
async def expire(organization: str) -> None:
    """Record the consents of one organisation that ran out, so that rooms react."""
    actor = system_actor(UUID(organization))
    async with job_database().transaction(actor) as session:
        await consent.expire_consents(session, actor)
