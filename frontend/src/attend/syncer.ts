// When to synchronise, and what to say about it. One run at a time; nothing is given up: after a
// failure it waits, longer each time, and tries again.

import { waitAfter } from "./backoff.ts";
import type { Store } from "./database.ts";
import { exchange, lastSynced, type Outcome } from "./exchange.ts";
import { Refused, type Transport } from "./transport.ts";

export type Mood = "syncing" | "synced" | "offline" | "waiting" | "revoked" | "error";

export interface SyncState {
  /** What the last run came to; "waiting" is for a server that asked for patience. */
  mood: Mood;
  /** Rows that the server does not have yet. */
  unsynced: number;
  /** Milliseconds since 1970, or null before the first time. */
  syncedAt: number | null;
}

const AFTER_MARKING_MS = 1_500;
const EVERY_MS = 60_000;

export class Syncer {
  readonly #store: Store;
  #transport: Transport | null;
  readonly #changed: (state: SyncState) => void;
  readonly #done: (outcome: Outcome) => void;
  #mood: Mood = "syncing";
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(
    store: Store,
    transport: Transport | null,
    changed: (state: SyncState) => void,
    done: (outcome: Outcome) => void,
  ) {
    this.#store = store;
    this.#transport = transport;
    this.#changed = changed;
    this.#done = done;
  }

  /** Another token: the device was registered again. */
  use(transport: Transport): void {
    this.#transport = transport;
    this.#failures = 0;
    void this.now();
  }

  /** Something was marked: soon, together with what is marked in the next second. */
  soon(): void {
    void this.report();
    // While the server is out of reach or wants patience, the wait that runs already decides.
    if (this.#failures === 0) this.#wait(AFTER_MARKING_MS);
  }

  /** At once; a run under way is waited for, not doubled. */
  now(): Promise<void> {
    this.#running ??= this.#run().finally(() => (this.#running = undefined));
    return this.#running;
  }

  /** No more runs; resolves when the present one is over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async report(): Promise<void> {
    if (this.#stopped) return;
    const [unsynced, syncedAt] = await Promise.all([
      this.#store.unsynced(),
      lastSynced(this.#store),
    ]);
    this.#changed({ mood: this.#mood, unsynced, syncedAt });
  }

  async #run(): Promise<void> {
    if (this.#stopped || this.#transport === null) return;
    this.#mood = "syncing";
    await this.report();
    let wait = EVERY_MS * (0.9 + 0.2 * Math.random());
    try {
      const outcome = await exchange(this.#store, this.#transport, Date.now());
      this.#failures = 0;
      this.#mood = "synced";
      if (!this.#stopped) this.#done(outcome);
      // Marked while it ran.
      if ((await this.#store.unsynced()) > 0) wait = AFTER_MARKING_MS;
    } catch (error) {
      this.#failures++;
      this.#mood = moodAfter(error);
      if (this.#mood === "error") console.error("attend: sync", error);
      wait = waitAfter(this.#failures, error instanceof Refused ? error.retryMs : 0);
    }
    await this.report();
    if (this.#mood !== "revoked") this.#wait(wait);
  }

  #wait(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => void this.now(), ms);
  }
}

function moodAfter(error: unknown): Mood {
  if (!(error instanceof Refused)) return "error";
  if (error.status === 0) return "offline";
  if (error.status === 401) return "revoked";
  return [409, 429, 502, 503, 504].includes(error.status) ? "waiting" : "error";
}
