// Places captured frames on the track's time: milliseconds since the track was opened.
//
// Within a run the sample counter is exact and the clock is not (messages from the audio thread
// arrive late, never early), so the counter leads. When even the promptest recent message is far
// behind it, the counter stood still (a suspended device) and time jumps forward.

const WINDOW = 100; // frames, 2 s
const JUMP_MS = 250;

export class Timeline {
  readonly #epochMs: number;
  #endMs: number;
  #anchorMs: number | null = null;
  #promptest = Infinity;
  #seen = 0;

  /** `epochMs`: clock time of the track's beginning. `endMs`: where what is placed ends. */
  constructor(epochMs: number, endMs: number) {
    this.#epochMs = epochMs;
    this.#endMs = endMs;
  }

  /** End of what has been placed. */
  get endMs(): number {
    return this.#endMs;
  }

  /** A new run of the sample counter begins: another microphone, or capture after a pause. */
  restart(): void {
    this.#anchorMs = null;
    this.#promptest = Infinity;
    this.#seen = 0;
  }

  /** Start of a frame whose first sample the counter puts at `positionMs`. */
  place(positionMs: number, durationMs: number, nowMs: number): number {
    const offset = nowMs - durationMs - positionMs;
    this.#anchorMs ??= offset;
    this.#promptest = Math.min(this.#promptest, offset);
    this.#seen += 1;
    if (this.#seen === WINDOW) {
      if (this.#promptest > this.#anchorMs + JUMP_MS) this.#anchorMs = this.#promptest;
      this.#promptest = Infinity;
      this.#seen = 0;
    }
    const start = Math.round(this.#anchorMs + positionMs - this.#epochMs);
    const placed = Math.max(start, this.#endMs);
    this.#endMs = placed + durationMs;
    return placed;
  }
}
