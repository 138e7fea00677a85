import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { IDBFactory } from "fake-indexeddb";

import { keep, type Kept } from "../src/sound/outbox.ts";
import { Store, type Track } from "../src/sound/store.ts";

const track = (nextSeq: number): Track => ({
  track: "track_a",
  codec: "opus",
  epochMs: 1_000,
  endMs: nextSeq * 400,
  nextSeq,
});

const kept = (seq: number): Kept =>
  keep({
    seq,
    startMs: seq * 400,
    durationMs: 400,
    peak: 1,
    rms: 2,
    silent: false,
    muted: false,
    last: false,
    payload: Uint8Array.of(seq),
  });

beforeEach(() => {
  globalThis.indexedDB = new IDBFactory();
});

test("a reload finds the track and, in order, what was not acknowledged", async () => {
  const store = await Store.open("ana");
  for (let seq = 0; seq < 12; seq++) await store.add(track(seq + 1), kept(seq));
  await store.acknowledge(3);
  store.close();
  const saved = await (await Store.open("ana")).load();
  assert.equal(saved?.track.nextSeq, 12);
  assert.deepEqual(saved?.kept.map(({ seq }) => seq), [4, 5, 6, 7, 8, 9, 10, 11]);
  assert.deepEqual(saved?.kept[0]?.bytes, kept(4).bytes);
});

test("participants on one device do not meet", async () => {
  const ana = await Store.open("ana");
  const ben = await Store.open("ben");
  await ana.add(track(1), kept(0));
  await ben.add(track(1), kept(0));
  await ana.clear();
  assert.equal(await ana.load(), null);
  assert.equal((await ben.load())?.kept.length, 1);
});

test("a number that another tab has used is an error, and changes nothing", async () => {
  const store = await Store.open("ana");
  await store.add(track(1), kept(0));
  await assert.rejects(store.add({ ...track(9), track: "track_b" }, kept(0)), { name: "ConstraintError" });
  assert.equal((await store.load())?.track.track, "track_a");
});

test("replace leaves nothing of before", async () => {
  const store = await Store.open("ana");
  for (let seq = 0; seq < 4; seq++) await store.add(track(seq + 1), kept(seq));
  await store.replace({ ...track(1), track: "track_b" }, [kept(0)]);
  const saved = await store.load();
  assert.deepEqual([saved?.track.track, saved?.kept.length], ["track_b", 1]);
});

test("sound that nobody came back for is deleted after a day", async (context) => {
  context.mock.timers.enable({ apis: ["Date"], now: 0 });
  const ana = await Store.open("ana");
  await ana.add(track(1), kept(0));
  context.mock.timers.setTime(23 * 3_600_000);
  await Store.open("ben");
  assert.notEqual(await ana.load(), null);
  context.mock.timers.setTime(25 * 3_600_000);
  await Store.open("ben");
  assert.equal(await ana.load(), null);
});
