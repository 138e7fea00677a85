"""What the database itself guarantees in the directory, beside the tables' own constraints."""

from __future__ import annotations

from classweave.core.ddl import VISIBLE, lookup_policy, tenant_policy
from classweave.core.postgres import APP_ROLE, OWNER_ROLE

_TREE = (
    *tenant_policy("directory.organizations", f"id = {VISIBLE}"),
    lookup_policy("directory.organizations"),
    # The triggers below count for organisations above, which the actor may not see.
    f"CREATE POLICY counting ON directory.organizations FOR UPDATE TO {OWNER_ROLE}"
    " USING (true) WITH CHECK (true)",
    """
CREATE FUNCTION directory.place_organization() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE above directory.organization_kind;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    RAISE EXCEPTION 'the place of an organisation in the tree is fixed'
      USING ERRCODE = 'check_violation';
  END IF;
  SELECT kind INTO above FROM directory.organizations WHERE id = NEW.parent_id;
  IF NOT coalesce(CASE above
      WHEN 'district' THEN NEW.kind IN ('district', 'school', 'university')
      WHEN 'university' THEN NEW.kind = 'faculty'
      WHEN 'faculty' THEN NEW.kind = 'faculty'
      WHEN 'school' THEN false
    END, NEW.parent_id IS NULL AND NEW.kind <> 'faculty') THEN
    RAISE EXCEPTION 'a % cannot hold a %', above, NEW.kind USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$
""",
    "CREATE TRIGGER place BEFORE INSERT OR UPDATE OF parent_id, kind ON directory.organizations "
    "FOR EACH ROW EXECUTE FUNCTION directory.place_organization()",
)

_COUNTS = (
    """
CREATE FUNCTION directory.add_counts(
  organization uuid, students bigint, teachers bigint, schools bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE path uuid[];
BEGIN
  WITH RECURSIVE upwards AS (
    SELECT id, parent_id, deleted_at FROM directory.organizations WHERE id = organization
    UNION ALL
    SELECT o.id, o.parent_id, o.deleted_at
      FROM directory.organizations o JOIN upwards ON o.id = upwards.parent_id
      WHERE upwards.deleted_at IS NULL
  ) SELECT array_agg(id) INTO path FROM upwards;
  -- Always in one order, so that two transactions never wait for each other in a circle.
  PERFORM 1 FROM directory.organizations WHERE id = ANY (path) ORDER BY id FOR NO KEY UPDATE;
  UPDATE directory.organizations
    SET student_count = student_count + students,
        teacher_count = teacher_count + teachers,
        current_teachers = current_teachers + teachers,
        school_count = school_count + schools
    WHERE id = ANY (path);
END $$
""",
    "REVOKE EXECUTE ON FUNCTION directory.add_counts FROM PUBLIC",
    """
CREATE FUNCTION directory.count_students() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE change record;
BEGIN
  IF TG_OP = 'INSERT' THEN
    FOR change IN SELECT organization_id, count(*) AS n FROM new_rows
      WHERE deleted_at IS NULL AND status = 'active' GROUP BY 1 ORDER BY 1
    LOOP PERFORM directory.add_counts(change.organization_id, change.n, 0, 0); END LOOP;
  ELSIF TG_OP = 'DELETE' THEN
    FOR change IN SELECT organization_id, count(*) AS n FROM old_rows
      WHERE deleted_at IS NULL AND status = 'active' GROUP BY 1 ORDER BY 1
    LOOP PERFORM directory.add_counts(change.organization_id, -change.n, 0, 0); END LOOP;
  ELSE
    FOR change IN SELECT organization_id, sum(n) AS n FROM (
        SELECT organization_id, 1 AS n FROM new_rows
          WHERE deleted_at IS NULL AND status = 'active'
        UNION ALL SELECT organization_id, -1 FROM old_rows
          WHERE deleted_at IS NULL AND status = 'active') AS both_rows
      GROUP BY 1 HAVING sum(n) <> 0 ORDER BY 1
    LOOP PERFORM directory.add_counts(change.organization_id, change.n, 0, 0); END LOOP;
  END IF;
  RETURN NULL;
END $$
""",
    """
CREATE FUNCTION directory.count_teachers() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE change record;
BEGIN
  IF TG_OP = 'INSERT' THEN
    FOR change IN SELECT organization_id, count(*) AS n FROM new_rows
      WHERE role = 'teacher' AND deleted_at IS NULL AND status <> 'inactive' GROUP BY 1 ORDER BY 1
    LOOP PERFORM directory.add_counts(change.organization_id, 0, change.n, 0); END LOOP;
  ELSIF TG_OP = 'DELETE' THEN
    FOR change IN SELECT organization_id, count(*) AS n FROM old_rows
      WHERE role = 'teacher' AND deleted_at IS NULL AND status <> 'inactive' GROUP BY 1 ORDER BY 1
    LOOP PERFORM directory.add_counts(change.organization_id, 0, -change.n, 0); END LOOP;
  ELSE
    FOR change IN SELECT organization_id, sum(n) AS n FROM (
        SELECT organization_id, 1 AS n FROM new_rows
          WHERE role = 'teacher' AND deleted_at IS NULL AND status <> 'inactive'
        UNION ALL SELECT organization_id, -1 FROM old_rows
          WHERE role = 'teacher' AND deleted_at IS NULL AND status <> 'inactive') AS both_rows
      GROUP BY 1 HAVING sum(n) <> 0 ORDER BY 1
    LOOP PERFORM directory.add_counts(change.organization_id, 0, change.n, 0); END LOOP;
  END IF;
  RETURN NULL;
END $$
""",
    *(
        f"CREATE TRIGGER count_{event.lower()} AFTER {event} ON directory.{table} "
        f"REFERENCING {rows} FOR EACH STATEMENT EXECUTE FUNCTION directory.count_{what}()"
        for table, what in (("students", "students"), ("users", "teachers"))
        for event, rows in (
            ("INSERT", "NEW TABLE AS new_rows"),
            ("UPDATE", "OLD TABLE AS old_rows NEW TABLE AS new_rows"),
            ("DELETE", "OLD TABLE AS old_rows"),
        )
    ),
    """
CREATE FUNCTION directory.count_schools() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  one directory.organizations := coalesce(NEW, OLD);
  change integer := 0;
BEGIN
  -- What stands below a deleted organisation goes from the counts above it, and comes back.
  IF TG_OP <> 'INSERT' AND OLD.deleted_at IS NULL THEN change := change - 1; END IF;
  IF TG_OP <> 'DELETE' AND NEW.deleted_at IS NULL THEN change := change + 1; END IF;
  IF change <> 0 AND one.parent_id IS NOT NULL THEN
    PERFORM directory.add_counts(one.parent_id, change * one.student_count,
      change * one.teacher_count, change * (one.school_count + (one.kind = 'school')::int));
  END IF;
  RETURN one;
END $$
""",
    "CREATE TRIGGER count_schools AFTER INSERT OR UPDATE OF deleted_at ON directory.organizations "
    "FOR EACH ROW EXECUTE FUNCTION directory.count_schools()",
    "CREATE TRIGGER uncount_schools BEFORE DELETE ON directory.organizations "
    "FOR EACH ROW EXECUTE FUNCTION directory.count_schools()",
)

