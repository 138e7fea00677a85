// What every screen is given, and how the days and hours are written.

import type { Store } from "../database.ts";
import { localDay } from "../roll.ts";

export interface App {
  readonly store: Store;
  readonly user: string;
  /** Writes something and shows whether it is saved; says so when it could not be. */
  save<T>(work: Promise<T>): Promise<T | undefined>;
  /** Says something to a screen reader. */
  say(words: string): void;
  go(hash: string): void;
  leave(): void;
}

export interface Screen {
  /** Draws what is in the database now. */
  draw(): Promise<void>;
}

const language = (): string => document.documentElement.lang || "en";

/** A day as people write it. */
export function dayWords(date: string): string {
  return new Intl.DateTimeFormat(language(), {
    weekday: "short",
    day: "numeric",
    month: "short",
    timeZone: "UTC",
  }).format(new Date(`${date}T12:00:00Z`));
}

/** A moment: the time of day, and the day too unless it is today. */
export function momentWords(ms: number): string {
  const moment = new Date(ms);
  const today = moment.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(language(), {
    hour: "numeric",
    minute: "2-digit",
    ...(today ? {} : { day: "numeric", month: "short" }),
  }).format(moment);
}

export function hours(start: string | null, end: string | null): string {
  return [start, end].filter(Boolean).join("–");
}

export function byName(a: { name: string }, b: { name: string }): number {
  return a.name.localeCompare(b.name, language());
}

/** Today and now where the university is. */
export async function today(store: Store): Promise<{ date: string; time: string }> {
  const [organization] = await store.rows("organizations");
  return localDay(new Date(), organization?.timezone ?? null);
}
