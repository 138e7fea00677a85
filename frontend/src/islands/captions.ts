// Appends what a group says to its list of captions, as the shell draws them.

import { clockText } from "../clock.ts";
import { strings } from "../strings.ts";

/** The stream's "caption" event. Times in seconds into the session. */
interface Caption {
  id: string;
  group: string | null;
  /** Null for a shared device. */
  participant: string | null;
  name: string;
  text: string;
  start: number;
  confidence: number;
}

const text = strings("captions", { unsure: "(unsure)" });

const AT_MOST = 200;
const NEAR_THE_END_PX = 48;
const THREADS = 6;
const DOUBTFUL = 0.6; // as the server draws its own lines

export default function start(root: HTMLElement): void {
  const { group } = root.dataset;
  const list = root.querySelector<HTMLElement>("ol, ul") ?? root;
  const scroller = root.querySelector<HTMLElement>(".scroller") ?? root;
  const most = Number(root.dataset["lines"] ?? AT_MOST);
  const threads = JSON.parse(root.dataset["threads"] ?? "{}") as Record<string, number>;

  const thread = (participant: string | null): number => {
    if (participant === null) return 0;
    // A voice that joined after the page was made takes the next colour, as on the server.
    return (threads[participant] ??= (Object.keys(threads).length % THREADS) + 1);
  };

  const add = ({ detail }: CustomEvent<Caption>): void => {
    if (!root.isConnected) {
      document.removeEventListener("classweave:caption", add as EventListener);
      return;
    }
    if (group !== undefined && detail.group !== group) return;
    const left = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
    list.querySelector(`[id="${CSS.escape(detail.id)}"]`)?.remove();
    insert(list, draw(detail, thread(detail.participant), list.matches("ol, ul") ? "li" : "p"));
    while (list.childElementCount > most) list.firstElementChild?.remove();
    // Who has scrolled up to read is left there.
    if (left < NEAR_THE_END_PX) scroller.scrollTop = scroller.scrollHeight;
  };
  document.addEventListener("classweave:caption", add as EventListener);
  scroller.scrollTop = scroller.scrollHeight;
}

/** In the order of talk: the words of two devices may arrive the other way round. */
function insert(list: HTMLElement, line: HTMLElement): void {
  let after = list.lastElementChild as HTMLElement | null;
  while (after && Number(after.dataset["start"] ?? 0) > Number(line.dataset["start"])) {
    after = after.previousElementSibling as HTMLElement | null;
  }
  if (after) after.after(line);
  else list.prepend(line);
}

function draw(caption: Caption, thread: number, tag: "li" | "p"): HTMLElement {
  const line = document.createElement(tag);
  line.className = `caption thread-${thread}`;
  line.id = caption.id;
  line.dataset["start"] = String(caption.start);
  const who = span("caption-who", caption.name);
  if (caption.confidence < DOUBTFUL) {
    line.classList.add("caption-doubt");
    who.append(" ", span("soft", text("unsure")));
  }
  const time = span("caption-time", clockText(caption.start));
  line.append(time, " ", who, " ", span("caption-words", caption.text));
  return line;
}

function span(name: string, words: string): HTMLSpanElement {
  const made = document.createElement("span");
  made.className = name;
  made.textContent = words;
  return made;
}
