// The line that is always there: whether everything is saved, what is not yet synced, and when it
// last was. It does not interrupt a screen reader; what has to be heard is said elsewhere.

import type { SyncState } from "../syncer.ts";
import { momentWords } from "./context.ts";
import { button, el, icon, redraw } from "./dom.ts";
import { text } from "./words.ts";

export class StateLine {
  readonly root: HTMLElement;
  readonly #words = el("p", { class: "attend-words small" });
  #saving = 0;
  #unsaved = false;
  #state: SyncState = { mood: "syncing", status: null, unsynced: 0, syncedAt: null };

  constructor(syncNow: () => void) {
    this.root = el(
      "div",
      { class: "attend-state" },
      this.#words,
      button("", syncNow, {
        icon: "sync",
        label: text("sync_now"),
        extra: "button-icon attend-big",
        key: "sync",
      }),
    );
    this.#draw();
  }

  /** Something is being saved, and `saved` will be called once. */
  saving(): void {
    this.#saving++;
    this.#draw();
  }

  saved(well: boolean): void {
    this.#saving--;
    this.#unsaved = !well;
    this.#draw();
  }

  /** Nothing is being saved, and nothing could not be. */
  get settled(): boolean {
    return this.#saving === 0 && !this.#unsaved;
  }

  sync(state: SyncState): void {
    this.#state = state;
    this.#draw();
  }

  #draw(): void {
    const { mood, status, unsynced, syncedAt } = this.#state;
    const parts: string[] = [];
    let drawn = "check";
    if (this.#unsaved) parts.push(text("not_saved"));
    else if (this.#saving > 0) parts.push(text("saving"));
    else if (unsynced > 0) parts.push(text("saved"));
    if (unsynced > 0) parts.push(text("unsynced", { n: unsynced }));
    else if (mood === "synced" && this.#saving === 0) parts.push(text("synced"));
    if (mood === "syncing") parts.push(text("syncing"));
    if (mood === "offline") parts.push(text("offline"));
    if (mood === "waiting") parts.push(text("waiting"));
    if (mood === "refused") parts.push(text("sync_refused", { status: status ?? "" }));
    if (mood === "error") parts.push(text("sync_error"));
    parts.push(
      syncedAt === null
        ? text("never_synced")
        : text("last_synced", { when: momentWords(syncedAt) }),
    );
    if (mood === "offline") drawn = "offline";
    else if (unsynced > 0) drawn = "clock";
    if (this.#unsaved || ["error", "revoked", "refused"].includes(mood)) drawn = "warning";
    const settled = unsynced === 0 && this.#saving === 0 && !this.#unsaved;
    this.root.dataset["state"] = this.#unsaved ? "unsaved" : settled ? mood : "unsynced";
    redraw(this.#words, icon(drawn), el("span", {}, parts.join(" ")));
  }
}
