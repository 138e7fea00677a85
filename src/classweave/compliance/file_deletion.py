"""Files are deleted after the commit that condemned them: an undone deletion loses nothing."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.jobs import enqueue, job_runtime, jobs

_PER_JOB = 500


@jobs.task(queue="files", name="compliance.delete_files", retry=10)
async def delete_files(paths: list[str]) -> None:
    """Delete stored files; missing ones are fine, so it may run again after a failure."""
    files = job_runtime().files
    for path in paths:
        await files.delete(path)


async def delete_files_later(session: AsyncSession, paths: Sequence[str]) -> None:
    """Have ``paths`` deleted once ``session``'s transaction has committed."""
    for start in range(0, len(paths), _PER_JOB):
        await enqueue(session, delete_files, paths=list(paths[start : start + _PER_JOB]))
