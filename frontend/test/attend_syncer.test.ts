import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { mock, test, type TestContext } from "node:test";
import { gunzipSync } from "node:zlib";

import { markStudent, startSession } from "../src/attend/actions.ts";
import { Store } from "../src/attend/database.ts";
import { PRESENT } from "../src/attend/roll.ts";
import { Syncer, type SyncState } from "../src/attend/syncer.ts";
import { NotRegistered } from "../src/attend/register.ts";
import { type Fetch, Transport } from "../src/attend/transport.ts";

createRequire(import.meta.url)("@nozbe/watermelondb/utils/common/logger").default.silence();

const meeting = { class_id: "c", date: "2026-11-25", start_time: "09:00", end_time: null };
const NOW = Date.parse("2026-11-25T08:00:00Z");

type Said = Response | Error;

const answer = (status: number, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify({ changes: {}, timestamp: 7 }), { status, headers });

/** A lecturer's device with one session that is not synced, and the waits that it sets itself. */
async function device(t: TestContext, name: string, said: () => Said | Promise<Said>) {
  const store = await Store.open(name, assert.fail);
  await startSession(store, meeting);
  const states: SyncState[] = [];
  const pushed: RequestInit[] = [];
  let asked = 0;
  const ask: Fetch = async (_url, init) => {
    asked++;
    if (init.method === "POST") pushed.push(init);
    const given = await said();
    if (given instanceof Error) throw given;
    return given;
  };
  t.mock.method(console, "error", () => undefined);
  const waits: number[] = [];
  const { setTimeout: wait } = globalThis;
  t.mock.method(globalThis, "setTimeout", ((run: () => void, ms: number) => {
    // The database waits a moment now and then; the synchroniser never less than this.
    if (ms < 500) return wait(run, ms);
    waits.push(ms);
    return 0;
  }) as never);
  t.mock.method(Date, "now", () => NOW);
  t.mock.method(Math, "random", () => 0.5);
  const syncer = new Syncer(
    store,
    async () => new Transport("", "t", ask),
    (state) => states.push(state),
    () => undefined,
  );
  return { store, syncer, waits, pushed, asked: () => asked, state: () => states.at(-1) };
}

// What goes wrong, what the app says about it, and the least that it waits the first time.
const TRANSIENT: [string, () => Said, string, number][] = [
  ["a reset connection", () => new TypeError("reset"), "offline", 0],
  ["a timeout", () => new DOMException("late", "TimeoutError"), "offline", 0],
  ["an answer that breaks off", () => new Response("{\"chan"), "offline", 0],
  ["408", () => answer(408), "waiting", 0],
  ["429", () => answer(429, { "Retry-After": "30" }), "waiting", 30_000],
  ["502", () => answer(502), "waiting", 0],
  ["503", () => answer(503, { "Retry-After": "120" }), "waiting", 120_000],
  ["503 until a moment", () => answer(503, { "Retry-After": new Date(NOW + 600_000).toUTCString() }), "waiting", 600_000],
  ["504", () => answer(504), "waiting", 0],
];

for (const [name, said, mood, least] of TRANSIENT) {
  test(`${name}: tried again later, each time after more, and nothing is lost`, async (t) => {
    let failing = true;
    const { store, syncer, waits, state } = await device(t, name, () => (failing ? said() : answer(200)));
    for (let time = 0; time < 4; time++) await syncer.now();
    assert.equal(state()?.mood, mood);
    assert.equal(await store.unsynced(), 1);
    // "Full jitter": half of 2, 4, 8, 16 seconds with this random, on top of what was asked for.
    assert.deepEqual(waits, [1000, 2000, 4000, 8000].map((ms) => least + ms));
    failing = false;
    await syncer.now();
    assert.equal(state()?.mood, "synced");
    assert.equal(await store.unsynced(), 0);
  });
}

test("who was sent away is not back sooner because the window has the focus again", async (t) => {
  const { syncer, asked } = await device(t, "focus", () => answer(503, { "Retry-After": "60" }));
  await syncer.now();
  syncer.wake();
  await syncer.now(); // A person who presses the button may.
  assert.equal(asked(), 2);
  (Date.now as unknown as ReturnType<typeof mock.fn>).mock.mockImplementation(() => NOW + 60_001);
  syncer.wake();
  await syncer.now();
  assert.equal(asked(), 3);
});

for (const status of [400, 403, 404, 413, 422]) {
  test(`${status} is told with its number, tried again rarely, and loses nothing`, async (t) => {
    let refusing = true;
    const { store, syncer, waits, state } = await device(t, `refused${status}`, () =>
      answer(refusing ? status : 200),
    );
    await syncer.now();
    assert.deepEqual(state(), { mood: "refused", status, unsynced: 1, syncedAt: null });
    assert.ok((waits.at(-1) as number) > 60_000);
    refusing = false;
    await syncer.now();
    assert.equal(await store.unsynced(), 0);
  });
}

test("a device that could not be registered tries again, unless it is told that it may not", async (t) => {
  const { store, waits } = await device(t, "new", () => answer(200));
  let status = 503;
  const states: SyncState[] = [];
  const connect = async (): Promise<Transport> => {
    if (status !== 200) throw new NotRegistered(status, status === 503 ? 9_000 : 0);
    return new Transport("", "t", async () => answer(200));
  };
  const syncer = new Syncer(store, connect, (state) => states.push(state), () => undefined);
  await syncer.now();
  assert.equal(states.at(-1)?.mood, "waiting");
  assert.deepEqual(waits, [10_000]);
  for (status of [403, 409]) {
    await syncer.now();
    assert.deepEqual([states.at(-1)?.mood, states.at(-1)?.status], ["revoked", status]);
  }
  assert.equal(waits.length, 1);
  status = 200;
  await syncer.reconnect();
  assert.equal(states.at(-1)?.unsynced, 0);
});

test("a large push is packed, for a proxy may not let it through as it is", async (t) => {
  const { store, syncer, pushed } = await device(t, "large", () => answer(200));
  const session = await startSession(store, meeting);
  await syncer.now();
  assert.equal(new Headers(pushed[0]?.headers).get("Content-Encoding"), null);
  for (let n = 0; n < 40; n++) {
    await markStudent(store, session, `s${n}`, { ...PRESENT, notes: "so late ".repeat(200) }, 1);
  }
  await syncer.now();
  assert.equal(new Headers(pushed[1]?.headers).get("Content-Encoding"), "gzip");
  const sent = JSON.parse(gunzipSync(pushed[1]?.body as ArrayBuffer).toString());
  assert.equal(sent.changes.attendance_records.created.length, 40);
});
