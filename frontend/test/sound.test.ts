import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Chunker, FRAMES_PER_CHUNK, type Frame } from "../src/sound/chunker.ts";
import { joinPayloads, pcm16 } from "../src/sound/encoder.ts";
import { decodeChunk, encodeChunk, joinPackets, splitPackets, type Chunk } from "../src/sound/frame.ts";
import { SilenceGate } from "../src/sound/gate.ts";
import { attenuation, levelOf, meterValue } from "../src/sound/levels.ts";
import { keep, Outbox } from "../src/sound/outbox.ts";
import { Resampler } from "../src/sound/resample.ts";
import { shown, type Facts } from "../src/sound/state.ts";
import { Timeline } from "../src/sound/timeline.ts";

const chunk = (seq: number, more: Partial<Chunk> = {}): Chunk => ({
  seq,
  startMs: seq * 400,
  durationMs: 400,
  peak: 3,
  rms: 20,
  silent: false,
  muted: false,
  last: false,
  payload: Uint8Array.of(seq & 255, 1, 2),
  ...more,
});

const tone = (hertz: number, rate: number, count: number, from = 0): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hertz * (from + i)) / rate));

describe("frame", () => {
  test("the header's bytes are those of the protocol", () => {
    const bytes = encodeChunk(
      chunk(0x01020304, { startMs: 0x0506070809, durationMs: 400, peak: 6, rms: 21, last: true, muted: true }),
    );
    assert.deepEqual(
      [...bytes],
      [0x43, 1, 6, 0, 4, 3, 2, 1, 9, 8, 7, 6, 5, 0, 0, 0, 0x90, 1, 6, 21, 4, 1, 2],
    );
  });

  test("a chunk survives the wire", () => {
    for (const one of [chunk(7), chunk(2 ** 32 - 1, { silent: true, payload: new Uint8Array() })]) {
      assert.deepEqual(decodeChunk(encodeChunk(one)), one);
    }
  });

  test("what is no chunk is refused", () => {
    const good = encodeChunk(chunk(1));
    assert.throws(() => decodeChunk(good.subarray(0, 19)), RangeError);
    assert.throws(() => decodeChunk(Uint8Array.from(good, (byte, i) => (i === 0 ? 0x44 : byte))), RangeError);
    assert.throws(() => decodeChunk(Uint8Array.from(good, (byte, i) => (i === 1 ? 2 : byte))), RangeError);
  });

  test("packets keep their borders", () => {
    const packets = [Uint8Array.of(1, 2, 3), Uint8Array.of(), new Uint8Array(300).fill(9)];
    assert.deepEqual(splitPackets(joinPackets(packets)), packets);
    assert.throws(() => splitPackets(Uint8Array.of(5, 0, 1)), RangeError);
  });
});

describe("levels", () => {
  test("attenuation is whole dB below full scale", () => {
    assert.deepEqual([1, 0.5, 0.1, 0, 2, 1e-9].map(attenuation), [0, 6, 20, 127, 0, 127]);
  });

  test("a sine of amplitude a has power a²/2", () => {
    const level = levelOf(tone(440, 48_000, 4800));
    assert.ok(Math.abs(level.power - 0.125) < 1e-3);
    assert.ok(Math.abs(level.peak - 0.5) < 1e-3);
    assert.equal(meterValue(0), 0);
    assert.equal(meterValue(1), 1);
    assert.ok(Math.abs(meterValue(1e-3) - 0.5) < 1e-9);
  });

  test("pcm16 clips instead of wrapping", () => {
    const bytes = pcm16(Float32Array.of(0, 1, -1, 3, -3));
    assert.deepEqual([...new Int16Array(bytes.buffer)], [0, 32767, -32767, 32767, -32767]);
    assert.deepEqual(joinPayloads("pcm16", [Uint8Array.of(1, 2), Uint8Array.of(3, 4)]), Uint8Array.of(1, 2, 3, 4));
  });
});

describe("resampler", () => {
  for (const [from, to] of [[44_100, 48_000], [48_000, 16_000], [44_100, 16_000]] as const) {
    const run = (hertz: number): Float32Array => {
      const resampler = new Resampler(from / 50, to / 50);
      const blocks = Array.from({ length: 25 }, (_, n) =>
        resampler.next(tone(hertz, from, from / 50, (n * from) / 50)),
      );
      return Float32Array.from(blocks.slice(5).flatMap((block) => [...block]));
    };

    test(`${from} to ${to} Hz keeps a 1 kHz tone`, () => {
      const out = run(1000);
      assert.ok(Math.abs(levelOf(out).power - 0.125) < 0.002);
      // At the tone's own period the wave repeats: nothing jumps between blocks.
      const period = to / 1000;
      for (let i = 0; i + period < out.length; i++) {
        assert.ok(Math.abs(out[i]! - out[i + period]!) < 0.01);
      }
    });

    if (to < from) {
      test(`${from} to ${to} Hz folds nothing back from above`, () => {
        assert.ok(levelOf(run(12_000)).power < 0.125e-5);
      });
    }
  }
});

