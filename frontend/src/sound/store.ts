// What must survive a reload or a crash: each participant's track, and its chunks until the
// server has them. In IndexedDB, on this device only.

import type { Codec } from "./encoder.ts";
import type { Kept } from "./outbox.ts";

export interface Track {
  track: string;
  codec: Codec;
  /** Clock time (ms since 1970) of the track's beginning. */
  epochMs: number;
  /** End of the last kept chunk, on the track's time. */
  endMs: number;
  nextSeq: number;
}

type Row = Kept & { participant: string };

/** Sound of people who did not come back to this (perhaps shared) device is not kept longer. */
const ABANDONED_MS = 24 * 3600 * 1000;

export class Store {
  readonly #db: IDBDatabase;
  readonly #participant: string;

  private constructor(db: IDBDatabase, participant: string) {
    this.#db = db;
    this.#participant = participant;
  }

  static async open(participant: string): Promise<Store> {
    const request = indexedDB.open("classweave-sound", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("tracks", { keyPath: "participant" });
      request.result.createObjectStore("chunks", { keyPath: ["participant", "seq"] });
    };
    const store = new Store(await answer(request), participant);
    await store.#forgetAbandoned();
    return store;
  }

  async load(): Promise<{ track: Track; kept: Kept[] } | null> {
    const transaction = this.#db.transaction(["tracks", "chunks"]);
    const track: Track | undefined = await answer(
      transaction.objectStore("tracks").get(this.#participant),
    );
    if (track === undefined) return null;
    const kept: Row[] = await answer(transaction.objectStore("chunks").getAll(this.#range()));
    return { track, kept };
  }

  /** Resolves when both are on disk. A chunk whose number exists already (another tab's) fails. */
  async add(track: Track, kept: Kept): Promise<void> {
    await this.#write((tracks, chunks) => {
      tracks.put(this.#row(track));
      chunks.add({ ...kept, participant: this.#participant });
    });
  }

  async acknowledge(seq: number): Promise<void> {
    await this.#write((_, chunks) => chunks.delete(this.#range(seq)));
  }

  /** Replaces everything that is kept for this participant. */
  async replace(track: Track, kept: readonly Kept[]): Promise<void> {
    await this.#write((tracks, chunks) => {
      tracks.put(this.#row(track));
      chunks.delete(this.#range());
      for (const one of kept) chunks.add({ ...one, participant: this.#participant });
    });
  }

  async clear(): Promise<void> {
    await this.#write((tracks, chunks) => {
      tracks.delete(this.#participant);
      chunks.delete(this.#range());
    });
  }

  close(): void {
    this.#db.close();
  }

  #row(track: Track): object {
    return { ...track, participant: this.#participant, savedAt: Date.now() };
  }

  #range(to = Infinity): IDBKeyRange {
    return IDBKeyRange.bound([this.#participant, 0], [this.#participant, to]);
  }

  #write(work: (tracks: IDBObjectStore, chunks: IDBObjectStore) => void): Promise<void> {
    const transaction = this.#db.transaction(["tracks", "chunks"], "readwrite");
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
      work(transaction.objectStore("tracks"), transaction.objectStore("chunks"));
    });
  }

  async #forgetAbandoned(): Promise<void> {
    const rows: { participant: string; savedAt: number }[] = await answer(
      this.#db.transaction("tracks").objectStore("tracks").getAll(),
    );
    for (const { participant, savedAt } of rows) {
      if (participant === this.#participant || Date.now() - savedAt < ABANDONED_MS) continue;
      await new Store(this.#db, participant).clear();
    }
  }
}

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
