import assert from "node:assert/strict";
import { test } from "node:test";

import { step, waitMs, type LinkEffect, type LinkEvent, type LinkState } from "../src/sound/link.ts";

function run(events: LinkEvent[], random = 0.5): { state: LinkState; effects: LinkEffect[] } {
  let state: LinkState = { phase: "idle" };
  const effects: LinkEffect[] = [];
  for (const event of events) {
    const [next, done] = step(state, event, random);
    state = next;
    effects.push(...done);
  }
  return { state, effects };
}

const start: LinkEvent = { type: "start" };
const welcome: LinkEvent = { type: "welcome" };
const due: LinkEvent = { type: "due" };
const closed = (code: number): LinkEvent => ({ type: "closed", code });

test("waits grow, stay bounded and are spread", () => {
  assert.deepEqual([0, 1, 2, 3].map((n) => waitMs(n, 1)), [500, 1000, 2000, 4000]);
  assert.equal(waitMs(30, 1), 15_000);
  assert.equal(waitMs(30, 0), 7_500);
});

test("a lost connection is dialled again, at first soon", () => {
  const { state, effects } = run([start, welcome, closed(1006), due, closed(1006), due]);
  assert.deepEqual(effects, [
    { type: "connect" },
    { type: "wait", ms: 375 },
    { type: "connect" },
    { type: "wait", ms: 750 },
    { type: "connect" },
  ]);
  assert.deepEqual(state, { phase: "connecting", attempt: 1 });
});

test("a network that returns ends the wait; a late timer does nothing", () => {
  const { state, effects } = run([start, closed(1006), { type: "online" }, welcome, due]);
  assert.equal(effects.filter(({ type }) => type === "connect").length, 2);
  assert.deepEqual(state, { phase: "up" });
});

for (const [code, reason] of Object.entries({
  4400: "bad_data",
  4401: "sign_in",
  4403: "no_consent",
  4404: "ended",
  4409: "replaced",
  4413: "too_large",
})) {
  test(`${code} is final: ${reason}`, () => {
    const { state, effects } = run([start, welcome, closed(Number(code)), due, { type: "online" }]);
    assert.deepEqual(state, { phase: "stopped", reason });
    assert.equal(effects.length, 1);
  });
}

test("too fast is tried again, later", () => {
  const { effects } = run([start, welcome, closed(4429)]);
  assert.deepEqual(effects.at(-1), { type: "wait", ms: 5375 });
});

test("a stopped connection starts only when asked", () => {
  const stopped = run([start, welcome, { type: "stop", reason: "left" }, closed(1000), due]);
  assert.deepEqual(stopped.state, { phase: "stopped", reason: "left" });
  assert.deepEqual(stopped.effects.at(-1), { type: "close" });
  const [again] = step(stopped.state, start, 0);
  assert.deepEqual(again, { phase: "connecting", attempt: 0 });
});
