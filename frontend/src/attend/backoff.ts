// How long to wait before trying again. 2,500 classes begin at eight o'clock: whoever was sent
// away must not come back at the same moment as all the others.

const FIRST_MS = 2_000;
const LONGEST_MS = 5 * 60_000;
/** What a server may ask for at most: a header that says a week is a mistake. */
const MOST_ASKED_MS = 60 * 60_000;

/**
 * Milliseconds until the next try after `failures` in a row (1 or more): at random up to twice as
 * long each time ("full jitter"), at most five minutes, and never sooner than the server asked for.
 */
export function waitAfter(failures: number, askedMs = 0, random: () => number = Math.random): number {
  const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 20));
  return Math.round(askedMs + Math.max(500, random() * most));
}

/** The header Retry-After, seconds or a date, as milliseconds from `now`; 0 for none. */
export function retryAfterMs(header: string | null, now: number): number {
  if (header === null) return 0;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - now;
  return Number.isFinite(ms) && ms > 0 ? Math.min(ms, MOST_ASKED_MS) : 0;
}
