import assert from "node:assert/strict";
import { test } from "node:test";

import { Follower, type FollowState } from "../src/events/follower.ts";
import { EventParser, type ServerEvent } from "../src/events/sse.ts";

function parse(...pieces: string[]): ServerEvent[] {
  const events: ServerEvent[] = [];
  const parser = new EventParser((event) => events.push(event));
  for (const piece of pieces) parser.push(piece);
  return events;
}

test("reads what the server writes, however it is cut", () => {
  const stream = "retry: 1000\n: following\n\nid: 7\nevent: prompt\ndata: {\"a\":\ndata: 1}\n\nevent: heartbeat\ndata: {}\n\n";
  const whole = parse(stream);
  assert.deepEqual(whole, [
    { id: "7", type: "prompt", data: '{"a":\n1}' },
    { id: "7", type: "heartbeat", data: "{}" },
  ]);
  assert.deepEqual(parse(...stream), whole);
  assert.deepEqual(parse(...stream.replaceAll("\n", "\r\n")), whole);
});

test("an unfinished event is none; a field without colon is empty; no type is a message", () => {
  assert.deepEqual(parse("id: 3\ndata: x\n"), []);
  assert.deepEqual(parse("data\n\n"), [{ id: null, type: "message", data: "" }]);
});

interface Call {
  url: string;
  headers: Record<string, string>;
}

/** Follows a server that answers each connection with the next of `answers`. */
async function follow(
  answers: (Response | Error)[],
  lastId: string | null = null,
): Promise<{ calls: Call[]; events: string[]; states: FollowState[]; follower: Follower }> {
  const calls: Call[] = [];
  const events: string[] = [];
  const states: FollowState[] = [];
  const follower = new Follower({
    url: new URL("http://school.test/events?x=1"),
    lastId,
    silentMs: 40,
    onEvent: ({ data }) => events.push(data),
    onState: (state) => {
      states.push(state);
      if (state === "waiting") queueMicrotask(() => follower.hurry());
    },
    fetch: (async (url: URL, init: RequestInit) => {
      calls.push({ url: String(url), headers: init.headers as Record<string, string> });
      const answer = answers.shift();
      if (answer === undefined) return new Response(null, { status: 404 });
      if (answer instanceof Error) throw answer;
      // As a real fetch does: what is aborted ends with an error.
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      void answer.body?.pipeTo(writable, init.signal ? { signal: init.signal } : {}).catch(() => {});
      return new Response(answer.body && readable, { status: answer.status });
    }) as typeof fetch,
  });
  await follower.run();
  return { calls, events, states, follower };
}

test("comes back with the last event's number after an end, an error and a bad gateway", async () => {
  const { calls, events, states } = await follow(
    [
      new Response("id: 18\ndata: a\n\nid: 19\ndata: b\n\n"),
      new Error("no network"),
      new Response(null, { status: 502 }),
      new Response("id: 20\ndata: c\n\n"),
    ],
    "17",
  );
  assert.deepEqual(events, ["a", "b", "c"]);
  assert.deepEqual(
    calls.map(({ url }) => new URL(url).searchParams.get("last_event_id")),
    ["17", "19", "19", "19", "20"],
  );
  assert.equal(states.at(-1), "stopped");
});

test("a new page asks for no particular event", async () => {
  const { calls } = await follow([]);
  assert.deepEqual(calls.map(({ url }) => url), ["http://school.test/events?x=1"]);
});

test("a stream that falls silent is replaced", async () => {
  const silent = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode("id: 1\ndata: a\n\n")),
  });
  const { calls, events } = await follow([new Response(silent), new Response("id: 2\ndata: b\n\n")]);
  assert.deepEqual(events, ["a", "b"]);
  assert.match(calls[1]?.url ?? "", /last_event_id=1/);
});
