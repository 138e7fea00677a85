// The students of a roll, one line each, changed in place: a tap must not wait for a redraw, and
// the focus stays where it is.

import { matches, type Mark, type Tally } from "../roll.ts";
import { type RecordRow, STATUSES, type StudentRow } from "../rows.ts";
import { byName } from "./context.ts";
import { button, el } from "./dom.ts";
import { text } from "./words.ts";

interface Line {
  student: StudentRow;
  record: RecordRow | undefined;
  item: HTMLLIElement;
  main: HTMLButtonElement;
  said: HTMLElement;
  note: HTMLElement;
}

export function statusWords(mark: Pick<Mark, "status" | "minutes"> | null | undefined): string {
  if (!mark) return text("absent");
  const { status, minutes } = mark;
  if (status === "late" && minutes) return text("late_by", { minutes });
  if (status === "left_early" && minutes) return text("left_early_by", { minutes });
  return text(status);
}

/** How many of each there are; what nobody is goes without saying. */
export function tallyWords(counted: Tally): string {
  return [...STATUSES, "absent" as const]
    .filter((each) => counted[each] > 0)
    .map((each) => `${text(each)}: ${counted[each]}`)
    .join(" · ");
}

export class RollList {
  readonly root = el("ul", { class: "attend-roll", "aria-label": text("roll") });
  readonly none = el("p", { class: "soft" });
  readonly #lines = new Map<string, Line>();
  readonly #tap: (student: StudentRow, record: RecordRow | undefined) => void;
  readonly #more: (student: StudentRow, record: RecordRow | undefined) => void;
  #search = "";

  constructor(
    tap: (student: StudentRow, record: RecordRow | undefined) => void,
    more: (student: StudentRow, record: RecordRow | undefined) => void,
  ) {
    this.#tap = tap;
    this.#more = more;
  }

  show(students: StudentRow[], marked: ReadonlyMap<string, RecordRow>): void {
    const there = new Set(students.map(({ id }) => id));
    for (const [id, line] of this.#lines) {
      if (!there.has(id)) {
        line.item.remove();
        this.#lines.delete(id);
      }
    }
    let before: HTMLLIElement | null = null;
    for (const student of students.sort(byName)) {
      let line = this.#lines.get(student.id);
      if (line === undefined) this.#lines.set(student.id, (line = this.#make(student)));
      line.student = student;
      line.record = marked.get(student.id);
      this.#fill(line);
      const next: Element | null = before === null ? this.root.firstElementChild : before.nextElementSibling;
      if (next !== line.item) this.root.insertBefore(line.item, next);
      before = line.item;
    }
    this.search(this.#search);
  }

  search(words: string): void {
    this.#search = words;
    let shown = 0;
    for (const { student, item } of this.#lines.values()) {
      item.hidden = !matches(words, student.name, student.student_id);
      if (!item.hidden) shown++;
    }
    this.none.hidden = shown > 0;
    this.none.textContent = text(this.#lines.size === 0 ? "nobody" : "none_found");
  }

  #make(student: StudentRow): Line {
    const said = el("span", { class: "attend-said" });
    const name = el("span", { class: "attend-name" }, student.name);
    const note = el("span", { class: "small" });
    const number = el("span", { class: "soft small" }, student.student_id ?? "");
    const main = el(
      "button",
      { type: "button", class: "attend-tap", click: () => this.#tap(line.student, line.record) },
      el("span", { class: "attend-who" }, name, number, note),
      said,
    );
    const more = button("", () => this.#more(line.student, line.record), {
      icon: "more",
      label: text("more", { name: student.name }),
      extra: "button-icon attend-big",
    });
    const item = el("li", {}, main, more);
    const line: Line = { student, record: undefined, item, main, said, note };
    return line;
  }

  #fill({ record, item, main, said, note }: Line): void {
    main.setAttribute("aria-pressed", String(record?.status === "present"));
    item.dataset["status"] = record?.status ?? "absent";
    said.textContent = statusWords(record);
    note.textContent = record?.notes ?? "";
  }
}
