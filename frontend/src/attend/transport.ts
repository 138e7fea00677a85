// The three requests of a device. Whatever is not a 2xx is thrown: an error that is swallowed here
// would be taken for rows that were kept.

import type { SyncPullArgs } from "@nozbe/watermelondb/sync/index.js";

import { retryAfterMs } from "./backoff.ts";
import type { RecordRow, Row, SessionRow } from "./rows.ts";

export interface Part {
  created: Row[];
  updated: Row[];
  deleted: string[];
}

export type Changes = Record<string, Part>;

export interface Pull {
  changes: Changes;
  timestamp: number;
  experimentalStrategy?: "incremental" | "replacement";
}

export interface WholeSession {
  session: SessionRow;
  records: RecordRow[];
}

/** The server did not do it. `status` is 0 where there was no answer at all. */
export class Refused extends Error {
  readonly status: number;
  readonly retryMs: number;

  constructor(status: number, retryMs = 0) {
    super(status === 0 ? "no answer" : `answered with ${status}`);
    this.status = status;
    this.retryMs = retryMs;
  }
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

const PATH = "/api/attend/sync";
const LONGEST_MS = 60_000;
/** Weeks without a network are megabytes, which a proxy may not let through. */
const WORTH_PACKING = 64 * 1024;

export class Transport {
  readonly #origin: string;
  readonly #token: string;
  readonly #fetch: Fetch;

  constructor(origin: string, token: string, fetch: Fetch) {
    this.#origin = origin;
    this.#token = token;
    this.#fetch = fetch;
  }

  async pull({ lastPulledAt, schemaVersion, migration }: SyncPullArgs): Promise<Pull> {
    const query = new URLSearchParams({
      last_pulled_at: String(lastPulledAt ?? "null"),
      schema_version: String(schemaVersion),
      migration: JSON.stringify(migration ?? null),
    });
    const answer = await this.#ask(`${PATH}?${query}`, {});
    return (await read(answer)) as Pull;
  }

  async push(lastPulledAt: number, changes: Changes): Promise<void> {
    const text = JSON.stringify({ changes });
    const packing = text.length > WORTH_PACKING && typeof CompressionStream !== "undefined";
    const answer = await this.#ask(`${PATH}?last_pulled_at=${lastPulledAt}`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        ...(packing && { "Content-Encoding": "gzip" }),
      },
      body: packing ? await packed(text) : text,
    });
    await read(answer);
  }

  /** All of one session, or null when there is none any more. */
  async session(id: string, digest: number): Promise<WholeSession | null> {
    const path = `${PATH}/sessions/${encodeURIComponent(id)}?digest=${digest}`;
    try {
      return (await read(await this.#ask(path, {}))) as WholeSession;
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return null;
      throw error;
    }
  }

  async #ask(path: string, init: RequestInit): Promise<Response> {
    let answer: Response;
    try {
      answer = await this.#fetch(this.#origin + path, {
        ...init,
        headers: { ...init.headers, Authorization: `Bearer ${this.#token}` },
        // The token alone says who asks; a cookie of somebody else must not take part.
        credentials: "omit",
        cache: "no-store",
        signal: AbortSignal.timeout(LONGEST_MS),
      });
    } catch {
      throw new Refused(0);
    }
    if (answer.ok) return answer;
    throw new Refused(answer.status, retryAfterMs(answer.headers.get("Retry-After"), Date.now()));
  }
}

async function packed(text: string): Promise<ArrayBuffer> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return await new Response(stream).arrayBuffer();
}

/** An answer that breaks off, or is a hotel's sign-in page, is no answer. */
async function read(answer: Response): Promise<unknown> {
  try {
    return await answer.json();
  } catch {
    throw new Refused(0);
  }
}
