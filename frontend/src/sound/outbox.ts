// Chunks on their way: kept in order until acknowledged, sent within a window, sent again from
// wherever the server asks. A full outbox takes no more, so what it holds has no hole in it.

import { decodeChunk, encodeChunk, type Chunk } from "./frame.ts";

export interface Kept {
  seq: number;
  startMs: number;
  durationMs: number;
  silent: boolean;
  bytes: Uint8Array<ArrayBuffer>;
}

export function keep(chunk: Chunk): Kept {
  const { seq, startMs, durationMs, silent } = chunk;
  return { seq, startMs, durationMs, silent, bytes: encodeChunk(chunk) };
}

const WIDEST_WINDOW = 32; // chunks under way at once
const NARROWEST_WINDOW = 2;

export class Outbox {
  readonly limitMs: number;
  #kept: Kept[] = [];
  #nextSeq: number;
  #sent = 0; // how many of #kept are under way
  #window = WIDEST_WINDOW;

  constructor(kept: Kept[], nextSeq: number, limitMs: number) {
    this.#kept = kept;
    this.#nextSeq = nextSeq;
    this.limitMs = limitMs;
  }

  /** The number of the next new chunk. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  /** What waits for its acknowledgement, in order. */
  get kept(): readonly Kept[] {
    return this.#kept;
  }

  get underWay(): number {
    return this.#sent;
  }

  get waitingMs(): number {
    return this.#kept.reduce((sum, kept) => sum + kept.durationMs, 0);
  }

  get full(): boolean {
    return this.waitingMs >= this.limitMs;
  }

  add(kept: Kept): void {
    if (kept.seq !== this.#nextSeq) throw new RangeError(`${kept.seq} is not ${this.#nextSeq}`);
    this.#kept.push(kept);
    this.#nextSeq += 1;
  }

  /** The chunks to send now. */
  take(): Kept[] {
    const until = Math.min(this.#kept.length, this.#window);
    const taken = this.#kept.slice(this.#sent, until);
    this.#sent = Math.max(this.#sent, until);
    return taken;
  }

  /** Everything up to `seq` is safe with the server. */
  acknowledge(seq: number): void {
    const done = this.#kept.filter((kept) => kept.seq <= seq).length;
    this.#kept.splice(0, done);
    this.#sent = Math.max(0, this.#sent - done);
    if (done > 0) this.#window = Math.min(WIDEST_WINDOW, this.#window + 1);
  }

  /** Send again from `seq` on. False: that chunk is not here any more. */
  rewind(seq: number): boolean {
    const first = this.#kept[0]?.seq ?? this.#nextSeq;
    if (seq < first) return false;
    this.#sent = Math.min(this.#sent, seq - first);
    return true;
  }

  /** The connection is gone; nothing is under way. */
  recall(): void {
    this.#sent = 0;
  }

  slower(): void {
    this.#window = Math.max(NARROWEST_WINDOW, this.#window >> 1);
  }

  /** The server has everything before `seq` and wants that next. False: it wants what is gone. */
  resume(seq: number): boolean {
    this.acknowledge(seq - 1);
    this.#nextSeq = Math.max(this.#nextSeq, seq);
    return this.rewind(seq);
  }

  /** Gives what waits new numbers, from `seq` on, and moves it back by `shiftMs`. */
  renumber(seq: number, shiftMs: number): void {
    this.#kept = this.#kept.map((kept, index) =>
      keep({ ...decodeChunk(kept.bytes), seq: seq + index, startMs: kept.startMs - shiftMs }),
    );
    this.#nextSeq = seq + this.#kept.length;
    this.#sent = 0;
  }
}
