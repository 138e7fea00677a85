"""Triggers that count: a session's totals and digest, and every student's counters.

What counts is a record of somebody who was enrolled on the session's day. Each writer holds the
organisation's clock, so no two of them count at once.
"""

from __future__ import annotations

from classweave.attend.models import STATUS_NUMBERS
from classweave.core.postgres import APP_ROLE

_NUMBERS = {status.value: number for status, number in STATUS_NUMBERS.items()}


def _sums(values: str = "sign", only: str = "true") -> str:
    """A column for each status, of rows with ``status``."""
    return ", ".join(
        f"coalesce(sum({values}) FILTER (WHERE status = {number} AND {only}), 0) AS {name}"
        for name, number in _NUMBERS.items()
    )


_ADDED = """total_present = s.total_present + d.present + d.late + d.left_early,
      total_late = s.total_late + d.late, total_excused = s.total_excused + d.excused,
      total_left_early = s.total_left_early + d.left_early"""

_PLACES = (
    """
CREATE FUNCTION attend.enrolled_on(class uuid, day date) RETURNS TABLE (student_id uuid)
LANGUAGE sql STABLE AS $$
  SELECT DISTINCT e.student_id FROM directory.enrollments e
  WHERE e.class_id = class AND e.starts_on <= day AND (e.ends_on IS NULL OR e.ends_on > day)
$$
""",
    """
CREATE FUNCTION attend.seat(classes uuid[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO attend.places (organization_id, class_id, number, student_id)
    SELECT e.organization_id, e.class_id,
      coalesce((SELECT max(number) FROM attend.places p WHERE p.class_id = e.class_id), 0)
        + row_number() OVER (PARTITION BY e.class_id ORDER BY e.student_id), e.student_id
    FROM (SELECT DISTINCT organization_id, class_id, student_id FROM directory.enrollments
      WHERE class_id = ANY (classes)) e
    WHERE NOT EXISTS (SELECT FROM attend.places p
      WHERE p.class_id = e.class_id AND p.student_id = e.student_id)
$$
""",
    # Those of a session's records that count.
    """
CREATE FUNCTION attend.counted(class uuid, term_number integer, session bigint, day date)
RETURNS TABLE (place smallint, status smallint) LANGUAGE sql STABLE AS $$
  SELECT r.place, r.status FROM attend.attendance_records r
    JOIN attend.places p ON p.class_id = class AND p.number = r.place
    JOIN attend.enrolled_on(class, day) e ON e.student_id = p.student_id
  WHERE r.term = term_number AND r.session_no = session
$$
""",
)

_TALLIES = (
    # A cell's number is 5 * place - 4 for `held`, and as many more as the status's number.
    """
CREATE FUNCTION attend.tally(organization uuid, class uuid, cells integer[], signs integer[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE kept integer[];
BEGIN
  SELECT counts INTO kept FROM attend.tallies WHERE class_id = class FOR UPDATE;
  kept := coalesce(kept, '{}');
  FOR i IN 1 .. cardinality(cells) LOOP
    kept[cells[i]] := coalesce(kept[cells[i]], 0) + signs[i];
  END LOOP;
  INSERT INTO attend.tallies (organization_id, class_id, counts) VALUES (organization, class, kept)
    ON CONFLICT (class_id) DO UPDATE SET counts = excluded.counts;
END $$
""",
    "CREATE VIEW attend.standings WITH (security_invoker = true) AS"
    " SELECT p.organization_id, p.class_id, p.number, p.student_id,"
    " coalesce(t.counts[5 * p.number - 4], 0) AS held, "
    + ", ".join(
        f"coalesce(t.counts[5 * p.number - 4 + {number}], 0) AS {name}"
        for name, number in _NUMBERS.items()
    )
    + " FROM attend.places p LEFT JOIN attend.tallies t ON t.class_id = p.class_id",
    f"GRANT SELECT ON attend.standings TO {APP_ROLE}",
)

_COUNTS_OTHERWISE = """(n.marked_at IS NULL, n.deleted_at IS NULL, n.date)
  IS DISTINCT FROM (o.marked_at IS NULL, o.deleted_at IS NULL, o.date)"""
