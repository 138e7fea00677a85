"""What is stored around a push: its ids, their meetings, who is enrolled, what is marked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import orjson
import psycopg

from classweave.attend.sync.check_push import CLASSES, RECORDS, SESSIONS, Push, SessionRow
from classweave.attend.sync.identify import ORGANIZATION

Connection = psycopg.AsyncConnection[Any]
Meeting = tuple[UUID, date, str]
"""A class, a day, and a time of day (``00:00`` where none is given)."""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session as it stands, or as this push makes it. ``id`` is the one that is kept."""

    id: str
    class_id: UUID
    term: int
    date: date
    start_time: str | None
    rev: int
    deleted: bool = False

    @property
    def meeting(self) -> Meeting:
        """What no other session may share with it."""
        return (self.class_id, self.date, self.start_time or "00:00")


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as it stands."""

    id: str
    session_id: str
    place: int
    class_id: UUID
    rev: int


@dataclass(frozen=True, slots=True)
class Stored:
    """The rows around a push. ``classes`` are those that the teacher teaches.

    ``places`` has who is enrolled on a session's day: (class, day, student) → place. ``taken`` has
    the records of the sessions: (session id, place) → record id. ``merged`` names, for the id of a
    second session of one meeting, the session that it became.
    """

    classes: frozenset[UUID]
    sessions: dict[str, StoredSession]
    meetings: dict[Meeting, StoredSession]
    records: dict[str, StoredRecord]
    tombstones: dict[tuple[str, str], tuple[UUID | None, int]]
    merged: dict[str, str]
    class_revisions: dict[UUID, int]
    terms: list[tuple[int, date, date]]
    places: dict[tuple[UUID, date, UUID], int]
    taken: dict[tuple[str, int], str]

    def conflicts(self, push: Push, last: int) -> bool:
        """Whether a row that the teacher sees, or its tombstone, is newer than ``last``."""
        written = [(SESSIONS, s.id) for s in push.sessions]
        written += [(RECORDS, r.id) for r in push.records]
        deleted = [(SESSIONS, i) for i in push.deleted_sessions]
        deleted += [(RECORDS, i) for i in push.deleted_records]
        return (
            any(self._revision(table, key) > last for table, key in [*written, *deleted])
            or any(self._buried(table, key) > last for table, key in written)
            or any(
                self.class_revisions.get(key, 0) > last
                for key in push.classes
                if key in self.classes
            )
        )

    def _revision(self, table: str, key: str) -> int:
        if table == SESSIONS and (session := self.sessions.get(key)) is not None:
            # What is deleted counts by its tombstone, which a second deletion may meet.
            seen = session.class_id in self.classes and not session.deleted
            return session.rev if seen else 0
        record = self.records.get(key) if table == RECORDS else None
        return record.rev if record is not None and record.class_id in self.classes else 0

    def _buried(self, table: str, key: str) -> int:
        class_id, rev = self.tombstones.get((table, key), (None, 0))
        return rev if class_id is None or class_id in self.classes else 0

    def is_buried(self, table: str, key: str) -> bool:
        """Whether the id was deleted once."""
        return (table, key) in self.tombstones

    def is_archived(self, session: StoredSession) -> bool:
        """Whether the records of a session are put away with its term, and it with them."""
        return all(number != session.term for number, _start, _end in self.terms)

    def term_of(self, row: SessionRow) -> int | None:
        """The term of a pushed session: the one it was held in, as long as that holds its day."""
        known = self.sessions.get(row.id)
        if known is not None and (
            known.date == row.date
            or self.is_archived(known)
            or any(n == known.term and first <= row.date <= last for n, first, last in self.terms)
        ):
            return known.term
        return self.term_on(row.date)

    def term_on(self, day: date) -> int | None:
        """The term that ``day`` belongs to: the shortest that holds it."""
        held = [(end - start, number) for number, start, end in self.terms if start <= day <= end]
        return min(held)[1] if held else None


def _list(columns: str, rows: str) -> str:
    """A query's rows as JSON lists, in one column of one row."""
    return f"(SELECT coalesce(json_agg(json_build_array({columns})), '[]')::text FROM {rows})"


