// What a replacement would destroy although the server does not know it yet.
//
// After a restore of the server, or when a term was archived, the answer is everything there is,
// and WatermelonDB destroys what is not in it, also what was changed here and not yet pushed; a new
// mark in a session that vanishes would be left without one. Such rows become new ones, which are
// pushed: after a restore they are kept, and what the server does not take it says (outcome.ts).

import type { Model } from "@nozbe/watermelondb/index.js";
import { Q } from "@nozbe/watermelondb/index.js";

import type { Carried } from "./carry.ts";
import type { Store } from "./database.ts";
import { rowOf } from "./models.ts";
import { rollsIn } from "./outcome.ts";
import { sessionAt } from "./roll.ts";
import type { RecordRow, Row, SessionRow } from "./rows.ts";
import type { Pull } from "./transport.ts";

const changed = ({ _status }: Row): boolean => _status !== "synced";

/** Before the pull is applied. Adds to `carried` what is to be put onto another row afterwards. */
export async function keepUnsynced(store: Store, pull: Pull, carried: Carried): Promise<void> {
  if (pull.experimentalStrategy !== "replacement") return;
  const { sessions, records } = rollsIn(pull);
  const there = new Set([...sessions, ...records].map(({ id }) => id));
  const places = new Set(records.map((row) => `${row.session_id} ${row.student_id}`));
  await store.database.write(async () => {
    const again: Model[] = [];
    const unsynced = Q.where("_status", Q.notEq("synced"));
    const marks = await store.models("attendance_records", unsynced);
    const touched = new Set<string>();
    for (const model of await store.models("attendance_sessions", unsynced)) touched.add(model.id);
    for (const model of marks) touched.add(rowOf<"attendance_records">(model).session_id);
    const vanished = new Set<string>();
    for (const id of touched) {
      const model = there.has(id) ? null : await store.find("attendance_sessions", id);
      if (model === null) continue;
      vanished.add(id);
      const row = rowOf<"attendance_sessions">(model);
      const twin = sessionAt(sessions, row.class_id, row.date, row.start_time);
      const inside = await store.models("attendance_records", Q.where("session_id", id));
      if (twin === undefined) again.push(model, ...inside);
      else again.push(...inside.filter(({ _raw }) => changed(_raw as unknown as RecordRow)));
      if (twin) carried.sessions.push({ row: { ...row } as SessionRow, to: twin.id });
    }
    for (const model of marks) {
      const row = rowOf<"attendance_records">(model);
      if (there.has(row.id) || vanished.has(row.session_id)) continue;
      if (row._status === "updated" && places.has(`${row.session_id} ${row.student_id}`)) {
        carried.records.push({ ...row });
      } else again.push(model);
    }
    await store.database.batch(again.map(asNew));
  });
}

/** Does to a row what makes WatermelonDB keep it through a replacement, and push it. */
function asNew(model: Model): Model {
  return model.prepareUpdate(() => {
    Object.assign(model._raw, { _status: "created", _changed: "" });
  });
}