_HELD = """SELECT c.organization_id, c.class_id, 5 * p.number - 4 AS cell, c.sign
    FROM changed c CROSS JOIN LATERAL attend.enrolled_on(c.class_id, c.date) e
      JOIN attend.places p ON p.class_id = c.class_id AND p.student_id = e.student_id"""
_MARKED = """SELECT c.organization_id, c.class_id, 5 * r.place - 4 + r.status, c.sign
    FROM changed c CROSS JOIN LATERAL attend.counted(c.class_id, c.term, c.no, c.date) r"""


def _sessions_changed(event: str, tables: str, first: str, changes: str, cells: str) -> list[str]:
    """The students' counters follow the sessions whose roll is taken."""
    return [
        f"""
CREATE FUNCTION attend.sessions_{event}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN{first}
  PERFORM attend.tally(t.organization_id, t.class_id, t.cells, t.signs) FROM (
    WITH changed AS MATERIALIZED (
      SELECT c.organization_id, c.no, c.class_id, c.term, c.date, c.sign FROM ({changes}) c
      WHERE c.marked_at IS NOT NULL AND c.deleted_at IS NULL
    )
    SELECT organization_id, class_id, array_agg(cell) AS cells, array_agg(sign) AS signs
    FROM ({cells}) x GROUP BY 1, 2) t;
  RETURN NULL;
END $$
""",
        f"CREATE TRIGGER changed_{event} AFTER {event.upper()} ON attend.attendance_sessions "
        f"{tables} FOR EACH STATEMENT EXECUTE FUNCTION attend.sessions_{event}()",
    ]


_SESSIONS = (
    f"""
CREATE FUNCTION attend.settle_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.rev := attend.next_revision(NEW.organization_id);
  IF TG_OP = 'INSERT' OR NEW.date <> OLD.date THEN
    NEW.total_enrolled := (SELECT count(*) FROM attend.enrolled_on(NEW.class_id, NEW.date));
  END IF;
  IF TG_OP = 'UPDATE' AND NEW.date <> OLD.date THEN
    SELECT d.present + d.late + d.left_early, d.late, d.excused, d.left_early
      INTO NEW.total_present, NEW.total_late, NEW.total_excused, NEW.total_left_early
      FROM (SELECT {_sums("1")}
        FROM attend.counted(NEW.class_id, NEW.term, NEW.no, NEW.date)) d;
  END IF;
  NEW.total_absent := CASE WHEN NEW.marked_at IS NULL THEN 0
    ELSE NEW.total_enrolled - NEW.total_present - NEW.total_excused END;
  RETURN NEW;
END $$
""",
    "CREATE TRIGGER settle BEFORE INSERT OR UPDATE ON attend.attendance_sessions "
    "FOR EACH ROW EXECUTE FUNCTION attend.settle_session()",
    *_sessions_changed(
        "insert",
        "REFERENCING NEW TABLE AS new_rows",
        "",
        "SELECT n.*, 1 AS sign FROM new_rows n",
        _HELD,
    ),
    *_sessions_changed(
        "update",
        "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
        """
  INSERT INTO attend.tombstones (organization_id, table_name, id, class_id, rev)
    SELECT n.organization_id, 'attendance_sessions', n.id, n.class_id, n.rev
    FROM new_rows n JOIN old_rows o ON o.no = n.no
    WHERE n.deleted_at IS NOT NULL AND o.deleted_at IS NULL
    ON CONFLICT (organization_id, table_name, id) DO UPDATE SET rev = excluded.rev;
  IF NOT EXISTS (SELECT FROM new_rows n JOIN old_rows o ON o.no = n.no"""
        f" WHERE {_COUNTS_OTHERWISE})\n  THEN RETURN NULL; END IF;",
        f"SELECT n.*, 1 AS sign FROM new_rows n JOIN old_rows o ON o.no = n.no"
        f" WHERE {_COUNTS_OTHERWISE} UNION ALL SELECT o.*, -1 FROM new_rows n"
        f" JOIN old_rows o ON o.no = n.no WHERE {_COUNTS_OTHERWISE}",
        f"{_HELD} UNION ALL {_MARKED}",
    ),
)

