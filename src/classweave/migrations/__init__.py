"""One linear history of the database, applied by the owner role under an advisory lock."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL

from classweave.core.postgres import OWNER_ROLE, create_roles_and_database, is_embedded


def _config(url: URL) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["url"] = url
    return config


def migrate(owner: URL) -> None:
    """Bring the database to the newest revision. Several processes may call it at once."""
    if not is_embedded(owner):
        create_roles_and_database(owner, owner.database or "postgres")
    if current_revision(owner) != head_revision():
        command.upgrade(_config(owner), "head")


def head_revision() -> str | None:
    """The newest revision that this code knows."""
    return ScriptDirectory(str(Path(__file__).parent)).get_current_head()


def current_revision(owner: URL) -> str | None:
    """The revision the database is at; ``None`` for an empty database."""
    engine = create_engine(owner)
    try:
        with engine.connect() as connection:
            if connection.scalar(text("SELECT to_regclass('ops.alembic_version')")) is None:
                return None
            found = connection.scalar(text("SELECT version_num FROM ops.alembic_version"))
            return str(found) if found else None
    finally:
        engine.dispose()


__all__ = ["OWNER_ROLE", "current_revision", "head_revision", "migrate"]
