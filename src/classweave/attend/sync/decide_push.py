"""What a push is to change, over what is stored. Pure: no row is touched here.

Nothing here fails: what may not be, or cannot be, is refused row by row, and the next pull sends
the device the truth (docs/attendance-sync.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal
from uuid import UUID

from classweave.attend.sync.check_push import (
    CLASSES,
    RECORDS,
    SESSIONS,
    Push,
    RecordRow,
    SessionRow,
)
from classweave.attend.sync.stored import Stored, StoredSession

Key = tuple[str, int]
"""A session's kept id and a student's place in it: what there is one record of."""


@dataclass(frozen=True, slots=True)
class SessionStep:
    """One statement about a session: ``kept`` is the id that stays, ``row`` what the device has."""

    how: Literal["insert", "change", "merge"]
    kept: str
    row: SessionRow
    term: int


@dataclass(slots=True)
class Decided:
    """Everything to write, in the order of the fields."""

    clear_records: list[Key] = field(default_factory=list[Key])
    drop_sessions: list[str] = field(default_factory=list[str])
    rename: dict[UUID, str] = field(default_factory=dict[UUID, str])
    # In this order: one session may take the time of day that another has just left.
    sessions: list[SessionStep] = field(default_factory=list[SessionStep])
    update_records: dict[Key, RecordRow] = field(default_factory=dict[Key, RecordRow])
    insert_records: dict[Key, RecordRow] = field(default_factory=dict[Key, RecordRow])
    bury: dict[tuple[str, str], UUID | None] = field(
        default_factory=dict[tuple[str, str], UUID | None]
    )
    merged: dict[str, str] = field(default_factory=dict[str, str])
    refused: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    students: set[UUID] = field(default_factory=set[UUID])
    classes: set[UUID] = field(default_factory=set[UUID])


def decide(push: Push, stored: Stored) -> Decided:
    """Decide deletions first, then classes, sessions, records: parents before children."""
    decision = _Decision(stored)
    for table, key, reason in push.wrong:
        decision.refuse(table, key, reason)
    for key in dict.fromkeys(push.deleted_records):
        decision.delete_record(key)
    for key in dict.fromkeys(push.deleted_sessions):
        decision.delete_session(key)
    for key, name in push.classes.items():
        if key in stored.classes:
            decision.made.rename[key] = name
        else:
            decision.refuse(CLASSES, str(key), "not one's class")
    # A session that moves makes room for a new one, which would else be merged with it.
    for session in sorted(push.sessions, key=lambda s: s.id not in stored.sessions):
        decision.keep_session(session)
    for record in push.records:
        decision.keep_record(record)
    return decision.made


class _Decision:
    """What is stored, as the push changes it step by step, and what is decided so far."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self.made = Decided()
        # By the ids that devices know; merged sessions stand under both.
        self._sessions = {key: s for key, s in stored.sessions.items() if not s.deleted}
        for twin, kept in stored.merged.items():
            if kept in self._sessions:
                self._sessions[twin] = self._sessions[kept]
        self._meetings = dict(stored.meetings)
        self._taken = dict(stored.taken)
        self._cleared: set[str] = set()
        self._ids: dict[str, Key] = {}  # of records: an id stands for one student in one session

    def refuse(self, table: str, key: str, reason: str) -> None:
        """The device must be told the truth about this id."""
        self.made.refused[table, key] = reason

    def delete_record(self, key: str) -> None:
        """Clear a mark. An id that nobody knows is buried: its creation may still be on its way."""
        record = self._stored.records.get(key)
        if record is None:
            if not self._stored.is_buried(RECORDS, key):
                self.made.bury[RECORDS, key] = None
        elif record.class_id not in self._stored.classes:
            self.refuse(RECORDS, key, "not one's class")
        else:
            self.made.clear_records.append((record.session_id, record.place))
            self.made.classes.add(record.class_id)
            self._taken.pop((record.session_id, record.place), None)
            self._cleared.add(key)

    def delete_session(self, key: str) -> None:
        """Delete a session with its records."""
        session = self._stored.sessions.get(key)
        if session is None:
            if not self._stored.is_buried(SESSIONS, key):
                self.made.bury[SESSIONS, key] = None
        elif session.class_id not in self._stored.classes:
            self.refuse(SESSIONS, key, "not one's class")
        elif self._stored.is_archived(session):
            self.refuse(SESSIONS, key, "archived")
        elif not session.deleted:
            self.made.drop_sessions.append(key)
            self.made.classes.add(session.class_id)
            # Under every id that it has: a twin that was merged with it is gone, too.
            self._sessions = {twin: s for twin, s in self._sessions.items() if s.id != key}
            self._meetings.pop(session.meeting, None)

    def keep_session(self, row: SessionRow) -> None:
        """Insert a session, change it, or merge it with the one of the same meeting."""
        if self._stored.is_buried(SESSIONS, row.id) or row.id in self.made.drop_sessions:
            return self.refuse(SESSIONS, row.id, "deleted before")
        if row.class_id not in self._stored.classes:
            return self.refuse(SESSIONS, row.id, "not one's class")
        term = self._stored.term_of(row)
        assert term is not None  # made before, where there was none
        mine = StoredSession(row.id, row.class_id, term, row.date, row.start_time, 0)
        known, same = self._sessions.get(row.id), self._meetings.get(mine.meeting)
        into = same if known is None else known
        if into is not None and self._stored.is_archived(into):
            return self.refuse(SESSIONS, row.id, "archived")
        self.made.classes.add(row.class_id)
        if known is None and same is None:
            self._sessions[row.id] = self._meetings[mine.meeting] = mine
            self.made.sessions.append(SessionStep("insert", row.id, row, term))
        elif known is None and same is not None:
            self._sessions[row.id] = same
            self.made.sessions.append(SessionStep("merge", same.id, row, term))
            self.made.bury[SESSIONS, row.id] = row.class_id
            self.made.merged[row.id] = same.id
            self.refuse(SESSIONS, row.id, "one session a meeting")
        elif known is not None and known.id != row.id:
            # Merged a moment ago, in this push.
            self.made.sessions.append(SessionStep("merge", known.id, row, term))
        elif known is not None:
            self._change_session(known, same, mine, row)
        return None

    def _change_session(
        self, known: StoredSession, same: StoredSession | None, mine: StoredSession, row: SessionRow
    ) -> None:
        if known.class_id != row.class_id:
            self.refuse(SESSIONS, row.id, "another class")
        elif same is not None and same.id != known.id:
            self.refuse(SESSIONS, row.id, "another session is held then")
        elif known.term != mine.term:
            self.refuse(SESSIONS, row.id, "a date in another term")
        else:
            self._meetings.pop(known.meeting, None)
            self._sessions[row.id] = self._meetings[mine.meeting] = mine
            self.made.sessions.append(SessionStep("change", known.id, row, mine.term))

    def keep_record(self, row: RecordRow) -> None:
        """Insert a record or change the one there is of its student."""
        session = self._session_of(row)
        if session is None:
            return None
        place = self._stored.places.get((session.class_id, session.date, row.student_id))
        if place is None:
            return self.refuse(RECORDS, row.id, "not enrolled on that day")
        key = (session.id, place)
        known = self._stored.records.get(row.id)
        if self._ids.setdefault(row.id, key) != key or (
            known is not None and (known.session_id, known.place) != key
        ):
            return self.refuse(RECORDS, row.id, "another session or student")
        first = self._taken.get(key)
        if first is not None and first != row.id:
            # The record that came first keeps its id, and says what came last.
            self.made.bury[RECORDS, row.id] = session.class_id
            self.refuse(RECORDS, row.id, "one record a student")
            row = replace(row, id=first)
        if key in self.made.insert_records or first is None:
            self.made.insert_records[key] = row
            self._taken[key] = row.id
        else:
            self.made.update_records[key] = row
        self.made.students.add(row.student_id)
        self.made.classes.add(session.class_id)
        return None

    def _session_of(self, row: RecordRow) -> StoredSession | None:
        """The session of a record that this teacher may write, or nothing, and why."""
        if self._stored.is_buried(RECORDS, row.id) or row.id in self._cleared:
            self.refuse(RECORDS, row.id, "deleted before")
            return None
        session = self._sessions.get(row.session_id)
        if session is None:
            # Its session is gone, or never came: it cannot be kept, and must not come again.
            self.made.bury[RECORDS, row.id] = None
            self.refuse(RECORDS, row.id, "no such session")
            return None
        known = self._stored.records.get(row.id)
        if session.class_id not in self._stored.classes:
            self.refuse(RECORDS, row.id, "not one's class")
        elif self._stored.is_archived(session):
            self.refuse(RECORDS, row.id, "archived")
        elif row.class_id is not None and row.class_id != session.class_id:
            self.refuse(RECORDS, row.id, "another class")
        elif known is not None and known.class_id not in self._stored.classes:
            self.refuse(RECORDS, row.id, "not one's record")
        else:
            return session
        return None
