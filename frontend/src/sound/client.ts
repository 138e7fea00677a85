// One participant's sound, from microphone to acknowledgement.
//
// Every chunk is on disk before it is sent and stays there until the server says that it has it.
// Chunks are stored one after another in a queue, so that numbers, disk and wire keep one order.

import { bestCodec, SAMPLE_RATE, type Codec } from "./encoder.ts";
import { levelOf } from "./levels.ts";
import { Line } from "./line.ts";
import { TOO_FAST, type LinkState } from "./link.ts";
import { Microphone, type Block } from "./microphone.ts";
import { keep, Outbox } from "./outbox.ts";
import { Recorder, type Recorded } from "./recorder.ts";
import type { Facts, SessionState } from "./state.ts";
import { Store, type Track } from "./store.ts";
import { Timeline } from "./timeline.ts";

/** Half an hour of sound waits on a device that cannot reach the server; then capture stops. */
const BACKLOG_LIMIT_MS = 30 * 60 * 1000;
/** Chunks under way without one acknowledgement for this long: connect anew and ask. */
const STALLED_MS = 30_000;
/** After the end, how long the last words may take to arrive. */
const FAREWELL_MS = 10_000;
/** Speech is louder than this (mean square of a frame), for this many frames within the check. */
const SPEECH_POWER = 10 ** (-45 / 10);
const SPEECH_FRAMES = 15;

/** Milliseconds since 1970 that never step back while the page lives. */
function clock(): number {
  return performance.timeOrigin + performance.now();
}

export interface Report extends Facts {
  /** Mean square of the newest frame. */
  power: number;
  waitingMs: number;
  /** The device holds all it may; newer words are lost. */
  full: boolean;
  /** Chunks could not be put on disk; they are in memory only. */
  unstored: boolean;
}

type ServerMessage =
  | {
      type: "welcome";
      track: string;
      next_seq: number;
      consent: boolean;
      session: SessionState;
      muted: boolean;
    }
  | { type: "ack"; seq: number }
  | { type: "resend"; from: number }
  | { type: "consent"; given: boolean }
  | { type: "state"; session: SessionState }
  | { type: "mute"; muted: boolean }
  | { type: "error"; code: string; message: string; fatal: boolean }
  | { type: "pong" };

export class SoundClient {
  readonly microphone: Microphone;
  readonly #line: Line;
  readonly #store: Store | null; // null where the browser offers none
  readonly #codec: Codec;
  readonly #deviceClass: string;
  readonly #onChange: () => void;

  #track: Track | null;
  #outbox: Outbox;
  #timeline: Timeline;
  #opensMs = 0; // clock time at which a track begins that the server opens now
  #recorder: Recorder | null = null;
  #lastProgress = 0; // when a chunk was last acknowledged or none was under way

  #consent: boolean | null = null;
  #session: SessionState | null = null;
  #muted = false;
  #speechFrames = 0;
  #power = 0;
  #full = false;
  #unstored = false;
  #leaving = false;
  #work: Promise<void> = Promise.resolve();

