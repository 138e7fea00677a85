// Plays a group's tracks together on the session's clock, beside its transcript.
//
// The page holds <audio data-start="seconds into the session"> elements and lines with data-start
// and data-end. A line's click seeks; the line being said is marked with aria-current.

import { clockText } from "../clock.ts";
import { part } from "../part.ts";
import { strings } from "../strings.ts";

const text = strings("player", {
  play: "Play",
  pause: "Pause",
  position: "Position",
  failed: "A recording could not be played.",
});

const SKIP_S = 5;
const APART_S = 0.15; // a track further from the clock than this is moved
const TICK_MS = 100;

export default function start(root: HTMLElement): void {
  const tracks = [...root.querySelectorAll<HTMLAudioElement>("audio")];
  const lines = [...root.querySelectorAll<HTMLElement>("[data-start]")].filter(
    (line) => !(line instanceof HTMLAudioElement),
  );
  if (tracks.length > 0) new Player(root, tracks, lines);
}

class Player {
  readonly #tracks: HTMLAudioElement[];
  readonly #lines: HTMLElement[];
  readonly #button: HTMLButtonElement;
  readonly #slider: HTMLInputElement;
  readonly #time: HTMLElement;
  #at = 0; // seconds into the session
  #since: number | null = null; // performance.now() when playing
  #ticker: ReturnType<typeof setInterval> | undefined;

  constructor(root: HTMLElement, tracks: HTMLAudioElement[], lines: HTMLElement[]) {
    this.#tracks = tracks;
    this.#lines = lines;
    this.#button = part(root, "play", "button", { type: "button", class: "button" });
    this.#slider = part(root, "position", "input", { type: "range", step: "0.1" });
    this.#time = part(root, "time", "span", { class: "numeric" });
    const status = part(root, "status", "p", { role: "status" });
    this.#slider.setAttribute("aria-label", text("position"));
    this.#button.addEventListener("click", () => this.#toggle());
    this.#slider.addEventListener("input", () => this.#seek(Number(this.#slider.value)));
    for (const track of tracks) {
      track.controls = false;
      track.preload = "metadata";
      track.addEventListener("loadedmetadata", () => this.#draw());
      track.addEventListener("error", () => (status.textContent = text("failed")));
    }
    for (const line of lines) {
      line.addEventListener("click", (event) => {
        if (event.target instanceof Element && event.target.closest("a")) event.preventDefault();
        this.#seek(startOf(line));
        if (this.#since === null) this.#toggle();
      });
    }
    root.addEventListener("keydown", (event) => this.#key(event));
    this.#at = this.#start;
    const wanted = /^#t=(\d+(?:\.\d+)?)$/.exec(location.hash);
    if (wanted) this.#at = Number(wanted[1]);
    this.#draw();
  }

  get #now(): number {
    if (this.#since === null) return this.#at;
    return this.#at + (performance.now() - this.#since) / 1000;
  }

  get #start(): number {
    return Math.min(...this.#tracks.map(startOf));
  }

  get #end(): number {
    const ends = this.#tracks.map((track) => startOf(track) + (track.duration || 0));
    return Math.max(...ends);
  }

  #toggle(): void {
    this.#at = this.#now;
    if (this.#since === null) {
      if (this.#at >= this.#end) this.#at = this.#start;
      this.#since = performance.now();
      this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    } else {
      this.#since = null;
      clearInterval(this.#ticker);
    }
    this.#tick();
  }

  #seek(seconds: number): void {
    this.#at = Math.max(this.#start, Math.min(seconds, this.#end || seconds));
    if (this.#since !== null) this.#since = performance.now();
    this.#tick();
  }

  #tick(): void {
    const now = this.#now;
    if (this.#since !== null && this.#end > 0 && now >= this.#end) {
      this.#at = this.#end;
      this.#since = null;
      clearInterval(this.#ticker);
    }
    for (const track of this.#tracks) this.#align(track, now - startOf(track));
    this.#draw();
  }

  #align(track: HTMLAudioElement, at: number): void {
    const sounds = this.#since !== null && at >= 0 && at < (track.duration || Infinity);
    if (!sounds) {
      if (!track.paused) track.pause();
      return;
    }
    if (Math.abs(track.currentTime - at) > APART_S && !track.seeking) track.currentTime = at;
    if (track.paused) void track.play().catch(() => {});
  }

  #key(event: KeyboardEvent): void {
    const on = event.target as HTMLElement;
    if (on.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && !on.closest("button, a, summary")) this.#toggle();
    else if (event.key === "ArrowRight") this.#seek(this.#now + SKIP_S);
    else if (event.key === "ArrowLeft") this.#seek(this.#now - SKIP_S);
    else return;
    event.preventDefault();
  }

  #draw(): void {
    const now = this.#now;
    const label = text(this.#since === null ? "play" : "pause");
    if (this.#button.textContent !== label) this.#button.textContent = label;
    this.#slider.min = String(this.#start);
    this.#slider.max = String(this.#end);
    this.#slider.value = String(now);
    this.#slider.setAttribute("aria-valuetext", clockText(now));
    this.#time.textContent = `${clockText(now)} / ${clockText(this.#end)}`;
    for (const line of this.#lines) {
      const said = now >= startOf(line) && now < Number(line.dataset["end"] ?? Infinity);
      if (said === line.hasAttribute("aria-current")) continue;
      line.toggleAttribute("aria-current", said);
      if (!said) continue;
      line.setAttribute("aria-current", "true");
      if (this.#since !== null) line.scrollIntoView({ block: "nearest" });
    }
  }
}

function startOf(element: HTMLElement): number {
  return Number(element.dataset["start"] ?? 0);
}
