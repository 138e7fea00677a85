// What a lecturer does, written to the local database. Each of these resolves when it is saved,
// and not before: only then may a screen say so.

import { type Model, Q } from "@nozbe/watermelondb/index.js";

import type { Store } from "./database.ts";
import { assign, rowOf } from "./models.ts";
import { change, enrolledOn, type Mark, markedAt, PRESENT, sessionAt, tidy, unmarked } from "./roll.ts";
import type { RecordRow, SessionRow } from "./rows.ts";

/** The row that was to be changed is not there any more. */
export class Gone extends Error {}

export interface Meeting {
  class_id: string;
  date: string;
  start_time: string | null;
  end_time: string | null;
}

/** The session of a meeting: the one there is already, or a new one. Resolves to its id. */
export async function startSession(store: Store, meeting: Meeting): Promise<string> {
  const id = await store.database.write(async () => {
    const sameDay = await store.rows(
      "attendance_sessions",
      Q.where("class_id", meeting.class_id),
      Q.where("date", meeting.date),
    );
    const known = sessionAt(sameDay, meeting.class_id, meeting.date, meeting.start_time);
    if (known) return known.id;
    const made = await store.database.get("attendance_sessions").create((session) => {
      assign(session, { ...meeting, marked_by: null, marked_at: null, note: null });
    });
    return made.id;
  });
  await store.flush();
  return id;
}

/** Says `mark` about a student; null is absent. */
export async function markStudent(
  store: Store,
  sessionId: string,
  student: string,
  mark: Mark | null,
  now: number,
): Promise<void> {
  await store.database.write(async () => {
    const session = await sessionOf(store, sessionId);
    const { id, class_id } = rowOf<"attendance_sessions">(session);
    const models = await recordsOf(store, id);
    const rows = models
      .map((model) => rowOf<"attendance_records">(model))
      .filter(({ student_id }) => student_id === student);
    const todo = change(student, mark, rows);
    const named = (ids: string[]): Model[] => models.filter((model) => ids.includes(model.id));
    if (todo.kind === "delete") {
      await store.database.batch(named(todo.ids).map((model) => model.prepareMarkAsDeleted()));
    } else if (todo.kind === "create") {
      await store.database.batch(prepareRecord(store, id, class_id, student, todo.values, now));
    } else if (todo.kind === "update") {
      const before = rows.reduce((last, { marked_at }) => Math.max(last, marked_at ?? 0), 0);
      const values = { ...todo.values, marked_at: markedAt(now, before) };
      await store.database.batch([
        ...named(todo.alsoDelete).map((model) => model.prepareMarkAsDeleted()),
        ...named([todo.id]).map((model) => model.prepareUpdate((it) => assign(it, values))),
      ]);
    }
  });
  await store.flush();
}

/** Marks everybody present about whom nothing was said. Resolves to those students. */
export async function markAllPresent(
  store: Store,
  sessionId: string,
  now: number,
): Promise<string[]> {
  const students = await store.database.write(async () => {
    const { id, class_id, date } = rowOf<"attendance_sessions">(await sessionOf(store, sessionId));
    const enrolled = enrolledOn(
      date,
      await store.rows("enrollments", Q.where("class_id", class_id)),
    );
    const rows = (await recordsOf(store, id)).map((m) => rowOf<"attendance_records">(m));
    const left = unmarked(enrolled, rows);
    await store.database.batch(
      left.map((student) => prepareRecord(store, id, class_id, student, PRESENT, now)),
    );
    return left;
  });
  await store.flush();
  return students;
}

/** Takes back `markAllPresent`: those who are still simply present become absent again. */
export async function unmarkPresent(
  store: Store,
  sessionId: string,
  students: string[],
): Promise<void> {
  await store.database.write(async () => {
    const models = await recordsOf(store, store.follow(sessionId));
    const present = models.filter((model) => {
      const { student_id, status } = rowOf<"attendance_records">(model);
      return status === "present" && students.includes(student_id);
    });
    await store.database.batch(present.map((model) => model.prepareMarkAsDeleted()));
  });
  await store.flush();
}

/** Closes the roll (`by` is who closes it) or opens it again. */
export async function setRoll(
  store: Store,
  sessionId: string,
  closed: { by: string; at: number } | null,
): Promise<void> {
  await editSession(store, sessionId, {
    marked_at: closed?.at ?? null,
    marked_by: closed?.by ?? null,
  });
}

export async function setNote(store: Store, sessionId: string, note: string): Promise<void> {
  await editSession(store, sessionId, { note: note.trim() || null });
}

async function editSession(
  store: Store,
  sessionId: string,
  values: Partial<SessionRow>,
): Promise<void> {
  await store.database.write(async () => {
    const session = await sessionOf(store, sessionId);
    await session.update((it) => assign(it, values as Record<string, string | number | null>));
  });
  await store.flush();
}

/** Deletes a session with its records, in one writer. */
export async function deleteSession(store: Store, sessionId: string): Promise<void> {
  await store.database.write(async () => {
    const session = await sessionOf(store, sessionId);
    const records = await recordsOf(store, session.id);
    await store.database.batch(
      [session, ...records].map((model) => model.prepareMarkAsDeleted()),
    );
  });
  await store.flush();
}

export async function renameClass(store: Store, classId: string, name: string): Promise<void> {
  const tidied = name.trim().replace(/\s+/g, " ");
  if (tidied === "") return;
  await store.database.write(async () => {
    const found = await store.find("classes", classId);
    if (found === null) throw new Gone(classId);
    await found.update((it) => assign(it, { name: tidied }));
  });
  await store.flush();
}

/** The session under the id that a screen knows, also when it was merged into another's. */
async function sessionOf(store: Store, id: string): Promise<Model> {
  const session = await store.find("attendance_sessions", store.follow(id));
  if (session === null) throw new Gone(id);
  return session;
}

async function recordsOf(store: Store, sessionId: string): Promise<Model[]> {
  return await store.models("attendance_records", Q.where("session_id", sessionId));
}

function prepareRecord(
  store: Store,
  sessionId: string,
  classId: string,
  student: string,
  mark: Mark,
  now: number,
): Model {
  const values: Omit<RecordRow, "id"> = {
    session_id: sessionId,
    class_id: classId,
    student_id: student,
    ...tidy(mark),
    marked_at: now,
  };
  return store.database
    .get("attendance_records")
    .prepareCreate((it) => assign(it, values as unknown as Record<string, string | number | null>));
}
