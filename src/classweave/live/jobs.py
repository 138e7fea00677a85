"""Background work of Live."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import clock
from classweave.core.jobs import enqueue, job_database, job_runtime, jobs
from classweave.core.tenancy import system_actor
from classweave.live.models import ClassroomSession, Track
from classweave.live.readiness import write_readiness
from classweave.live.run_session import GRACE
from classweave.live.store_recording import store_track


@jobs.task(queue="live", name="live.note_readiness")
async def note_readiness(organization: str, session_id: str, minutes: int) -> None:
    """Write down how many groups are ready some minutes after the start."""
    async with job_database().transaction(system_actor(UUID(organization))) as session:
        await write_readiness(session, UUID(session_id), minutes)


@jobs.task(queue="live", name="live.finish_session", retry=5)
async def finish_session(organization: str, session_id: str) -> None:
    """Wait until the last sound has become words, then measure and summarise the whole.

    Waits by enqueuing itself again: nothing is held, and a restart loses nothing.
    """
    from classweave.live.summarise_session import summarise_session

    actor = system_actor(UUID(organization))
    async with job_database().transaction(actor) as session:
        lesson = await session.get(ClassroomSession, UUID(session_id))
        if lesson is None or lesson.actual_end is None:
            return
        over = clock.now() - lesson.actual_end
        await _close_unheard(session, lesson)
        if over > GRACE:
            await session.execute(
                text(
                    "UPDATE live.tracks SET closed_at = :now"
                    " WHERE session_id = :session AND closed_at IS NULL"
                ),
                {"now": clock.now(), "session": lesson.id},
            )
        unfinished = await session.scalar(
            select(func.count())
            .select_from(Track)
            .where(Track.session_id == lesson.id, Track.finished_at.is_(None))
        )
        if unfinished and over < GRACE + timedelta(minutes=30):
            await enqueue(
                session, finish_session, queueing_lock=f"finish:{lesson.id}", in_seconds=1,
                organization=organization, session_id=session_id,
            )  # fmt: skip
            return
    await summarise_session(job_database(), UUID(organization), UUID(session_id))


async def _close_unheard(session: AsyncSession, lesson: ClassroomSession) -> None:
    """Nothing is awaited from a device that was never allowed to be heard, and never was."""
    await session.execute(
        text(
            "UPDATE live.tracks t SET closed_at = :now, finished_at = :now, leased_by = NULL,"
            " leased_until = NULL FROM live.participants p WHERE t.session_id = :session"
            " AND p.id = t.participant_id AND NOT p.can_speak"
            " AND t.next_seq = 0 AND t.finished_at IS NULL"
        ),
        {"now": clock.now(), "session": lesson.id},
    )


@jobs.task(queue="live", name="live.store_recording", retry=5)
async def store_recording(organization: str, track_id: str) -> None:
    """Keep the sound of a finished track, where that is allowed."""
    await store_track(job_database(), job_runtime().files, UUID(organization), UUID(track_id))
