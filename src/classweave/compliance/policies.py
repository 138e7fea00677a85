"""What the database itself guarantees about consent, children, retention and the audit trail."""

from __future__ import annotations

from classweave.core.postgres import OWNER_ROLE

# (policy_type, days, legal basis, auto_delete_enabled); no days: the organisation's own
# data_retention_days. Short where the purpose is short; an administrator may change each one.
DEFAULT_POLICIES = (
    ("sound", 30, "consent to recording; needed to check a transcript", True),
    ("words", None, "consent; needed for teaching in the school year", True),
    ("measures", None, "consent to analysis; needed for teaching in the school year", True),
    ("prompts", None, "legitimate educational interest; review of the advice given", True),
    ("messages", None, "legitimate educational interest; record of what was said", True),
    ("events", 7, "technical; lets a page that lost its connection catch up", True),
    ("sign_in_sessions", 30, "security; lets a person see where they signed in", True),
    ("consent_history", 1095, "legal duty to show past consent", True),
    ("audit", 2555, "legal duty to account for access to student records", False),
)


def _values() -> str:
    rows = (
        f"('{kind}'::compliance.policy_type, {days or 'NULL'}, '{basis}', {str(auto).lower()})"
        for kind, days, basis, auto in DEFAULT_POLICIES
    )
    return ",\n    ".join(rows)


