"""What the database itself guarantees for Attend: revisions, partitions, counters, tombstones."""

from __future__ import annotations

from classweave.attend.directory_feed import DIRECTORY_FEED
from classweave.attend.models import STATUS_NUMBERS
from classweave.core.ddl import lookup_policy, tenant_policy

# Taken once a transaction, before it touches what devices see. NULL: Attend is not in use there.
_REVISIONS = (
    """
CREATE FUNCTION attend.next_revision(organization uuid) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  setting text := 'classweave.rev_' || replace(organization::text, '-', '');
  taken text := current_setting(setting, true);
BEGIN
  IF taken IS NULL OR taken = '' THEN
    UPDATE attend.sync_clocks SET rev = rev + 1 WHERE organization_id = organization
      RETURNING rev::text INTO taken;
    IF taken IS NULL THEN RETURN NULL; END IF;
    INSERT INTO attend.revisions (organization_id, rev, actor_id, device_id)
      VALUES (organization, taken::bigint, ops.current_actor(),
        nullif(current_setting('classweave.device', true), '')::uuid);
    PERFORM set_config(setting, taken, true);
  END IF;
  RETURN taken::bigint;
END $$
""",
    """
CREATE FUNCTION attend.begin_generation(organization uuid) RETURNS void LANGUAGE sql AS $$
  -- Any but the present one; two restores of one backup must not agree.
  UPDATE attend.sync_clocks
    SET generation = (generation - 1 + 1 + floor(random() * 8190)::integer) % 8191 + 1
    WHERE organization_id = organization
$$
""",
)

_PARTITIONS = (
    """
CREATE FUNCTION attend.visible_terms() RETURNS integer[] LANGUAGE sql STABLE AS $$
  SELECT coalesce(array_agg(number), '{}') FROM attend.terms
$$
""",
    *tenant_policy(
        "attend.attendance_records", "term = ANY ((SELECT attend.visible_terms())::integer[])"
    ),
    # Attached rather than created as a partition: that locks out no reader.
    """
CREATE FUNCTION attend.make_partition() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  EXECUTE format('CREATE TABLE attend.records_%s (LIKE attend.attendance_records'
    ' INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', NEW.number);
  EXECUTE format('ALTER TABLE attend.records_%s ENABLE ROW LEVEL SECURITY', NEW.number);
  EXECUTE format('ALTER TABLE attend.records_%s FORCE ROW LEVEL SECURITY', NEW.number);
  EXECUTE format('ALTER TABLE attend.attendance_records ATTACH PARTITION attend.records_%s'
    ' FOR VALUES IN (%s)', NEW.number, NEW.number);
  RETURN NULL;
END $$
""",
    "CREATE TRIGGER partition AFTER INSERT ON attend.terms "
    "FOR EACH ROW EXECUTE FUNCTION attend.make_partition()",
    # Only a term that is the caller's own and archived: the owner, too, sees by row security.
    """
CREATE FUNCTION attend.drop_records(term_number integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM attend.terms
      WHERE number = term_number AND archived_at IS NOT NULL) THEN
    RAISE EXCEPTION 'only the records of an archived term are dropped'
      USING ERRCODE = 'check_violation';
  END IF;
  EXECUTE format('DROP TABLE IF EXISTS attend.records_%s', term_number);
END $$
""",
)

_BY_STATUS = ", ".join(
    f"coalesce(sum(sign) FILTER (WHERE status = {number}), 0) AS {status.value}"
    for status, number in STATUS_NUMBERS.items()
)
_COUNTS_OTHERWISE = """(n.marked_at IS NULL, n.deleted_at IS NULL, n.date)
  IS DISTINCT FROM (o.marked_at IS NULL, o.deleted_at IS NULL, o.date)"""


