"""The run's PostgreSQL, from which every worker and some tests take a database of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import fasteners
import psycopg
from psycopg import sql

from classweave.core.database import dsn
from classweave.core.postgres import DatabaseUrls, EmbeddedPostgres


@dataclass(frozen=True)
class Server:
    postgres: EmbeddedPostgres
    template: DatabaseUrls
    folder: Path

    def clone(self, name: str) -> DatabaseUrls:
        """A fresh migrated database."""
        admin = self.template.owner.set(username="postgres", database="postgres")
        with (
            fasteners.InterProcessLock(self.folder / "clone.lock"),
            psycopg.connect(dsn(admin), autocommit=True) as connection,
        ):
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                    sql.Identifier(name),
                    sql.Identifier("classweave"),
                    sql.Identifier("classweave_owner"),
                )
            )
        return DatabaseUrls(
            self.template.owner.set(database=name), self.template.app.set(database=name)
        )
