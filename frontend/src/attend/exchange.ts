// One synchronisation: pull, push, and a look whether both sides really hold the same.

import { type SyncConflictResolver, synchronize } from "@nozbe/watermelondb/sync/index.js";

import { type Carried, carry, collect } from "./carry.ts";
import type { Store } from "./database.ts";
import { digestOf } from "./digest.ts";
import { changedElsewhere, idsIn, type Outcome, refusedBy, rollsIn, type Said } from "./outcome.ts";
import { keepUnsynced } from "./replaced.ts";
import { laterMark } from "./roll.ts";
import type { RecordRow, Row } from "./rows.ts";
import { MIGRATIONS_SINCE } from "./schema.ts";
import { type Changes, type Pull, Refused, type Transport, type WholeSession } from "./transport.ts";

const SYNCED_AT = "attend.synced_at";

/** So many records that what is done with them once they are here can be felt. */
const MANY = 2_000;
/** Some frames. */
const REST_MS = 50;

/** When everything was last the same here and on the server, in milliseconds since 1970. */
export async function lastSynced(store: Store): Promise<number | null> {
  return (await store.database.localStorage.get<number>(SYNCED_AT)) ?? null;
}

/**
 * Pulls and pushes until the server has everything that was here at the start and this device has
 * what came of it. Throws {@link Refused}; what was pulled before that is kept.
 */
export async function exchange(store: Store, transport: Transport, now: number): Promise<Outcome> {
  const outcome: Outcome = { elsewhere: [], refused: [], healed: [], differing: [] };
  const run = new Run(store, transport, outcome);
  try {
    // What the server made of a push (merged, corrected, counted) comes with the next pull.
    if (await run.round()) await run.round();
    const wrong = [...run.wrong];
    if (wrong.length > 0) {
      await run.round(wrong);
      outcome.differing = wrong.filter((id) => run.wrong.has(id));
      outcome.healed = wrong.filter((id) => !run.wrong.has(id));
    }
    await store.database.localStorage.set(SYNCED_AT, now);
  } finally {
    await store.flush();
  }
  return outcome;
}

/** Rows were put elsewhere after WatermelonDB had collected what to push. */
class Again extends Error {}

class Run {
  readonly wrong = new Set<string>();
  /** Sessions that came with a pull and were not compared yet. */
  readonly #touched = new Set<string>();
  /** What the server was asked to keep, and may refuse with the next pull. */
  readonly #said: Said = { pushed: new Set(), gone: new Map() };
  readonly #store: Store;
  readonly #transport: Transport;
  readonly #outcome: Outcome;

  constructor(store: Store, transport: Transport, outcome: Outcome) {
    this.#store = store;
    this.#transport = transport;
    this.#outcome = outcome;
  }

  /** True when something was pushed. A conflict is answered at once, and once: pull, push again. */
  async round(heal: string[] = []): Promise<boolean> {
    let conflicts = 0;
    for (;;) {
      try {
        return await this.#pullAndPush(heal);
      } catch (error) {
        const conflict = error instanceof Refused && error.status === 409;
        if (!(error instanceof Again) && !(conflict && conflicts++ === 0)) throw error;
        heal = [];
      }
    }
  }