POLICIES: tuple[str, ...] = (
    # --- Consent -----------------------------------------------------------------------------
    """
CREATE FUNCTION compliance.admit_consent() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE student directory.students;
BEGIN
  SELECT * INTO student FROM directory.students WHERE id = NEW.student_id FOR NO KEY UPDATE;
  IF student.id IS NULL OR student.organization_id <> NEW.organization_id THEN
    RAISE EXCEPTION 'the student belongs to another organisation'
      USING ERRCODE = 'foreign_key_violation';
  END IF;
  IF student.is_under_13 AND NEW.consent_given AND
     (NEW.verification_method IS NULL OR NEW.verified_at IS NULL
      OR NEW.verification_method = 'student_of_age'
      OR (NEW.verification_method = 'e_mail'
          AND NEW.consent_type IN ('data_sharing', 'disclosure', 'ai_training'))) THEN
    RAISE EXCEPTION 'not a verifiable parental consent' USING ERRCODE = 'check_violation';
  END IF;
  UPDATE compliance.parental_consents SET superseded_at = now()
    WHERE student_id = NEW.student_id AND consent_type = NEW.consent_type
      AND superseded_at IS NULL;
  NEW.superseded_at := NULL;
  RETURN NEW;
END $$
""",
    "CREATE TRIGGER admit BEFORE INSERT ON compliance.parental_consents "
    "FOR EACH ROW EXECUTE FUNCTION compliance.admit_consent()",
    """
CREATE FUNCTION compliance.keep_decision() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE allowed compliance.parental_consents := OLD;
BEGIN
  allowed.superseded_at := coalesce(OLD.superseded_at, NEW.superseded_at);
  allowed.updated_at := NEW.updated_at;
  IF NEW.recorded_by IS NULL THEN  -- the person who recorded it was erased
    allowed.recorded_by := NULL;
    allowed.ip_address := NEW.ip_address;
    allowed.user_agent := NEW.user_agent;
  END IF;
  IF NEW IS DISTINCT FROM allowed THEN
    RAISE EXCEPTION 'a recorded decision is not edited; record a new one'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$
""",
    "CREATE TRIGGER keep_decision BEFORE UPDATE ON compliance.parental_consents "
    "FOR EACH ROW EXECUTE FUNCTION compliance.keep_decision()",
    # The directory's columns are a cache of what stands. Losing the consent to take part also
    # clears, in the same statement, what the law forbids to keep of a child under 13.
    """
CREATE FUNCTION compliance.refresh_consent_cache() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE consents record; child boolean;
BEGIN
  SELECT
    coalesce(bool_or(consent_given) FILTER (WHERE consent_type = 'take_part'), false) AS take_part,
    coalesce(bool_or(consent_given) FILTER (WHERE consent_type = 'recording'), false) AS recording,
    coalesce(bool_or(consent_given) FILTER (WHERE consent_type = 'data_sharing'), false) AS sharing,
    coalesce(bool_or(consent_given) FILTER (WHERE consent_type = 'email'), false) AS email,
    coalesce(bool_or(consent_given) FILTER (WHERE consent_type = 'disclosure'), false)
      AS disclosure,
    min(consent_date) FILTER (WHERE consent_type = 'take_part' AND consent_given) AS given_on,
    max(parent_email) FILTER (WHERE consent_type = 'take_part' AND consent_given) AS parent_email
  INTO consents FROM compliance.parental_consents
  WHERE student_id = NEW.student_id AND superseded_at IS NULL;
  SELECT is_under_13 AND NOT consents.take_part INTO child
    FROM directory.students WHERE id = NEW.student_id;
  UPDATE directory.students SET
    has_parental_consent = consents.take_part,
    consent_date = consents.given_on,
    data_sharing_consent = consents.sharing,
    audio_recording_consent = consents.recording,
    email_consent = consents.email,
    parent_email = CASE WHEN child THEN NULL
                        ELSE coalesce(consents.parent_email, parent_email) END,
    email = CASE WHEN child THEN NULL ELSE email END,
    family_name = CASE WHEN child THEN NULL ELSE family_name END,
    google_id = CASE WHEN child THEN NULL ELSE google_id END
  WHERE id = NEW.student_id;
  UPDATE compliance.coppa_compliance SET no_third_party_sharing = NOT consents.disclosure
    WHERE student_id = NEW.student_id
      AND no_third_party_sharing IS DISTINCT FROM (NOT consents.disclosure);
  RETURN NULL;
END $$
""",
    "CREATE TRIGGER refresh_consent_cache AFTER INSERT ON compliance.parental_consents "
    "FOR EACH ROW EXECUTE FUNCTION compliance.refresh_consent_cache()",
    # --- Children under 13 --------------------------------------------------------------------
    """
CREATE FUNCTION compliance.follow_student() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
BEGIN
  INSERT INTO compliance.coppa_compliance AS c
    (organization_id, student_id, birth_year, is_under_13, age_verification_method,
     age_verified_at, data_collection_limited)
  VALUES (NEW.organization_id, NEW.id, NEW.birth_year, NEW.is_under_13,
    CASE WHEN NEW.teacher_verified_age THEN 'teacher' END,
    CASE WHEN NEW.teacher_verified_age THEN now() END,
    NEW.is_under_13 AND NOT NEW.has_parental_consent)
  ON CONFLICT (student_id) DO UPDATE SET
    organization_id = EXCLUDED.organization_id,
    birth_year = EXCLUDED.birth_year,
    is_under_13 = EXCLUDED.is_under_13,
    age_verification_method = EXCLUDED.age_verification_method,
    age_verified_at = CASE WHEN EXCLUDED.age_verified_at IS NULL THEN NULL
                           ELSE coalesce(c.age_verified_at, EXCLUDED.age_verified_at) END,
    data_collection_limited = EXCLUDED.data_collection_limited;
  UPDATE directory.students SET coppa_compliant = NOT is_under_13 OR has_parental_consent
    WHERE id = NEW.id
      AND coppa_compliant IS DISTINCT FROM (NOT is_under_13 OR has_parental_consent);
  RETURN NULL;
END $$
""",
    "CREATE TRIGGER follow_student AFTER INSERT OR UPDATE OF organization_id, birth_year, "
    "is_under_13, teacher_verified_age, has_parental_consent ON directory.students "
    "FOR EACH ROW EXECUTE FUNCTION compliance.follow_student()",
    """
CREATE FUNCTION compliance.agree_with_student() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE student directory.students;
BEGIN
  SELECT * INTO student FROM directory.students WHERE id = NEW.student_id;
  IF student.id IS NOT NULL AND NEW.deletion_completed_at IS NULL
    AND (student.is_under_13, student.birth_year, student.organization_id)
      IS DISTINCT FROM (NEW.is_under_13, NEW.birth_year::smallint, NEW.organization_id) THEN
    RAISE EXCEPTION 'the age is kept in the directory; change it there'
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$
""",
    "CREATE CONSTRAINT TRIGGER agree_with_student AFTER INSERT OR UPDATE "
    "ON compliance.coppa_compliance DEFERRABLE INITIALLY IMMEDIATE "
    "FOR EACH ROW EXECUTE FUNCTION compliance.agree_with_student()",
    # --- Retention ----------------------------------------------------------------------------
    f"""
CREATE FUNCTION compliance.begin_retention() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  INSERT INTO compliance.retention_policies
    (organization_id, policy_type, retention_days, delete_after_days, legal_basis,
     auto_delete_enabled)
  SELECT NEW.id, d.kind, coalesce(d.days, NEW.data_retention_days),
    coalesce(d.days, NEW.data_retention_days), d.basis, d.auto
  FROM (VALUES
    {_values()}) AS d (kind, days, basis, auto);
  RETURN NULL;
END $$
""",
    # A new organisation is not among those its maker sees yet; only this trigger writes for it.
    f"CREATE POLICY begin ON compliance.retention_policies FOR INSERT TO {OWNER_ROLE} "
    "WITH CHECK (true)",
    "CREATE TRIGGER begin_retention AFTER INSERT ON directory.organizations "
    "FOR EACH ROW EXECUTE FUNCTION compliance.begin_retention()",
    # --- The audit trail ----------------------------------------------------------------------
    # The application may append to the trail, and nothing else: the end of the chain moves only
    # through the trigger that appends.
    "ALTER FUNCTION compliance.chain_audit() SECURITY DEFINER SET search_path = pg_catalog",
    "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON compliance.audit_heads FROM classweave_app",
)
