// Rows as they are on the wire and in the local database. Every row has the two columns of
// WatermelonDB besides: `_status`, what became of it since the last sync, and `_changed`.

export const STATUSES = ["present", "late", "excused", "left_early"] as const;
export type Status = (typeof STATUSES)[number];

/** Those whose number of minutes says something. */
export const TIMED: readonly Status[] = ["late", "left_early"];

export interface Row {
  id: string;
  _status?: "synced" | "created" | "updated" | "deleted";
  _changed?: string;
}

export interface OrganizationRow extends Row {
  name: string;
  timezone: string | null;
}

export interface UserRow extends Row {
  name: string;
}

export interface ClassRow extends Row {
  name: string;
  code: string | null;
  semester: string | null;
  year: number | null;
  is_active: boolean;
  is_deleted: boolean;
}

export interface StudentRow extends Row {
  /** The number in the university. */
  student_id: string | null;
  name: string;
}

/** Times are midnight UTC of the first day, and of the first day no longer enrolled. */
export interface EnrollmentRow extends Row {
  class_id: string;
  student_id: string;
  enrolled_at: number | null;
  dropped_at: number | null;
}

export interface MeetingRow extends Row {
  class_id: string;
  date: string;
  start_time: string | null;
  end_time: string | null;
  room: string | null;
  title: string | null;
}

export interface SessionRow extends Row {
  class_id: string;
  date: string;
  start_time: string | null;
  end_time: string | null;
  marked_by: string | null;
  /** When the roll was closed; null while it is open. */
  marked_at: number | null;
  note: string | null;
  digest: number | null;
}

export interface RecordRow extends Row {
  session_id: string;
  student_id: string;
  class_id: string | null;
  status: Status;
  minutes: number | null;
  marked_at: number | null;
  notes: string | null;
}

export interface Tables {
  organizations: OrganizationRow;
  faculties: Row;
  users: UserRow;
  classes: ClassRow;
  students: StudentRow;
  enrollments: EnrollmentRow;
  meetings: MeetingRow;
  attendance_sessions: SessionRow;
  attendance_records: RecordRow;
}

export type TableName = keyof Tables;

/** The tables that a device writes. */
export const WRITTEN = ["classes", "attendance_sessions", "attendance_records"] as const;
