"""Ending a term: its records go into a compressed file and out of the database, in seconds.

The file names students by their identifier only and holds no notes: when a student is erased from
the directory, nothing in it leads back to the person. Sessions and their totals stay, so reports
go on; what single students did in a session does not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import zstandard
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.models import Term
from classweave.attend.plan_terms import access_term
from classweave.attend.take_turn import take_turn
from classweave.core import audit, clock
from classweave.core.database import driver_connection
from classweave.core.problems import Conflict, NotFound, Unavailable
from classweave.core.storage import FileStore
from classweave.core.tenancy import Actor
from classweave.directory.service import local_today
from classweave.web.i18n import mark

PARTS = ("sessions", "records")
NOTHING = mark("No session was held in this term: there is nothing to archive.")

# A record is a line; the lines of a session come as one row, for there are millions of them.
_RECORDS = """
SELECT string_agg(concat_ws(',', s.id, p.student_id,
    (ARRAY['present', 'late', 'excused', 'left_early'])[r.status], coalesce(r.minutes::text, ''),
    to_char(r.marked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), r.id)
    || E'\\n', '' ORDER BY r.place)
FROM attend.attendance_sessions s
  JOIN attend.attendance_records r ON r.term = s.term AND r.session_no = s.no
  JOIN attend.places p ON p.class_id = s.class_id AND p.number = r.place
WHERE s.term = %(term)s AND r.term = %(term)s AND s.deleted_at IS NULL
GROUP BY s.no
"""
_RECORD_COLUMNS = "session_id,student_id,status,minutes,marked_at,id\n"
_SESSIONS = """
COPY (SELECT s.id, s.class_id, c.code AS class_code, s.date, s.start_time, s.end_time,
    s.marked_by, s.marked_at, s.total_enrolled, s.total_present, s.total_late, s.total_excused,
    s.total_left_early, s.total_absent
  FROM attend.attendance_sessions s JOIN directory.classes c ON c.id = s.class_id
  WHERE s.term = {term} AND s.deleted_at IS NULL ORDER BY s.no)
TO STDOUT WITH (FORMAT csv, HEADER)
"""


async def archive_term(
    session: AsyncSession, files: FileStore, actor: Actor, term_id: UUID
) -> Term:
    """Write a term's sessions and records to the file store and drop the records.

    Devices are sent everything anew, without the term. Raises :class:`Conflict` for a term that
    goes on or is archived, :class:`Unavailable` when devices read for too long.
    """
    term = await access_term(session, actor, term_id)
    # The clock first, as pushes take it: none of the organisation comes in between from here on.
    await take_turn(session, term.organization_id)
    term = await access_term(session, actor, term_id, lock=True)
    check_archivable(term, actor)
    if (await held_in(session, term)).sessions == 0:
        raise Conflict(NOTHING)
    folder = f"{term.organization_id}/attend/term-{term.number}"
    connection = await driver_connection(session)
    try:
        await connection.execute("SET LOCAL lock_timeout = '10s'")
        counts = {
            part: await _keep(files, f"{folder}/{part}.csv.zst", read(connection, term))
            for part, read in (("sessions", _sessions), ("records", _records))
        }
        term.archived_at, term.archive_path = clock.now(), folder
        await session.flush()
        await connection.execute("SELECT attend.begin_generation(%s)", (term.organization_id,))
        await connection.execute(
            "DELETE FROM attend.record_history WHERE session_no IN"
            " (SELECT no FROM attend.attendance_sessions WHERE term = %s)",
            (term.number,),
        )
        await connection.execute("SELECT attend.drop_records(%s)", (term.number,))
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
        raise Unavailable(
            mark("Many devices are reading. Nothing was changed; try again.")
        ) from error
    audit.record(
        session, "attendance.term_archived", resource="term", resource_id=term.id,
        description="Archived a term and dropped its records", data_accessed=counts,
        organization=term.organization_id,
    )  # fmt: skip
    return term


def check_archivable(term: Term, actor: Actor) -> None:
    """Raise :class:`Conflict` for a term that cannot be archived today."""
    if term.archived_at is not None:
        raise Conflict(mark("This term is archived already."))
    if term.ends_on >= local_today(actor):
        raise Conflict(mark("This term is not over. Archive it after its last day."))


@dataclass(frozen=True, slots=True)
class Held:
    """What an archiving would put away; of the ``sessions``, some have a roll ``not_taken``."""

    sessions: int
    not_taken: int
    records: int


async def held_in(session: AsyncSession, term: Term) -> Held:
    """Counts of a term."""
    row = (
        await session.execute(
            text(
                "SELECT count(*), count(*) FILTER (WHERE marked_at IS NULL),"
                " coalesce(sum(total_present + total_excused), 0)"
                " FROM attend.attendance_sessions WHERE term = :term AND deleted_at IS NULL"
            ),
            {"term": term.number},
        )
    ).one()
    return Held(int(row[0]), int(row[1]), int(row[2]))


async def read_archive(
    session: AsyncSession, files: FileStore, actor: Actor, term_id: UUID, part: str
) -> tuple[str, bytes]:
    """File name and content of one of :data:`PARTS` of an archived term, audited."""
    term = await access_term(session, actor, term_id)
    if term.archive_path is None or part not in PARTS:
        raise NotFound(mark("There is no such archive."))
    try:
        content = await files.get(f"{term.archive_path}/{part}.csv.zst")
    except FileNotFoundError as error:
        raise NotFound(mark("There is no such archive.")) from error
    audit.record(
        session, "attendance.archive_read", resource="term", resource_id=term.id,
        description=f"Downloaded the archived {part} of a term",
        organization=term.organization_id,
    )  # fmt: skip
    return f"term-{term.number}-{part}.csv.zst", content


async def _sessions(
    connection: psycopg.AsyncConnection[Any], term: Term
) -> AsyncIterator[tuple[bytes, int]]:
    first = True
    query = _SESSIONS.format(term=int(term.number)).encode()
    async with connection.cursor() as cursor, cursor.copy(query) as copy:
        async for row in copy:
            yield bytes(row), 0 if first else 1
            first = False


async def _records(
    connection: psycopg.AsyncConnection[Any], term: Term
) -> AsyncIterator[tuple[bytes, int]]:
    yield _RECORD_COLUMNS.encode(), 0
    async with connection.cursor(name="archive") as cursor:
        await cursor.execute(_RECORDS, {"term": term.number})
        while rows := await cursor.fetchmany(500):
            lines = "".join(row[0] for row in rows)
            yield lines.encode(), lines.count("\n")


async def _keep(files: FileStore, path: str, pieces: AsyncIterator[tuple[bytes, int]]) -> int:
    """Compress and store; how many rows there were."""
    packer = zstandard.ZstdCompressor(level=3).compressobj()
    kept: list[bytes] = []
    count = 0
    async for piece, rows in pieces:
        kept.append(packer.compress(piece))
        count += rows
    kept.append(packer.flush())
    await files.put(path, b"".join(kept))
    return count
