"""One file that holds an installation: the database, the stored files, the signing key."""

from __future__ import annotations

import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

from classweave.core.database import dsn
from classweave.core.postgres import DatabaseUrls, postgres_program
from classweave.core.settings import Settings
from classweave.migrations import current_revision, head_revision

_DUMP = "database.dump"
_KEY = "secret.key"


def back_up(settings: Settings, urls: DatabaseUrls, target: Path) -> int:
    """Write everything to ``target`` (a new ``.tar``); returns its size in bytes.

    The database is one consistent snapshot; files only ever appear and disappear whole. Files in
    an object store are the store's own to back up. Raises ``RuntimeError`` when the dump fails,
    ``FileExistsError`` when ``target`` exists.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists already")
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder) / _DUMP
        _run("pg_dump", "--format=custom", f"--file={dump}", _unbound(settings, urls))
        partial = target.with_suffix(".partial")
        try:
            # It holds everything, the signing key too: for its owner's eyes only.
            os.close(os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
            with tarfile.open(partial, "w") as archive:
                archive.add(dump, _DUMP)
                for name in ("files", _KEY):
                    if (settings.data_dir / name).exists():
                        archive.add(settings.data_dir / name, name)
            partial.rename(target)
        finally:
            partial.unlink(missing_ok=True)
    return target.stat().st_size


def restore(settings: Settings, urls: DatabaseUrls, source: Path) -> None:
    """Fill a fresh installation from a backup.

    Devices that took attendance after it hold rows that the backup lacks: for them a new
    generation begins, and their next pull replaces what they have.

    Raises ``RuntimeError`` when the installation has organisations already, or the backup cannot
    be read.
    """
    import psycopg

    login = _unbound(settings, urls)
    with psycopg.connect(login, autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM directory.organizations").fetchone()
        if row is not None and row[0]:
            raise RuntimeError("this installation is not empty; restore into a new data directory")
    # Beside its target, so that files are moved and not copied.
    with tempfile.TemporaryDirectory(dir=settings.data_dir) as folder:
        try:
            with tarfile.open(source) as archive:
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, OSError) as error:
            raise RuntimeError(f"{source} is not a backup of Classweave") from error
        dump = Path(folder) / _DUMP
        if not dump.is_file():
            raise RuntimeError(f"{source} is not a backup of Classweave")
        for name in ("files", _KEY):
            stored = Path(folder) / name
            if stored.exists():
                target = settings.data_dir / name
                if target.is_dir():
                    target.rmdir()
                stored.rename(target)
        _run("pg_restore", "--clean", "--if-exists", "--single-transaction",
             f"--dbname={login}", str(dump))  # fmt: skip
    with psycopg.connect(login) as connection:
        connection.execute(
            "SELECT attend.begin_generation(organization_id) FROM attend.sync_clocks"
        )


def check(urls: DatabaseUrls) -> list[str]:
    """What is wrong with a database, in words; empty when nothing is."""
    found: list[str] = []
    if current_revision(urls.owner) != head_revision():
        found.append("the database is not at the newest revision: run `classweave db migrate`")
    import psycopg

    with psycopg.connect(dsn(urls.owner)) as connection:
        unforced = connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class c"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organization_id'"
            " WHERE c.relkind IN ('r', 'p') AND NOT c.relforcerowsecurity"
            " AND c.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
    found += [f"row-level security is not forced on {name}" for (name,) in unforced]
    return found


def _unbound(settings: Settings, urls: DatabaseUrls) -> str:
    """The DSN of a login above row-level security, which is forced on the owner too.

    Raises ``RuntimeError`` where an operator's own database gives us none.
    """
    import psycopg

    if settings.embedded_database:
        return dsn(urls.owner.set(username="postgres"))
    with psycopg.connect(dsn(urls.owner)) as connection:
        bound = connection.execute(
            "SELECT rolname FROM pg_roles"
            " WHERE rolname = current_user AND NOT (rolsuper OR rolbypassrls)"
        ).fetchone()
    if bound is not None:
        raise RuntimeError(
            f"row-level security binds the login {bound[0]}: for this command, let"
            " CLASSWEAVE_DATABASE_URL name a superuser or a login with BYPASSRLS"
        )
    return dsn(urls.owner)


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [postgres_program(program), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise RuntimeError(f"{program} failed: {lines[0] if lines else done.returncode}")
