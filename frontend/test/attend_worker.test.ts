import assert from "node:assert/strict";
import { test } from "node:test";

// The worker alone, in a world of its own: what it keeps, and whose page it shows.

type Work = Promise<unknown>;
type Listener = (event: Record<string, unknown>) => void;

const ORIGIN = "https://school.test";
const PAGE = "/attend/app";
const listeners: Record<string, Listener> = {};
const kept = new Map<string, Map<string, Response>>();
const navigated: string[] = [];
let network: () => Promise<Response>;

const key = (request: string | Request): string =>
  new URL(typeof request === "string" ? request : request.url, ORIGIN).pathname;
const cacheOf = (name: string) => {
  const held = kept.get(name) ?? new Map<string, Response>();
  kept.set(name, held);
  return {
    match: async (request: string | Request) => held.get(key(request))?.clone(),
    put: async (request: string | Request, answer: Response) => void held.set(key(request), answer),
    delete: async (request: string | Request) => held.delete(key(request)),
    addAll: async () => undefined,
  };
};

const here = `<div data-user="ana" data-version="v1">`;
const theirs = `<div data-user="ben" data-version="v1">`;
const newer = `<div data-user="ben" data-version="v2">`;

Object.assign(globalThis, {
  self: {
    attend: { version: "v1", page: PAGE, files: [] },
    clients: {
      claim: async () => undefined,
      get: async (id: string) => ({ navigate: async (url: string) => navigated.push(`${id} ${url}`) }),
    },
    skipWaiting: async () => undefined,
    addEventListener: (type: string, listener: Listener) => (listeners[type] = listener),
  },
  location: new URL(ORIGIN),
  caches: {
    open: async (name: string) => cacheOf(name),
    keys: async () => [...kept.keys()],
    delete: async (name: string) => kept.delete(name),
  },
  fetch: () => network(),
});
await import("../src/attend/worker.ts");

/** Opens the app: the page that is shown, once everything about it has ended. */
async function open(ready: (shown: string) => void = () => undefined): Promise<string> {
  const work: Work[] = [];
  let answer: Promise<Response> | undefined;
  listeners["fetch"]?.({
    request: { method: "GET", url: ORIGIN + PAGE, mode: "navigate" },
    resultingClientId: "tab",
    respondWith: (given: Promise<Response>) => (answer = given),
    waitUntil: (more: Work) => work.push(more),
  });
  const shown = await (await (answer as Promise<Response>)).text();
  ready(shown);
  await Promise.all(work);
  return shown;
}

const says = (page: string, status = 200): void => {
  network = async () => new Response(page, { status });
};

/** The network answers only after the page was shown, and patience has no length. */
async function openLate(page: string): Promise<string> {
  const { setTimeout: wait } = globalThis;
  globalThis.setTimeout = ((run: () => void) => wait(run, 0)) as never;
  let answer: (given: Response) => void = () => undefined;
  network = () => new Promise((given) => (answer = given));
  try {
    return await open(() => answer(new Response(page)));
  } finally {
    globalThis.setTimeout = wait;
  }
}

test("a page is the server's, and without it the one that was kept", async () => {
  says(here);
  assert.equal(await open(), here);
  network = () => Promise.reject(new TypeError("offline"));
  assert.equal(await open(), here);
  says("sign in first", 401);
  assert.equal(await open(), here);
});

test("who signed in last is seen, and the page of who was before is not left to them", async () => {
  says(theirs);
  assert.equal(await open(), theirs);
  says(here);
  await open();
  assert.equal(await openLate(theirs), here);
  assert.deepEqual(navigated.splice(0), [`tab ${PAGE}`]);
  assert.equal(await openLate(theirs), theirs);
  assert.deepEqual(navigated, []);
});

test("a page of another version is shown and not kept, and takes another person's with it", async () => {
  says(here);
  await open();
  assert.equal(await openLate(newer), here);
  assert.deepEqual(navigated.splice(0), [`tab ${PAGE}`]);
  assert.equal(kept.get("attend-v1")?.has(PAGE), false);
});

test("of several versions the last one stays", async () => {
  cacheOf("attend-v0");
  const work: Work[] = [];
  listeners["activate"]?.({ waitUntil: (more: Work) => work.push(more) });
  await Promise.all(work);
  assert.deepEqual([...kept.keys()], ["attend-v1"]);
});
