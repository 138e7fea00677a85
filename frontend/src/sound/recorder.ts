// From blocks of samples to numbered chunks: level, encoding, chunks, silence gate.

import { Chunker, FRAME_MS, type Frame, type RawChunk } from "./chunker.ts";
import { frameEncoder, joinPayloads, type Codec, type FrameEncoder } from "./encoder.ts";
import { SilenceGate } from "./gate.ts";
import { levelOf } from "./levels.ts";
import type { Block } from "./microphone.ts";
import type { Timeline } from "./timeline.ts";

/** A chunk that still lacks its number. */
export interface Recorded {
  startMs: number;
  durationMs: number;
  peak: number;
  rms: number;
  silent: boolean;
  muted: boolean;
  payload: Uint8Array;
}

export class Recorder {
  readonly #codec: Codec;
  readonly #timeline: Timeline;
  readonly #out: (chunk: Recorded) => void;
  readonly #encoder: FrameEncoder<Omit<Frame, "payload">>;
  readonly #chunker = new Chunker();
  readonly #gate = new SilenceGate<RawChunk>();

  constructor(codec: Codec, timeline: Timeline, out: (chunk: Recorded) => void) {
    this.#codec = codec;
    this.#timeline = timeline;
    this.#out = out;
    this.#encoder = frameEncoder(codec, (payload, meta) => {
      for (const chunk of this.#chunker.add({ ...meta, payload })) this.#emit(chunk);
    });
    timeline.restart();
  }

  add(block: Block, muted: boolean): void {
    if (block.begins) this.#timeline.restart();
    const startMs = this.#timeline.place(block.positionMs, FRAME_MS, block.atMs);
    if (muted) block.samples.fill(0);
    this.#encoder.encode(block.samples, { ...levelOf(block.samples), startMs, muted });
  }

  /** Gives out everything that was added; the recorder ends. */
  async finish(): Promise<void> {
    await this.#encoder.flush();
    this.#encoder.close();
    for (const chunk of this.#chunker.flush()) this.#emit(chunk);
    this.#send(this.#gate.flush());
  }

  /** Drops what was added and did not come out yet. */
  discard(): void {
    this.#encoder.close();
  }

  #emit(chunk: RawChunk): void {
    this.#send(this.#gate.push(chunk));
  }

  #send(decided: { chunk: RawChunk; silent: boolean }[]): void {
    for (const { chunk, silent } of decided) {
      const { startMs, durationMs, peak, rms, muted } = chunk;
      const payload = silent ? new Uint8Array() : joinPayloads(this.#codec, chunk.payloads);
      this.#out({ startMs, durationMs, peak, rms, silent, muted, payload });
    }
  }
}
