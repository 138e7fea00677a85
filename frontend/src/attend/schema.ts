// The tables as docs/attendance-sync.md names them. A migration is never taken out of the list:
// WatermelonDB empties a database that it finds no way up from, with all that was not yet synced.

import { appSchema, tableSchema } from "@nozbe/watermelondb/index.js";
import { schemaMigrations } from "@nozbe/watermelondb/Schema/migrations/index.js";

type Kind = "string" | "number" | "boolean";

const text = (name: string) => ({ name, type: "string" as Kind });
const words = (name: string) => ({ name, type: "string" as Kind, isOptional: true });
const number = (name: string) => ({ name, type: "number" as Kind, isOptional: true });
// WatermelonDB wants these two to be there always; a row that was made here has 0 until it was synced.
const moment = (name: string) => ({ name, type: "number" as Kind });
const flag = (name: string) => ({ name, type: "boolean" as Kind });
const key = (name: string) => ({ name, type: "string" as Kind, isIndexed: true });

export const SCHEMA_VERSION = 1;
export const MIGRATIONS_SINCE = 1;

export const schema = appSchema({
  version: SCHEMA_VERSION,
  tables: [
    tableSchema({
      name: "organizations",
      columns: [
        text("name"),
        words("code"),
        words("timezone"),
        words("settings"),
        moment("created_at"),
        moment("updated_at"),
      ],
    }),
    tableSchema({
      name: "faculties",
      columns: [
        words("organization_id"),
        text("name"),
        words("code"),
        moment("created_at"),
        moment("updated_at"),
      ],
    }),
    tableSchema({
      name: "users",
      columns: [
        words("organization_id"),
        words("faculty_id"),
        words("email"),
        text("name"),
        words("role"),
        flag("is_active"),
        moment("created_at"),
        moment("updated_at"),
      ],
    }),
    tableSchema({
      name: "classes",
      columns: [
        words("organization_id"),
        words("faculty_id"),
        words("teacher_id"),
        text("name"),
        words("code"),
        words("semester"),
        number("year"),
        flag("is_active"),
        flag("is_deleted"),
        number("deleted_at"),
        moment("created_at"),
        moment("updated_at"),
        words("created_by"),
        words("updated_by"),
      ],
    }),
    tableSchema({
      name: "students",
      columns: [
        words("organization_id"),
        words("faculty_id"),
        words("student_id"),
        text("name"),
        words("email"),
        number("enrollment_year"),
        flag("is_active"),
        moment("created_at"),
        moment("updated_at"),
      ],
    }),
    tableSchema({
      name: "enrollments",
      columns: [
        key("class_id"),
        text("student_id"),
        number("enrolled_at"),
        number("dropped_at"),
        flag("is_active"),
      ],
    }),
    tableSchema({
      name: "meetings",
      columns: [
        key("class_id"),
        key("date"),
        words("start_time"),
        words("end_time"),
        words("room"),
        words("title"),
      ],
    }),
    tableSchema({
      name: "attendance_sessions",
      columns: [
        key("class_id"),
        text("date"),
        words("start_time"),
        words("end_time"),
        number("total_enrolled"),
        number("total_present"),
        number("total_absent"),
        words("marked_by"),
        number("marked_at"),
        words("note"),
        number("digest"),
        moment("created_at"),
        moment("updated_at"),
      ],
    }),
    tableSchema({
      name: "attendance_records",
      columns: [
        key("session_id"),
        text("student_id"),
        key("class_id"),
        text("status"),
        number("minutes"),
        number("marked_at"),
        words("notes"),
        moment("created_at"),
      ],
    }),
  ],
});

export const migrations = schemaMigrations({ migrations: [] });
