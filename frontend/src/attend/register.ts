// The device's own token: asked for once, by the signed-in person, and kept with the rows that it
// opens, so that both come and go together.

import type { Store } from "./database.ts";

export interface Device {
  id: string;
  token: string;
}

const KEY = "attend.device";
const PATH = "/api/attend/devices";

export async function knownDevice(store: Store): Promise<Device | null> {
  return (await store.database.localStorage.get<Device>(KEY)) ?? null;
}

/** Registers this browser. Null: there was no answer; a number: it was refused with that status. */
export async function registerDevice(store: Store, csrf: string): Promise<Device | number | null> {
  try {
    const answer = await fetch(PATH, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
      body: JSON.stringify({ name: deviceName(), platform: navigator.userAgent.slice(0, 200) }),
    });
    if (!answer.ok) return answer.status;
    const { id, token } = (await answer.json()) as Device;
    await store.database.localStorage.set(KEY, { id, token });
    await store.flush();
    return { id, token };
  } catch {
    return null;
  }
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
