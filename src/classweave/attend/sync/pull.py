"""What changed since a device's cursor, as one snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from classweave.attend.sync.cursor import Cursor
from classweave.attend.sync.identify import ORGANIZATION, Caller
from classweave.attend.sync.tables import (
    FEEDS,
    OWN_TABLES,
    RECORDS_ALL,
    RECORDS_CHANGED,
    RECORDS_OF_SESSION,
    RECORDS_WRONG,
    REFUSED_AND_NOT_THERE,
)
from classweave.core.problems import NotFound, Unavailable

Connection = psycopg.AsyncConnection[Any]
Answer = psycopg.AsyncCursor[Any]

# Who asks is known to the database by then, so that both questions make one round trip.
_STATE = f"""
SELECT c.rev, c.generation,
  (SELECT coalesce(array_agg(number), '{{}}') FROM attend.terms WHERE archived_at IS NULL) AS terms,
  coalesce(array_agg(t.class_id) FILTER (WHERE t.class_id IS NOT NULL), '{{}}') AS classes,
  coalesce(array_agg(t.class_id) FILTER (WHERE v.granted AND v.rev > %(last)s), '{{}}') AS fresh,
  EXISTS (SELECT FROM attend.directory_changes d
    WHERE d.organization_id = c.organization_id AND d.rev > %(last)s)
  OR EXISTS (SELECT FROM attend.visibility o WHERE o.rev > %(last)s) AS directory,
  EXISTS (SELECT FROM attend.corrections w
    WHERE w.user_id = ops.current_actor() AND w.rev > %(last)s) AS corrected
FROM attend.sync_clocks c
  LEFT JOIN directory.class_teachers t ON t.user_id = ops.current_actor()
  LEFT JOIN attend.visibility v ON v.user_id = t.user_id AND v.class_id = t.class_id
