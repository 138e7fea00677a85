// One class: its sessions so far, a new one by hand, and its name.

import { Q } from "@nozbe/watermelondb/index.js";

import { renameClass, startSession } from "../actions.ts";
import { enrolledOn, tally } from "../roll.ts";
import type { EnrollmentRow, RecordRow, SessionRow } from "../rows.ts";
import { type App, dayWords, hours, type Screen, today } from "./context.ts";
import { button, dialogForm, el, field, input, link, openDialog, redraw } from "./dom.ts";
import { text } from "./words.ts";

export function classScreen(app: App, root: HTMLElement, id: string): Screen {
  const { store } = app;

  const rename = (name: string): void =>
    openDialog(text("rename"), (close) => {
      const typed = input({ value: name, maxlength: "120", required: true, autocomplete: "off" });
      const act = (): Promise<void> => app.save(renameClass(store, id, typed.value));
      return [
        dialogForm(text("save"), text("cancel"), close, act, field(text("class_name"), typed)),
      ];
    });

  const begin = async (): Promise<void> => {
    const now = await today(store);
    openDialog(text("new_session"), (close) => {
      const date = input({ type: "date", value: now.date, required: true });
      const time = input({ type: "time", value: now.time, required: true });
      const act = async (): Promise<void> => {
        const made = await app.save(
          startSession(store, {
            class_id: id,
            date: date.value,
            start_time: time.value,
            end_time: null,
          }),
        );
        if (made !== undefined) app.go(`#/session/${made}`);
      };
      return [
        dialogForm(
          text("start"),
          text("cancel"),
          close,
          act,
          field(text("date"), date),
          field(text("start_time"), time),
        ),
      ];
    });
  };

  const line = (
    session: SessionRow,
    enrollments: EnrollmentRow[],
    records: RecordRow[],
  ): HTMLElement => {
    const counted = tally(enrolledOn(session.date, enrollments), records);
    const there = counted.present + counted.late + counted.left_early;
    return el(
      "li",
      {},
      el(
        "a",
        { href: `#/session/${session.id}`, class: "attend-line", "data-key": session.id },
        el(
          "span",
          { class: "strong" },
          `${dayWords(session.date)} ${hours(session.start_time, session.end_time)}`,
        ),
        el(
          "span",
          { class: "soft small" },
          `${text(session.marked_at ? "taken" : "open")} · ${text("counter", {
            there,
            all: counted.enrolled,
          })}`,
        ),
      ),
    );
  };

  return {
    async draw(): Promise<void> {
      const row = await store.row("classes", id);
      if (row === null) {
        redraw(
          root,
          el("h1", { tabindex: "-1" }, text("gone")),
          link(text("back_today"), "#/", "button", "back"),
        );
        return;
      }
      const enrollments = await store.rows("enrollments", Q.where("class_id", id));
      const sessions = (await store.rows("attendance_sessions", Q.where("class_id", id))).sort(
        (a, b) =>
          `${b.date}${b.start_time ?? ""}`.localeCompare(`${a.date}${a.start_time ?? ""}`),
      );
      const held = new Map<string, RecordRow[]>(sessions.map((session) => [session.id, []]));
      for (const record of await store.rows("attendance_records", Q.where("class_id", id))) {
        held.get(record.session_id)?.push(record);
      }
      redraw(
        root,
        link(text("back_today"), "#/", "attend-back", "back"),
        el(
          "div",
          { class: "row row-between" },
          el("h1", { tabindex: "-1" }, row.name),
          button(text("rename"), () => rename(row.name), {
            kind: "plain",
            icon: "edit",
            key: "rename",
          }),
        ),
        button(text("new_session"), begin, {
          kind: "primary",
          icon: "plus",
          extra: "attend-big",
          key: "new",
        }),
        el("h2", {}, text("sessions")),
        sessions.length === 0
          ? el("p", { class: "soft" }, text("no_sessions"))
          : el(
              "ul",
              { class: "attend-list" },
              ...sessions.map((s) => line(s, enrollments, held.get(s.id) ?? [])),
            ),
      );
    },
  };
}
