// The microphone of one participant, as a person sees it.

import { part } from "../part.ts";
import { SoundClient, type Report } from "../sound/client.ts";
import { meterValue } from "../sound/levels.ts";
import { shown, type Shown } from "../sound/state.ts";
import { strings } from "../strings.ts";

const text = strings("sound", {
  connecting: "Connecting …",
  check: "Check your microphone before the talk begins.",
  asleep: "Touch the page to turn the microphone on.",
  waiting: "Your microphone works. Waiting for the session to start.",
  quiet: "Your microphone is on. Speak when you like.",
  heard: "You are heard.",
  muted: "You are muted. This device sends no sound.",
  paused: "The session is paused. Nothing is heard now.",
  reconnecting: "Finding the way back. Keep talking: your words are kept on this device.",
  no_consent: "This device sends no sound, because there is no consent to recording.",
  microphone_denied:
    "This page may not use the microphone. Allow it in the browser’s address bar, then reload.",
  insecure: "Browsers give the microphone only to a secure (https) address. Tell your teacher.",
  microphone_lost: "The microphone is gone. Plug it in again or choose another one.",
  ended: "The session has ended. No sound is kept on this device.",
  left: "You have left. No sound is kept on this device.",
  replaced: "Another tab sends the sound now. Reload to use this one.",
  sign_in: "Your sign-in has run out. Enter the code again; your words are kept on this device.",
  failed: "The server did not accept the sound. Reload the page; tell your teacher if it stays.",
  check_button: "Check microphone",
  mute: "Mute",
  unmute: "Unmute",
  device: "Microphone",
  unnamed_device: "Microphone {number}",
  speak: "Say a few words …",
  hear_you: "We hear you.",
  too_quiet: "We hear nothing yet. Speak up, move closer, or choose another microphone.",
  level: "How loud your microphone hears you",
  backlog: "{seconds} seconds of your words wait on this device for the network.",
  full: "This device can keep no more words. What you say now is not heard.",
  unstored: "Words cannot be kept safe on this device. Do not close or reload the page.",
  reload: "Reload",
});

const BACKLOG_WARNING_MS = 5_000;
const UNLOAD_WARNING_MS = 1_500;
const TOO_QUIET_AFTER_MS = 6_000;
const CHOSEN_DEVICE = "classweave.microphone";
const CAPTURING: Shown[] = ["quiet", "heard", "muted", "reconnecting", "waiting"];
const RELOADABLE: Shown[] = ["replaced", "microphone_denied", "failed", "sign_in"];

function deviceClass(): string {
  const agent = navigator.userAgent;
  if (/CrOS/.test(agent)) return "chromebook";
  const desktopTablet = /Macintosh/.test(agent) && navigator.maxTouchPoints > 1;
  if (/iPad/.test(agent) || desktopTablet) return "tablet";
  if (/Android/.test(agent) && !/Mobile/.test(agent)) return "tablet";
  return /Mobi|iPhone/.test(agent) ? "phone" : "laptop";
}

async function allowedAlready(): Promise<boolean> {
  try {
    const name = "microphone" as PermissionName;
    return (await navigator.permissions.query({ name })).state === "granted";
  } catch {
    return false;
  }
}

/** One tab per participant: the newest has the microphone, the older one is told. */
function takeOver(participant: string, lost: () => void): void {
  const never = new Promise<void>(() => {});
  navigator.locks?.request(`classweave-sound ${participant}`, { steal: true }, () => never).catch(lost);
}

