// Follows one stream of events for as long as the page is open, without missing any: each
// connection says which event was the last, and one that falls silent is replaced.

import { waitMs } from "../sound/link.ts";
import { EventParser, type ServerEvent } from "./sse.ts";

export type FollowState = "connecting" | "following" | "waiting" | "stopped";

/** The server sends at least a heartbeat every 10 s. */
const SILENT_MS = 30_000;
/** Signed out, not allowed, gone: coming back does not help. */
const FINAL = new Set([400, 401, 403, 404, 410]);

export interface FollowerOptions {
  url: URL;
  lastId: string | null;
  onEvent: (event: ServerEvent) => void;
  onState: (state: FollowState, status: number | null) => void;
  silentMs?: number;
  fetch?: typeof fetch;
}

export class Follower {
  readonly #options: FollowerOptions;
  #lastId: string | null;
  #abort = new AbortController();
  #wake: () => void = () => {};
  #running = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#lastId = options.lastId;
  }

  get lastId(): string | null {
    return this.#lastId;
  }

  async run(): Promise<void> {
    this.#running = true;
    for (let attempt = 0; this.#running; attempt++) {
      this.#options.onState("connecting", null);
      const before = this.#lastId;
      const status = await this.#follow(() => (attempt = 0)).catch(() => null);
      if (!this.#running) break;
      if (status !== null && FINAL.has(status)) {
        this.#options.onState("stopped", status);
        return;
      }
      if (this.#lastId !== before) attempt = 0;
      this.#options.onState("waiting", status);
      await this.#pause(waitMs(attempt, Math.random()));
    }
  }

  /** Do not wait any longer: there is a network again. */
  hurry(): void {
    this.#wake();
  }

  stop(): void {
    this.#running = false;
    this.#abort.abort();
    this.#wake();
  }

  /** One connection, until it ends. Returns the HTTP status. */
  async #follow(opened: () => void): Promise<number> {
    const abort = new AbortController();
    this.#abort = abort;
    const url = new URL(this.#options.url);
    if (this.#lastId !== null) url.searchParams.set("last_event_id", this.#lastId);
    let silence = setTimeout(() => abort.abort(), this.#options.silentMs ?? SILENT_MS);
    try {
      const response = await (this.#options.fetch ?? fetch)(url, {
        headers: { Accept: "text/event-stream" },
        cache: "no-store",
        signal: abort.signal,
      });
      if (!response.ok || response.body === null) return response.status;
      opened();
      this.#options.onState("following", response.status);
      const parser = new EventParser((event) => {
        if (event.id !== null) this.#lastId = event.id;
        this.#options.onEvent(event);
      });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return response.status;
        clearTimeout(silence);
        silence = setTimeout(() => abort.abort(), this.#options.silentMs ?? SILENT_MS);
        parser.push(value);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