_KEEP_OLD = """SELECT attend.next_revision(s.organization_id) INTO now_rev
    FROM old_rows o JOIN attend.attendance_sessions s ON s.no = o.session_no LIMIT 1;
  INSERT INTO attend.record_history (organization_id, session_no, place, rev, until_rev, id,
      status, minutes, marked_at, notes)
    SELECT s.organization_id, o.session_no, o.place, o.rev, now_rev, o.id, o.status, o.minutes,
      o.marked_at, o.notes
    FROM old_rows o JOIN attend.attendance_sessions s ON s.no = o.session_no
    WHERE o.rev < now_rev ON CONFLICT DO NOTHING"""


def _records_changed(event: str, tables: str, first: str, changes: str) -> tuple[str, str]:
    """Totals, digest and students' counters follow the records, a statement at a time."""
    return (
        f"""
CREATE FUNCTION attend.records_{event}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  now_rev bigint;
  one record;
BEGIN
  {first};
  IF now_rev IS NULL THEN RETURN NULL; END IF;
  FOR one IN
    WITH marks AS MATERIALIZED ({changes}), touched AS MATERIALIZED (
      SELECT s.no, s.organization_id, s.class_id, s.date,
        s.marked_at IS NOT NULL AND s.deleted_at IS NULL AS taken
      FROM attend.attendance_sessions s WHERE s.no IN (SELECT session_no FROM marks)
    ), enrolled AS MATERIALIZED (
      SELECT t.no, e.student_id
      FROM touched t CROSS JOIN LATERAL attend.enrolled_on(t.class_id, t.date) e
    ), changed AS MATERIALIZED (
      SELECT t.no, t.organization_id, t.class_id, t.taken, c.place, c.status, c.sign,
        e.student_id IS NOT NULL AS counts,
        attend.record_digest(c.id, p.student_id, c.status, c.minutes, c.notes) AS digest
      FROM marks c JOIN touched t ON t.no = c.session_no
        JOIN attend.places p ON p.class_id = t.class_id AND p.number = c.place
        LEFT JOIN enrolled e ON e.no = t.no AND e.student_id = p.student_id
    ), summed AS (
      UPDATE attend.attendance_sessions s SET {_ADDED},
        digest = ((s.digest + d.digest) % 4294967296 + 4294967296) % 4294967296,
        records_rev = now_rev
      FROM (SELECT no, {_sums(only="counts")}, sum(sign * digest)::bigint AS digest
        FROM changed GROUP BY 1) d
      WHERE s.no = d.no
    )
    SELECT organization_id, class_id, array_agg(5 * place - 4 + status) AS cells,
      array_agg(sign) AS signs
    FROM changed WHERE counts AND taken GROUP BY 1, 2
  LOOP PERFORM attend.tally(one.organization_id, one.class_id, one.cells, one.signs); END LOOP;
  RETURN NULL;
END $$
""",
        f"CREATE TRIGGER changed_{event} AFTER {event.upper()} ON attend.attendance_records "
        f"{tables} FOR EACH STATEMENT EXECUTE FUNCTION attend.records_{event}()",
    )


_RECORDS = (
    # One record's part of its session's digest: docs/attendance-sync.md.
    """
CREATE FUNCTION attend.record_digest(
  id text, student uuid, status smallint, minutes smallint, notes text) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT crc32(convert_to(id || '|' || student || '|'
    || (ARRAY['present', 'late', 'excused', 'left_early'])[status]
    || '|' || coalesce(minutes::text, '') || '|' || coalesce(notes, ''), 'UTF8'))
$$
""",
    *_records_changed(
        "insert",
        "REFERENCING NEW TABLE AS new_rows",
        "SELECT max(rev) INTO now_rev FROM new_rows",
        "SELECT *, 1 AS sign FROM new_rows",
    ),
    *_records_changed(
        "update",
        "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
        _KEEP_OLD,
        "SELECT *, 1 AS sign FROM new_rows UNION ALL SELECT *, -1 FROM old_rows",
    ),
    *_records_changed(
        "delete",
        "REFERENCING OLD TABLE AS old_rows",
        f"""{_KEEP_OLD};
  INSERT INTO attend.tombstones (organization_id, table_name, id, class_id, rev)
    SELECT s.organization_id, 'attendance_records', o.id, s.class_id, now_rev
    FROM old_rows o JOIN attend.attendance_sessions s ON s.no = o.session_no
    ON CONFLICT (organization_id, table_name, id) DO UPDATE SET rev = excluded.rev""",
        "SELECT *, -1 AS sign FROM old_rows",
    ),
)


