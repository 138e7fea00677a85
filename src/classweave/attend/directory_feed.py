"""Triggers on the directory: what devices see of it is part of the feed of changes.

They are here and not in the directory, which knows nothing of Attend. Where an organisation has no
clock they do nothing.
"""

from __future__ import annotations

_CLASS_OF = {"classes": "r.id", "enrollments": "r.class_id"}
_EVENTS = (
    ("INSERT", "NEW TABLE AS changed", "false"),
    ("UPDATE", "OLD TABLE AS before NEW TABLE AS changed", "false"),
    ("DELETE", "OLD TABLE AS changed", "true"),
)
# A sign-in changes a user's row, and nothing of it that devices see.
_USER = "{0}.name, {0}.email, {0}.role, {0}.status"


def _feed(table: str, deleted: str, suffix: str) -> str:
    organization = "r.id" if table == "organizations" else "r.organization_id"
    rows = "changed r"
    if (table, suffix) == ("users", "update"):
        rows += " JOIN before b ON b.id = r.id AND "
        rows += f"({_USER.format('r')}) IS DISTINCT FROM ({_USER.format('b')})"
    return f"""
CREATE FUNCTION attend.feed_{table}_{suffix}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.directory_changes (organization_id, table_name, id, class_id, rev, deleted)
    SELECT {organization}, '{table}', r.id, {_CLASS_OF.get(table, "NULL::uuid")},
      attend.next_revision({organization}), {deleted}
    FROM {rows}
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
)
