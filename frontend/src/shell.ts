// Every page loads this: htmx, and the islands that the page has, each when it is first seen.

import "htmx.org";

type Island = { default: (root: HTMLElement) => void | Promise<void> };

const ISLANDS: Record<string, () => Promise<Island>> = {
  sound: () => import("./islands/sound.ts"),
  follow: () => import("./islands/follow.ts"),
  captions: () => import("./islands/captions.ts"),
  player: () => import("./islands/player.ts"),
  chart: () => import("./islands/chart.ts"),
  copy: () => import("./islands/copy.ts"),
};

const started = new WeakSet<HTMLElement>();

function startIn(scope: ParentNode): void {
  for (const root of scope.querySelectorAll<HTMLElement>("[data-island]")) {
    const name = root.dataset["island"] ?? "";
    const load = ISLANDS[name];
    if (load === undefined || started.has(root)) continue;
    started.add(root);
    load()
      .then((island) => island.default(root))
      .catch((error: unknown) => console.error(`island ${name}:`, error));
  }
}

startIn(document);
// Fragments that htmx brings may hold islands too.
new MutationObserver((changes) => {
  if (changes.some(({ addedNodes }) => addedNodes.length > 0)) startIn(document);
}).observe(document.body, { childList: true, subtree: true });
