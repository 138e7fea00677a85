// A WebSocket that comes back: dials, notices that the server is gone, waits, dials again.

import { step, type LinkEffect, type LinkEvent, type LinkState, type Reason } from "./link.ts";

/** A server that is silent for this long is taken for gone. It answers every ping. */
const SILENT_SERVER_MS = 15_000;
const PING_MS = 5_000;
const WELCOME_MS = 10_000;

const ABNORMAL = 1006; // how WebSocket calls a connection that ended without a word

export interface LineEvents {
  /** The first message of each connection. */
  hello(): object;
  message(text: string, line: symbol): void;
  /** The connection is gone; nothing is under way any more. */
  down(code: number): void;
  changed(state: LinkState): void;
  /** Asked at every ping: has the server stopped doing its work, though it answers? */
  stalled(): boolean;
}

export class Line {
  readonly #url: URL;
  readonly #events: LineEvents;
  #state: LinkState = { phase: "idle" };
  #socket: WebSocket | null = null;
  #id = Symbol();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pinger: ReturnType<typeof setInterval> | undefined;
  #lastWord = 0; // when the server was last heard, performance.now()

  constructor(url: URL, events: LineEvents) {
    this.#url = url;
    this.#events = events;
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Names the present connection: a message of an earlier one is out of date. */
  get id(): symbol {
    return this.#id;
  }

  start(): void {
    this.#advance({ type: "start" });
  }

  online(): void {
    this.#advance({ type: "online" });
  }

  /** The server has accepted the hello. */
  welcomed(): void {
    this.#advance({ type: "welcome" });
  }

  stop(reason: Reason): void {
    this.#advance({ type: "stop", reason });
  }

  /** Gives this connection up and dials again. */
  again(): void {
    this.#lost(ABNORMAL);
  }

  tell(message: object): void {
    this.#send(JSON.stringify(message));
  }

  send(bytes: Uint8Array<ArrayBuffer>): void {
    this.#send(bytes);
  }

  #send(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(data);
  }

  #advance(event: LinkEvent): void {
    const [state, effects] = step(this.#state, event, Math.random());
    this.#state = state;
    for (const effect of effects) this.#carryOut(effect);
    this.#events.changed(state);
  }

  #carryOut(effect: LinkEffect): void {
    switch (effect.type) {
      case "connect":
        this.#dial();
        break;
      case "close":
        this.#hangUp();
        break;
      case "wait":
        this.#timer = setTimeout(() => this.#advance({ type: "due" }), effect.ms);
    }
  }

  #dial(): void {
    this.#hangUp();
    const socket = new WebSocket(this.#url);
    const id = this.#id;
    this.#socket = socket;
    this.#lastWord = performance.now();
    socket.onopen = () => this.tell(this.#events.hello());
    socket.onmessage = ({ data }: MessageEvent<string>) => {
      this.#lastWord = performance.now();
      this.#events.message(data, id);
    };
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) this.#lost(code);
    };
    this.#timer = setTimeout(() => {
      if (this.#state.phase === "connecting") this.again();
    }, WELCOME_MS);
    this.#pinger = setInterval(() => this.#ping(), PING_MS);
  }

  #ping(): void {
    const silent = performance.now() - this.#lastWord > SILENT_SERVER_MS;
    if (silent || this.#events.stalled()) this.again();
    else if (this.#state.phase === "up") this.tell({ type: "ping" });
  }

  #lost(code: number): void {
    this.#hangUp();
    this.#events.down(code);
    this.#advance({ type: "closed", code });
  }

  #hangUp(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#pinger);
    const socket = this.#socket;
    this.#socket = null;
    this.#id = Symbol();
    socket?.close();
  }
}
