// Collects encoded frames of 20 ms into chunks.

import { attenuation, type Level } from "./levels.ts";

export const FRAME_MS = 20;
export const FRAMES_PER_CHUNK = 20;

/** A chunk is quiet when no frame of it is louder than -54 dBFS: below a whisper at arm's length
 * with the browser's gain control, above the noise that remains after its suppression. */
const QUIET_POWER = 10 ** (-54 / 10);

export interface Frame extends Level {
  startMs: number;
  muted: boolean;
  payload: Uint8Array;
}

export interface RawChunk {
  startMs: number;
  durationMs: number;
  peak: number;
  rms: number;
  quiet: boolean;
  muted: boolean;
  payloads: Uint8Array[];
}

export class Chunker {
  #frames: Frame[] = [];

  /** The chunks that this frame completes: a full one, or one that it does not continue. */
  add(frame: Frame): RawChunk[] {
    const done: RawChunk[] = [];
    const last = this.#frames.at(-1);
    if (last && (frame.muted !== last.muted || frame.startMs !== last.startMs + FRAME_MS)) {
      done.push(...this.flush());
    }
    this.#frames.push(frame);
    if (this.#frames.length === FRAMES_PER_CHUNK) done.push(...this.flush());
    return done;
  }

  flush(): RawChunk[] {
    const frames = this.#frames;
    this.#frames = [];
    const first = frames[0];
    if (first === undefined) return [];
    const power = frames.reduce((sum, frame) => sum + frame.power, 0) / frames.length;
    return [
      {
        startMs: first.startMs,
        durationMs: frames.length * FRAME_MS,
        peak: attenuation(Math.max(...frames.map((frame) => frame.peak))),
        rms: attenuation(Math.sqrt(power)),
        quiet: frames.every((frame) => frame.power < QUIET_POWER),
        muted: first.muted,
        payloads: frames.map((frame) => frame.payload),
      },
    ];
  }
}
