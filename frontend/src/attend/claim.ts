// One tab at a time has the database open: each would hold a copy of all of it in memory, and
// overwrite what the other has saved. Who opens a second tab may take it over.

const GIVE_UP_MS = 3_000;

export interface Claim {
  /** Resolves when another tab has taken it without being given it. */
  readonly lost: Promise<void>;
  release(): void;
}

/** Claims `name`, or resolves to null when another tab has it. */
export async function claim(name: string): Promise<Claim | null> {
  return await ask(name, { ifAvailable: true });
}

/**
 * Takes it from the other tab: asked, that one saves, stops and lets go. One that does not answer,
 * because the browser has frozen it, loses it; everything it called saved is in IndexedDB.
 */
export async function takeOver(name: string): Promise<Claim> {
  const channel = new BroadcastChannel(name);
  channel.postMessage("let go");
  channel.close();
  const patience = AbortSignal.timeout(GIVE_UP_MS);
  const given = await ask(name, { signal: patience }).catch(() => null);
  return given ?? ((await ask(name, { steal: true })) as Claim);
}

/** Calls `letGo` when another tab asks for it. */
export function onAsked(name: string, letGo: () => void): void {
  new BroadcastChannel(name).onmessage = letGo;
}

function ask(name: string, options: LockOptions): Promise<Claim | null> {
  return new Promise((resolve, reject) => {
    let release = (): void => {};
    const held = new Promise<void>((done) => (release = done));
    const ended = navigator.locks.request(name, options, (lock) => {
      if (lock === null) {
        resolve(null);
        return;
      }
      resolve({ lost: new Promise((stolen) => void ended.catch(() => stolen())), release });
      return held;
    }) as Promise<unknown> as Promise<void>;
    // Aborted while waiting; once the lock is held, a rejection means that it was stolen.
    ended.catch(reject);
  });
}
