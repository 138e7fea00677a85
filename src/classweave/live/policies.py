"""What the database itself guarantees for Live: states, counters, and who a device is."""

from __future__ import annotations

from collections.abc import Mapping

from classweave.core.ddl import lookup_policy
from classweave.live.states import (
    GROUP_TRANSITIONS,
    JOINABLE,
    PROMPT_TRANSITIONS,
    SESSION_TRANSITIONS,
    State,
)


def _transition_guard(table: str, transitions: Mapping[State, frozenset[State]]) -> str:
    """A trigger that refuses a change of ``status`` that the table of states does not have."""
    steps = ", ".join(
        f"('{before.value}', '{after.value}')"
        for before, afters in transitions.items()
        for after in sorted(afters, key=lambda state: state.value)
    )
    return f"""
CREATE FUNCTION live.guard_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.status::text, NEW.status::text) NOT IN ({steps}) THEN
    RAISE EXCEPTION '{table}: % cannot become %', OLD.status, NEW.status
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER guard_status BEFORE UPDATE OF status ON live.{table}
FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
EXECUTE FUNCTION live.guard_{table}()
"""


_JOINABLE = ", ".join(f"'{status.value}'" for status in JOINABLE)

POLICIES = (
    _transition_guard("classroom_sessions", SESSION_TRANSITIONS),
    _transition_guard("student_groups", GROUP_TRANSITIONS),
    _transition_guard("teacher_guidance_metrics", PROMPT_TRANSITIONS),
    # Counters, kept where the rows change.
    """
CREATE FUNCTION live.count_groups() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE live.classroom_sessions s SET total_groups = (
      SELECT count(*) FROM live.student_groups g WHERE g.session_id = s.id)
    WHERE s.id = coalesce(NEW.session_id, OLD.session_id);
  RETURN NULL;
END $$;
CREATE TRIGGER count_groups AFTER INSERT OR DELETE ON live.student_groups
FOR EACH ROW EXECUTE FUNCTION live.count_groups()
""",
    """
CREATE FUNCTION live.count_participants() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE live.student_groups g SET current_size = (
      SELECT count(*) FROM live.participants p
      WHERE p.group_id = g.id AND p.is_active AND NOT p.is_shared)
    WHERE g.id IN (NEW.group_id, OLD.group_id);
  UPDATE live.classroom_sessions s SET total_students = (
      SELECT count(DISTINCT coalesce(p.student_id, p.id)) FROM live.participants p
      WHERE p.session_id = s.id AND NOT p.is_shared)
    WHERE s.id = coalesce(NEW.session_id, OLD.session_id);
  RETURN NULL;
END $$;
CREATE TRIGGER count_participants AFTER INSERT OR DELETE OR UPDATE OF group_id, is_active
ON live.participants FOR EACH ROW EXECUTE FUNCTION live.count_participants()
""",
    """
CREATE FUNCTION live.count_talk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE live.participants p SET
      total_speaking_time_seconds = p.total_speaking_time_seconds + t.seconds,
      interaction_count = p.interaction_count + t.turns
    FROM (SELECT speaker_id, sum(duration_seconds) AS seconds, count(*) AS turns
          FROM new_rows WHERE speaker_id IS NOT NULL GROUP BY speaker_id) t
    WHERE p.id = t.speaker_id;
  UPDATE live.student_groups g SET
      total_speaking_time_seconds = g.total_speaking_time_seconds + t.seconds
    FROM (SELECT group_id, sum(duration_seconds) AS seconds
          FROM new_rows WHERE group_id IS NOT NULL GROUP BY group_id ORDER BY group_id) t
    WHERE g.id = t.group_id;
  RETURN NULL;
END $$;
CREATE TRIGGER count_talk AFTER INSERT ON live.transcriptions
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION live.count_talk()
""",
    """
CREATE FUNCTION live.count_messages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE live.participants SET message_count = message_count + 1
    WHERE id = NEW.sender_id AND NEW.sender_type = 'participant';
  RETURN NULL;
END $$;
CREATE TRIGGER count_messages AFTER INSERT ON live.messages
FOR EACH ROW EXECUTE FUNCTION live.count_messages()
""",
    """
CREATE FUNCTION live.count_teaching() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE directory.teachers t SET
      total_sessions_created = t.total_sessions_created + (TG_OP = 'INSERT')::int,
      current_sessions = (SELECT count(*) FROM live.classroom_sessions s
        WHERE s.teacher_id = t.user_id AND s.status IN ('live', 'paused'))
    WHERE t.user_id = NEW.teacher_id;
  RETURN NULL;
END $$;
CREATE TRIGGER count_teaching AFTER INSERT OR UPDATE OF status ON live.classroom_sessions
FOR EACH ROW EXECUTE FUNCTION live.count_teaching()
""",
    # What must be found before the organisation is known.
    lookup_policy("live.classroom_sessions"),
    lookup_policy("live.participants"),
    lookup_policy("live.tracks"),
    f"""
CREATE FUNCTION live.find_session_by_code(code text)
RETURNS TABLE (id uuid, organization_id uuid, status live.session_status)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT s.id, s.organization_id, s.status FROM live.classroom_sessions s
  WHERE s.access_code = code
  ORDER BY s.status IN ({_JOINABLE}) DESC, s.created_at DESC LIMIT 1
$$
""",
    """
CREATE FUNCTION live.identify_device(hash bytea)
RETURNS TABLE (participant_id uuid, session_id uuid, organization_id uuid, student_id uuid,
  display_name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT p.id, p.session_id, p.organization_id, p.student_id, p.display_name
  FROM live.participants p WHERE p.token_hash = hash AND p.is_active
$$
""",
    # A speech worker serves every organisation; it learns which tracks wait, and nothing else.
    """
CREATE FUNCTION live.tracks_to_read(moment timestamptz, most int)
RETURNS TABLE (id uuid, organization_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT t.id, t.organization_id FROM live.tracks t
  WHERE t.finished_at IS NULL
    AND (t.leased_until IS NULL OR t.leased_until < moment)
  ORDER BY t.started_at LIMIT most
$$
""",
)