def _enrolment_changed(event: str, tables: str, now: str, before: str) -> tuple[str, str]:
    """Who is enrolled on which days decides who counts, and who was absent.

    ``now`` and ``before`` are the rows as they are and were. An archived term is closed.
    """
    covers = "x.starts_on <= s.date AND (x.ends_on IS NULL OR x.ends_on > s.date)"
    mine = f"x.class_id = s.class_id AND x.student_id = c.student_id AND {covers}"
    held_now = f"(SELECT count(*) FROM directory.enrollments x WHERE {mine})"
    added = f"(SELECT count(*) FROM ({now}) x WHERE {mine})"
    gone = f"(SELECT count(*) FROM ({before}) x WHERE {mine})"
    return (
        f"""
CREATE FUNCTION attend.enrolment_{event}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE one record;
BEGIN
  PERFORM attend.seat(ARRAY(SELECT DISTINCT c.class_id FROM ({now}) c
    JOIN attend.sync_clocks k ON k.organization_id = c.organization_id));
  FOR one IN
    WITH turned AS MATERIALIZED (
      SELECT s.no, s.organization_id, s.class_id, s.term, p.number, r.status,
        s.marked_at IS NOT NULL AS taken,
        (h.enrolled > 0)::integer - (h.enrolled - h.added + h.gone > 0)::integer AS sign
      FROM (SELECT class_id, student_id FROM ({now}) c
          UNION SELECT class_id, student_id FROM ({before}) c) c
        JOIN attend.attendance_sessions s ON s.class_id = c.class_id AND s.deleted_at IS NULL
        JOIN attend.terms t ON t.number = s.term AND t.archived_at IS NULL
        LEFT JOIN attend.places p ON p.class_id = c.class_id AND p.student_id = c.student_id
        CROSS JOIN LATERAL (SELECT {held_now} AS enrolled, {added} AS added, {gone} AS gone) h
        LEFT JOIN attend.attendance_records r
          ON r.term = s.term AND r.session_no = s.no AND r.place = p.number
    ), summed AS (
      UPDATE attend.attendance_sessions s SET total_enrolled = s.total_enrolled + d.enrolled,
        {_ADDED}
      FROM (SELECT no, sum(sign) AS enrolled, {_sums()} FROM turned WHERE sign <> 0 GROUP BY 1) d
      WHERE s.no = d.no
    )
    SELECT organization_id, class_id, array_agg(cell) AS cells, array_agg(sign) AS signs
    FROM (SELECT organization_id, class_id, 5 * number - 4 AS cell, sign FROM turned
        WHERE taken AND sign <> 0 AND number IS NOT NULL
      UNION ALL SELECT organization_id, class_id, 5 * number - 4 + status, sign FROM turned
        WHERE taken AND sign <> 0 AND status IS NOT NULL) x GROUP BY 1, 2
  LOOP PERFORM attend.tally(one.organization_id, one.class_id, one.cells, one.signs); END LOOP;
  RETURN NULL;
END $$
""",
        f"CREATE TRIGGER attend_recount_{event} AFTER {event.upper()} ON directory.enrollments "
        f"REFERENCING {tables} FOR EACH STATEMENT EXECUTE FUNCTION attend.enrolment_{event}()",
    )


_NEW, _OLD = "SELECT * FROM new_rows", "SELECT * FROM old_rows"
_ENROLMENTS = (
    *_enrolment_changed("insert", "NEW TABLE AS new_rows", _NEW, f"{_NEW} WHERE false"),
    *_enrolment_changed("update", "OLD TABLE AS old_rows NEW TABLE AS new_rows", _NEW, _OLD),
    *_enrolment_changed("delete", "OLD TABLE AS old_rows", f"{_OLD} WHERE false", _OLD),
)

COUNTING = (*_PLACES, *_TALLIES, *_SESSIONS, *_RECORDS, *_ENROLMENTS)