_AGES = (
    # A year alone leaves the thirteenth year open: only a teacher's word settles it. Nobody's
    # word makes a child older than the year of birth allows.
    """
CREATE FUNCTION directory.under_13(birth_year integer, verified boolean, in_year integer)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN birth_year IS NULL THEN NOT verified
    WHEN in_year - birth_year < 13 THEN true
    WHEN in_year - birth_year = 13 THEN NOT verified
    ELSE false
  END
$$
""",
    f"""
CREATE FUNCTION directory.guard_student() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  kept boolean := false;
BEGIN
  NEW.is_under_13 := directory.under_13(
    NEW.birth_year, NEW.teacher_verified_age, extract(year FROM now())::integer);
  IF TG_OP = 'INSERT' THEN
    kept := NOT (NEW.has_parental_consent OR NEW.data_sharing_consent
      OR NEW.audio_recording_consent OR NEW.email_consent OR NEW.coppa_compliant)
      AND NEW.consent_date IS NULL;
  ELSE
    kept := (NEW.has_parental_consent, NEW.consent_date, NEW.data_sharing_consent,
        NEW.audio_recording_consent, NEW.email_consent, NEW.coppa_compliant)
      IS NOT DISTINCT FROM
      (OLD.has_parental_consent, OLD.consent_date, OLD.data_sharing_consent,
        OLD.audio_recording_consent, OLD.email_consent, OLD.coppa_compliant);
  END IF;
  -- A trigger of the consents themselves comes from one level down.
  IF NOT kept AND pg_trigger_depth() = 1 AND current_user = '{APP_ROLE}' THEN
    RAISE EXCEPTION 'consent changes only by recording a consent'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$
""",
    "CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON directory.students "
    "FOR EACH ROW EXECUTE FUNCTION directory.guard_student()",
    # For the organisations visible to the caller; returns how many students changed.
    """
CREATE FUNCTION directory.refresh_ages() RETURNS bigint LANGUAGE sql AS $$
  WITH changed AS (
    UPDATE directory.students SET birth_year = birth_year
      WHERE is_under_13 <> directory.under_13(
        birth_year, teacher_verified_age, extract(year FROM now())::integer)
      RETURNING 1)
  SELECT count(*) FROM changed
$$
""",
    # What a student's record may not hold, the student's account may not hold either.
    """
CREATE FUNCTION directory.guard_student_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM directory.students s
      WHERE s.user_id = NEW.id AND (NOT s.is_under_13 OR s.has_parental_consent)) THEN
    RAISE EXCEPTION 'this account is of a student under 13 without parental consent'
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$
""",
    "CREATE TRIGGER guard_student BEFORE INSERT OR UPDATE ON directory.users FOR EACH ROW "
    "WHEN (NEW.role = 'student' AND (NEW.email IS NOT NULL OR NEW.family_name IS NOT NULL"
    " OR NEW.google_id IS NOT NULL)) EXECUTE FUNCTION directory.guard_student_account()",
    """
CREATE FUNCTION directory.clear_student_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE directory.users SET email = NULL, family_name = NULL, google_id = NULL
    WHERE id = NEW.user_id
      AND (email IS NOT NULL OR family_name IS NOT NULL OR google_id IS NOT NULL);
  RETURN NULL;
END $$
""",
    "CREATE TRIGGER clear_account AFTER INSERT OR UPDATE ON directory.students FOR EACH ROW "
    "WHEN (NEW.user_id IS NOT NULL AND NEW.is_under_13 AND NOT NEW.has_parental_consent) "
    "EXECUTE FUNCTION directory.clear_student_account()",
)

