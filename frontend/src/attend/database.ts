// The local database of one person in one organisation: WatermelonDB over LokiJS, kept in
// IndexedDB. LokiJS holds everything in memory and saves when told; what is not saved is lost with
// the tab. So nothing counts as kept before `flush` has resolved.

import { Database, type Model, Q } from "@nozbe/watermelondb/index.js";
import * as lokijs from "@nozbe/watermelondb/adapters/lokijs/index.js";

import { modelClasses, rowOf } from "./models.ts";
import { type Row, type TableName, type Tables, WRITTEN } from "./rows.ts";
import { migrations, schema } from "./schema.ts";

/** What may be wrong with the place where rows are kept. */
export type Trouble = "full" | "memory" | "overwritten" | "gone" | "broken";

/** The tables, and the way up to them from those of before. */
export interface Structure {
  schema: typeof schema;
  migrations: typeof migrations;
}

interface Loki {
  getCollection(table: TableName): {
    by(key: "id", value: string): Row | undefined;
    find(query: Record<string, { $eq: string }>): Row[];
  };
  saveDatabase(done: (error?: unknown) => void): void;
  close(done: () => void): void;
  deleteDatabase(options: object, done: (answer?: unknown) => void): void;
  persistenceAdapter: { mode?: string; _prevLokiVersionId?: string | null };
}

type Adapter = InstanceType<typeof lokijs.default> & { _driver: { loki: Loki } };

// A CommonJS module imported by an ES module is its `default`, and the class is the `default` of
// that; a bundler may have unwrapped one of them.
const LokiJSAdapter = ((lokijs.default as unknown as { default?: typeof lokijs.default }).default ??
  lokijs.default) as typeof lokijs.default;

/** One database for each person and organisation, so that two on one device never mix. */
export function databaseName(organization: string, user: string): string {
  return `attend-${organization}-${user}`;
}

export class Store {
  readonly database: Database;
  readonly #adapter: Adapter;
  #closed = false;
  /** Sessions that the server merged into another, by the id that they had here. */
  readonly moved = new Map<string, string>();

  private constructor(database: Database, adapter: Adapter) {
    this.database = database;
    this.#adapter = adapter;
  }

  /** Opens or makes the database; rejects when what is stored cannot be read. */
  static async open(
    name: string,
    troubled: (what: Trouble) => void,
    tables: Structure = { schema, migrations },
  ): Promise<Store> {
    let failed: unknown;
    let store: Store | undefined;
    const onTrouble = (what: Trouble): void => {
      if (store === undefined || !store.#closed) troubled(what);
    };
    const adapter = new LokiJSAdapter({
      dbName: name,
      ...tables,
      useWebWorker: false,
      useIncrementalIndexedDB: true,
      onSetUpError: (error) => {
        failed = error;
        onTrouble("broken");
      },
      onQuotaExceededError: () => onTrouble("full"),
      extraLokiOptions: { autosave: false },
      extraIncrementalIDBOptions: {
        onDidOverwrite: () => onTrouble("overwritten"),
        onversionchange: () => onTrouble("gone"),
      },
    }) as Adapter;
    const database = new Database({ adapter, modelClasses: modelClasses(tables.schema) });
    // The first question waits until the adapter is set up.
    await database.localStorage.get("attend.opened").catch((error: unknown) => {
      throw failed ?? error;
    });
    store = new Store(database, adapter);
    if (!store.lasting) onTrouble("memory");
    return store;
  }

  /** False where the browser keeps nothing (a private window): rows are in memory only. */
  get lasting(): boolean {
    return this.#loki.persistenceAdapter.mode === "incremental";
  }

  get #loki(): Loki {
    return this.#adapter._driver.loki;
  }

  /** Resolves when everything written before the call is in IndexedDB. */
  async flush(): Promise<void> {
    const loki = this.#loki;
    await new Promise<void>((resolve, reject) => {
      loki.saveDatabase((error) => {
        if (!error) {
          resolve();
          return;
        }
        // LokiJS has already forgotten which rows this save was about. Made to believe that
        // another has written meanwhile, it saves all of them the next time.
        loki.persistenceAdapter._prevLokiVersionId = null;
        reject(saveError(error));
      });
    });
  }

  /** Lets go of IndexedDB; nothing can be saved afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    await new Promise<void>((resolve) => this.#loki.close(resolve));
  }

  /** Deletes everything that is kept here. */
  async destroy(): Promise<void> {
    this.#closed = true;
    await new Promise<void>((resolve) => {
      this.#loki.close(() => this.#loki.deleteDatabase({}, () => resolve()));
    });
  }

  /** The id under which a session is here now. */
  follow(session: string): string {
    let id = session;
    for (let next = this.moved.get(id); next !== undefined; next = this.moved.get(id)) id = next;
    return id;
  }

  async find<T extends TableName>(table: T, id: string): Promise<Model | null> {
    const [found] = await this.database.get(table).query(Q.where("id", id)).fetch();
    return found ?? null;
  }

  async models(table: TableName, ...conditions: Q.Clause[]): Promise<Model[]> {
    return await this.database
      .get(table)
      .query(...conditions)
      .fetch();
  }

  async rows<T extends TableName>(table: T, ...conditions: Q.Clause[]): Promise<Tables[T][]> {
    return (await this.models(table, ...conditions)).map((model) => rowOf<T>(model));
  }

  async row<T extends TableName>(table: T, id: string): Promise<Tables[T] | null> {
    const model = await this.find(table, id);
    return model === null ? null : rowOf<T>(model);
  }

  /**
   * The row as it is stored, for looking at thousands of them: a query and a model for each would
   * take most of the time of a first synchronisation. Null also for one that is deleted here.
   */
  peek<T extends TableName>(table: T, id: string): Readonly<Tables[T]> | null {
    const row = this.#loki.getCollection(table).by("id", id);
    return row === undefined || row._status === "deleted" ? null : (row as Tables[T]);
  }

  /** All stored rows that have this value, in the same way. The column has an index. */
  peekAll<T extends TableName>(
    table: T,
    column: keyof Tables[T] & string,
    value: string,
  ): Readonly<Tables[T]>[] {
    const rows = this.#loki.getCollection(table).find({ [column]: { $eq: value } });
    return rows.filter(({ _status }) => _status !== "deleted") as Tables[T][];
  }

  /** How many rows the server does not have yet. */
  async unsynced(): Promise<number> {
    const counts = await Promise.all(
      WRITTEN.map(async (table) => {
        const query = this.database.get(table).query(Q.where("_status", Q.notEq("synced")));
        const deleted = await this.database.adapter.getDeletedRecords(table);
        return (await query.fetchCount()) + deleted.length;
      }),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }
}

function saveError(error: unknown): Error {
  if (error instanceof Error) return error;
  const cause = (error as { target?: { error?: unknown } }).target?.error;
  return cause instanceof Error ? cause : new Error("IndexedDB did not save", { cause: error });
}
