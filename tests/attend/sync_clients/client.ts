// Devices under Node: the app's own core on the real WatermelonDB, told what to do by JSON lines.
//
//   {"call": 1, "client": "ana", "do": "mark", "session": "…", "student": "…", "status": "late"}
//   {"call": 1, "value": …}   or   {"call": 1, "error": "…", "status": 409}

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

import {
  deleteSession,
  markAllPresent,
  markStudent,
  renameClass,
  setNote,
  setRoll,
  startSession,
} from "../../../frontend/src/attend/actions.ts";
import { Store } from "../../../frontend/src/attend/database.ts";
import { exchange } from "../../../frontend/src/attend/exchange.ts";
import { byStudent } from "../../../frontend/src/attend/roll.ts";
import type { Status, TableName } from "../../../frontend/src/attend/rows.ts";
import { Refused, Transport } from "../../../frontend/src/attend/transport.ts";
import { FaultyNetwork } from "./faulty_fetch.ts";
import { restore, type Snapshot, snapshot } from "./stored.ts";
import { AFTER, BEFORE } from "./structures.ts";

// The package stands beside the app, not beside this test.
const frontend = createRequire(new URL("../../../frontend/package.json", import.meta.url));
frontend("fake-indexeddb/auto");
frontend("@nozbe/watermelondb/utils/common/logger").default.silence();
const { Q } = frontend("@nozbe/watermelondb") as typeof import("../../../frontend/node_modules/@nozbe/watermelondb/index.js");

type Command = Record<string, unknown> & { call: number; client: string; do: string };

class Client {
  readonly #name: string;
  readonly #network: FaultyNetwork;
  readonly #transport: Transport;
  readonly #snapshots = new Map<string, Snapshot>();
  #store: Store;

  private constructor(name: string, network: FaultyNetwork, transport: Transport, store: Store) {
    this.#name = name;
    this.#network = network;
    this.#transport = transport;
    this.#store = store;
  }

  static async open({ client, origin, token, seed, before }: Command): Promise<Client> {
    const network = new FaultyNetwork(seed as number);
    const transport = new Transport(origin as string, token as string, network.fetch as never);
    const troubled = (what: string): void => console.error(client, what);
    const store = await Store.open(client, troubled, ...(before ? [BEFORE] : []));
    if (!store.lasting) throw new Error("there is no IndexedDB");
    await store.flush();
    return new Client(client, network, transport, store);
  }

  async network({ rate, online }: Command): Promise<unknown> {
    this.#network.rate = rate as number;
    this.#network.online = online as boolean;
    return null;
  }

  async lose_answers({ pushes }: Command): Promise<unknown> {
    this.#network.loseAnswers = pushes as number;
    return null;
  }

  async calm(): Promise<unknown> {
    await this.#network.calm();
    return this.#network.met;
  }

  async start({ class_id, date, start_time }: Command): Promise<unknown> {
    return await startSession(this.#store, {
      class_id: class_id as string,
      date: date as string,
      start_time: start_time as string,
      end_time: null,
    });
  }

  async mark({ session, student, status, minutes, notes }: Command): Promise<unknown> {
    const mark =
      status == null
        ? null
        : {
            status: status as Status,
            minutes: (minutes as number | undefined) ?? null,
            notes: (notes as string | undefined) ?? null,
          };
    await markStudent(this.#store, session as string, student as string, mark, Date.now());
    return null;
  }

  async all_present({ session }: Command): Promise<unknown> {
    return await markAllPresent(this.#store, session as string, Date.now());
  }

  async close({ session, by }: Command): Promise<unknown> {
    const closed = by == null ? null : { by: by as string, at: Date.now() };
    await setRoll(this.#store, session as string, closed);
    return null;
  }

  async note({ session, note }: Command): Promise<unknown> {
    await setNote(this.#store, session as string, note as string);
    return null;
  }

  async delete({ session }: Command): Promise<unknown> {
    await deleteSession(this.#store, session as string);
    return null;
  }

  async rename({ class_id, name }: Command): Promise<unknown> {
    await renameClass(this.#store, class_id as string, name as string);
    return null;
  }

  async sync(): Promise<unknown> {
    return await exchange(this.#store, this.#transport, Date.now());
  }

  /** Everything here, by table and id, without what only WatermelonDB knows. */
  async dump(): Promise<unknown> {
    const tables: Record<string, Record<string, unknown>> = {};
    for (const table of Object.keys(this.#store.database.schema.tables) as TableName[]) {
      tables[table] = {};
      for (const row of await this.#store.rows(table)) {
        const { _status, _changed, ...rest } = row;
        tables[table][row.id] = rest;
      }
    }
    return { tables, unsynced: await this.#store.unsynced() };
  }

  /** The code of the next version opens what the one of before has stored. */
  async upgrade(): Promise<unknown> {
    await this.#store.close();
    this.#store = await Store.open(this.#name, (what) => console.error(this.#name, what), AFTER);
    return null;
  }

  /** The query of the last pull. */
  async pulled(): Promise<unknown> {
    return Object.fromEntries(this.#network.pulled);
  }

  /** Student to status in a session, as a screen shows it. */
  async roll({ session }: Command): Promise<unknown> {
    const id = this.#store.follow(session as string);
    const rows = await this.#store.rows("attendance_records");
    const marked = byStudent(rows.filter((row) => row.session_id === id));
    return Object.fromEntries([...marked].map(([student, { status }]) => [student, status]));
  }

  /** A synced record vanishes and another says something else, behind WatermelonDB's back. */
  async damage({ session }: Command): Promise<unknown> {
    const { database } = this.#store;
    await database.write(async () => {
      const [one, two] = await this.#store.models("attendance_records", Q.where("session_id", session as string));
      if (!one || !two) throw new Error("there is nothing to damage");
      await one.destroyPermanently();
      await two.update((it) => it._dangerouslySetRawWithoutMarkingColumnChange("status", "excused"));
    });
    return null;
  }

  async keep({ as }: Command): Promise<unknown> {
    this.#snapshots.set(as as string, await snapshot(this.#name));
    return null;
  }

  /** The process dies; with `as`, it comes up with the storage of then. */
  async crash({ as }: Command): Promise<unknown> {
    const old = as == null ? await snapshot(this.#name) : this.#snapshots.get(as as string);
    if (old === undefined) throw new Error(`nothing was kept as ${String(as)}`);
    await this.#store.close();
    await restore(this.#name, old);
    this.#store = await Store.open(this.#name, (what) => console.error(this.#name, what));
    return null;
  }
}

const clients = new Map<string, Client>();

async function obey(command: Command): Promise<unknown> {
  if (command.do === "open") {
    clients.set(command.client, await Client.open(command));
    return null;
  }
  const client = clients.get(command.client);
  if (client === undefined) throw new Error(`no client ${command.client}`);
  const method = client[command.do as "dump"] as (command: Command) => Promise<unknown>;
  return await method.call(client, command);
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as Command;
  void obey(command).then(
    (value) => console.log(JSON.stringify({ call: command.call, value })),
    (error: unknown) => {
      const status = error instanceof Refused ? error.status : null;
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      console.log(JSON.stringify({ call: command.call, error: text, status }));
    },
  );
}
process.exit(0);