describe("timeline", () => {
  test("late messages move nothing", () => {
    const timeline = new Timeline(1000, 0);
    const starts = [0, 300, 5, 90, 0].map((late, i) => timeline.place(i * 20, 20, 1520 + i * 20 + late));
    assert.deepEqual(starts, [500, 520, 540, 560, 580]);
  });

  test("a counter that stood still makes time jump forward, once", () => {
    const timeline = new Timeline(0, 0);
    const starts = Array.from({ length: 300 }, (_, i) =>
      timeline.place(i * 20, 20, i * 20 + 20 + (i >= 100 ? 5000 : 0)),
    );
    const jumps = starts.filter((start, i) => i > 0 && start !== starts[i - 1]! + 20);
    assert.equal(jumps.length, 1);
    assert.equal(starts.at(-1), 299 * 20 + 5000);
  });

  test("a new run never overlaps what is placed", () => {
    const timeline = new Timeline(0, 10_000);
    assert.equal(timeline.place(0, 20, 9_000), 10_000);
    timeline.restart();
    assert.equal(timeline.place(0, 20, 30_020), 30_000);
    assert.equal(timeline.endMs, 30_020);
  });
});

describe("chunker", () => {
  const frame = (startMs: number, more: Partial<Frame> = {}): Frame => ({
    startMs,
    muted: false,
    peak: 0.1,
    power: 1e-3,
    payload: Uint8Array.of(1),
    ...more,
  });

  test("twenty frames make a chunk of 400 ms", () => {
    const chunker = new Chunker();
    const made = Array.from({ length: FRAMES_PER_CHUNK }, (_, i) => chunker.add(frame(i * 20))).flat();
    assert.equal(made.length, 1);
    assert.deepEqual({ ...made[0], payloads: made[0]?.payloads.length }, {
      startMs: 0,
      durationMs: 400,
      peak: 20,
      rms: 30,
      quiet: false,
      muted: false,
      payloads: 20,
    });
  });

  test("a gap or a change of mute begins another chunk", () => {
    const chunker = new Chunker();
    assert.deepEqual(chunker.add(frame(0)), []);
    assert.equal(chunker.add(frame(100))[0]?.durationMs, 20);
    assert.equal(chunker.add(frame(120, { muted: true }))[0]?.startMs, 100);
    assert.deepEqual(chunker.flush().map((made) => made.muted), [true]);
    assert.deepEqual(chunker.flush(), []);
  });

  test("one loud frame is enough", () => {
    const chunker = new Chunker();
    chunker.add(frame(0, { power: 1e-7 }));
    assert.equal(chunker.flush()[0]?.quiet, true);
    chunker.add(frame(20, { power: 1e-7 }));
    chunker.add(frame(40, { power: 1e-4 }));
    assert.equal(chunker.flush()[0]?.quiet, false);
  });
});

describe("silence gate", () => {
  /** "q" quiet, "L" loud, "m" muted; out: "." silent, "x" with sound. */
  const gate = (line: string): { out: string; order: number[]; waits: number[] } => {
    const machine = new SilenceGate<{ n: number; quiet: boolean; muted: boolean }>();
    const decided: { chunk: { n: number }; silent: boolean }[] = [];
    const waits: number[] = [];
    [...line].forEach((kind, n) => {
      decided.push(...machine.push({ n, quiet: kind === "q", muted: kind === "m" }));
      waits.push(n + 1 - decided.length);
    });
    decided.push(...machine.flush());
    return {
      out: decided.map(({ silent }) => (silent ? "." : "x")).join(""),
      order: decided.map(({ chunk: { n } }) => n),
      waits,
    };
  };

  test("keeps the chunk before a word and two after it", () => {
    assert.equal(gate("qqqqLLqqqqqqL").out, "...xxxxx...xx");
    assert.equal(gate("LqLqqLq").out, "xxxxxxx");
    assert.equal(gate("qqq").out, "...");
  });

  test("never delays sound, and silence by one chunk", () => {
    const { waits, order } = gate("LqqqqLqLqqqqqL");
    assert.ok(waits.every((wait) => wait <= 1));
    assert.deepEqual(waits.filter((_, n) => "LqqqqLqLqqqqqL"[n] === "L"), [0, 0, 0, 0]);
    assert.deepEqual(order, order.map((_, n) => n));
  });

  test("what is muted is silent at once", () => {
    assert.deepEqual(gate("Lmmq").waits, [0, 0, 0, 1]);
    assert.equal(gate("qmmL").out, "...x");
  });
});