def _sessions_changed(event: str, tables: str, first: str, changes: str) -> tuple[str, str]:
    """A student's counters follow the sessions whose roll is taken."""
    return (
        f"""
CREATE FUNCTION attend.sessions_{event}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN{first};
  WITH changed AS MATERIALIZED (
    SELECT c.no, c.class_id, c.term, c.date, c.sign FROM ({changes}) c
    WHERE c.marked_at IS NOT NULL AND c.deleted_at IS NULL
  ), held AS (
    SELECT c.class_id, e.student_id, sum(c.sign) AS held
    FROM changed c JOIN LATERAL (SELECT DISTINCT e.student_id FROM directory.enrollments e
      WHERE e.class_id = c.class_id AND e.starts_on <= c.date
        AND (e.ends_on IS NULL OR e.ends_on > c.date)) e ON true GROUP BY 1, 2
  )
  UPDATE attend.places p SET held = p.held + h.held FROM held h
  WHERE p.class_id = h.class_id AND p.student_id = h.student_id AND h.held <> 0;
  IF TG_OP = 'UPDATE' THEN
    UPDATE attend.places p SET present = p.present + d.present, late = p.late + d.late,
      excused = p.excused + d.excused, left_early = p.left_early + d.left_early
    FROM (SELECT c.class_id, r.place, {_BY_STATUS}
      FROM ({changes}) c
        JOIN attend.attendance_records r ON r.term = c.term AND r.session_no = c.no
      WHERE c.marked_at IS NOT NULL AND c.deleted_at IS NULL GROUP BY 1, 2) d
    WHERE p.class_id = d.class_id AND p.number = d.place
      AND (d.present, d.late, d.excused, d.left_early) <> (0, 0, 0, 0);
  END IF;
  RETURN NULL;
END $$
""",
        f"CREATE TRIGGER changed_{event} AFTER {event.upper()} ON attend.attendance_sessions "
        f"{tables} FOR EACH STATEMENT EXECUTE FUNCTION attend.sessions_{event}()",
    )


_SESSIONS = (
    """
CREATE FUNCTION attend.enrolled_on(class uuid, day date) RETURNS TABLE (student_id uuid)
LANGUAGE sql STABLE AS $$
  SELECT DISTINCT e.student_id FROM directory.enrollments e
  WHERE e.class_id = class AND e.starts_on <= day AND (e.ends_on IS NULL OR e.ends_on > day)
$$
""",
    """
CREATE FUNCTION attend.settle_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.rev := attend.next_revision(NEW.organization_id);
  IF TG_OP = 'INSERT' OR NEW.date <> OLD.date
      OR (NEW.marked_at IS NULL) <> (OLD.marked_at IS NULL) THEN
    NEW.total_enrolled := (SELECT count(*) FROM attend.enrolled_on(NEW.class_id, NEW.date));
  END IF;
  NEW.total_absent := CASE WHEN NEW.marked_at IS NULL THEN 0
    ELSE greatest(0, NEW.total_enrolled - NEW.total_present - NEW.total_excused) END;
  RETURN NEW;
END $$
""",
    "CREATE TRIGGER settle BEFORE INSERT OR UPDATE ON attend.attendance_sessions "
    "FOR EACH ROW EXECUTE FUNCTION attend.settle_session()",
    *_sessions_changed(
        "insert",
        "REFERENCING NEW TABLE AS new_rows",
        """
  INSERT INTO attend.places (organization_id, class_id, number, student_id)
    SELECT e.organization_id, e.class_id,
      coalesce((SELECT max(number) FROM attend.places p WHERE p.class_id = e.class_id), 0)
        + row_number() OVER (PARTITION BY e.class_id ORDER BY e.student_id), e.student_id
    FROM (SELECT DISTINCT e.organization_id, e.class_id, e.student_id
      FROM directory.enrollments e WHERE e.class_id IN (SELECT class_id FROM new_rows)) e
    WHERE NOT EXISTS (SELECT FROM attend.places p
      WHERE p.class_id = e.class_id AND p.student_id = e.student_id)""",
        "SELECT n.*, 1 AS sign FROM new_rows n",
    ),
    *_sessions_changed(
        "update",
        "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
        """
  INSERT INTO attend.tombstones (organization_id, table_name, id, class_id, rev)
    SELECT n.organization_id, 'attendance_sessions', n.id, n.class_id, n.rev
    FROM new_rows n JOIN old_rows o ON o.no = n.no
    WHERE n.deleted_at IS NOT NULL AND o.deleted_at IS NULL
    ON CONFLICT (organization_id, table_name, id) DO UPDATE SET rev = excluded.rev""",
        f"SELECT n.*, 1 AS sign FROM new_rows n JOIN old_rows o ON o.no = n.no"
        f" WHERE {_COUNTS_OTHERWISE} UNION ALL SELECT o.*, -1 FROM new_rows n"
        f" JOIN old_rows o ON o.no = n.no WHERE {_COUNTS_OTHERWISE}",
    ),
)

_KEEP_OLD = """SELECT attend.next_revision(s.organization_id) INTO now_rev
    FROM old_rows o JOIN attend.attendance_sessions s ON s.no = o.session_no LIMIT 1;
  INSERT INTO attend.record_history (organization_id, session_no, place, rev, until_rev, id,
      status, minutes, marked_at, notes, reason)
    SELECT s.organization_id, o.session_no, o.place, o.rev, now_rev, o.id, o.status, o.minutes,
      o.marked_at, o.notes, nullif(current_setting('classweave.reason', true), '')
    FROM old_rows o JOIN attend.attendance_sessions s ON s.no = o.session_no
    WHERE o.rev < now_rev ON CONFLICT DO NOTHING"""