# One statement: each costs the driver as long as the database. ``asked`` are the sessions that are
# named, those that such a one became, and those held at the same time as one that is pushed.
_AROUND = f"""
WITH asked AS MATERIALIZED (
  SELECT s.no FROM attend.attendance_sessions s
    WHERE s.organization_id = {ORGANIZATION} AND s.id = ANY (%(sessions)s)
  UNION SELECT s.no FROM attend.tombstones t
      JOIN attend.attendance_sessions s
        ON s.organization_id = t.organization_id AND s.id = t.merged_into
    WHERE t.organization_id = {ORGANIZATION} AND t.table_name = '{SESSIONS}'
      AND t.id = ANY (%(sessions)s)
  UNION SELECT s.no
    FROM unnest(%(of)s::uuid[], %(days)s::date[], %(times)s::text[]) AS u (class_id, day, at)
      JOIN attend.attendance_sessions s ON s.class_id = u.class_id AND s.date = u.day
        AND coalesce(s.start_time, '00:00') = u.at AND s.deleted_at IS NULL
)
SELECT {
    ", ".join(
        (
            "ARRAY(SELECT class_id FROM directory.class_teachers"
            " WHERE user_id = ops.current_actor())",
            _list(
                "id, rev",
                f"attend.directory_changes WHERE organization_id = {ORGANIZATION}"
                f" AND table_name = '{CLASSES}' AND id = ANY (%(classes)s)",
            ),
            _list(
                "number, starts_on, ends_on",
                f"attend.terms WHERE organization_id = {ORGANIZATION} AND archived_at IS NULL",
            ),
            _list(
                "table_name, id, class_id, rev, merged_into",
                f"attend.tombstones WHERE organization_id = {ORGANIZATION}"
                f" AND table_name IN ('{SESSIONS}', '{RECORDS}') AND id = ANY (%(ids)s)",
            ),
            _list(
                "s.id, s.class_id, s.term, s.date, s.start_time, s.rev, s.deleted_at IS NOT NULL",
                "asked JOIN attend.attendance_sessions s ON s.no = asked.no",
            ),
            _list(
                "s.id, r.place, r.id",
                "asked JOIN attend.attendance_sessions s ON s.no = asked.no"
                " JOIN attend.attendance_records r ON r.term = s.term AND r.session_no = s.no",
            ),
            _list(
                "d.class_id, d.day, p.student_id, p.number",
                "(SELECT s.class_id, s.date AS day FROM asked"
                " JOIN attend.attendance_sessions s ON s.no = asked.no"
                " UNION SELECT class_id, day"
                " FROM unnest(%(of)s::uuid[], %(days)s::date[]) AS u (class_id, day)) d"
                " JOIN attend.places p ON p.class_id = d.class_id"
                " JOIN attend.enrolled_on(d.class_id, d.day) e ON e.student_id = p.student_id",
            ),
            _list(
                "r.id, s.id, r.place, s.class_id, r.rev",
                "attend.attendance_records r"
                " JOIN attend.attendance_sessions s ON s.no = r.session_no"
                " WHERE r.term = ANY (ARRAY(SELECT number FROM attend.terms"
                f" WHERE organization_id = {ORGANIZATION} AND archived_at IS NULL))"
                " AND r.id = ANY (%(records)s)",
            ),
        )
    )
}
"""


async def ask_around(connection: Connection, push: Push) -> psycopg.AsyncCursor[Any]:
    """Ask for all of it behind :func:`ask_for_caller`; :func:`stored_of` reads the answer."""
    sessions = {s.id for s in push.sessions} | {r.session_id for r in push.records}
    sessions |= set(push.deleted_sessions)
    records = {r.id for r in push.records} | set(push.deleted_records)
    parameters = {
        "classes": list(push.classes), "sessions": list(sessions), "records": list(records),
        "ids": list(sessions | records),
        "of": [s.class_id for s in push.sessions], "days": [s.date for s in push.sessions],
        "times": [s.start_time or "00:00" for s in push.sessions],
    }  # fmt: skip
    return await connection.execute(_AROUND.encode(), parameters)


async def stored_of(asked: psycopg.AsyncCursor[Any]) -> Stored:
    """What the answer says."""
    row = await asked.fetchone()
    assert row is not None
    revisions, terms, buried, held, taken, places, known = map(orjson.loads, row[1:])
    ids, days = _Cache(UUID), _Cache(date.fromisoformat)
    sessions = [
        StoredSession(key, ids[of], term, days[day], start, rev, deleted)
        for key, of, term, day, start, rev, deleted in held
    ]
    return Stored(
        classes=frozenset(row[0]),
        sessions={one.id: one for one in sessions},
        meetings={one.meeting: one for one in sessions if not one.deleted},
        records={
            key: StoredRecord(key, session, place, ids[of], rev)
            for key, session, place, of, rev in known
        },
        tombstones={
            (table, key): (None if of is None else ids[of], rev)
            for table, key, of, rev, _kept in buried
        },
        merged={key: kept for _table, key, _of, _rev, kept in buried if kept is not None},
        class_revisions={ids[key]: rev for key, rev in revisions},
        terms=[(number, days[first], days[last]) for number, first, last in terms],
        places={(ids[of], days[day], ids[student]): place for of, day, student, place in places},
        taken={(session, place): key for session, place, key in taken},
    )


class _Cache(dict[str, Any]):
    """Values made of texts, each once."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, text: str) -> Any:
        made = self[text] = self._make(text)
        return made
