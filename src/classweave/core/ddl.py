"""Row-level security and triggers that follow from a table's columns.

A room's ``policies.py`` adds what is its own; this module gives every table the floor.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import MetaData, Table

from classweave.core.postgres import APP_ROLE, OWNER_ROLE

FUNCTIONS = (
    """
CREATE FUNCTION ops.current_organizations() RETURNS uuid[]
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce(
    string_to_array(nullif(current_setting('classweave.organizations', true), ''), ',')::uuid[],
    '{}'::uuid[])
$$
""",
    """
CREATE FUNCTION ops.current_role_name() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce(nullif(current_setting('classweave.role', true), ''), 'anonymous')
$$
""",
    """
CREATE FUNCTION ops.current_actor() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('classweave.actor', true), '')::uuid
$$
""",
    """
CREATE FUNCTION ops.touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END $$
""",
    """
CREATE FUNCTION ops.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'table %.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END $$
""",
)

# Evaluated once per statement, not once per row.
VISIBLE = "ANY ((SELECT ops.current_organizations())::uuid[])"


def table_ddl(table: Table) -> Iterable[str]:
    """Grants, forced row-level security and the ``updated_at`` trigger of one table."""
    name = table.fullname
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {APP_ROLE}"
    if "organization_id" in table.columns:
        yield from tenant_policy(name, f"organization_id = {VISIBLE}")
    if "updated_at" in table.columns:
        yield (
            f"CREATE TRIGGER touch_updated_at BEFORE UPDATE ON {name} "
            "FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at()"
        )


def tenant_policy(table: str, condition: str) -> Iterable[str]:
    """Force row-level security on ``table``: only rows that meet ``condition`` exist."""
    yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
    yield f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"
    yield f"CREATE POLICY tenant ON {table} USING ({condition}) WITH CHECK ({condition})"


def lookup_policy(table: str) -> str:
    """Let ``SECURITY DEFINER`` functions find a row before the organisation is known.

    Only the owner role, which the application never connects as, gets this view.
    """
    return f"CREATE POLICY lookup ON {table} FOR SELECT TO {OWNER_ROLE} USING (true)"


def all_table_ddl(metadata: MetaData) -> Iterable[str]:
    """:func:`table_ddl` of every table, in a stable order."""
    for table in metadata.sorted_tables:
        yield from table_ddl(table)