def _records_changed(event: str, tables: str, first: str, changes: str) -> tuple[str, str]:
    """Totals, digest and students' counters follow the records, a statement at a time."""
    return (
        f"""
CREATE FUNCTION attend.records_{event}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE now_rev bigint;
BEGIN
  {first};
  IF now_rev IS NULL THEN RETURN NULL; END IF;
  WITH changed AS MATERIALIZED (
    SELECT c.session_no, s.class_id, c.place, c.status, c.sign,
      s.marked_at IS NOT NULL AND s.deleted_at IS NULL AS counts,
      attend.record_digest(c.id, p.student_id, c.status, c.minutes, c.notes) AS digest
    FROM ({changes}) c
      JOIN attend.attendance_sessions s ON s.no = c.session_no
      JOIN attend.places p ON p.class_id = s.class_id AND p.number = c.place
  ), summed AS (
    UPDATE attend.attendance_sessions s SET
      total_present = s.total_present + d.present + d.late + d.left_early,
      total_late = s.total_late + d.late, total_excused = s.total_excused + d.excused,
      total_left_early = s.total_left_early + d.left_early,
      digest = ((s.digest + d.digest) % 4294967296 + 4294967296) % 4294967296,
      records_rev = now_rev
    FROM (SELECT session_no, {_BY_STATUS}, sum(sign * digest)::bigint AS digest
      FROM changed GROUP BY 1) d
    WHERE s.no = d.session_no
  )
  UPDATE attend.places p SET present = p.present + d.present, late = p.late + d.late,
    excused = p.excused + d.excused, left_early = p.left_early + d.left_early
  FROM (SELECT class_id, place, {_BY_STATUS} FROM changed WHERE counts GROUP BY 1, 2) d
  WHERE p.class_id = d.class_id AND p.number = d.place
    AND (d.present, d.late, d.excused, d.left_early) <> (0, 0, 0, 0);
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

_MEETINGS = (
    """
CREATE FUNCTION attend.stamp_meeting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO attend.tombstones (organization_id, table_name, id, class_id, rev)
      SELECT OLD.organization_id, 'meetings', OLD.id::text, OLD.class_id, r
      FROM attend.next_revision(OLD.organization_id) r WHERE r IS NOT NULL
      ON CONFLICT (organization_id, table_name, id) DO UPDATE SET rev = excluded.rev;
    RETURN OLD;
  END IF;
  NEW.rev := coalesce(attend.next_revision(NEW.organization_id), 0);
  RETURN NEW;
END $$
""",
    "CREATE TRIGGER stamp BEFORE INSERT OR UPDATE OR DELETE ON attend.meetings "
    "FOR EACH ROW EXECUTE FUNCTION attend.stamp_meeting()",
)

_LOOKUPS = (
    lookup_policy("attend.devices"),
    """
CREATE FUNCTION attend.identify_device(token bytea) RETURNS TABLE (
  device_id uuid, user_id uuid, role text, name text, organization_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT d.id, u.id, u.role::text, u.name, o.id
  FROM attend.devices d JOIN directory.users u ON u.id = d.user_id
    JOIN directory.organizations o ON o.id = u.organization_id
  WHERE d.token_hash = token AND d.revoked_at IS NULL
    AND u.status = 'active' AND u.deleted_at IS NULL AND u.role <> 'student'
    AND o.is_active AND o.deleted_at IS NULL
$$
""",
    # The organisation above, which a teacher of a faculty does not otherwise see, by name only.
    """
CREATE FUNCTION attend.organization_above(organization uuid) RETURNS TABLE (
  id uuid, name text, code text, timezone text, created_at timestamptz, updated_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT u.id, u.name, u.code, u.timezone, u.created_at, u.updated_at
  FROM directory.organizations o JOIN directory.organizations u ON u.id = o.parent_id
  WHERE o.id = organization AND o.kind = 'faculty'
    AND organization = ANY (ops.current_organizations())
$$
""",
    "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON attend.sync_log "
    "FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION ops.refuse_change()",
)

POLICIES = (
    *_REVISIONS, *_PARTITIONS, *_SESSIONS, *_RECORDS, *_MEETINGS, *DIRECTORY_FEED, *_LOOKUPS,
)  # fmt: skip
