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
  attend: () => import("./islands/attend.ts"),
  code: () => import("./islands/code.ts"),
  send: () => import("./islands/send.ts"),
};

const started = new WeakSet<HTMLElement>();

/** The wire opens last: an event must find everybody who listens for it. */
async function startIn(scope: ParentNode): Promise<void> {
  const roots = [...scope.querySelectorAll<HTMLElement>("[data-island]")].filter(
    (root) => !started.has(root),
  );
  for (const root of roots) started.add(root);
  const wires = roots.filter((root) => root.dataset["island"] === "follow");
  await Promise.all(roots.filter((root) => !wires.includes(root)).map(start));
  await Promise.all(wires.map(start));
}

/** Resolves when the island is loaded and begun; one that fails does not hold up the others. */
async function start(root: HTMLElement): Promise<void> {
  const name = root.dataset["island"] ?? "";
  const failed = (error: unknown): void => console.error(`island ${name}:`, error);
  try {
    const island = await ISLANDS[name]?.();
    Promise.resolve(island?.default(root)).catch(failed);
  } catch (error) {
    failed(error);
  }
}

void startIn(document);
// Fragments that htmx brings may hold islands too.
new MutationObserver((changes) => {
  if (changes.some(({ addedNodes }) => addedNodes.length > 0)) void startIn(document);
}).observe(document.body, { childList: true, subtree: true });
