// The digest of a session's records: docs/attendance-sync.md, "Digest".

import type { RecordRow } from "./rows.ts";

type Part = Pick<RecordRow, "id" | "student_id" | "status" | "minutes" | "notes">;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});
const utf8 = new TextEncoder();

/** CRC-32 as IEEE 802.3 has it, of the UTF-8 of `text`. */
export function crc32(text: string): number {
  let sum = 0xffffffff;
  for (const byte of utf8.encode(text)) sum = (TABLE[(sum ^ byte) & 0xff] as number) ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}

/** The sum, modulo 2³², over the records of one session. */
export function digestOf(records: Iterable<Part>): number {
  let sum = 0;
  for (const { id, student_id, status, minutes, notes } of records) {
    sum = (sum + crc32(`${id}|${student_id}|${status}|${minutes ?? ""}|${notes ?? ""}`)) >>> 0;
  }
  return sum;
}
