// The code of a check-in, which changes every ten seconds. The page brings the present code and
// the next one, so the change is on time however slow the network is; then both are asked for
// anew. Without an answer the code goes rather than standing there when it no longer counts.

import { part } from "../part.ts";
import { strings } from "../strings.ts";

const STEP_MS = 10_000;
const AGAIN_MS = 1_000;

const text = strings("code", {
  next: "Next code in {seconds} s",
  lost: "The connection is gone. There is no code until it is back.",
  clock: "Server time {time}",
});

export default function start(root: HTMLElement): void {
  const address = root.dataset["url"];
  if (address === undefined) throw new Error("the code island needs data-url");
  const codes = part(root, "codes", "div");
  const pace = part(root, "pace", "progress");
  const next = part(root, "next", "span");
  const clock = part(root, "clock", "span");
  const lost = part(root, "lost", "p");
  // On this page's own clock, which nobody can set: when the code changes, and server minus own.
  let change = 0;
  let ahead = 0;
  let asking = false;
  let askAgainAt = 0;

  const read = (answeredAt: number): boolean => {
    const given = codes.querySelector<HTMLElement>("[data-left]");
    if (given === null) return false;
    change = answeredAt + Number(given.dataset["left"]);
    ahead = Number(given.dataset["now"]) - answeredAt;
    return true;
  };

  const ask = async (): Promise<void> => {
    asking = true;
    try {
      const sentAt = performance.now();
      const answer = await fetch(address, { signal: AbortSignal.timeout(5_000), headers: { "HX-Request": "true" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const answeredAt = (sentAt + performance.now()) / 2;
      codes.innerHTML = await answer.text();
      if (!read(answeredAt)) {
        clearInterval(ticking);
        location.reload();
      }
    } catch {
      askAgainAt = performance.now() + AGAIN_MS;
    } finally {
      asking = false;
    }
  };

  const tick = (): void => {
    const now = performance.now();
    const over = now - change;
    if (over >= 0 && !asking && now >= askAgainAt) void ask();
    const [present, coming] = codes.querySelectorAll<HTMLElement>("[data-code]");
    const gone = over >= STEP_MS;
    if (present) present.hidden = over >= 0;
    if (coming) coming.hidden = over < 0 || gone;
    lost.hidden = !gone;
    if (gone && lost.textContent === "") lost.textContent = text("lost");
    if (!gone) lost.textContent = "";
    const left = gone ? 0 : over < 0 ? -over : STEP_MS - over;
    pace.value = left;
    next.textContent = gone ? "" : text("next", { seconds: Math.ceil(left / 1000) });
    clock.textContent = text("clock", { time: format(now + ahead) });
  };

  const zone = codes.querySelector<HTMLElement>("[data-timezone]")?.dataset["timezone"];
  const clockFace = new Intl.DateTimeFormat(document.documentElement.lang, {
    timeStyle: "medium",
    ...(zone === undefined ? {} : { timeZone: zone }),
  });
  const format = (moment: number): string => clockFace.format(new Date(moment));

  // The page's own answer came when the navigation's did.
  const navigation = performance.getEntriesByType("navigation")[0];
  read(navigation instanceof PerformanceNavigationTiming ? navigation.responseStart : performance.now());
  tick();
  const ticking = setInterval(tick, 200);
}