describe("outbox", () => {
  const filled = (count: number, first = 0): Outbox => {
    const outbox = new Outbox([], first, 60_000);
    for (let seq = first; seq < first + count; seq++) outbox.add(keep(chunk(seq)));
    return outbox;
  };
  const seqs = (kept: readonly { seq: number }[]): number[] => kept.map(({ seq }) => seq);

  test("sends each once and forgets what is acknowledged", () => {
    const outbox = filled(3);
    assert.deepEqual(seqs(outbox.take()), [0, 1, 2]);
    assert.deepEqual(outbox.take(), []);
    outbox.acknowledge(1);
    assert.deepEqual(seqs(outbox.kept), [2]);
    assert.equal(outbox.underWay, 1);
    outbox.acknowledge(1);
    outbox.add(keep(chunk(3)));
    assert.deepEqual(seqs(outbox.take()), [3]);
    assert.equal(outbox.waitingMs, 800);
  });

  test("a number out of turn is a mistake", () => {
    assert.throws(() => filled(2).add(keep(chunk(5))), RangeError);
  });

  test("after a cut the server's word decides what goes again", () => {
    const outbox = filled(5);
    outbox.take();
    outbox.recall();
    assert.equal(outbox.resume(3), true);
    assert.deepEqual(seqs(outbox.take()), [3, 4]);
    assert.equal(outbox.nextSeq, 5);
  });

  test("a server that has more than this device knows moves the numbers on", () => {
    const outbox = filled(2);
    assert.equal(outbox.resume(9), true);
    assert.deepEqual([outbox.kept.length, outbox.nextSeq], [0, 9]);
  });

  test("resend goes back, but not to what is gone", () => {
    const outbox = filled(6);
    outbox.take();
    outbox.acknowledge(2);
    assert.equal(outbox.rewind(4), true);
    assert.deepEqual(seqs(outbox.take()), [4, 5]);
    assert.equal(outbox.rewind(1), false);
  });

  test("keeps a window, narrower after 'too fast'", () => {
    const outbox = filled(100);
    assert.equal(outbox.take().length, 32);
    outbox.acknowledge(9);
    assert.equal(outbox.take().length, 10);
    outbox.recall();
    outbox.slower();
    assert.equal(outbox.take().length, 16);
    for (let i = 0; i < 9; i++) outbox.slower();
    outbox.recall();
    assert.equal(outbox.take().length, 2);
  });

  test("is full at its limit", () => {
    assert.equal(filled(149).full, false);
    assert.equal(filled(150).full, true);
  });

  test("moves to another track with new numbers and times", () => {
    const outbox = filled(3, 7);
    outbox.take();
    outbox.renumber(0, 2800);
    const moved = outbox.take().map(({ bytes }) => decodeChunk(bytes));
    assert.deepEqual(moved.map(({ seq, startMs }) => [seq, startMs]), [[0, 0], [1, 400], [2, 800]]);
    assert.deepEqual(moved.map(({ payload }) => payload[0]), [7, 8, 9]);
    assert.equal(outbox.nextSeq, 3);
  });
});

describe("state", () => {
  const facts: Facts = {
    link: { phase: "up" },
    consent: true,
    session: "live",
    muted: false,
    microphone: "on",
    heard: true,
  };
  const cases: [Partial<Facts>, string][] = [
    [{}, "heard"],
    [{ heard: false }, "quiet"],
    [{ muted: true }, "muted"],
    [{ session: "open" }, "waiting"],
    [{ session: "paused", muted: true }, "paused"],
    [{ session: "ended" }, "ended"],
    [{ consent: false, microphone: "off" }, "no_consent"],
    [{ microphone: "off" }, "check"],
    [{ microphone: "lost" }, "microphone_lost"],
    [{ microphone: "insecure" }, "insecure"],
    [{ link: { phase: "waiting", attempt: 1 } }, "reconnecting"],
    [{ link: { phase: "connecting", attempt: 0 }, consent: null }, "connecting"],
    [{ link: { phase: "waiting", attempt: 1 }, consent: null }, "reconnecting"],
    [{ link: { phase: "stopped", reason: "too_large" } }, "failed"],
    [{ link: { phase: "stopped", reason: "replaced" } }, "replaced"],
  ];
  for (const [changed, name] of cases) {
    test(name, () => assert.equal(shown({ ...facts, ...changed }), name));
  }
});
