// What else can be said about one student than present and absent.

import type { Mark } from "../roll.ts";
import { type Status, STATUSES, TIMED } from "../rows.ts";
import { button, dialogForm, el, field, input, openDialog } from "./dom.ts";
import { text } from "./words.ts";

const QUICK = ["5", "10", "15", "30"];

/** Asks for a mark; `choose` gets it, null for absent. */
export function askForMark(
  name: string,
  before: Mark | null,
  choose: (mark: Mark | null) => void,
): void {
  openDialog(name, (close) => {
    let status: Status | null = before?.status ?? null;
    const minutes = input({
      type: "number",
      inputmode: "numeric",
      min: "1",
      max: "1440",
      value: before?.minutes?.toString() ?? "",
    });
    const notes = input({ value: before?.notes ?? "", maxlength: "2000", autocomplete: "off" });
    const choices = new Map(
      [...STATUSES, null].map((each) => {
        const words = text(each ?? "absent");
        return [each, button(words, () => pick(each), { extra: "attend-big", pressed: false })];
      }),
    );
    const quick = QUICK.map((n) => button(n, () => (minutes.value = n), { extra: "attend-big" }));
    const timed = el(
      "div",
      { class: "stack-tight" },
      field(text("minutes"), minutes),
      el("div", { class: "row" }, ...quick),
    );
    const noted = field(text("student_note"), notes);
    const pick = (chosen: Status | null): void => {
      status = chosen;
      for (const [each, shown] of choices) shown.setAttribute("aria-pressed", String(each === chosen));
      timed.hidden = chosen === null || !TIMED.includes(chosen);
      // A note is kept with a mark, and absence is not stored.
      noted.hidden = chosen === null;
    };
    pick(status);
    const act = (): void => {
      const given = timed.hidden || minutes.value === "" ? null : Number(minutes.value);
      choose(status === null ? null : { status, minutes: given, notes: notes.value });
    };
    return [
      el("div", { class: "attend-choices" }, ...choices.values()),
      dialogForm(text("done"), text("cancel"), close, act, timed, noted),
    ];
  });
}
