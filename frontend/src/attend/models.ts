// One plain class a table: WatermelonDB wants classes, and we read and write rows. Without
// decorators and accessors the same file runs in the browser and under Node.

import { type AppSchema, Model } from "@nozbe/watermelondb/index.js";

import type { TableName, Tables } from "./rows.ts";

export function modelClasses(schema: AppSchema): (typeof Model)[] {
  return Object.keys(schema.tables).map(
    (table) =>
      class extends Model {
        static override table = table;
      },
  );
}

/** The row behind a model, to be read only. */
export function rowOf<T extends TableName>(model: Model): Tables[T] {
  return model._raw as unknown as Tables[T];
}

/** Inside of `update` or `create`: sets columns, and notes which have changed. */
export function assign(model: Model, values: Record<string, string | number | boolean | null>): void {
  for (const [column, value] of Object.entries(values)) model._setRaw(column, value);
}
