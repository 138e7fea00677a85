// The microphone as blocks of 20 ms, through unplugging and suspension.

import { FRAME_MS } from "./chunker.ts";
import { Resampler } from "./resample.ts";

declare const CAPTURE_WORKLET: string; // the built file's name, put in by build.mjs

export interface Block {
  samples: Float32Array<ArrayBuffer>;
  /** Of the first sample, on a counter that starts anew with each run. */
  positionMs: number;
  /** When it arrived, on the clock. */
  atMs: number;
  /** The first block of a run. */
  begins: boolean;
}

/** Browsers give the microphone only to pages with a secure address; "insecure" is any other. */
export type MicrophoneState = "off" | "asking" | "on" | "denied" | "insecure" | "lost" | "asleep";

const RETRY_MS = 2000;
/** A microphone that has just been opened clicks and stutters: its first blocks are dropped. */
const WARM_UP_BLOCKS = 5;

export class Microphone {
  readonly #rate: number;
  readonly #onBlock: (block: Block) => void;
  readonly #onState: (state: MicrophoneState) => void;
  #state: MicrophoneState = "off";
  #device: string | null = null;
  #context: AudioContext | null = null;
  #stream: MediaStream | null = null;
  #source: MediaStreamAudioSourceNode | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #open = true;

  constructor(
    rate: number,
    onBlock: (block: Block) => void,
    onState: (state: MicrophoneState) => void,
  ) {
    this.#rate = rate;
    this.#onBlock = onBlock;
    this.#onState = onState;
  }

  get state(): MicrophoneState {
    return this.#state;
  }

  get device(): string | null {
    return this.#stream?.getAudioTracks()[0]?.getSettings().deviceId ?? this.#device;
  }

  async start(device: string | null = this.#device): Promise<void> {
    this.stop();
    if (!isSecureContext) {
      this.#set("insecure");
      return;
    }
    this.#open = true;
    this.#device = device;
    this.#set("asking");
    navigator.mediaDevices.addEventListener("devicechange", this.#again);
    await this.#listen();
  }

  stop(): void {
    this.#open = false;
    clearTimeout(this.#retry);
    navigator.mediaDevices?.removeEventListener("devicechange", this.#again);
    this.#release();
    void this.#context?.close();
    this.#context = null;
    this.#set("off");
  }

  /** A page may make no sound graph run before a person touched it; call on such a touch. */
  wake(): void {
    if (this.#context?.state !== "running") void this.#context?.resume();
  }

  /** False: the device delivers zeros (and may put out its light). */
  enable(on: boolean): void {
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = on;
  }

  #again = (): void => {
    if (this.#state === "lost") void this.#listen();
  };

  async #listen(): Promise<void> {
    clearTimeout(this.#retry);
    try {
      const stream = await this.#ask();
      if (!this.#open) {
        for (const track of stream.getTracks()) track.stop();
        return;
      }
      await this.#connect(stream);
    } catch (error) {
      if (!this.#open) return;
      const denied = error instanceof DOMException && error.name === "NotAllowedError";
      this.#set(denied ? "denied" : "lost");
      if (!denied) this.#retry = setTimeout(this.#again, RETRY_MS);
    }
  }

  #ask(): Promise<MediaStream> {
    const audio: MediaTrackConstraints = {
      channelCount: 1,
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
    };
    if (this.#device !== null) audio.deviceId = { ideal: this.#device };
    return navigator.mediaDevices.getUserMedia({ audio });
  }

  async #connect(stream: MediaStream): Promise<void> {
    this.#release();
    this.#stream = stream;
    let context = this.#context ?? (await this.#graph(this.#rate));
    let source: MediaStreamAudioSourceNode;
    try {
      source = context.createMediaStreamSource(stream);
    } catch {
      // Some browsers want the graph at the microphone's own rate.
      void context.close();
      context = await this.#graph(undefined);
      source = context.createMediaStreamSource(stream);
    }
    this.#context = context;
    this.#source = source;
    source.connect(this.#node(context));
    for (const track of stream.getAudioTracks()) {
      track.onended = () => this.#lose();
      // The system muted it (a key, a call); it may come back by itself.
      track.onmute = () => this.#set("lost");
      track.onunmute = () => this.#set("on");
    }
    await Promise.race([context.resume(), new Promise((done) => setTimeout(done, 300))]);
    this.#settle();
  }

  async #graph(rate: number | undefined): Promise<AudioContext> {
    const context = new AudioContext(rate === undefined ? {} : { sampleRate: rate });
    await context.audioWorklet.addModule(new URL(CAPTURE_WORKLET, import.meta.url));
    context.onstatechange = () => {
      if (context === this.#context) this.#settle();
    };
    return context;
  }

  #node(context: AudioContext): AudioWorkletNode {
    const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    const inLength = Math.round(context.sampleRate / (1000 / FRAME_MS));
    const outLength = (this.#rate * FRAME_MS) / 1000;
    const resampler = inLength === outLength ? null : new Resampler(inLength, outLength);
    let received = 0;
    node.port.onmessage = ({ data }: MessageEvent<{ samples: Float32Array<ArrayBuffer>; first: number }>) => {
      if (this.#source === null) return;
      const samples = resampler === null ? data.samples : resampler.next(data.samples);
      received += 1;
      if (received <= WARM_UP_BLOCKS) return;
      const positionMs = (data.first / context.sampleRate) * 1000;
      const atMs = performance.timeOrigin + performance.now();
      this.#onBlock({ samples, positionMs, atMs, begins: received === WARM_UP_BLOCKS + 1 });
    };
    return node;
  }

  #settle(): void {
    if (this.#stream === null) return;
    this.#set(this.#context?.state === "running" ? "on" : "asleep");
  }

  #lose(): void {
    this.#release();
    this.#set("lost");
    this.#retry = setTimeout(this.#again, 0);
  }

  #release(): void {
    this.#source?.disconnect();
    this.#source = null;
    for (const track of this.#stream?.getTracks() ?? []) {
      track.onended = track.onmute = track.onunmute = null;
      track.stop();
    }
    this.#stream = null;
  }

  #set(state: MicrophoneState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#onState(state);
  }
}
