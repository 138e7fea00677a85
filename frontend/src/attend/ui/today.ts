// The first screen: the classes of today from the timetable, and all classes one teaches.

import { Q } from "@nozbe/watermelondb/index.js";

import { startSession } from "../actions.ts";
import { sessionAt } from "../roll.ts";
import type { ClassRow, MeetingRow, SessionRow } from "../rows.ts";
import { type App, byName, dayWords, hours, type Screen, today } from "./context.ts";
import { button, el, icon, link, redraw, rollBadge } from "./dom.ts";
import { text } from "./words.ts";

export function todayScreen(app: App, root: HTMLElement): Screen {
  const { store } = app;

  const begin = async (meeting: MeetingRow): Promise<void> => {
    const { class_id, date, start_time, end_time } = meeting;
    const id = await app.save(startSession(store, { class_id, date, start_time, end_time }));
    if (id !== undefined) app.go(`#/session/${id}`);
  };

  const meetingCard = (
    meeting: MeetingRow,
    name: string,
    session: SessionRow | undefined,
  ): HTMLElement =>
    el(
      "li",
      { class: "card" },
      el(
        "div",
        { class: "card-title" },
        el("h2", { class: "attend-card-title" }, name),
        session && rollBadge(session.marked_at !== null),
      ),
      el(
        "p",
        { class: "soft" },
        [
          hours(meeting.start_time, meeting.end_time),
          meeting.room,
          meeting.title !== name && meeting.title,
        ]
          .filter(Boolean)
          .join(" · "),
      ),
      session
        ? link(
            text(session.marked_at ? "see" : "go_on"),
            `#/session/${session.id}`,
            session.marked_at ? "button attend-big" : "button button-primary attend-big",
          )
        : button(text("take"), () => begin(meeting), {
            kind: "primary",
            extra: "attend-big",
            key: meeting.id,
            label: `${text("take")}: ${name} ${meeting.start_time ?? ""}`,
          }),
    );

  return {
    async draw(): Promise<void> {
      const { date } = await today(store);
      const classes = (await store.rows("classes", Q.where("is_active", true))).filter(
        (row) => !row.is_deleted,
      );
      const named = new Map<string, ClassRow>(classes.map((row) => [row.id, row]));
      const meetings = (await store.rows("meetings", Q.where("date", date)))
        .filter((meeting) => named.has(meeting.class_id))
        .sort((a, b) => (a.start_time ?? "").localeCompare(b.start_time ?? ""));
      const sessions = await store.rows("attendance_sessions", Q.where("date", date));
      const first = (await store.database.localStorage.get("attend.synced_at")) === undefined;
      redraw(
        root,
        el(
          "div",
          { class: "stack-tight" },
          el("h1", { tabindex: "-1" }, text("today")),
          el("p", { class: "soft" }, dayWords(date)),
        ),
        meetings.length === 0
          ? el("p", { class: "soft" }, text("no_meetings"))
          : el(
              "ul",
              { class: "grid" },
              ...meetings.map((meeting) =>
                meetingCard(
                  meeting,
                  named.get(meeting.class_id)?.name ?? "",
                  sessionAt(sessions, meeting.class_id, date, meeting.start_time),
                ),
              ),
            ),
        el("h2", {}, text("classes")),
        classes.length === 0
          ? el("p", { class: "soft" }, text(first ? "not_yet" : "no_classes"))
          : el(
              "ul",
              { class: "attend-list" },
              ...classes
                .sort(byName)
                .map(({ id, name, code }) =>
                  el(
                    "li",
                    {},
                    el(
                      "a",
                      { href: `#/class/${id}`, class: "attend-line", "data-key": id },
                      el("span", { class: "strong" }, name),
                      code && el("span", { class: "soft small" }, code),
                    ),
                  ),
                ),
            ),
        el(
          "div",
          { class: "row" },
          el(
            "a",
            { class: "button", href: "/attend/check-in/new" },
            icon("people"),
            text("check_in"),
          ),
          button(text("leave"), () => app.leave(), { kind: "plain", icon: "sign-out" }),
        ),
      );
    },
  };
}
