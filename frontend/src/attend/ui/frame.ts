// The app around its screens: the state line, notices, where one is, and the database beneath.

import { hasUnsyncedChanges } from "@nozbe/watermelondb/sync/index.js";

import { Gone } from "../actions.ts";
import type { Claim } from "../claim.ts";
import type { Store, Trouble } from "../database.ts";
import type { Outcome, Refusal } from "../outcome.ts";
import { type Device, knownDevice, registerDevice, revokeDevice } from "../register.ts";
import { Syncer, type SyncState } from "../syncer.ts";
import { Transport } from "../transport.ts";
import { classScreen } from "./class.ts";
import { type App, dayWords, type Screen } from "./context.ts";
import { button, el, link, notice, openDialog } from "./dom.ts";
import { rollScreen } from "./roll.ts";
import { StateLine } from "./state_line.ts";
import { todayScreen } from "./today.ts";
import { text } from "./words.ts";

const SHOWN = [
  "classes",
  "students",
  "enrollments",
  "meetings",
  "attendance_sessions",
  "attendance_records",
];
const MANY_NAMES = 3;
const LEAVING_MS = 3_000;

export class Frame implements App {
  readonly store: Store;
  readonly user: string;
  readonly #csrf: string;
  readonly #claim: Claim;
  readonly #screenRoot: HTMLElement;
  readonly #notices = el("div", { class: "stack-tight" });
  readonly #says: HTMLElement;
  readonly #line: StateLine;
  readonly #syncer: Syncer;
  readonly #ends: (() => void)[] = [];
  #screen: Screen | undefined;
  #drawing = false;
  #again = false;
  #device: Device | null = null;
  /** The token that is kept is over. */
  #revoked = false;

