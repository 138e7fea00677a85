// When to synchronise, and what to say about it. One run at a time; nothing is given up: after a
// failure it waits, longer each time, and tries again.

import { waitAfter } from "./backoff.ts";
import type { Store } from "./database.ts";
import { exchange, lastSynced } from "./exchange.ts";
import type { Outcome } from "./outcome.ts";
import { NotRegistered } from "./register.ts";
import { Refused, type Transport } from "./transport.ts";

export type Mood = "syncing" | "synced" | "offline" | "waiting" | "revoked" | "refused" | "error";

export interface SyncState {
  /**
   * What the last run came to; "waiting" is for a server that asked for patience, "revoked" for one
   * that does not know the device, "refused" for what trying again will hardly mend.
   */
  mood: Mood;
  /** What the server answered with, when it refused. */
  status: number | null;
  /** Rows that the server does not have yet. */
  unsynced: number;
  /** Milliseconds since 1970, or null before the first time. */
  syncedAt: number | null;
}

const AFTER_MARKING_MS = 1_500;
const EVERY_MS = 60_000;
/** Failures in a row as which a refusal counts: it will not be over in a few seconds. */
const HOPELESS = 8;
const BUSY: readonly number[] = [408, 409, 425, 429, 502, 503, 504];

export class Syncer {
  readonly #store: Store;
  readonly #connect: () => Promise<Transport>;
  #transport: Transport | null = null;
  readonly #changed: (state: SyncState) => void;
  readonly #done: (outcome: Outcome) => void;
  #mood: Mood = "syncing";
  #status: number | null = null;
  #failures = 0;
  /** The server asked not to be asked before; milliseconds since 1970. */
  #notBefore = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  /** `connect` resolves to the way to the server, or throws {@link Refused}. */
  constructor(
    store: Store,
    connect: () => Promise<Transport>,
    changed: (state: SyncState) => void,
    done: (outcome: Outcome) => void,
  ) {
    this.#store = store;
    this.#connect = connect;
    this.#changed = changed;
    this.#done = done;
  }

  /** Connects anew, with another token, and begins. */
  reconnect(): Promise<void> {
    this.#transport = null;
    return this.now();
  }

  /** The network is back, or somebody looks: at once, unless the server wants to be left alone. */
  wake(): void {
    if (Date.now() >= this.#notBefore) void this.now();
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
    this.#changed({ mood: this.#mood, status: this.#status, unsynced, syncedAt });
  }

  async #run(): Promise<void> {
    if (this.#stopped) return;
    this.#mood = "syncing";
    this.#status = null;
    await this.report();
    let wait = EVERY_MS * (0.9 + 0.2 * Math.random());
    try {
      this.#transport ??= await this.#connect();
      const outcome = await exchange(this.#store, this.#transport, Date.now());
      this.#failures = 0;
      this.#notBefore = 0;
      this.#mood = "synced";
      if (!this.#stopped) this.#done(outcome);
      // Marked while it ran.
      if ((await this.#store.unsynced()) > 0) wait = AFTER_MARKING_MS;
    } catch (error) {
      this.#failures++;
      this.#mood = moodAfter(error);
      if (this.#mood === "error") console.error("attend: sync", error);
      const asked = error instanceof Refused ? error.retryMs : 0;
      if (error instanceof Refused) this.#status = error.status;
      this.#notBefore = Date.now() + asked;
      const hopeless = this.#mood === "refused" ? HOPELESS : 0;
      wait = waitAfter(Math.max(this.#failures, hopeless), asked);
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
  const { status } = error;
  if (status === 0) return "offline";
  if (status === 401) return "revoked";
  if (error instanceof NotRegistered && [403, 404, 409].includes(status)) return "revoked";
  if (BUSY.includes(status)) return "waiting";
  return status < 500 ? "refused" : "error";
}