  private constructor(
    url: URL,
    store: Store | null,
    codec: Codec,
    saved: Awaited<ReturnType<Store["load"]>>,
    deviceClass: string,
    onChange: () => void,
  ) {
    this.#line = new Line(url, {
      hello: () => this.#hello(),
      message: (text, line) => this.#receive(text, line),
      down: (code) => this.#down(code),
      changed: (state) => this.#linked(state),
      stalled: () => this.#stalled(),
    });
    this.#store = store;
    this.#codec = codec;
    this.#deviceClass = deviceClass;
    this.#onChange = onChange;
    this.#track = saved?.track ?? null;
    this.#outbox = new Outbox(saved?.kept ?? [], this.#track?.nextSeq ?? 0, BACKLOG_LIMIT_MS);
    this.#timeline = new Timeline(this.#track?.epochMs ?? 0, this.#track?.endMs ?? 0);
    this.microphone = new Microphone(SAMPLE_RATE[codec], this.#hear, this.#settle);
  }

  static async open(
    url: URL,
    participant: string,
    deviceClass: string,
    onChange: () => void,
  ): Promise<SoundClient> {
    const [store, best] = await Promise.all([
      Store.open(participant).catch(() => null),
      bestCodec(),
    ]);
    const saved = (await store?.load()) ?? null;
    // A track keeps the codec that it began with.
    return new SoundClient(url, store, saved?.track.codec ?? best, saved, deviceClass, onChange);
  }

  get report(): Report {
    return {
      link: this.#line.state,
      consent: this.#consent,
      session: this.#session,
      muted: this.#muted,
      microphone: this.microphone.state,
      heard: this.#speechFrames >= SPEECH_FRAMES,
      power: this.#power,
      waitingMs: this.#outbox.waitingMs,
      full: this.#full,
      unstored: this.#unstored,
    };
  }

  connect(): void {
    this.#leaving = false;
    this.#line.start();
  }

  online(): void {
    this.#line.online();
  }

  mute(muted: boolean): void {
    this.#muted = muted;
    this.#line.tell({ type: "mute", muted });
    this.#settle();
  }

  /** Ends the track: the last words are sent, then nothing is left on this device. */
  async leave(): Promise<void> {
    this.#leaving = true;
    await this.#finish();
    this.#line.stop("left");
  }

  /** Another tab took over; it has the track and what is on disk. */
  giveWay(): void {
    this.#recorder?.discard();
    this.#recorder = null;
    this.#line.stop("replaced");
  }

  // --- sound in ---

  #hear = (block: Block): void => {
    const { power } = levelOf(block.samples);
    this.#power = this.#muted ? 0 : power;
    if (power > SPEECH_POWER) this.#speechFrames += 1;
    if (this.#recorder !== null && !this.#full) this.#recorder.add(block, this.#muted);
    this.#onChange();
  };

  #keep(chunk: Recorded, last = false): void {
    this.#enqueue(async () => {
      if (this.#track === null || this.#consent === false) return;
      const kept = keep({ ...chunk, seq: this.#outbox.nextSeq, last });
      const endMs = kept.startMs + kept.durationMs;
      this.#outbox.add(kept);
      this.#track = { ...this.#track, endMs, nextSeq: this.#outbox.nextSeq };
      await this.#save(() => this.#track && this.#store?.add(this.#track, kept));
      this.#full = this.#outbox.full;
      this.#send();
    });
  }

  /** Puts capture in line with what is allowed and needed now. */
  #settle = (): void => {
    const wanted =
      this.#consent === true &&
      this.#session === "live" &&
      this.#track !== null &&
      !this.#leaving &&
      this.#line.state.phase !== "stopped";
    const over = this.#session === "ended" || this.#line.state.phase === "stopped";
    if (this.#consent === false || over) this.microphone.stop();
    this.microphone.enable(!this.#muted && this.#session !== "paused");
    if (this.microphone.state !== "on") this.#power = 0;
    if (this.microphone.state === "off") this.#speechFrames = 0;
    if (wanted && this.#recorder === null) {
      this.#recorder = new Recorder(this.#codec, this.#timeline, (chunk) => this.#keep(chunk));
    } else if (!wanted && this.#recorder !== null) {
      void this.#endRecording();
    }
    this.#onChange();
  };

  async #endRecording(): Promise<void> {
    const recorder = this.#recorder;
    this.#recorder = null;
    if (this.#consent === false) recorder?.discard();
    else await recorder?.finish();
  }

  async #finish(): Promise<void> {
    await this.#endRecording();
    this.microphone.stop();
    if (this.#track !== null) {
      const startMs = this.#timeline.endMs;
      const nothing = { peak: 127, rms: 127, silent: true, muted: false };
      this.#keep({ ...nothing, startMs, durationMs: 0, payload: new Uint8Array() }, true);
    }
    const until = performance.now() + FAREWELL_MS;
    await this.#work;
    const up = () => this.#line.state.phase === "up" && performance.now() < until;
    while (this.#outbox.kept.length > 0 && up()) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    if (this.#outbox.kept.length === 0 || this.#session === "ended") await this.#forget();
  }

  /** Nothing of this track stays on the device. */
  async #forget(): Promise<void> {
    this.#track = null;
    this.#outbox = new Outbox([], 0, BACKLOG_LIMIT_MS);
    this.#full = false;
    this.#enqueue(() => this.#save(() => this.#store?.clear()));
    await this.#work;
  }

  // --- the connection ---

  #linked(state: LinkState): void {
    if (state.phase === "stopped" && (state.reason === "no_consent" || state.reason === "ended")) {
      void this.#forget();
    }
    this.#settle();
  }

  #hello(): object {
    // A new track would begin with the first chunk that waits here, or else now.
    const first = this.#outbox.kept[0];
    this.#opensMs = first && this.#track ? this.#track.epochMs + first.startMs : clock();
    this.#lastProgress = performance.now();
    return {
      type: "hello",
      protocol: 1,
      track: this.#track?.track ?? null,
      codec: this.#codec,
      sample_rate: SAMPLE_RATE[this.#codec],
      elapsed_ms: Math.round(clock() - this.#opensMs),
      device: this.#deviceClass,
    };
  }

  #receive(text: string, line: symbol): void {
    // In the queue, so that no acknowledgement overtakes the chunk that is being stored.
    this.#enqueue(async () => {
      if (line === this.#line.id) await this.#obey(JSON.parse(text) as ServerMessage);
    });
  }

  #down(code: number): void {
    this.#outbox.recall();
    if (code === TOO_FAST) this.#outbox.slower();
  }

  #stalled(): boolean {
    const now = performance.now();
    if (this.#outbox.underWay === 0) this.#lastProgress = now;
    return now - this.#lastProgress > STALLED_MS;
  }

  #send(): void {
    if (this.#line.state.phase !== "up" || this.#consent !== true) return;
    // In a pause the server keeps nothing; what was said before it can wait.
    if (this.#session !== "live" && this.#session !== "ended") return;
    for (const kept of this.#outbox.take()) this.#line.send(kept.bytes);
  }

  async #obey(message: ServerMessage): Promise<void> {
    switch (message.type) {
      case "welcome":
        await this.#welcome(message);
        break;
      case "ack":
        this.#outbox.acknowledge(message.seq);
        this.#lastProgress = performance.now();
        await this.#save(() => this.#store?.acknowledge(message.seq));
        this.#full = this.#outbox.full;
        break;
      case "resend":
        if (!this.#outbox.rewind(message.from)) this.#line.again();
        break;
      case "consent":
        await this.#consented(message.given);
        if (message.given && this.#track === null) this.#line.again(); // to be given a track
        break;
      case "state":
        this.#turn(message.session);
        break;
      case "mute":
        this.#muted = message.muted;
        break;
      case "error":
        console.warn(`sound: ${message.code}: ${message.message}`);
        break;
      case "pong":
        return;
    }
    this.#settle();
    this.#send();
  }

  async #welcome(message: Extract<ServerMessage, { type: "welcome" }>): Promise<void> {
    await this.#consented(message.consent);
    this.#muted ||= message.muted;
    if (message.consent) {
      await this.#takeUp(message.track, message.next_seq);
    }
    this.#line.welcomed();
    if (this.#muted !== message.muted) this.#line.tell({ type: "mute", muted: this.#muted });
    this.#turn(message.session);
  }

  /** Continues the track that the server named, from the chunk that it needs next. */
  async #takeUp(name: string, nextSeq: number): Promise<void> {
    const known = this.#track;
    if (known?.track === name) {
      // If the server needs what this device lost, the rest follows as a gap in time.
      if (!this.#outbox.resume(nextSeq)) this.#outbox.renumber(nextSeq, 0);
      this.#track = { ...known, nextSeq: this.#outbox.nextSeq };
    } else {
      this.#recorder?.discard();
      this.#recorder = null;
      const epochMs = this.#opensMs;
      const waits = this.#outbox.kept[0];
      const shift = waits?.startMs ?? 0;
      this.#outbox.renumber(nextSeq, shift);
      const endMs = waits ? this.#timeline.endMs - shift : 0;
      this.#timeline = new Timeline(epochMs, endMs);
      this.#track = { track: name, codec: this.#codec, epochMs, endMs, nextSeq: this.#outbox.nextSeq };
    }
    const track = this.#track;
    await this.#save(() => this.#store?.replace(track, this.#outbox.kept));
  }

  async #consented(given: boolean): Promise<void> {
    this.#consent = given;
    if (given) return;
    await this.#endRecording();
    this.#track = null;
    this.#outbox = new Outbox([], 0, BACKLOG_LIMIT_MS);
    await this.#save(() => this.#store?.clear());
  }

  #turn(session: SessionState): void {
    const ends = session === "ended" && this.#session !== "ended";
    this.#session = session;
    if (ends) void this.#finish().then(() => this.#line.stop("ended"));
  }

  // --- order and disk ---

  #enqueue(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch((error: unknown) => {
      console.error("sound:", error);
      this.#line.again();
    });
  }

  async #save(write: () => Promise<void> | null | undefined): Promise<void> {
    try {
      await write();
      this.#unstored = this.#store === null;
    } catch (error) {
      if (error instanceof DOMException && error.name === "ConstraintError") this.giveWay();
      else this.#unstored = true;
    }
  }
}
