// Another version of the app: noticed when its worker has taken over, used when it disturbs nobody.

const EVERY_MS = 60 * 60_000;

/**
 * Looks for a new version when the network is back, and each hour; calls `renewed` once when its
 * worker is in charge. By then that one keeps all files of the new page, and none of this one's, so
 * that loading the page again changes to it, with a network or without.
 */
export function onNewVersion(
  workers: ServiceWorkerContainer,
  version: string,
  renewed: () => void,
): void {
  const changed = async (): Promise<void> => {
    await activated(workers.controller);
    // The first worker ever takes over a page of its own version.
    if (await caches.has(`attend-${version}`)) return;
    workers.removeEventListener("controllerchange", changed);
    renewed();
  };
  workers.addEventListener("controllerchange", changed);
  const look = async (): Promise<void> => {
    const registration = await workers.getRegistration("/attend/");
    await registration?.update().catch(() => undefined);
  };
  addEventListener("online", () => void look());
  setInterval(() => void look(), EVERY_MS);
}

/** Resolves when the worker has cleared away what was kept before it; it is in charge sooner. */
async function activated(worker: ServiceWorker | null): Promise<void> {
  while (worker !== null && !["activated", "redundant"].includes(worker.state)) {
    await new Promise((done) => worker.addEventListener("statechange", done, { once: true }));
  }
}
