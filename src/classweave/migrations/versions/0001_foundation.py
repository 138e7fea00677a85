"""The foundation: every schema, table, policy and trigger of the first release."""

from pathlib import Path

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_JOBS_GRANTS = """
DO $$ DECLARE thing record; BEGIN
  FOR thing IN SELECT c.oid::regclass AS name FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relname LIKE 'procrastinate%'
      AND c.relkind = 'r'
  LOOP EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO classweave_app', thing.name);
  END LOOP;
  FOR thing IN SELECT c.oid::regclass AS name FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relname LIKE 'procrastinate%'
      AND c.relkind = 'S'
  LOOP EXECUTE format('GRANT USAGE, SELECT ON SEQUENCE %s TO classweave_app', thing.name);
  END LOOP;
END $$
"""


def upgrade() -> None:
    connection = op.get_bind().connection.cursor()
    connection.execute(Path(__file__).with_suffix(".sql").read_text())
    connection.execute(SchemaManager.get_schema())
    connection.execute(_JOBS_GRANTS)
