"""A push becomes rows: all of it or nothing, in the order deletions, classes, sessions, records.

The organisation's clock is taken first and held until the commit, so pushes of one organisation
come one after another: the test for conflicts and the merging by natural key see no races. What is
to be written is decided over what was read, in :mod:`decide_push`; here it is read and written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import orjson
import psycopg

from classweave.attend.models import STATUS_NUMBERS
from classweave.attend.open_term import term_on
from classweave.attend.sync.check_push import Push, RecordRow
from classweave.attend.sync.cursor import Cursor
from classweave.attend.sync.decide_push import Decided, Key, decide
from classweave.attend.sync.identify import ORGANIZATION, Caller
from classweave.attend.sync.stored import Connection, Stored, ask_around, stored_of
from classweave.core.problems import Conflict, Unavailable

Answer = psycopg.AsyncCursor[Any]

_CLOCK = f"""
SELECT attend.next_revision(c.organization_id), c.generation FROM attend.sync_clocks c
WHERE c.organization_id = {ORGANIZATION}
"""
_AGAIN = "Rows have changed since the last pull: pull, then push again."


@dataclass(frozen=True, slots=True)
class Asked:
    """The questions of a push, on their way to the database."""

    clock: Answer
    stored: Answer


async def ask_to_push(connection: Connection, push: Push) -> Asked:
    """Take the clock and ask what is stored around ``push``, behind :func:`ask_for_caller`."""
    return Asked(await connection.execute(_CLOCK), await ask_around(connection, push))


async def answers_to_push(asked: Asked, last: Cursor | None, push: Push) -> tuple[int, Stored]:
    """The revision that the push makes, and what is stored around it.

    Raises :class:`~classweave.core.problems.Conflict` when the device must pull first.
    """
    row = await asked.clock.fetchone()
    if row is None:
        raise Unavailable("Attendance is not in use in this organisation.")
    rev, generation = row
    stored = await stored_of(asked.stored)
    if last is None or last.generation != generation or last.rev >= rev:
        raise Conflict(_AGAIN)
    if stored.conflicts(push, last.rev):
        raise Conflict(_AGAIN)
    return rev, stored


async def decide_over(
    connection: Connection, caller: Caller, push: Push, stored: Stored
) -> Decided:
    """What the push changes. A term is made for a day that none holds."""
    for session in push.sessions:
        if session.class_id in stored.classes and stored.term_of(session) is None:
            number = await term_on(connection, caller.organization, session.date)
            stored.terms.append((number, session.date, session.date))
    return decide(push, stored)


async def write_push(
    connection: Connection, caller: Caller, rev: int, decided: Decided, now: datetime
) -> None:
    """Write it. Nothing is read back, so all of it is one round trip in a pipeline."""
    common = {"org": caller.organization, "user": caller.user, "rev": rev, "now": now}
    if decided.clear_records:
        await connection.execute(
            _CLEAR,
            {
                **common,
                "sessions": [s for s, _place in decided.clear_records],
                "places": [place for _s, place in decided.clear_records],
            },
        )
    if decided.drop_sessions:
        await connection.execute(_CLEAR_SESSIONS, {**common, "sessions": decided.drop_sessions})
        await connection.execute(_DROP_SESSIONS, {**common, "sessions": decided.drop_sessions})
    for key, name in decided.rename.items():
        await connection.execute(_RENAME, {**common, "class": key, "name": name})
    for step in decided.sessions:
        session = step.row
        await connection.execute(
            _SESSION_STEPS[step.how],
            {
                **common, "id": step.kept, "class": session.class_id, "term": step.term,
                "date": session.date, "start": session.start_time, "end": session.end_time,
                "note": session.note, "marked": session.marked_at,
            },
        )  # fmt: skip
    for statement, rows in ((_UPDATE, decided.update_records), (_INSERT, decided.insert_records)):
        if rows:
            await connection.execute(statement.encode(), {**common, "rows": _rows(rows, now)})
    if decided.bury:
        await connection.execute(
            _BURY,
            {
                **common,
                "tables": [table for table, _key in decided.bury],
                "ids": [key for _table, key in decided.bury],
                "classes": list(decided.bury.values()),
                "merged": [decided.merged.get(key) for _table, key in decided.bury],
            },
        )
    if decided.refused:
        await connection.execute(
            _CORRECT,
            {
                **common,
                "tables": [table for table, _key in decided.refused],
                "ids": [key for _table, key in decided.refused],
                "reasons": list(decided.refused.values()),
            },
        )
    await connection.execute(_PUSHED, {"now": now, "device": caller.device})


def _rows(rows: dict[Key, RecordRow], now: datetime) -> str:
    """The records as one parameter: a list for each column takes the driver five times as long."""
    return orjson.dumps(
        [
            {
                "session_id": session, "place": place, "id": row.id,
                "status": STATUS_NUMBERS[row.status], "minutes": row.minutes,
                "marked_at": row.marked_at or now, "notes": row.notes,
            }
            for (session, place), row in rows.items()
        ]
    ).decode()  # fmt: skip


_ROWS = """json_to_recordset(%(rows)s::json) AS u (session_id text, place smallint, id text,
    status smallint, minutes smallint, marked_at timestamptz, notes text)
  JOIN attend.attendance_sessions s ON s.organization_id = %(org)s AND s.id = u.session_id"""
_INSERT = f"""
INSERT INTO attend.attendance_records
  (term, session_no, place, id, status, minutes, marked_at, created_at, notes, rev)
