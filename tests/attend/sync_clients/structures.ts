// The tables of today as version n + 1, and as version n those of before: without a table and columns.

import { createRequire } from "node:module";

import type { Structure } from "../../../frontend/src/attend/database.ts";
import { migrations, schema, SCHEMA_VERSION } from "../../../frontend/src/attend/schema.ts";

const frontend = createRequire(new URL("../../../frontend/package.json", import.meta.url));
const { appSchema, tableSchema } = frontend("@nozbe/watermelondb");
const { addColumns, createTable, schemaMigrations } = frontend("@nozbe/watermelondb/Schema/migrations");

const NEW_TABLE = "meetings";
const NEW_COLUMNS: Record<string, string> = { students: "student_id", attendance_sessions: "total_enrolled" };

const today = Object.values(schema.tables).map(({ name, columnArray }) => ({ name, columns: columnArray }));

export const BEFORE: Structure = {
  schema: appSchema({
    version: SCHEMA_VERSION,
    tables: today
      .filter(({ name }) => name !== NEW_TABLE)
      .map(({ name, columns }) =>
        tableSchema({ name, columns: columns.filter((column) => column.name !== NEW_COLUMNS[name]) }),
      ),
  }),
  migrations,
};

export const AFTER: Structure = {
  schema: appSchema({ version: SCHEMA_VERSION + 1, tables: today.map(tableSchema) }),
  migrations: schemaMigrations({
    migrations: [
      ...migrations.sortedMigrations,
      {
        toVersion: SCHEMA_VERSION + 1,
        steps: today.flatMap(({ name, columns }) => {
          if (name === NEW_TABLE) return [createTable({ name, columns })];
          const added = columns.filter((column) => column.name === NEW_COLUMNS[name]);
          return added.length > 0 ? [addColumns({ table: name, columns: added })] : [];
        }),
      },
    ],
  }),
};
