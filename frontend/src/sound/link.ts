// When to connect, and when not to: the state machine of one connection that comes back.

export type Reason =
  | "bad_data"
  | "sign_in"
  | "no_consent"
  | "ended"
  | "replaced"
  | "too_large"
  | "left";

export type LinkState =
  | { phase: "idle" }
  | { phase: "connecting"; attempt: number }
  | { phase: "up" }
  | { phase: "waiting"; attempt: number }
  | { phase: "stopped"; reason: Reason };

export type LinkEvent =
  | { type: "start" }
  | { type: "welcome" }
  | { type: "closed"; code: number }
  | { type: "due" } // the wait is over
  | { type: "online" } // the browser has a network again
  | { type: "stop"; reason: Reason };

export type LinkEffect = { type: "connect" } | { type: "close" } | { type: "wait"; ms: number };

const FINAL: Record<number, Reason> = {
  4400: "bad_data",
  4401: "sign_in",
  4403: "no_consent",
  4404: "ended",
  4409: "replaced",
  4413: "too_large",
};
export const TOO_FAST = 4429;

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const TOO_FAST_WAIT_MS = 5_000;

/** Exponential, half of it random, so that a class does not come back in one instant. */
export function waitMs(attempt: number, random: number): number {
  const full = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt);
  return Math.round(full * (0.5 + 0.5 * random));
}

export function step(
  state: LinkState,
  event: LinkEvent,
  random: number,
): [LinkState, LinkEffect[]] {
  switch (event.type) {
    case "start":
      if (state.phase !== "idle" && state.phase !== "stopped") return [state, []];
      return [{ phase: "connecting", attempt: 0 }, [{ type: "connect" }]];
    case "welcome":
      return state.phase === "connecting" ? [{ phase: "up" }, []] : [state, []];
    case "closed": {
      if (state.phase !== "connecting" && state.phase !== "up") return [state, []];
      const reason = FINAL[event.code];
      if (reason) return [{ phase: "stopped", reason }, []];
      const attempt = state.phase === "connecting" ? state.attempt + 1 : 0;
      const wait = waitMs(attempt, random) + (event.code === TOO_FAST ? TOO_FAST_WAIT_MS : 0);
      return [{ phase: "waiting", attempt }, [{ type: "wait", ms: wait }]];
    }
    case "due":
    case "online":
      if (state.phase !== "waiting") return [state, []];
      return [{ phase: "connecting", attempt: state.attempt }, [{ type: "connect" }]];
    case "stop":
      return [{ phase: "stopped", reason: event.reason }, [{ type: "close" }]];
  }
}
