// Decides which chunks travel without their sound: the quiet ones among quiet ones.
//
// A quiet chunk just before a loud one keeps its sound (words begin softly), and so do the first
// ones after it (words end softly, and the listener needs to hear the pause). Only a quiet chunk
// after quiet ones has to wait for its successor, so speech is never delayed.

const HANGOVER = 2; // chunks

export class SilenceGate<T extends { quiet: boolean; muted: boolean }> {
  #held: T | null = null;
  #quietRun = HANGOVER;

  /** The chunks that can go now, in order, each with its verdict. */
  push(chunk: T): { chunk: T; silent: boolean }[] {
    if (chunk.muted) {
      this.#quietRun = HANGOVER;
      return [...this.flush(), { chunk, silent: true }];
    }
    if (!chunk.quiet) {
      const before = this.#release(false);
      this.#quietRun = 0;
      return [...before, { chunk, silent: false }];
    }
    if (this.#quietRun < HANGOVER) {
      this.#quietRun += 1;
      return [{ chunk, silent: false }];
    }
    const before = this.#release(true);
    this.#held = chunk;
    return before;
  }

  /** Nothing follows: the waiting chunk goes as silence. */
  flush(): { chunk: T; silent: boolean }[] {
    return this.#release(true);
  }

  #release(silent: boolean): { chunk: T; silent: boolean }[] {
    const held = this.#held;
    this.#held = null;
    return held === null ? [] : [{ chunk: held, silent }];
  }
}