_OWNERS = (
    """
CREATE FUNCTION directory.keep_class_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    DELETE FROM directory.class_teachers WHERE class_id = NEW.id AND role = 'owner';
  END IF;
  INSERT INTO directory.class_teachers (organization_id, class_id, user_id, role)
    VALUES (NEW.organization_id, NEW.id, NEW.teacher_id, 'owner')
    ON CONFLICT (class_id, user_id) DO UPDATE SET role = 'owner';
  RETURN NULL;
END $$
""",
    "CREATE TRIGGER keep_owner AFTER INSERT OR UPDATE OF teacher_id ON directory.classes "
    "FOR EACH ROW EXECUTE FUNCTION directory.keep_class_owner()",
)

_LOOKUPS = (
    *(
        lookup_policy(f"directory.{table}")
        for table in ("users", "students", "classes", "sign_in_sessions", "password_resets")
    ),
    # Everything an actor needs, or no row. Administrators also see the organisations below.
    """
CREATE FUNCTION directory.identify(token bytea, at timestamptz DEFAULT now()) RETURNS TABLE (
  session_id uuid, last_seen_at timestamptz, user_id uuid, student_id uuid, role text, name text,
  locale text, timezone text, organization_id uuid, organization_name text, organizations uuid[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT s.id, s.last_seen_at, u.id, p.id, u.role::text, u.name,
    coalesce(u.locale, o.locale), coalesce(u.timezone, o.timezone), o.id, o.name,
    CASE WHEN u.role IN ('school_admin', 'district_admin', 'platform_admin') THEN (
      WITH RECURSIVE downwards AS (
        SELECT o.id
        UNION ALL
        SELECT c.id FROM directory.organizations c JOIN downwards ON c.parent_id = downwards.id
          WHERE c.deleted_at IS NULL
      ) SELECT array_agg(downwards.id) FROM downwards)
    ELSE ARRAY[o.id] END
  FROM directory.sign_in_sessions s
    JOIN directory.users u ON u.id = s.user_id
    JOIN directory.organizations o ON o.id = u.organization_id
    LEFT JOIN directory.students p ON p.user_id = u.id AND p.deleted_at IS NULL
  WHERE s.token_hash = token AND s.revoked_at IS NULL AND s.expires_at > at
    AND u.status = 'active' AND u.deleted_at IS NULL
    AND o.is_active AND o.deleted_at IS NULL
$$
""",
    """
CREATE FUNCTION directory.find_credentials(address text) RETURNS TABLE (
  user_id uuid, organization_id uuid, role text, password_hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT u.id, u.organization_id, u.role::text, u.password_hash
  FROM directory.users u JOIN directory.organizations o ON o.id = u.organization_id
  WHERE lower(u.email) = lower(address) AND u.deleted_at IS NULL AND u.status <> 'inactive'
    AND o.is_active AND o.deleted_at IS NULL
$$
""",
    """
CREATE FUNCTION directory.find_class_by_invite(code text) RETURNS TABLE (
  class_id uuid, organization_id uuid, name text, language text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT c.id, c.organization_id, c.name, c.language FROM directory.classes c
  WHERE c.invite_code = upper(code) AND c.archived_at IS NULL AND c.deleted_at IS NULL
$$
""",
    """
CREATE FUNCTION directory.all_organizations() RETURNS TABLE (id uuid, timezone text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT o.id, o.timezone FROM directory.organizations o WHERE o.deleted_at IS NULL
$$
""",
    f"CREATE POLICY spending ON directory.password_resets FOR UPDATE TO {OWNER_ROLE}"
    " USING (true) WITH CHECK (true)",
    """
CREATE FUNCTION directory.use_password_reset(token bytea, at timestamptz DEFAULT now())
RETURNS TABLE (user_id uuid, organization_id uuid, role text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  UPDATE directory.password_resets r SET used_at = at
  FROM directory.users u
  WHERE r.token_hash = token AND r.used_at IS NULL AND r.expires_at > at
    AND u.id = r.user_id AND u.deleted_at IS NULL AND u.status <> 'inactive'
  RETURNING u.id, u.organization_id, u.role::text
$$
""",
)

POLICIES = (*_TREE, *_COUNTS, *_AGES, *_OWNERS, *_LOOKUPS)
