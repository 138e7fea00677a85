import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

import { Gone, markAllPresent, markStudent, startSession } from "../src/attend/actions.ts";
import { Store, type Trouble } from "../src/attend/database.ts";
import { exchange } from "../src/attend/exchange.ts";
import { PRESENT } from "../src/attend/roll.ts";
import { Syncer, type SyncState } from "../src/attend/syncer.ts";
import { type Fetch, Refused, Transport } from "../src/attend/transport.ts";

// What it says would go among what the runner of the tests is told.
createRequire(import.meta.url)("@nozbe/watermelondb/utils/common/logger").default.silence();

const meeting = { class_id: "c", date: "2026-11-25", start_time: "09:00", end_time: null };
const never = (what: Trouble): void => assert.fail(what);

const answer = (body: unknown, status = 200, headers = {}): Response =>
  new Response(JSON.stringify(body), { status, headers });

/** A server that has nothing, and notes what is pushed. */
function server(pushes: string[], pushStatus: () => number = () => 200): Fetch {
  return async (_url, init) => {
    if (init.method !== "POST") return answer({ changes: {}, timestamp: 7 });
    pushes.push(String(init.body));
    return answer({}, pushStatus());
  };
}

test("what was saved is there after a crash, and only that", async () => {
  const store = await Store.open("crash", never);
  const session = await startSession(store, meeting);
  await markStudent(store, session, "ana", PRESENT, 1);
  // Written and not saved: the process ends before.
  const write = store.database.write(async () => {
    await store.database.get("attendance_records").create(() => undefined);
  });
  await write;
  const again = await Store.open("crash", never);
  const records = await again.rows("attendance_records");
  assert.deepEqual(records.map(({ student_id }) => student_id), ["ana"]);
  assert.equal(await again.unsynced(), 2);
});

test("a save that fails says so, and the next one saves all of it", async () => {
  const store = await Store.open("full", () => undefined);
  const session = await startSession(store, meeting);
  const { put } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.put = () => {
    throw new DOMException("full", "QuotaExceededError");
  };
  await assert.rejects(markStudent(store, session, "ana", PRESENT, 1));
  IDBObjectStore.prototype.put = put;
  await markStudent(store, session, "ben", PRESENT, 2);
  const again = await Store.open("full", never);
  const records = await again.rows("attendance_records");
  assert.deepEqual(records.map(({ student_id }) => student_id).sort(), ["ana", "ben"]);
});

test("a meeting has one session, and all present leaves what was said", async () => {
  const store = await Store.open("meeting", never);
  const session = await startSession(store, meeting);
  assert.equal(await startSession(store, meeting), session);
  await store.database.write(async () => {
    for (const student of ["ana", "ben"]) {
      await store.database.get("enrollments").create((row) => {
        row._setRaw("class_id", "c");
        row._setRaw("student_id", student);
        row._setRaw("enrolled_at", 0);
      });
    }
  });
  await markStudent(store, session, "ana", { status: "late", minutes: 5, notes: null }, 1);
  assert.deepEqual(await markAllPresent(store, session, 2), ["ben"]);
  const said = (await store.rows("attendance_records")).map((row) => [row.student_id, row.status]);
  assert.deepEqual(said.sort(), [["ana", "late"], ["ben", "present"]]);
  await assert.rejects(markStudent(store, "nowhere", "ana", PRESENT, 3), Gone);
});

test("a conflict is pulled and pushed again at once, and only once", async () => {
  const store = await Store.open("conflict", never);
  await startSession(store, meeting);
  const pushes: string[] = [];
  const once = new Transport("", "t", server(pushes, () => (pushes.length === 1 ? 409 : 200)));
  await exchange(store, once, 5);
  assert.equal(pushes.length, 2);
  assert.equal(await store.unsynced(), 0);
  await startSession(store, { ...meeting, start_time: "11:00" });
  const always = new Transport("", "t", server(pushes, () => 409));
  await assert.rejects(exchange(store, always, 6), Refused);
  assert.equal(pushes.length, 4);
  assert.equal(await store.unsynced(), 1);
});

test("every answer but a good one is an error, and nothing counts as pushed", async () => {
  const store = await Store.open("refused", never);
  await startSession(store, meeting);
  for (const status of [400, 401, 413, 500, 503]) {
    const transport = new Transport("", "t", server([], () => status));
    await assert.rejects(exchange(store, transport, 1), (error) => {
      assert.ok(error instanceof Refused);
      return error.status === status;
    });
  }
  const cut = new Transport("", "t", async () => new Response("{", { status: 200 }));
  await assert.rejects(exchange(store, cut, 1), Refused);
  assert.equal(await store.unsynced(), 1);
});

test("the state tells revoked, busy and offline apart, and one run goes at a time", async () => {
  const store = await Store.open("state", never);
  await startSession(store, meeting);
  const states: SyncState[] = [];
  let status = 401;
  let asked = 0;
  const transport = new Transport("", "t", async () => {
    asked++;
    if (status === 0) throw new TypeError("offline");
    return answer({ changes: {}, timestamp: 7 }, status, { "Retry-After": "60" });
  });
  const connect = async (): Promise<Transport> => transport;
  const syncer = new Syncer(store, connect, (state) => states.push(state), () => undefined);
  await Promise.all([syncer.now(), syncer.now()]);
  assert.equal(asked, 1);
  assert.equal(states.at(-1)?.mood, "revoked");
  for (const [given, mood] of [[503, "waiting"], [0, "offline"], [500, "error"]] as const) {
    status = given;
    const { error } = console;
    console.error = () => undefined;
    await syncer.now();
    console.error = error;
    assert.deepEqual(states.at(-1), { mood, status, unsynced: 1, syncedAt: null });
  }
  status = 200;
  await syncer.now();
  assert.equal(states.at(-1)?.mood, "synced");
  assert.equal(states.at(-1)?.unsynced, 0);
  assert.ok(states.at(-1)?.syncedAt);
  await syncer.stop();
});
