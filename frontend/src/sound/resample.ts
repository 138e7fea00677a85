// Another sample rate, block by block, by a windowed sinc (Blackman): for browsers that will not
// run the audio graph at the rate that is sent.

const ZERO_CROSSINGS = 16;

/** Turns blocks of a fixed length into blocks of `outLength` samples of the same duration. */
export class Resampler {
  readonly #step: number;
  readonly #cutoff: number;
  readonly #reach: number;
  readonly #outLength: number;
  #history: Float32Array;

  constructor(inLength: number, outLength: number) {
    this.#step = inLength / outLength;
    this.#cutoff = Math.min(1, outLength / inLength);
    this.#reach = Math.ceil(ZERO_CROSSINGS / this.#cutoff);
    this.#outLength = outLength;
    this.#history = new Float32Array(2 * this.#reach);
  }

  /** The output is late by the filter's reach (16 samples of the lower rate, about 1 ms). */
  next(block: Float32Array): Float32Array<ArrayBuffer> {
    const input = new Float32Array(this.#history.length + block.length);
    input.set(this.#history);
    input.set(block, this.#history.length);
    this.#history = input.slice(block.length);
    const out = new Float32Array(this.#outLength);
    for (let n = 0; n < out.length; n++) {
      const centre = this.#reach + n * this.#step;
      const from = Math.ceil(centre - this.#reach);
      const to = Math.min(input.length - 1, Math.floor(centre + this.#reach));
      let sum = 0;
      for (let i = from; i <= to; i++) sum += (input[i] ?? 0) * this.#kernel(i - centre);
      out[n] = sum;
    }
    return out;
  }

  #kernel(distance: number): number {
    const x = Math.PI * distance * this.#cutoff;
    const sinc = Math.abs(x) < 1e-9 ? 1 : Math.sin(x) / x;
    const w = (Math.PI * distance) / this.#reach;
    return this.#cutoff * sinc * (0.42 + 0.5 * Math.cos(w) + 0.08 * Math.cos(2 * w));
  }
}
