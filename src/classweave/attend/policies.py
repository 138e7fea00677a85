"""What the database itself guarantees for Attend: revisions, partitions, tombstones."""

from __future__ import annotations

from classweave.attend.counting import COUNTING
from classweave.attend.directory_feed import DIRECTORY_FEED
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
  -- A later one, for clients suspect a timestamp that falls; by chance how much later, for two
  -- restores of one backup must not agree. After a hundred of them it begins anew.
  UPDATE attend.sync_clocks
    SET generation = (generation + floor(random() * 1024)::integer) % 131071 + 1
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
    *_REVISIONS, *_PARTITIONS, *COUNTING, *_MEETINGS, *DIRECTORY_FEED, *_LOOKUPS,
)  # fmt: skip
