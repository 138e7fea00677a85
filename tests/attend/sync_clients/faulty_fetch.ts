// A network that loses, repeats, delays and reorders, by a seeded random.

export type Fault = "drop_request" | "drop_answer" | "cut_answer" | "duplicate" | "delay" | "late";

type Fetch = typeof fetch;

const FAULTS: Fault[] = ["drop_request", "drop_answer", "cut_answer", "duplicate", "delay", "late"];

/** mulberry32: small, seeded, good enough to choose faults. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
const lost = (): never => {
  throw new TypeError("the network is gone");
};

export class FaultyNetwork {
  /** How often something goes wrong, 0 to 1. */
  rate = 0;
  online = true;
  /** Of how many pushes to come the answer is lost, each of which was kept. */
  loseAnswers = 0;
  /** The query of the last pull. */
  pulled = new URLSearchParams();
  readonly met: Partial<Record<Fault, number>> = {};
  readonly #random: () => number;
  /** Requests on their way that nobody waits for any more. */
  #stray: Promise<unknown>[] = [];

  constructor(seed: number) {
    this.#random = seeded(seed);
  }

  readonly fetch: Fetch = async (url, init) => {
    if (!this.online) lost();
    if (init?.method !== "POST") this.pulled = new URL(String(url)).searchParams;
    const send = (): Promise<Response> => fetch(url, { ...init, signal: null });
    if (this.loseAnswers > 0 && init?.method === "POST") {
      this.loseAnswers--;
      await (await send()).arrayBuffer();
      lost();
    }
    if (this.#random() >= this.rate) return await send();
    const fault = FAULTS[Math.floor(this.#random() * FAULTS.length)] as Fault;
    this.met[fault] = (this.met[fault] ?? 0) + 1;
    switch (fault) {
      case "drop_request":
        return lost();
      case "drop_answer":
        await (await send()).arrayBuffer();
        return lost();
      case "cut_answer": {
        const text = await (await send()).text();
        return new Response(text.slice(0, Math.floor(text.length / 2)), { status: 200 });
      }
      case "duplicate": {
        const first = await send();
        await (await send()).arrayBuffer();
        return first;
      }
      case "delay":
        await pause(this.#random() * 60);
        return await send();
      case "late": {
        // Stuck on the way: the device gives up, and later the request arrives all the same,
        // behind others that were sent after it.
        const ms = this.#random() * 250;
        this.#stray.push(pause(ms).then(send).then((answer) => answer.arrayBuffer()).catch(() => null));
        return lost();
      }
    }
  };

  /** Resolves when no request is on its way any more. */
  async calm(): Promise<void> {
    this.rate = 0;
    this.online = true;
    const stray = this.#stray;
    this.#stray = [];
    await Promise.all(stray);
  }
}
