// The roll of one session: everybody starts absent; a tap says present.

import { Q } from "@nozbe/watermelondb/index.js";

import {
  deleteSession,
  markAllPresent,
  markStudent,
  setNote,
  setRoll,
  unmarkPresent,
} from "../actions.ts";
import { byStudent, enrolledOn, type Mark, PRESENT, tally } from "../roll.ts";
import type { RecordRow, SessionRow, StudentRow } from "../rows.ts";
import { type App, dayWords, hours, momentWords, type Screen } from "./context.ts";
import { button, dialogForm, el, field, input, link, openDialog, redraw, rollBadge } from "./dom.ts";
import { askForMark } from "./mark_dialog.ts";
import { RollList, statusWords, tallyWords } from "./roll_list.ts";
import { text } from "./words.ts";

const BIG_CLASS = 12;

export function rollScreen(app: App, root: HTMLElement, id: string): Screen {
  const { store } = app;
  let session: SessionRow | null = null;
  let enrolled = new Set<string>();
  let records: RecordRow[] = [];

  const counts = (): { there: number; all: number } => {
    const { present, late, left_early, enrolled: all } = tally(enrolled, records);
    return { there: present + late + left_early, all };
  };

  const mark = async (student: StudentRow, wanted: Mark | null): Promise<void> => {
    const work = markStudent(store, id, student.id, wanted, Date.now());
    const saved = await app.save(work.then(() => true));
    await draw();
    if (!saved) return;
    const status = statusWords(wanted);
    app.say(text("said", { name: student.name, status, ...counts() }));
  };

  const more = (student: StudentRow, record: RecordRow | undefined): void =>
    askForMark(student.name, record ?? null, (wanted) => void mark(student, wanted));

  // A tap takes back only what a tap has said: minutes and excuses are not lost by a slip.
  const list = new RollList((student, record) => {
    if (record === undefined) void mark(student, PRESENT);
    else if (record.status === "present" && !record.notes) void mark(student, null);
    else more(student, record);
  }, more);

  const search = input({
    type: "search",
    autocomplete: "off",
    input: () => list.search(search.value),
  });
  const finding = field(text("search"), search);
  const head = el("div", { class: "stack-tight" });
  const counter = el("p", { class: "attend-counter" });
  const actions = el("div", { class: "row" });
  const undo = el("div", { class: "row" });
  const foot = el("div", { class: "stack" });

  const allPresent = async (): Promise<void> => {
    const students = await app.save(markAllPresent(store, id, Date.now()));
    if (students === undefined || students.length === 0) return;
    const said = text("made_present", { n: students.length });
    app.say(said);
    const back = async (): Promise<void> => {
      undo.replaceChildren();
      await app.save(unmarkPresent(store, id, students));
    };
    undo.replaceChildren(el("span", {}, said), button(text("undo"), back, { extra: "attend-big" }));
  };

  const editNote = (): void =>
    openDialog(text("note"), (close) => {
      const typed = el("textarea", { class: "input", maxlength: "2000" }, session?.note ?? "");
      const act = (): Promise<unknown> => app.save(setNote(store, id, typed.value));
      return [dialogForm(text("save"), text("cancel"), close, act, field(text("note"), typed))];
    });

  const remove = (): void =>
    openDialog(text("delete"), (close) => [
      el("p", {}, text("delete_sure")),
      el(
        "div",
        { class: "row" },
        button(
          text("delete"),
          async () => {
            close();
            const back = `#/class/${session?.class_id ?? ""}`;
            await app.save(deleteSession(store, id));
            app.go(back);
          },
          { kind: "danger", icon: "trash" },
        ),
        button(text("cancel"), close, { kind: "plain" }),
      ),
    ]);

  const drawFoot = async (open: SessionRow): Promise<void> => {
    const closer = open.marked_by ? await store.row("users", open.marked_by) : null;
    const time = open.marked_at === null ? "" : momentWords(open.marked_at);
    redraw(
      foot,
      open.marked_at === null
        ? button(
            text("close_roll"),
            () => app.save(setRoll(store, id, { by: app.user, at: Date.now() })),
            { kind: "primary", icon: "check", extra: "button-large button-wide", key: "close" },
          )
        : el(
            "div",
            { class: "card" },
            el(
              "p",
              {},
              closer ? text("closed_by", { time, name: closer.name }) : text("closed_at", { time }),
            ),
            button(text("reopen"), () => app.save(setRoll(store, id, null)), {
              key: "close",
              extra: "attend-big",
            }),
          ),
      open.note && el("p", {}, open.note),
      el(
        "div",
        { class: "row" },
        button(text("note"), editNote, { kind: "plain", icon: "note", key: "note" }),
        button(text("delete"), remove, { kind: "plain", icon: "trash", key: "delete" }),
      ),
    );
  };

  const drawHead = async (open: SessionRow): Promise<void> => {
    const name = (await store.row("classes", open.class_id))?.name ?? "";
    const when = `${dayWords(open.date)} ${hours(open.start_time, open.end_time)}`.trim();
    redraw(
      head,
      link(text("back_class", { name }), `#/class/${open.class_id}`, "attend-back", "back"),
      el("h1", { tabindex: "-1" }, name),
      el(
        "div",
        { class: "row" },
        el("p", { class: "soft" }, when),
        open.marked_at !== null && rollBadge(true),
      ),
    );
  };

  const draw = async (): Promise<void> => {
    session = await store.row("attendance_sessions", store.follow(id));
    if (session === null) {
      redraw(
        root,
        el("h1", { tabindex: "-1" }, text("gone")),
        link(text("back_today"), "#/", "button", "back"),
      );
      return;
    }
    const { class_id, date } = session;
    enrolled = enrolledOn(date, await store.rows("enrollments", Q.where("class_id", class_id)));
    records = await store.rows("attendance_records", Q.where("session_id", session.id));
    const marked = byStudent(records);
    const all = await store.rows("students");
    const students = all.filter((row) => enrolled.has(row.id) || marked.has(row.id));
    const counted = tally(enrolled, records);
    if (!head.isConnected) redraw(root, head, counter, actions, undo, finding, list.none, list.root, foot);
    await drawHead(session);
    redraw(
      counter,
      el("strong", {}, text("counter", counts())),
      el("span", { class: "soft small" }, tallyWords(counted)),
    );
    redraw(
      actions,
      session.marked_at === null &&
        counted.absent > 0 &&
        button(text("all_present"), allPresent, { icon: "check", extra: "attend-big", key: "all" }),
    );
    if (session.marked_at !== null) undo.replaceChildren();
    finding.hidden = students.length <= BIG_CLASS;
    list.show(students, marked);
    await drawFoot(session);
  };

  return { draw };
}
