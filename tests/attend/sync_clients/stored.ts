// What a device's storage held at a moment, to be put back later: the battery died, or a backup
// was restored, and the device comes up with old rows and an old cursor.

type Entry = { store: string; value: unknown };

export interface Snapshot {
  version: number;
  stores: { name: string; keyPath: string | string[] | null }[];
  entries: Entry[];
}

const asked = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB"));
  });

export async function snapshot(name: string): Promise<Snapshot> {
  const db = await asked(indexedDB.open(name));
  const names = [...db.objectStoreNames];
  const taken: Snapshot = { version: db.version, stores: [], entries: [] };
  if (names.length > 0) {
    const reading = db.transaction(names, "readonly");
    for (const store of names) {
      const held = reading.objectStore(store);
      taken.stores.push({ name: store, keyPath: held.keyPath });
      for (const value of await asked(held.getAll())) taken.entries.push({ store, value });
    }
  }
  db.close();
  return taken;
}

export async function restore(name: string, taken: Snapshot): Promise<void> {
  await asked(indexedDB.deleteDatabase(name));
  const opening = indexedDB.open(name, taken.version);
  opening.onupgradeneeded = () => {
    for (const { name: store, keyPath } of taken.stores) {
      opening.result.createObjectStore(store, { keyPath });
    }
  };
  const db = await asked(opening);
  if (taken.stores.length > 0) {
    const writing = db.transaction(taken.stores.map(({ name: store }) => store), "readwrite");
    for (const { store, value } of taken.entries) writing.objectStore(store).put(value);
    await new Promise<void>((resolve, reject) => {
      writing.oncomplete = () => resolve();
      writing.onerror = () => reject(writing.error ?? new Error("IndexedDB"));
    });
  }
  db.close();
}
