// One frame of samples in, one payload out, in order.

import { FRAME_MS } from "./chunker.ts";
import { joinPackets } from "./frame.ts";

export type Codec = "opus" | "pcm16";

export const SAMPLE_RATE: Record<Codec, 48000 | 16000> = { opus: 48000, pcm16: 16000 };

export interface FrameEncoder<Meta> {
  encode(samples: Float32Array<ArrayBuffer>, meta: Meta): void;
  /** Resolves when everything given so far has come out. */
  flush(): Promise<void>;
  close(): void;
}

const OPUS: AudioEncoderConfig = {
  codec: "opus",
  sampleRate: SAMPLE_RATE.opus,
  numberOfChannels: 1,
  bitrate: 24_000,
  opus: { frameDuration: FRAME_MS * 1000 },
};

export async function bestCodec(): Promise<Codec> {
  if (typeof AudioEncoder === "undefined") return "pcm16";
  try {
    return (await AudioEncoder.isConfigSupported(OPUS)).supported ? "opus" : "pcm16";
  } catch {
    return "pcm16";
  }
}

export function joinPayloads(codec: Codec, payloads: readonly Uint8Array[]): Uint8Array {
  if (codec === "opus") return joinPackets(payloads);
  const joined = new Uint8Array(payloads.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of payloads) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export function frameEncoder<Meta>(
  codec: Codec,
  out: (payload: Uint8Array, meta: Meta) => void,
): FrameEncoder<Meta> {
  return codec === "opus" ? new OpusEncoder(out) : new PcmEncoder(out);
}

export function pcm16(samples: Float32Array): Uint8Array {
  const bytes = new Uint8Array(samples.length * 2);
  const view = new DataView(bytes.buffer);
  samples.forEach((sample, index) => {
    const clipped = Math.max(-1, Math.min(1, sample));
    view.setInt16(index * 2, Math.round(clipped * 32767), true);
  });
  return bytes;
}

class PcmEncoder<Meta> implements FrameEncoder<Meta> {
  readonly #out: (payload: Uint8Array, meta: Meta) => void;

  constructor(out: (payload: Uint8Array, meta: Meta) => void) {
    this.#out = out;
  }

  encode(samples: Float32Array, meta: Meta): void {
    this.#out(pcm16(samples), meta);
  }

  async flush(): Promise<void> {}

  close(): void {}
}

class OpusEncoder<Meta> implements FrameEncoder<Meta> {
  readonly #out: (payload: Uint8Array, meta: Meta) => void;
  #encoder: AudioEncoder;
  #pending: Meta[] = [];
  #count = 0;

  constructor(out: (payload: Uint8Array, meta: Meta) => void) {
    this.#out = out;
    this.#encoder = this.#start();
  }

  #start(): AudioEncoder {
    const encoder = new AudioEncoder({
      output: (packet) => {
        const meta = this.#pending.shift();
        if (meta === undefined) return;
        const payload = new Uint8Array(packet.byteLength);
        packet.copyTo(payload);
        this.#out(payload, meta);
      },
      // A failed encoder is replaced; the frames that were in it are missing from the timeline.
      error: () => {
        this.#pending = [];
        this.#encoder = this.#start();
      },
    });
    encoder.configure(OPUS);
    return encoder;
  }

  encode(samples: Float32Array<ArrayBuffer>, meta: Meta): void {
    const data = new AudioData({
      format: "f32-planar",
      sampleRate: SAMPLE_RATE.opus,
      numberOfFrames: samples.length,
      numberOfChannels: 1,
      timestamp: this.#count++ * FRAME_MS * 1000,
      data: samples,
    });
    this.#pending.push(meta);
    this.#encoder.encode(data);
    data.close();
  }

  async flush(): Promise<void> {
    if (this.#encoder.state === "configured") await this.#encoder.flush();
  }

  close(): void {
    if (this.#encoder.state !== "closed") this.#encoder.close();
  }
}