export default async function start(root: HTMLElement): Promise<void> {
  const { url, participant } = root.dataset;
  if (url === undefined || participant === undefined) {
    throw new Error("the sound island needs data-url and data-participant");
  }
  const address = new URL(url, location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  const view = new View(root);
  takeOver(participant, () => client.giveWay());
  const client = await SoundClient.open(address, participant, deviceClass(), () => view.update());
  view.attach(client);
  client.connect();
  addEventListener("online", () => client.online());
}

class View {
  readonly #root: HTMLElement;
  readonly #status: HTMLElement;
  readonly #meter: HTMLMeterElement;
  readonly #check: HTMLButtonElement;
  readonly #mute: HTMLButtonElement;
  readonly #device: HTMLSelectElement;
  readonly #result: HTMLElement;
  readonly #warning: HTMLElement;
  readonly #reload: HTMLButtonElement;
  #client: SoundClient | null = null;
  #drawn: Shown | null = null;
  #scheduled = false;
  #checkedAt: number | null = null;
  #passed = false;
  #offered = false;
  #wakeLock: WakeLockSentinel | null = null;

  constructor(root: HTMLElement) {
    this.#root = root;
    this.#status = part(root, "status", "p", { role: "status" });
    const scale = { min: "0", max: "1", low: "0.05", high: "0.95", optimum: "0.5" };
    this.#meter =
      root.querySelector("meter") ?? part(root, "meter", "meter", { ...scale, "aria-label": text("level") });
    this.#check = this.#button("check", text("check_button"));
    this.#mute = this.#button("mute", text("mute"));
    this.#device = part(root, "device", "select", { "aria-label": text("device") });
    this.#result = part(root, "result", "p", { "aria-live": "polite" });
    this.#warning = part(root, "warning", "p", { role: "alert" });
    this.#reload = this.#button("reload", text("reload"));
    this.#device.hidden = true;
  }

  attach(client: SoundClient): void {
    this.#client = client;
    this.#check.addEventListener("click", () => this.#listen());
    this.#mute.addEventListener("click", () => client.mute(!client.report.muted));
    this.#reload.addEventListener("click", () => location.reload());
    this.#device.addEventListener("change", () => {
      localStorage.setItem(CHOSEN_DEVICE, this.#device.value);
      this.#listen();
    });
    for (const touch of ["pointerdown", "keydown"]) {
      addEventListener(touch, () => client.microphone.wake(), { passive: true });
    }
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") client.microphone.wake();
      void this.#keepAwake();
    });
    addEventListener("beforeunload", (event) => {
      if (client.report.waitingMs > UNLOAD_WARNING_MS) event.preventDefault();
    });
    // A form marked data-leave waits until the last words have arrived.
    document.addEventListener("submit", (event) => {
      const form = event.target;
      if (!(form instanceof HTMLFormElement) || !form.matches("[data-leave]")) return;
      if (client.report.link.phase !== "up") return;
      event.preventDefault();
      void client.leave().then(() => form.submit());
    });
    this.update();
  }

  update(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Not an animation frame: those stop in a hidden tab, where a class may well talk on.
    setTimeout(() => {
      this.#scheduled = false;
      if (this.#client) this.#draw(this.#client.report, this.#client);
    }, 50);
  }

  #listen(): void {
    this.#checkedAt = performance.now();
    this.#passed = false;
    this.#result.textContent = text("speak");
    void this.#client?.microphone.start(localStorage.getItem(CHOSEN_DEVICE));
  }

  #draw(report: Report, client: SoundClient): void {
    const state = shown(report);
    if (state !== this.#drawn) this.#show(state, client);
    this.#meter.value = meterValue(report.power);
    const on = report.microphone === "on";
    this.#check.hidden = state !== "check";
    this.#mute.hidden = !on || !CAPTURING.includes(state);
    this.#mute.textContent = text(report.muted ? "unmute" : "mute");
    this.#mute.setAttribute("aria-pressed", String(report.muted));
    this.#reload.hidden = !RELOADABLE.includes(state);
    this.#judge(report, on);
    this.#warn(report);
  }

  #show(state: Shown, client: SoundClient): void {
    this.#drawn = state;
    this.#root.dataset["state"] = state;
    const drawn = this.#root.querySelector<HTMLTemplateElement>(`template[data-state="${state}"]`);
    if (drawn) this.#status.replaceChildren(drawn.content.cloneNode(true));
    else this.#status.textContent = text(state);
    if (state === "check" && !this.#offered) {
      this.#offered = true; // Where the browser allows it already, nobody has to ask again.
      void allowedAlready().then((allowed) => {
        if (allowed && client.report.microphone === "off") this.#listen();
      });
    }
    void this.#keepAwake();
    this.#root.dispatchEvent(
      new CustomEvent("classweave:sound", { bubbles: true, detail: { state } }),
    );
  }

  #judge(report: Report, on: boolean): void {
    if (!on) {
      if (report.microphone !== "asking") this.#result.textContent = "";
      return;
    }
    if (!this.#passed && report.heard) {
      this.#passed = true;
      this.#result.textContent = text("hear_you");
      this.#root.dispatchEvent(new CustomEvent("classweave:microphone-checked", { bubbles: true }));
    }
    if (this.#device.options.length === 0) void this.#offerDevices();
    const since = performance.now() - (this.#checkedAt ?? performance.now());
    if (!this.#passed && since > TOO_QUIET_AFTER_MS) this.#say(this.#result, text("too_quiet"));
  }

  #warn(report: Report): void {
    const seconds = 5 * Math.floor(report.waitingMs / 5_000);
    let warning = "";
    if (report.full) warning = text("full");
    else if (report.unstored) warning = text("unstored");
    else if (report.waitingMs >= BACKLOG_WARNING_MS) warning = text("backlog", { seconds });
    this.#say(this.#warning, warning);
    this.#warning.hidden = warning === "";
  }

  /** Changes a live region only when there is something new to say. */
  #say(element: HTMLElement, words: string): void {
    if (element.textContent !== words) element.textContent = words;
  }

  async #offerDevices(): Promise<void> {
    const devices = await navigator.mediaDevices.enumerateDevices();
    const inputs = devices.filter(({ kind }) => kind === "audioinput");
    const current = this.#client?.microphone.device;
    this.#device.replaceChildren(
      ...inputs.map(({ deviceId, label }, index) => {
        const name = label || text("unnamed_device", { number: index + 1 });
        return new Option(name, deviceId, false, deviceId === current);
      }),
    );
    this.#device.hidden = inputs.length < 2;
  }

  async #keepAwake(): Promise<void> {
    const wanted = this.#drawn !== null && CAPTURING.includes(this.#drawn);
    if (!wanted || document.visibilityState !== "visible") {
      await this.#wakeLock?.release();
      this.#wakeLock = null;
    } else if (this.#wakeLock === null || this.#wakeLock.released) {
      this.#wakeLock = (await navigator.wakeLock?.request("screen").catch(() => null)) ?? null;
    }
  }

  #button(name: string, label: string): HTMLButtonElement {
    const button = part(this.#root, name, "button", { type: "button", class: "button" });
    if (!button.textContent?.trim()) button.textContent = label;
    button.hidden = true;
    return button;
  }
}