  async #pullAndPush(heal: string[]): Promise<boolean> {
    const store = this.#store;
    let pushed = false;
    let many = false;
    let carried: Carried = { sessions: [], records: [] };
    // Before the push, which makes rows count as synced that no digest counts yet.
    const afterPull = async (): Promise<void> => {
      // What has come is drawn first: nobody waits for the comparison and the saving.
      if (many) await new Promise((drawn) => setTimeout(drawn, REST_MS));
      const moved = await carry(store, carried);
      carried = { sessions: [], records: [] };
      await this.#compare();
      if (moved) throw new Again();
    };
    await synchronize({
      database: store.database,
      sendCreatedAsUpdated: true,
      migrationsEnabledAtVersion: MIGRATIONS_SINCE,
      conflictResolver: keepMarksWhole,
      pullChanges: async (asked) => {
        const pull = (await this.#transport.pull(asked)) as Pull;
        for (const id of heal) {
          const here = syncedRecords(store, id);
          if (here === null) continue;
          mend(pull, id, here, await this.#transport.session(id, digestOf(here)));
        }
        for (const id of touchedSessions(pull)) this.#touched.add(id);
        // At first there is nothing here that another device could have changed.
        if (asked.lastPulledAt) this.#outcome.elsewhere.push(...changedElsewhere(store, pull));
        this.#outcome.refused.push(...refusedBy(store, pull, this.#said));
        many = rollsIn(pull).records.length > MANY;
        carried = await collect(store, pull);
        await keepUnsynced(store, pull, carried);
        return pull;
      },
      pushChanges: async ({ changes, lastPulledAt }) => {
        await afterPull();
        pushed = true;
        await this.#transport.push(lastPulledAt, changes as unknown as Changes);
        for (const id of idsIn(changes as unknown as Changes)) this.#said.pushed.add(id);
      },
    });
    if (!pushed) await afterPull();
    return pushed;
  }

  /** Finds sessions whose records, all of them synced, add up to another digest. */
  async #compare(): Promise<void> {
    // What is deleted here and not yet there is in the server's digest only.
    const { adapter } = this.#store.database;
    if ((await adapter.getDeletedRecords("attendance_records")).length > 0) return;
    for (const id of [...this.#touched]) {
      const session = this.#store.peek("attendance_sessions", id);
      const records = syncedRecords(this.#store, id);
      if (session !== null && records === null) continue;
      this.#touched.delete(id);
      if (!session || !records || session.digest === null) continue;
      if (digestOf(records) === session.digest) this.wrong.delete(id);
      else this.wrong.add(id);
    }
  }
}

/**
 * A mark is one thing: half of it from here and half from there is neither. Of two marks the later
 * one stands. A device that came back with old storage may hold one that was pushed long ago.
 */
export const keepMarksWhole: SyncConflictResolver = (table, local, remote, resolved) => {
  if (table !== "attendance_records") return resolved;
  const [here, there] = [local, remote] as unknown as [RecordRow, RecordRow];
  const changed = here._changed?.split(",") ?? [];
  if (!changed.includes("marked_at")) return resolved;
  const { status, minutes, notes, marked_at } = laterMark(here, there);
  return Object.assign(resolved, { status, minutes, notes, marked_at });
};

function touchedSessions(pull: Pull): string[] {
  const { sessions, records } = rollsIn(pull);
  return [...new Set([...sessions.map(({ id }) => id), ...records.map((r) => r.session_id)])];
}

/** The records of a session when all of them are as the server has them, or null. */
function syncedRecords(store: Store, sessionId: string): readonly RecordRow[] | null {
  const rows = store.peekAll("attendance_records", "session_id", sessionId);
  return rows.every(({ _status }) => _status === "synced") ? rows : null;
}

/** Puts the whole of one session into a pull, in the place of what the pull says about it. */
function mend(pull: Pull, id: string, here: readonly RecordRow[], there: WholeSession | null): void {
  const records = there?.records ?? [];
  const ids = new Set([...here, ...records].map((record) => record.id));
  const kept = new Set(records.map((record) => record.id));
  const put = (table: string, own: (row: string) => boolean, rows: Row[], gone: string[]): void => {
    const part = (pull.changes[table] ??= { created: [], updated: [], deleted: [] });
    part.updated = [...part.updated.filter((row) => !own(row.id)), ...rows];
    part.deleted = [...part.deleted.filter((row) => !own(row)), ...gone];
  };
  put("attendance_sessions", (row) => row === id, there ? [there.session] : [], there ? [] : [id]);
  put(
    "attendance_records",
    (row) => ids.has(row),
    records,
    here.map((record) => record.id).filter((row) => !kept.has(row)),
  );
}
