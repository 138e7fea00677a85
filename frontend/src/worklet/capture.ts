// Runs in the audio thread: mixes the microphone to one channel and hands over blocks of 20 ms,
// each with the number of its first sample, so that a lost block shows as a gap in time.

declare const sampleRate: number;
declare const currentFrame: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: typeof AudioWorkletProcessor): void;

const BLOCK = Math.round(sampleRate / 50);

class CaptureProcessor extends AudioWorkletProcessor {
  #block = new Float32Array(BLOCK);
  #filled = 0;
  #first = 0;

  process(inputs: Float32Array[][]): boolean {
    const channels = inputs[0] ?? [];
    const left = channels[0];
    if (left === undefined) {
      this.#filled = 0; // Nothing is connected: what was begun does not continue later.
      return true;
    }
    for (let i = 0; i < left.length; i++) {
      if (this.#filled === 0) this.#first = currentFrame + i;
      let sum = 0;
      for (const channel of channels) sum += channel[i] ?? 0;
      this.#block[this.#filled++] = sum / channels.length;
      if (this.#filled === BLOCK) {
        const samples = this.#block;
        this.#block = new Float32Array(BLOCK);
        this.#filled = 0;
        this.port.postMessage({ samples, first: this.#first }, [samples.buffer]);
      }
    }
    return true;
  }
}

registerProcessor("capture", CaptureProcessor);