  constructor(root: HTMLElement, store: Store, user: string, csrf: string, held: Claim) {
    this.store = store;
    this.user = user;
    this.#csrf = csrf;
    this.#claim = held;
    this.#says = root.querySelector<HTMLElement>('[data-part="says"]') as HTMLElement;
    this.#screenRoot = root.querySelector<HTMLElement>('[data-part="screen"]') as HTMLElement;
    this.#line = new StateLine(() => void this.#syncer.now());
    this.#syncer = new Syncer(
      store,
      () => this.#connect(),
      (state) => this.#synced(state),
      (outcome) => void this.#after(outcome),
    );
    this.#screenRoot.before(this.#line.root, this.#notices);
  }

  async start(): Promise<void> {
    this.#ends.push(this.store.database.experimentalSubscribe(SHOWN, () => void this.#draw()));
    this.#on(window, "hashchange", () => void this.#open(true));
    this.#on(window, "online", () => this.#syncer.wake());
    this.#on(window, "focus", () => this.#syncer.wake());
    this.#on(document, "visibilitychange", () => {
      if (document.visibilityState === "visible") this.#syncer.wake();
    });
    this.#on(document, "submit", (event) => this.#signingOut(event as SubmitEvent));
    await this.#open(false);
    await this.#syncer.report();
    void navigator.storage?.persist?.();
    await this.#syncer.now();
  }

  /** Saves nothing more: another tab goes on, or the person has left. */
  async stop(): Promise<void> {
    for (const end of this.#ends) end();
    await this.#syncer.stop();
  }

  async save<T>(work: Promise<T>): Promise<T | undefined> {
    this.#line.saving();
    try {
      const made = await work;
      this.#line.saved(this.store.lasting);
      this.#syncer.soon();
      return made;
    } catch (error) {
      this.#line.saved(error instanceof Gone);
      this.say(text(error instanceof Gone ? "gone" : "not_saved"));
      if (!(error instanceof Gone)) console.error("attend: save", error);
      void this.#draw();
      return undefined;
    }
  }

  say(words: string): void {
    this.#says.textContent = words;
  }

  go(hash: string): void {
    location.hash = hash;
  }

  leave(): void {
    void this.#askToLeave(() => undefined);
  }

  /** Another version of the app is there: `change` to it when that interrupts nothing. */
  renew(change: () => Promise<void>): void {
    const attempt = (): void => {
      const busy = document.querySelector("dialog[open]") !== null || !this.#line.settled;
      // What is in memory only would be gone.
      if (!busy && this.store.lasting) void change();
    };
    this.#on(window, "hashchange", attempt);
    this.#on(document, "visibilitychange", () => {
      if (document.visibilityState === "hidden") attempt();
    });
    if (document.visibilityState === "hidden") attempt();
  }

  /** Tells what is wrong with the place where rows are kept. */
  trouble(what: Trouble): void {
    // Overwriting is what makes a save good after one that failed; with one tab it is no trouble.
    if (what === "overwritten") return;
    const words = {
      memory: "memory_only",
      full: "not_saved",
      gone: "broken",
      broken: "broken",
    } as const;
    const again = button(text("reload"), () => location.reload());
    const helps = what === "gone" || what === "broken" ? [again] : [];
    this.#tell(what, notice("danger", null, text(words[what]), ...helps));
  }

  #on(target: EventTarget, type: string, listener: (event: Event) => void): void {
    target.addEventListener(type, listener);
    this.#ends.push(() => target.removeEventListener(type, listener));
  }

  async #open(move: boolean): Promise<void> {
    const [, kind, id] = /^#\/(class|session)\/([\w.-]+)$/.exec(location.hash) ?? [];
    this.#screenRoot.replaceChildren();
    if (kind === "class") this.#screen = classScreen(this, this.#screenRoot, id as string);
    else if (kind === "session") this.#screen = rollScreen(this, this.#screenRoot, id as string);
    else this.#screen = todayScreen(this, this.#screenRoot);
    await this.#draw();
    if (!move) return;
    this.#untell("changed"); // it is told of the roll that one has left
    window.scrollTo(0, 0);
    this.#screenRoot.querySelector("h1")?.focus();
  }

  /** One drawing at a time; what changes meanwhile is drawn after it. */
  async #draw(): Promise<void> {
    if (this.#drawing) {
      this.#again = true;
      return;
    }
    this.#drawing = true;
    try {
      do {
        this.#again = false;
        await this.#screen?.draw();
      } while (this.#again);
    } finally {
      this.#drawing = false;
    }
  }

  /** The way to the server, with the token of this device; without one it is registered. */
  async #connect(): Promise<Transport> {
    this.#device ??= this.#revoked ? null : await knownDevice(this.store);
    this.#device ??= await registerDevice(this.store, this.#csrf);
    this.#revoked = false;
    this.#untell("device");
    return new Transport("", this.#device.token, (url, init) => fetch(url, init));
  }

  #synced(state: SyncState): void {
    this.#line.sync(state);
    if (state.mood !== "revoked") return;
    if (this.#device !== null) this.#askToConnect(text("revoked"));
    else this.#askToConnect(text(state.status === 409 ? "too_many" : "register_failed"));
  }

  /** A new token in the place of one that is over. */
  #register(): void {
    this.#device = null;
    this.#revoked = true;
    void this.#syncer.reconnect();
  }

  #askToConnect(words: string): void {
    const signIn = el("a", { class: "button", href: "/sign-in?next=/attend/app" }, text("sign_in"));
    const connect = button(text("register"), () => this.#register(), { kind: "primary" });
    this.#tell("device", notice("warning", text("revoked_title"), words, connect, signIn));
  }

  async #after({ elsewhere, refused, healed, differing }: Outcome): Promise<void> {
    if (refused.length > 0) await this.#tellRefused(refused);
    if (healed.length > 0) this.#tellOnce("healed", null, text("healed"));
    if (differing.length > 0) {
      this.#tell("differs", notice("warning", null, text("differs", { n: differing.length })));
    } else this.#untell("differs");
    const [, shown] = /^#\/session\/([\w.-]+)$/.exec(location.hash) ?? [];
    if (shown === undefined) return;
    const { store } = this;
    const here = elsewhere.filter(({ session }) => store.follow(session) === store.follow(shown));
    if (here.length === 0) return;
    const names = await this.#names(here.map(({ student }) => student));
    this.#tellOnce("changed", text("changed_title"), names || text("changed_roll"));
  }

  /** What somebody has said and the server did not keep must not vanish without a word. */
  async #tellRefused(refused: Refusal[]): Promise<void> {
    const lines: string[] = [];
    for (const place of new Set(refused.map(({ class_id, date }) => `${class_id} ${date}`))) {
      const [id = "", date = ""] = place.split(" ");
      const here = refused.filter((one) => one.class_id === id && one.date === date);
      const names = await this.#names(here.map(({ student }) => student));
      const held = await this.store.row("classes", id);
      lines.push(
        text("refused", {
          class: held?.name ?? "",
          day: date && dayWords(date),
          names: names || text("refused_roll"),
        }),
      );
    }
    this.#tellOnce("refused", text("refused_title"), lines.join(" "));
  }

  /** The first few of these students; empty for none. */
  async #names(ids: (string | null)[]): Promise<string> {
    const names: string[] = [];
    for (const id of new Set(ids)) {
      const student = id === null ? null : await this.store.row("students", id);
      if (student) names.push(student.name);
    }
    const first = names.slice(0, MANY_NAMES).join(", ");
    const rest = names.length - MANY_NAMES;
    return rest > 0 ? text("changed_and_more", { names: first, n: rest }) : first;
  }

  #tellOnce(key: string, title: string | null, words: string): void {
    const away = button(text("dismiss"), () => this.#untell(key), { extra: "attend-big" });
    this.#tell(key, notice("info", title, words, away));
    this.say([title, words].filter(Boolean).join(": "));
  }

  #tell(key: string, said: HTMLElement): void {
    this.#untell(key);
    said.dataset["notice"] = key;
    this.#notices.append(said);
  }

  #untell(key: string): void {
    this.#notices.querySelector(`[data-notice="${key}"]`)?.remove();
  }

  /** The menu's "Sign out" leaves nothing behind either. */
  #signingOut(event: SubmitEvent): void {
    const form = event.target as HTMLFormElement;
    if (new URL(form.action).pathname !== "/sign-out") return;
    event.preventDefault();
    void this.#askToLeave(() => form.submit());
  }

  async #askToLeave(then: () => void): Promise<void> {
    // The server may take what is left, if it answers soon.
    await Promise.race([this.#syncer.now(), new Promise((late) => setTimeout(late, LEAVING_MS))]);
    const unsynced = await hasUnsyncedChanges({ database: this.store.database });
    const count = await this.store.unsynced();
    openDialog(text("leave"), (close) => [
      unsynced && notice("danger", null, text("leave_unsynced", { n: count })),
      el("p", {}, text("leave_sure")),
      el(
        "div",
        { class: "row" },
        button(
          text(unsynced ? "leave_anyway" : "leave"),
          async () => {
            close();
            await this.#remove();
            then();
          },
          { kind: unsynced ? "danger" : "primary", icon: "sign-out" },
        ),
        button(text("cancel"), close, { kind: "plain" }),
      ),
    ]);
  }

  async #remove(): Promise<void> {
    await this.stop();
    if (this.#device) await revokeDevice(this.#device, this.#csrf);
    await this.store.destroy();
    // The page that is kept names who was signed in.
    const cached = (await caches.keys()).filter((name) => name.startsWith("attend-"));
    await Promise.all(cached.map((name) => caches.delete(name)));
    const worker = await navigator.serviceWorker?.getRegistration("/attend/");
    await worker?.unregister();
    this.#claim.release();
    this.#line.root.remove();
    this.#notices.replaceChildren();
    this.#screenRoot.replaceChildren(
      el("h1", { tabindex: "-1" }, text("left")),
      el("p", {}, text("left_text")),
      link(text("sign_in"), "/", "button"),
    );
    this.#screenRoot.querySelector("h1")?.focus();
  }
}
