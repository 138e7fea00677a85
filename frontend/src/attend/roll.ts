// What a roll says, computed from rows alone: who is enrolled on a day, who was there, and what a
// mark changes. Absence is not stored: absent is who is enrolled and has no record.

import { type EnrollmentRow, type RecordRow, type SessionRow, type Status, TIMED } from "./rows.ts";

/** What was said about one student; null is absent. */
export interface Mark {
  status: Status;
  minutes: number | null;
  notes: string | null;
}

export interface Tally {
  enrolled: number;
  present: number;
  late: number;
  excused: number;
  left_early: number;
  absent: number;
}

export const PRESENT: Mark = { status: "present", minutes: null, notes: null };

/** The ids of those enrolled on `date`, each once. */
export function enrolledOn(date: string, enrollments: Iterable<EnrollmentRow>): Set<string> {
  const day = Date.parse(`${date}T00:00:00Z`);
  const there = new Set<string>();
  for (const { student_id, enrolled_at, dropped_at } of enrollments) {
    if ((enrolled_at ?? 0) <= day && (dropped_at === null || day < dropped_at)) there.add(student_id);
  }
  return there;
}

const unsynced = ({ _status }: RecordRow): number => (_status === "synced" ? 0 : 1);

/**
 * One record for each student. Two may be here for the moment between a pull that brings another's
 * and the push of one's own; as on the server, what was said last counts, which is one's own.
 */
export function byStudent(records: Iterable<RecordRow>): Map<string, RecordRow> {
  const chosen = new Map<string, RecordRow>();
  for (const record of records) {
    const other = chosen.get(record.student_id);
    if (
      other === undefined ||
      unsynced(record) > unsynced(other) ||
      (unsynced(record) === unsynced(other) && record.id < other.id)
    ) {
      chosen.set(record.student_id, record);
    }
  }
  return chosen;
}

export function tally(enrolled: ReadonlySet<string>, records: Iterable<RecordRow>): Tally {
  const counts: Tally = {
    enrolled: enrolled.size,
    present: 0,
    late: 0,
    excused: 0,
    left_early: 0,
    absent: enrolled.size,
  };
  for (const [student, { status }] of byStudent(records)) {
    if (!enrolled.has(student) || !(status in counts)) continue;
    counts[status]++;
    counts.absent--;
  }
  return counts;
}

/** Those whom "all present" marks: enrolled, and nothing was said about them yet. */
export function unmarked(enrolled: ReadonlySet<string>, records: Iterable<RecordRow>): string[] {
  const marked = byStudent(records);
  return [...enrolled].filter((student) => !marked.has(student));
}

/** Minutes only where they mean something, whole and within a day. */
export function tidy(mark: Mark): Mark {
  const timed = TIMED.includes(mark.status) && mark.minutes !== null && mark.minutes > 0;
  return {
    status: mark.status,
    minutes: timed ? Math.min(1440, Math.round(mark.minutes as number)) : null,
    notes: mark.notes?.trim() || null,
  };
}

export type Change =
  | { kind: "create"; values: Mark }
  | { kind: "update"; id: string; values: Mark; alsoDelete: string[] }
  | { kind: "delete"; ids: string[] }
  | { kind: "none" };

/** What has to be written so that `student` has `wanted` in this session; null is absent. */
export function change(student: string, wanted: Mark | null, records: readonly RecordRow[]): Change {
  const own = records.filter(({ student_id }) => student_id === student);
  const kept = byStudent(own).get(student);
  if (wanted === null) {
    return own.length === 0 ? { kind: "none" } : { kind: "delete", ids: own.map(({ id }) => id) };
  }
  const values = tidy(wanted);
  if (kept === undefined) return { kind: "create", values };
  const same =
    kept.status === values.status && kept.minutes === values.minutes && kept.notes === values.notes;
  const others = own.filter(({ id }) => id !== kept.id).map(({ id }) => id);
  if (same && others.length === 0) return { kind: "none" };
  return { kind: "update", id: kept.id, values, alsoDelete: others };
}

/**
 * The moment to write on a mark: now, yet always after the mark that it replaces. So the order of
 * marks that knew of each other does not hang on the devices' clocks.
 */
export function markedAt(now: number, before: number | null): number {
  return Math.max(now, (before ?? 0) + 1);
}

/** Of two marks of one student the later; at the same moment the first argument. */
export function laterMark<M extends { marked_at: number | null }>(one: M, other: M): M {
  return (other.marked_at ?? 0) > (one.marked_at ?? 0) ? other : one;
}

/** The session of a class at that day and time, which another device may have begun already. */
export function sessionAt(
  sessions: Iterable<SessionRow>,
  classId: string,
  date: string,
  startTime: string | null,
): SessionRow | undefined {
  for (const session of sessions) {
    if (
      session.class_id === classId &&
      session.date === date &&
      (session.start_time || "00:00") === (startTime || "00:00")
    ) {
      return session;
    }
  }
  return undefined;
}

/** The day and the time of day of a moment, in the organisation's time zone. */
export function localDay(moment: Date, timezone: string | null): { date: string; time: string } {
  let zone = timezone ?? undefined;
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
  } catch {
    zone = undefined; // A zone that this browser does not know: its own is the best guess.
  }
  const parts = new Intl.DateTimeFormat("en-CA", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).formatToParts(moment);
  const part = (name: string): string => parts.find(({ type }) => type === name)?.value ?? "00";
  return {
    date: `${part("year")}-${part("month")}-${part("day")}`,
    time: `${part("hour")}:${part("minute")}`,
  };
}

/** Without accents and capitals, as people type names. */
export function plain(text: string): string {
  return text
    .normalize("NFD")
    .replace(/\p{M}/gu, "")
    .toLowerCase();
}

export function matches(search: string, ...texts: (string | null)[]): boolean {
  const words = plain(search).split(/\s+/).filter(Boolean);
  const all = plain(texts.filter(Boolean).join(" "));
  return words.every((word) => all.includes(word));
}