SELECT s.term, s.no, u.place, u.id, u.status, u.minutes, u.marked_at, u.marked_at, u.notes, %(rev)s
FROM {_ROWS}
"""
_UPDATE = f"""
UPDATE attend.attendance_records r SET status = u.status, minutes = u.minutes,
  marked_at = u.marked_at, notes = u.notes, rev = %(rev)s
FROM {_ROWS} WHERE r.term = s.term AND r.session_no = s.no AND r.place = u.place
"""
_CLEAR = """
DELETE FROM attend.attendance_records r
USING unnest(%(sessions)s::text[], %(places)s::smallint[]) AS g (session_id, place)
  JOIN attend.attendance_sessions s ON s.organization_id = %(org)s AND s.id = g.session_id
WHERE r.term = s.term AND r.session_no = s.no AND r.place = g.place
"""
_CLEAR_SESSIONS = """
DELETE FROM attend.attendance_records r USING attend.attendance_sessions s
WHERE s.organization_id = %(org)s AND s.id = ANY (%(sessions)s)
  AND r.term = s.term AND r.session_no = s.no
"""
_DROP_SESSIONS = """
UPDATE attend.attendance_sessions SET deleted_at = %(now)s, updated_by = %(user)s
WHERE organization_id = %(org)s AND id = ANY (%(sessions)s)
"""
_RENAME = """
UPDATE directory.classes SET name = %(name)s, updated_by = %(user)s WHERE id = %(class)s
"""
_INSERT_SESSION = """
INSERT INTO attend.attendance_sessions (organization_id, id, class_id, term, date, start_time,
  end_time, note, marked_by, marked_at, created_by, updated_by)
VALUES (%(org)s, %(id)s, %(class)s, %(term)s, %(date)s, %(start)s, %(end)s, %(note)s,
  CASE WHEN %(marked)s::timestamptz IS NOT NULL THEN %(user)s::uuid END, %(marked)s,
  %(user)s, %(user)s)
"""
_UPDATE_SESSION = """
UPDATE attend.attendance_sessions SET date = %(date)s, start_time = %(start)s,
  end_time = %(end)s, note = %(note)s, marked_at = %(marked)s,
  marked_by = CASE WHEN %(marked)s::timestamptz IS NULL THEN NULL
    WHEN marked_at IS NULL THEN %(user)s::uuid ELSE coalesce(marked_by, %(user)s::uuid) END,
  updated_by = %(user)s
WHERE organization_id = %(org)s AND id = %(id)s
"""
# A second session of one meeting undoes neither the roll nor the note of the first.
_MERGE_SESSION = """
UPDATE attend.attendance_sessions SET end_time = coalesce(%(end)s, end_time),
  note = coalesce(%(note)s, note), marked_at = coalesce(%(marked)s, marked_at),
  marked_by = CASE WHEN marked_at IS NULL AND %(marked)s::timestamptz IS NOT NULL
    THEN %(user)s::uuid ELSE marked_by END, updated_by = %(user)s
WHERE organization_id = %(org)s AND id = %(id)s
"""
_SESSION_STEPS: dict[str, LiteralString] = {
    "insert": _INSERT_SESSION,
    "change": _UPDATE_SESSION,
    "merge": _MERGE_SESSION,
}
_BURY = """
INSERT INTO attend.tombstones (organization_id, table_name, id, class_id, rev, merged_into)
SELECT %(org)s, u.t, u.i, u.c, %(rev)s, u.m
FROM unnest(%(tables)s::text[], %(ids)s::text[], %(classes)s::uuid[], %(merged)s::text[])
  AS u (t, i, c, m)
ON CONFLICT DO NOTHING
"""
_CORRECT = """
INSERT INTO attend.corrections (organization_id, user_id, table_name, id, rev, reason)
SELECT %(org)s, %(user)s, u.t, u.i, %(rev)s, u.r
FROM unnest(%(tables)s::text[], %(ids)s::text[], %(reasons)s::text[]) AS u (t, i, r)
ON CONFLICT (user_id, table_name, id)
  DO UPDATE SET rev = excluded.rev, reason = excluded.reason, made_at = now()
"""
_PUSHED = """
UPDATE attend.sync_metadata SET last_pushed_at = %(now)s, pushes = pushes + 1
WHERE device_id = %(device)s
"""
