import assert from "node:assert/strict";
import { test } from "node:test";

import { retryAfterMs, waitAfter } from "../src/attend/backoff.ts";
import { crc32, digestOf } from "../src/attend/digest.ts";
import {
  byStudent,
  change,
  enrolledOn,
  laterMark,
  localDay,
  markedAt,
  matches,
  PRESENT,
  sessionAt,
  tally,
  tidy,
  unmarked,
} from "../src/attend/roll.ts";
import type { EnrollmentRow, RecordRow, SessionRow } from "../src/attend/rows.ts";

const record = (student_id: string, more: Partial<RecordRow> = {}): RecordRow => ({
  id: `r-${student_id}`,
  session_id: "s",
  student_id,
  class_id: "c",
  status: "present",
  minutes: null,
  marked_at: 1,
  notes: null,
  _status: "synced",
  ...more,
});

const session = (id: string, date: string, start_time: string | null): SessionRow => ({
  id,
  class_id: "c",
  date,
  start_time,
  end_time: null,
  marked_by: null,
  marked_at: null,
  note: null,
  digest: null,
});

test("CRC-32 has the check value of its definition", () => {
  assert.equal(crc32("123456789"), 0xcbf43926);
  assert.equal(crc32(""), 0);
});

test("the digest is a sum in any order, of UTF-8, with nothing for null", () => {
  const one = record("1", { notes: "Füße 🎈" });
  const two = record("2", { status: "late", minutes: 7 });
  assert.equal(digestOf([]), 0);
  assert.equal(digestOf([one, two]), digestOf([two, one]));
  assert.equal(
    digestOf([one, two]),
    (crc32("r-1|1|present||Füße 🎈") + crc32("r-2|2|late|7|")) % 2 ** 32,
  );
  assert.notEqual(digestOf([one]), digestOf([{ ...one, notes: null }]));
});

test("who is enrolled on a day: from the first day, until the first day no longer", () => {
  const day = (date: string): number => Date.parse(`${date}T00:00:00Z`);
  const rows: EnrollmentRow[] = [
    { id: "1", class_id: "c", student_id: "a", enrolled_at: day("2026-09-01"), dropped_at: null },
    {
      id: "2",
      class_id: "c",
      student_id: "b",
      enrolled_at: day("2026-09-01"),
      dropped_at: day("2026-10-01"),
    },
    { id: "3", class_id: "c", student_id: "c", enrolled_at: day("2026-10-01"), dropped_at: null },
  ];
  assert.deepEqual([...enrolledOn("2026-08-31", rows)], []);
  assert.deepEqual([...enrolledOn("2026-09-30", rows)], ["a", "b"]);
  assert.deepEqual([...enrolledOn("2026-10-01", rows)], ["a", "c"]);
});

test("a tally counts each student once, and only those enrolled", () => {
  const enrolled = new Set(["a", "b", "c", "d"]);
  const records = [
    record("a"),
    record("b", { status: "late", minutes: 5 }),
    record("b", { id: "r-other" }),
    record("gone"),
  ];
  const counts = tally(enrolled, records);
  assert.deepEqual(
    [counts.enrolled, counts.present, counts.late, counts.absent],
    [4, 1, 1, 2],
  );
  assert.deepEqual(unmarked(enrolled, records), ["c", "d"]);
});

test("of two records of a student, what was said here and not yet pushed counts", () => {
  const theirs = record("a", { id: "r-0" });
  const mine = record("a", { id: "r-9", status: "excused", _status: "created" });
  for (const order of [[theirs, mine], [mine, theirs]]) {
    assert.equal(byStudent(order).get("a")?.status, "excused");
  }
  assert.deepEqual(change("a", { ...PRESENT, status: "late", minutes: 3 }, [theirs, mine]), {
    kind: "update",
    id: "r-9",
    values: { status: "late", minutes: 3, notes: null },
    alsoDelete: ["r-0"],
  });
  assert.deepEqual(change("a", null, [theirs, mine]), { kind: "delete", ids: ["r-0", "r-9"] });
});

test("a mark makes, changes or deletes a record, and nothing when nothing is new", () => {
  assert.deepEqual(change("a", PRESENT, [record("b")]), { kind: "create", values: PRESENT });
  assert.deepEqual(change("a", PRESENT, [record("a")]), { kind: "none" });
  assert.deepEqual(change("a", null, [record("b")]), { kind: "none" });
});

test("minutes go with late and left early alone", () => {
  assert.deepEqual(tidy({ status: "present", minutes: 5, notes: "  " }), PRESENT);
  assert.equal(tidy({ status: "late", minutes: 4.6, notes: null }).minutes, 5);
  assert.equal(tidy({ status: "late", minutes: -1, notes: null }).minutes, null);
  assert.equal(tidy({ status: "left_early", minutes: 9999, notes: null }).minutes, 1440);
});

test("a mark comes after the one that it replaces, whatever the clock says", () => {
  assert.equal(markedAt(1000, 5000), 5001);
  assert.equal(markedAt(9000, 5000), 9000);
  assert.equal(markedAt(1000, null), 1000);
  const early = { marked_at: 1, who: "here" };
  assert.equal(laterMark(early, { marked_at: 2, who: "there" }).who, "there");
  assert.equal(laterMark(early, { marked_at: 1, who: "there" }).who, "here");
});

test("a meeting finds the session that was begun on it", () => {
  const sessions = [session("1", "2026-11-25", "09:00"), session("2", "2026-11-25", null)];
  assert.equal(sessionAt(sessions, "c", "2026-11-25", "09:00")?.id, "1");
  assert.equal(sessionAt(sessions, "c", "2026-11-25", "00:00")?.id, "2");
  assert.equal(sessionAt(sessions, "c", "2026-11-25", "10:00"), undefined);
  assert.equal(sessionAt(sessions, "other", "2026-11-25", "09:00"), undefined);
});

test("today is the university's day", () => {
  const late = new Date("2026-11-25T23:30:00Z");
  assert.deepEqual(localDay(late, "Asia/Tokyo"), { date: "2026-11-26", time: "08:30" });
  assert.deepEqual(localDay(late, "America/Bogota"), { date: "2026-11-25", time: "18:30" });
  assert.match(localDay(late, "Nowhere/Land").date, /^2026-11-2[56]$/);
});

test("a search looks past accents and capitals, in names and numbers", () => {
  assert.ok(matches("chloe", "Chloé Martin", "4711"));
  assert.ok(matches("martin 47", "Chloé Martin", "4711"));
  assert.ok(matches("", "Anybody"));
  assert.ok(!matches("ben", "Chloé Martin", null));
});

test("the wait grows, differs, has an end, and respects what the server asks for", () => {
  const longest = (failures: number): number => waitAfter(failures, 0, () => 1);
  assert.deepEqual([1, 2, 3, 4].map(longest), [2_000, 4_000, 8_000, 16_000]);
  assert.equal(longest(60), 300_000);
  assert.equal(waitAfter(5, 0, () => 0), 500);
  assert.equal(waitAfter(1, 30_000, () => 0), 30_500);
  assert.equal(retryAfterMs("7", 0), 7_000);
  assert.equal(retryAfterMs(new Date(20_000).toUTCString(), 5_000), 15_000);
  assert.equal(retryAfterMs(null, 0), 0);
  assert.equal(retryAfterMs("soon", 0), 0);
});
