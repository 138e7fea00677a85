"""Triggers on the directory: what devices see of it is part of the feed of changes.

They are here and not in the directory, which knows nothing of Attend. Where an organisation has no
clock they do nothing.
"""

from __future__ import annotations

_CLASS_OF = {"classes": "r.id", "enrollments": "r.class_id"}
_EVENTS = (
    ("INSERT", "NEW TABLE AS changed", "false"),
    ("UPDATE", "NEW TABLE AS changed", "false"),
    ("DELETE", "OLD TABLE AS changed", "true"),
)


def _feed(table: str, deleted: str, suffix: str) -> str:
    organization = "r.id" if table == "organizations" else "r.organization_id"
    return f"""
CREATE FUNCTION attend.feed_{table}_{suffix}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.directory_changes (organization_id, table_name, id, class_id, rev, deleted)
    SELECT {organization}, '{table}', r.id, {_CLASS_OF.get(table, "NULL::uuid")},
      attend.next_revision({organization}), {deleted}
    FROM changed r
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = {organization})
    ON CONFLICT (organization_id, table_name, id)
      DO UPDATE SET rev = excluded.rev, deleted = excluded.deleted;
  RETURN NULL;
END $$
"""


DIRECTORY_FEED = (
    *(
        statement
        for table in ("organizations", "users", "classes", "students", "enrollments")
        for event, rows, deleted in _EVENTS
        if not (event == "DELETE" and table == "organizations")
        for statement in (
            _feed(table, deleted, event.lower()),
            f"CREATE TRIGGER attend_feed_{event.lower()} AFTER {event} ON directory.{table} "
            f"REFERENCING {rows} FOR EACH STATEMENT "
            f"EXECUTE FUNCTION attend.feed_{table}_{event.lower()}()",
        )
    ),
    # A class given to a teacher, or taken away, changes what the teacher's devices see.
    *(
        statement
        for event, rows, granted in (
            ("INSERT", "NEW TABLE AS changed", "true"),
            ("DELETE", "OLD TABLE AS changed", "false"),
        )
        for statement in (
            f"""
CREATE FUNCTION attend.see_{event.lower()}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.visibility (organization_id, user_id, class_id, granted, rev)
    SELECT r.organization_id, r.user_id, r.class_id, {granted},
      attend.next_revision(r.organization_id)
    FROM changed r
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = r.organization_id)
    ON CONFLICT (user_id, class_id)
      DO UPDATE SET granted = excluded.granted, rev = excluded.rev;
  RETURN NULL;
END $$
""",
            f"CREATE TRIGGER attend_see_{event.lower()} AFTER {event} ON directory.class_teachers "
            f"REFERENCING {rows} FOR EACH STATEMENT EXECUTE FUNCTION attend.see_{event.lower()}()",
        )
    ),
    # Who is enrolled on which days decides who was absent.
    """
CREATE FUNCTION attend.recount_classes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE class uuid;
BEGIN
  FOR class IN SELECT DISTINCT r.class_id FROM changed r
    WHERE EXISTS (SELECT FROM attend.attendance_sessions s WHERE s.class_id = r.class_id)
  LOOP PERFORM attend.recount_class(class); END LOOP;
  RETURN NULL;
END $$
""",
    """
CREATE FUNCTION attend.recount_class(class uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.places (organization_id, class_id, number, student_id)
    SELECT e.organization_id, class,
      coalesce((SELECT max(number) FROM attend.places p WHERE p.class_id = class), 0)
        + row_number() OVER (ORDER BY e.student_id), e.student_id
    FROM (SELECT DISTINCT organization_id, student_id FROM directory.enrollments
      WHERE class_id = class) e
    WHERE NOT EXISTS (SELECT FROM attend.places p
      WHERE p.class_id = class AND p.student_id = e.student_id);
  UPDATE attend.attendance_sessions s SET total_enrolled = n.enrolled
    FROM (SELECT no, (SELECT count(*) FROM attend.enrolled_on(class, date)) AS enrolled
      FROM attend.attendance_sessions WHERE class_id = class AND deleted_at IS NULL) n
    WHERE s.no = n.no AND s.total_enrolled <> n.enrolled;
  UPDATE attend.places p SET held = n.held
    FROM (SELECT k.number, count(s.no) AS held FROM attend.places k
      LEFT JOIN directory.enrollments e ON e.class_id = class AND e.student_id = k.student_id
      LEFT JOIN attend.attendance_sessions s ON s.class_id = class AND s.marked_at IS NOT NULL
        AND s.deleted_at IS NULL AND s.date >= e.starts_on
        AND (e.ends_on IS NULL OR s.date < e.ends_on)
      WHERE k.class_id = class GROUP BY 1) n
    WHERE p.class_id = class AND p.number = n.number AND p.held <> n.held;
END $$
""",
    *(
        f"CREATE TRIGGER attend_recount_{event.lower()} AFTER {event} ON directory.enrollments "
        f"REFERENCING {rows} FOR EACH STATEMENT EXECUTE FUNCTION attend.recount_classes()"
        for event, rows, _deleted in _EVENTS
    ),
)
