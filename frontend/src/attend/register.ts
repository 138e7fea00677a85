// The device's own token: asked for once, by the signed-in person, and kept with the rows that it
// opens, so that both come and go together.

import { retryAfterMs } from "./backoff.ts";
import type { Store } from "./database.ts";
import { Refused } from "./transport.ts";

export interface Device {
  id: string;
  token: string;
}

const KEY = "attend.device";
const PATH = "/api/attend/devices";
const LONGEST_MS = 30_000;

export async function knownDevice(store: Store): Promise<Device | null> {
  return (await store.database.localStorage.get<Device>(KEY)) ?? null;
}

/** The server does not give this browser a token; with status 409, because there are too many. */
export class NotRegistered extends Refused {}

/** Registers this browser. Throws {@link NotRegistered}. */
export async function registerDevice(store: Store, csrf: string): Promise<Device> {
  let device: Device;
  try {
    const answer = await fetch(PATH, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
      body: JSON.stringify({ name: deviceName(), platform: navigator.userAgent.slice(0, 200) }),
      signal: AbortSignal.timeout(LONGEST_MS),
    });
    if (!answer.ok) {
      const asked = retryAfterMs(answer.headers.get("Retry-After"), Date.now());
      throw new NotRegistered(answer.status, asked);
    }
    const { id, token } = (await answer.json()) as Device;
    device = { id, token };
  } catch (error) {
    throw error instanceof Refused ? error : new NotRegistered(0);
  }
  await store.database.localStorage.set(KEY, device);
  await store.flush();
  return device;
}

/** Signs the device out on the server, as far as it can be reached. */
export async function revokeDevice(device: Device, csrf: string): Promise<void> {
  await fetch(`${PATH}/${encodeURIComponent(device.id)}`, {
    method: "DELETE",
    headers: { "X-CSRF-Token": csrf },
  }).catch(() => undefined);
}

/** As the list of one's devices shows it. */
function deviceName(): string {
  const { userAgent } = navigator;
  const browser = /(Firefox|Edg|OPR|Chrome|Safari)\//.exec(userAgent)?.[1] ?? "Browser";
  const system = /(Android|iPhone|iPad|Windows|Mac OS X|CrOS|Linux)/.exec(userAgent)?.[1] ?? "";
  const nice: Record<string, string> = { Edg: "Edge", OPR: "Opera", CrOS: "ChromeOS" };
  return [nice[browser] ?? browser, nice[system] ?? system].filter(Boolean).join(", ");
}
