// What a pull would destroy although the server does not know it yet.
//
// When two devices began one session, or marked one student, the server keeps the row that came
// first and deletes the other's id. If the answer to the push was lost and somebody went on
// marking, the pull that deletes the id takes those marks with it. They are put onto the row that
// was kept, unless that was marked later still. A row that is deleted and has no such twin was
// deleted by a person: that stands.

import { Q } from "@nozbe/watermelondb/index.js";

import type { Store } from "./database.ts";
import { assign, rowOf } from "./models.ts";
import { laterMark, sessionAt } from "./roll.ts";
import type { RecordRow, SessionRow } from "./rows.ts";
import type { Pull } from "./transport.ts";

export interface Carried {
  /** Sessions that became another: from the id here to the id that is kept. */
  sessions: { row: SessionRow; to: string }[];
  records: RecordRow[];
}

/** Before the pull is applied: what in it deletes rows that have changed here. */
export async function collect(store: Store, pull: Pull): Promise<Carried> {
  return await store.database.read(async () => {
    const carried: Carried = { sessions: [], records: [] };
    const part = pull.changes["attendance_sessions"];
    const gone = part?.deleted ?? [];
    const incoming = (part?.updated ?? []) as unknown as SessionRow[];
    for (const id of gone) {
      const row = await store.row("attendance_sessions", id);
      if (row === null) continue;
      const here = await store.rows("attendance_sessions", Q.where("class_id", row.class_id));
      const others = [...incoming, ...here].filter((other) => !gone.includes(other.id));
      const twin = sessionAt(others, row.class_id, row.date, row.start_time);
      if (twin) carried.sessions.push({ row: { ...row }, to: twin.id });
    }
    for (const id of pull.changes["attendance_records"]?.deleted ?? []) {
      const row = await store.row("attendance_records", id);
      if (row !== null && row._status !== "synced") carried.records.push({ ...row });
    }
    return carried;
  });
}

/** After it is applied. True when rows were changed by this. */
export async function carry(store: Store, carried: Carried): Promise<boolean> {
  if (carried.sessions.length + carried.records.length === 0) return false;
  let changed = false;
  await store.database.write(async () => {
    for (const { row, to } of carried.sessions) {
      store.moved.set(row.id, to);
      const left = await store.models("attendance_records", Q.where("session_id", row.id));
      const kept = await store.find("attendance_sessions", to);
      const values = kept ? missing(row, rowOf<"attendance_sessions">(kept)) : {};
      changed ||= left.length > 0 || Object.keys(values).length > 0;
      await store.database.batch([
        ...left.map((model) => model.prepareUpdate((it) => assign(it, { session_id: to }))),
        ...(kept ? [kept.prepareUpdate((it) => assign(it, values))] : []),
      ]);
    }
    for (const record of carried.records) {
      const models = await store.models(
        "attendance_records",
        Q.where("session_id", store.follow(record.session_id)),
        Q.where("student_id", record.student_id),
      );
      const twin = models[0];
      if (!twin) continue;
      const there = rowOf<"attendance_records">(twin);
      if (laterMark(there, record) === there) continue;
      const { status, minutes, notes, marked_at } = record;
      await twin.update((it) => assign(it, { status, minutes, notes, marked_at }));
      changed = true;
    }
  });
  return changed;
}

/** What was said about the session here, and is not said about the one that is kept. */
function missing(row: SessionRow, kept: SessionRow): Record<string, string | number | null> {
  if (row._status === "synced") return {};
  const values: Record<string, string | number | null> = {};
  if (row.marked_at !== null && kept.marked_at === null) {
    values["marked_at"] = row.marked_at;
    values["marked_by"] = row.marked_by;
  }
  if (row.note !== null && kept.note === null) values["note"] = row.note;
  return values;
}
