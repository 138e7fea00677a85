// The service worker of /attend/: the app opens without a network. It keeps one page, the last
// that the server gave, with the files that this page is made of, and nothing else: what the API
// says lives in the database of the app, never here.
//
// The server puts a line before this file: `self.attend = {version, page, files}`.

interface Lasting extends Event {
  waitUntil(work: Promise<unknown>): void;
}

interface Asked extends Lasting {
  readonly request: Request;
  readonly resultingClientId: string;
  respondWith(answer: Promise<Response>): void;
}

interface Worker {
  readonly attend: { version: string; page: string; files: string[] };
  readonly clients: {
    claim(): Promise<void>;
    get(id: string): Promise<{ navigate(url: string): Promise<unknown> } | undefined>;
  };
  skipWaiting(): Promise<void>;
  addEventListener(type: "install" | "activate", listener: (event: Lasting) => void): void;
  addEventListener(type: "fetch", listener: (event: Asked) => void): void;
}

declare const self: unknown;

const worker = self as Worker;
const { version, page, files } = worker.attend;
const PREFIX = "attend-";
const CACHE = PREFIX + version;
const PATIENCE_MS = 4_000;

worker.addEventListener("install", (event) => event.waitUntil(install()));
worker.addEventListener("activate", (event) => event.waitUntil(activate()));
worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (request.mode === "navigate" && url.pathname === page) event.respondWith(open(event));
  else if (files.includes(url.pathname + url.search)) event.respondWith(kept(request));
});

/** All or nothing: with a file missing, the worker of before stays. */
async function install(): Promise<void> {
  const cache = await caches.open(CACHE);
  await cache.addAll(files.map((file) => new Request(file, { cache: "no-cache" })));
  const shell = await fetch(page, { cache: "no-store", redirect: "error" });
  if (!(await keep(shell))) throw new Error("the page belongs to another version");
  await worker.skipWaiting();
}

async function activate(): Promise<void> {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await worker.clients.claim();
}

/** A page of another version would name files that are not here. False: not kept. */
async function keep(answer: Response): Promise<boolean> {
  if (answer.status !== 200 || !(await answer.clone().text()).includes(`data-version="${version}"`)) {
    return false;
  }
  await (await caches.open(CACHE)).put(page, answer.clone());
  return true;
}

/**
 * The server's page where it answers soon, for another person may have signed in; else the one
 * that is kept. That goes too for "sign in first": the device has a token of its own. When the
 * answer is late and for another person, the page that is shown meanwhile is not theirs: it goes.
 */
async function open(event: Asked): Promise<Response> {
  const cache = await caches.open(CACHE);
  const shell = await cache.match(page);
  const asked = fetch(event.request);
  let shown = false;
  const look = async (): Promise<void> => {
    const answer = await asked;
    const other =
      shell !== undefined &&
      answer.status === 200 &&
      (await person(answer)) !== (await person(shell));
    if (!(await keep(answer)) && other) await cache.delete(page);
    if (other && shown) await leave(event);
  };
  event.waitUntil(look().catch(() => null));
  if (shell === undefined) return (await asked).clone();
  const late = new Promise<null>((resolve) => setTimeout(() => resolve(null), PATIENCE_MS));
  const answer = await Promise.race([asked.catch(() => null), late]);
  if (answer?.status === 200) return answer.clone();
  shown = true;
  return shell.clone();
}

/** Who is signed in on a page of the app. */
async function person(answer: Response): Promise<string | undefined> {
  return /data-user="([^"]*)"/.exec(await answer.clone().text())?.[1];
}

async function leave({ resultingClientId }: Asked): Promise<void> {
  await (await worker.clients.get(resultingClientId))?.navigate(page);
}

/** Its name changes when its content does, so what is kept is never old. */
async function kept(request: Request): Promise<Response> {
  return (await (await caches.open(CACHE)).match(request)) ?? (await fetch(request));
}

export {};