WHERE c.organization_id = {ORGANIZATION}
GROUP BY c.organization_id
"""

# Ids that are to go: what was deleted, what was refused and is not there, what is no longer seen.
_DELETED = """
WITH lost AS (
  SELECT class_id FROM attend.visibility
    WHERE user_id = %(user)s AND NOT granted AND rev > %(last)s
), seen AS (
  SELECT unnest(%(classes)s::uuid[]) AS class_id UNION SELECT class_id FROM lost
), gone AS (
  SELECT table_name, id FROM attend.tombstones
    WHERE class_id IN (SELECT class_id FROM seen) AND rev > %(last)s
  UNION ALL SELECT d.table_name, d.id::text FROM attend.directory_changes d
    WHERE d.organization_id = %(org)s AND d.rev > %(last)s AND d.deleted
      AND (d.class_id IN (SELECT class_id FROM seen)
        -- Who was enrolled in which class is known no longer, but it went in the same revision.
        OR d.table_name = 'students' AND EXISTS (SELECT FROM attend.directory_changes e
          WHERE e.organization_id = d.organization_id AND e.rev = d.rev AND e.deleted
            AND e.table_name = 'enrollments' AND e.class_id IN (SELECT class_id FROM seen)))
  UNION ALL SELECT w.table_name, w.id FROM attend.corrections w
    WHERE w.user_id = %(user)s AND w.rev > %(last)s AND (__REFUSED__)
), colleagues AS (
  SELECT v.user_id FROM attend.visibility v WHERE NOT v.granted AND v.rev > %(last)s
    AND v.class_id IN (SELECT class_id FROM seen)
  UNION SELECT t.user_id FROM directory.class_teachers t
    WHERE t.class_id IN (SELECT class_id FROM lost)
), unseen AS (
  SELECT 'users' AS table_name, c.user_id::text AS id FROM colleagues c
    WHERE c.user_id <> %(user)s AND NOT EXISTS (SELECT FROM directory.class_teachers t
      WHERE t.user_id = c.user_id AND t.class_id = ANY (%(classes)s))
  UNION ALL SELECT 'classes', class_id::text FROM lost
  UNION ALL SELECT 'enrollments', e.id::text FROM directory.enrollments e
    WHERE e.class_id IN (SELECT class_id FROM lost)
  UNION ALL SELECT 'students', e.student_id::text FROM directory.enrollments e
    WHERE e.class_id IN (SELECT class_id FROM lost) AND NOT EXISTS (
      SELECT FROM directory.enrollments o
      WHERE o.student_id = e.student_id AND o.class_id = ANY (%(classes)s))
  UNION ALL SELECT 'meetings', m.id::text FROM attend.meetings m
    WHERE m.class_id IN (SELECT class_id FROM lost)
  UNION ALL SELECT 'attendance_sessions', s.id FROM attend.attendance_sessions s
    WHERE s.class_id IN (SELECT class_id FROM lost)
  UNION ALL SELECT 'attendance_records', r.id FROM attend.attendance_sessions s
    CROSS JOIN LATERAL (SELECT * FROM attend.attendance_records r
      WHERE r.term = s.term AND r.session_no = s.no OFFSET 0) r
    WHERE s.class_id IN (SELECT class_id FROM lost) AND r.term = ANY (%(terms)s)
)
SELECT table_name, json_agg(DISTINCT id)::text AS ids
FROM (SELECT * FROM gone UNION ALL SELECT * FROM unseen) deleted GROUP BY 1
""".replace("__REFUSED__", REFUSED_AND_NOT_THERE)


@dataclass(frozen=True, slots=True)
class State:
    """Where the organisation is, what the teacher sees, and how much of it the device has.

    ``directory`` and ``corrected`` say whether anything of these changed at all: most often not.
    """

    cursor: Cursor
    kind: str
    directory: bool
    corrected: bool
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """The questions of one pull, whose answers are read once the pipeline has been sent."""

    names: list[str]
    tables: Answer
    deleted: Answer | None
    records: list[Answer]


async def ask_for_state(connection: Connection, last: Cursor | None) -> Answer:
    """Ask where the organisation is; :func:`state_of` reads the answer."""
    return await connection.execute(_STATE.encode(), {"last": -1 if last is None else last.rev})


async def state_of(answer: Answer, caller: Caller, last: Cursor | None) -> State:
    """How to answer a device that has seen ``last``: ``first``, ``replacement`` or ``changes``.

    Raises :class:`~classweave.core.problems.Unavailable` where Attend is not in use.
    """
    row = await answer.fetchone()
    if row is None:
        raise Unavailable("Attendance is not in use in this organisation.")
    rev, generation, terms, classes, fresh, directory, corrected = row
    cursor = Cursor(generation, rev)
    kind = "changes"
    if last is None:
        kind = "first"
    elif last.generation != generation or last.rev > rev:
        kind = "replacement"
    if kind != "changes":
        fresh = classes
    known: list[UUID] = list(set(classes) - set(fresh))
    return State(
        cursor,
        kind,
        directory,
        corrected,
        {
            "user": caller.user,
            "org": caller.organization,
            "last": -1 if last is None or kind != "changes" else last.rev,
            "terms": terms,
            "classes": classes,
            "fresh": fresh,
            "known": known,
        },
    )


async def ask(connection: Connection, state: State, migrated: frozenset[str]) -> Asked:
    """Ask for everything that goes into an answer. Tables in ``migrated`` are sent whole."""
    changes = state.kind == "changes"
    whole = migrated if changes else frozenset(FEEDS)
    names = [
        n for n in FEEDS if n in OWN_TABLES or n in whole or state.directory or state.corrected
    ]
    parts = ", ".join(f"{FEEDS[name].rows(everything=name in whole)}::text" for name in names)
    parameters = state.parameters
    tables = await connection.execute(f"SELECT {parts}".encode(), parameters)
    if changes and "attendance_records" in migrated:
        queries, parameters = [RECORDS_ALL], {**parameters, "fresh": parameters["classes"]}
    elif changes:
        queries = [RECORDS_CHANGED]
        queries += [RECORDS_WRONG] if state.corrected else []
        queries += [RECORDS_ALL] if parameters["fresh"] else []
    else:
        queries = [RECORDS_ALL]
    records = [await connection.execute(query.encode(), parameters) for query in queries]
    deleted = await connection.execute(_DELETED.encode(), state.parameters) if changes else None
    return Asked(names, tables, deleted, records)


async def answer_of(asked: Asked, state: State) -> tuple[bytes, int]:
    """The answer as JSON, and how many records are in it."""
    row = await asked.tables.fetchone()
    assert row is not None
    rows = {name: text.encode() for name, text in zip(asked.names, row, strict=True)}
    parts: list[bytes] = []
    count = 0
    for answer in asked.records:
        found = await answer.fetchone()
        assert found is not None
        count += found[1]
        if found[1]:
            parts.append(found[0].encode())
    rows["attendance_records"] = b"[" + b",".join(parts) + b"]"
    deleted: dict[str, bytes] = {}
    if asked.deleted is not None:
        deleted = {name: ids.encode() for name, ids in await asked.deleted.fetchall()}
    for name in deleted:
        rows.setdefault(name, b"[]")
    changes = b",".join(
        b'"%s":{"created":[],"updated":%s,"deleted":%s}'
        % (name.encode(), text, deleted.get(name, b"[]"))
        for name, text in rows.items()
    )
    strategy = b',"experimentalStrategy":"replacement"' if state.kind == "replacement" else b""
    return b'{"changes":{%s},"timestamp":%d%s}' % (changes, state.cursor.number, strategy), count


async def pull_session(connection: Connection, state: State, session_id: str) -> bytes:
    """One session with all its records, to be put in the place of what a device has.

    Raises :class:`~classweave.core.problems.NotFound`.
    """
    parameters = {**state.parameters, "session": session_id}
    rows = FEEDS["attendance_sessions"].rows(everything=True)
    rows = rows.replace("WHERE ", "WHERE s.id = %(session)s AND ", 1)
    found = await connection.execute(f"SELECT ({rows}->0)::text".encode(), parameters)
    row = await found.fetchone()
    if row is None or row[0] is None:
        raise NotFound("There is no such session.")
    records = await connection.execute(RECORDS_OF_SESSION.encode(), parameters)
    text = await records.fetchone()
    assert text is not None
    return b'{"session":%s,"records":[%s]}' % (row[0].encode(), (text[0] or "").encode())
