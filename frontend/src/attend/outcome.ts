// What a synchronisation has to tell: what others changed, and what the server did not keep.

import type { Store } from "./database.ts";
import { sessionAt } from "./roll.ts";
import type { RecordRow, Row, SessionRow } from "./rows.ts";
import type { Changes, Pull } from "./transport.ts";

/** What another device changed of something that was here. */
export interface Elsewhere {
  session: string;
  /** Null: the session itself (closed, opened, its note, deleted). */
  student: string | null;
}

/** What was said here and the server did not keep: its roll was deleted, or the term is archived. */
export interface Refusal {
  class_id: string;
  date: string;
  /** Null: the session itself. */
  student: string | null;
}

export interface Outcome {
  elsewhere: Elsewhere[];
  refused: Refusal[];
  /** Sessions whose records differed from the server's and were put right. */
  healed: string[];
  /** Sessions that differ still. */
  differing: string[];
}

interface Incoming {
  sessions: SessionRow[];
  records: RecordRow[];
  goneSessions: string[];
  goneRecords: string[];
}

/** The rolls in a pull. */
export function rollsIn({ changes }: Pull): Incoming {
  const rows = (table: string): Row[] => changes[table]?.updated ?? [];
  return {
    sessions: rows("attendance_sessions") as SessionRow[],
    records: rows("attendance_records") as RecordRow[],
    goneSessions: changes["attendance_sessions"]?.deleted ?? [],
    goneRecords: changes["attendance_records"]?.deleted ?? [],
  };
}

/** What in a pull differs from what is here; one's own rows coming back do not. */
export function changedElsewhere(store: Store, pull: Pull): Elsewhere[] {
  const found: Elsewhere[] = [];
  const { sessions, records, goneSessions, goneRecords } = rollsIn(pull);
  for (const row of records) {
    const here = store.peek("attendance_records", row.id);
    const same =
      here !== null &&
      here.status === row.status &&
      here.minutes === row.minutes &&
      here.notes === row.notes;
    if (!same) found.push({ session: row.session_id, student: row.student_id });
  }
  for (const id of goneRecords) {
    const here = store.peek("attendance_records", id);
    if (here !== null) found.push({ session: here.session_id, student: here.student_id });
  }
  for (const row of sessions) {
    const here = store.peek("attendance_sessions", row.id);
    if (here === null) continue;
    const closed = (here.marked_at === null) !== (row.marked_at === null);
    if (closed || here.note !== row.note) found.push({ session: row.id, student: null });
  }
  for (const id of goneSessions) {
    if (store.peek("attendance_sessions", id) !== null) found.push({ session: id, student: null });
  }
  return found;
}

/** Ids of the rolls that a push wants to be kept. */
export function idsIn(changes: Changes): string[] {
  return ["attendance_sessions", "attendance_records"].flatMap((table) => {
    const { created = [], updated = [] } = changes[table] ?? {};
    return [...created, ...updated].map(({ id }) => id);
  });
}

/** What is remembered while it synchronises. */
export interface Said {
  /** Ids of the rolls that the server was asked to keep. */
  pushed: Set<string>;
  /** Sessions that a pull took away, of whose records a later one may tell. */
  gone: Map<string, SessionRow>;
}

/**
 * What a pull takes away although it was said here and nobody else has taken it back: pushed just
 * now, or not pushed at all as far as this device knows. A row whose place another one takes was
 * merged with that one, and is not lost.
 */
export function refusedBy(store: Store, pull: Pull, { pushed, gone }: Said): Refusal[] {
  const { sessions, records, goneSessions, goneRecords } = rollsIn(pull);
  const own = ({ id, _status }: Row): boolean => _status !== "synced" || pushed.has(id);
  const found: Refusal[] = [];
  const twins = new Map<string, string>();
  for (const id of goneSessions) {
    const here = store.peek("attendance_sessions", id);
    if (here === null) continue;
    gone.set(id, { ...here });
    const known = store.peekAll("attendance_sessions", "class_id", here.class_id);
    const others = [...sessions, ...known].filter((other) => !goneSessions.includes(other.id));
    const twin = sessionAt(others, here.class_id, here.date, here.start_time);
    if (twin) twins.set(id, twin.id);
    else if (own(here)) found.push({ class_id: here.class_id, date: here.date, student: null });
  }
  const placed = new Set(records.map((row) => `${row.session_id} ${row.student_id}`));
  for (const id of goneRecords) {
    const here = store.peek("attendance_records", id);
    if (here === null || !own(here)) continue;
    const { student_id: student, session_id } = here;
    const at = twins.get(session_id) ?? session_id;
    const others = store.peekAll("attendance_records", "session_id", at);
    const other = others.some((row) => row.student_id === student && !goneRecords.includes(row.id));
    if (other || placed.has(`${at} ${student}`)) continue;
    const session = store.peek("attendance_sessions", session_id) ?? gone.get(session_id);
    const date = session?.date ?? "";
    found.push({ class_id: session?.class_id ?? here.class_id ?? "", date, student });
  }
  return found;
}
