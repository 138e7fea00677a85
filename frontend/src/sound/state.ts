// What a person is told about their own sound.

import type { LinkState } from "./link.ts";
import type { MicrophoneState } from "./microphone.ts";

export type SessionState = "open" | "live" | "paused" | "ended";

export type Shown =
  | "connecting"
  | "check"
  | "asleep"
  | "waiting"
  | "quiet"
  | "heard"
  | "muted"
  | "paused"
  | "reconnecting"
  | "no_consent"
  | "microphone_denied"
  | "insecure"
  | "microphone_lost"
  | "ended"
  | "left"
  | "replaced"
  | "sign_in"
  | "failed";

export interface Facts {
  link: LinkState;
  /** Null until the server has said. */
  consent: boolean | null;
  session: SessionState | null;
  muted: boolean;
  microphone: MicrophoneState;
  /** Speech was heard since the microphone went on. */
  heard: boolean;
}

export function shown(facts: Facts): Shown {
  const { link } = facts;
  if (link.phase === "stopped") {
    if (link.reason === "bad_data" || link.reason === "too_large") return "failed";
    return link.reason;
  }
  if (facts.consent === false) return "no_consent";
  if (facts.session === "ended") return "ended";
  if (facts.consent === null) return link.phase === "waiting" ? "reconnecting" : "connecting";
  if (facts.microphone === "denied") return "microphone_denied";
  if (facts.microphone === "insecure") return "insecure";
  if (facts.microphone === "lost") return "microphone_lost";
  if (facts.microphone === "off" || facts.microphone === "asking") return "check";
  if (facts.microphone === "asleep") return "asleep";
  if (link.phase !== "up") return "reconnecting";
  if (facts.session === "paused") return "paused";
  if (facts.session !== "live") return "waiting";
  if (facts.muted) return "muted";
  return facts.heard ? "heard" : "quiet";
}
