// The page's live wire. Each event of the stream becomes a CustomEvent on the document, named
// classweave:<type> and, when its data names a group, classweave:<type>:<group> as well. htmx
// refreshes what listens: hx-trigger="classweave:prompt:group_… from:document throttle:1s".

import { Follower, type FollowState } from "../events/follower.ts";
import { part } from "../part.ts";
import { strings } from "../strings.ts";

const text = strings("follow", {
  connecting: "Connecting …",
  following: "Live",
  waiting: "The connection is gone. Trying again; nothing is lost.",
  stopped: "Live updates have stopped. Reload the page.",
});

export default function start(root: HTMLElement): void {
  const address = root.dataset["url"];
  if (address === undefined) throw new Error("the follow island needs data-url");
  const status = part(root, "status", "p", { role: "status" });
  let shown: FollowState | null = null;

  const show = (state: FollowState): void => {
    // A short break is not worth a word: it says "connecting" only at first.
    if (state === shown || (state === "connecting" && shown !== null)) return;
    shown = state;
    root.dataset["state"] = state;
    status.textContent = text(state);
  };

  const follower = (lastId: string | null): Follower =>
    new Follower({
      url: new URL(address, location.href),
      lastId,
      onState: show,
      onEvent: ({ type, data }) => announce(type, data),
    });

  let current = follower(root.dataset["lastId"] ?? null);
  void current.run();
  addEventListener("online", () => current.hurry());
  // A page in the browser's back-forward cache must not hold a connection.
  addEventListener("pagehide", () => current.stop());
  addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    current = follower(current.lastId);
    void current.run();
  });
}

function announce(type: string, data: string): void {
  if (type === "heartbeat") return;
  let detail: unknown;
  try {
    detail = JSON.parse(data);
  } catch {
    detail = data;
  }
  const names = [`classweave:${type}`];
  if (typeof detail === "object" && detail !== null && "group" in detail) {
    if (typeof detail.group === "string") names.push(`classweave:${type}:${detail.group}`);
  }
  for (const name of names) document.dispatchEvent(new CustomEvent(name, { detail }));
}
