"""The ``classweave`` command."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import orjson
import psycopg
import typer
from pydantic import SecretStr, ValidationError
from sqlalchemy.exc import SQLAlchemyError

from classweave import __version__
from classweave.backup import back_up, check, restore
from classweave.core.runtime import open_postgres, settings_for
from classweave.core.telemetry import configure_logging

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Classweave, the open classroom platform. Every command has --help.",
)
db = typer.Typer(no_args_is_help=True, help="The database: migrate, back up, restore, check.")
app.add_typer(db, name="db")

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Where this installation lives (CLASSWEAVE_DATA_DIR; ./data by default).",
    ),
]


@app.command()
def config(data_dir: DataDir = None) -> None:
    """Print the settings in force, without secrets."""
    settings = settings_for(data_dir)
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        shown = "(set)" if isinstance(value, SecretStr) else value
        print(f"CLASSWEAVE_{name.upper()}={'' if shown is None else shown}")
        print(f"    # {field.description or ''}".rstrip())


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


@app.command()
def openapi() -> None:
    """Print the OpenAPI description of the JSON interface."""
    from classweave.app import describe

    print(orjson.dumps(describe(), option=orjson.OPT_INDENT_2).decode())


@db.command("migrate")
def db_migrate(data_dir: DataDir = None) -> None:
    """Bring the database to the newest schema; safe to repeat."""
    from classweave.migrations import current_revision

    with open_postgres(settings_for(data_dir)) as (urls, _server):
        print(f"database is at revision {current_revision(urls.owner)}", file=sys.stderr)


@db.command("backup")
def db_backup(
    target: Annotated[Path, typer.Argument(help="The .tar file to write; must not exist yet.")],
    data_dir: DataDir = None,
) -> None:
    """Write the database, the files and the signing key to one file. Works while it runs."""
    settings = settings_for(data_dir)
    with open_postgres(settings) as (urls, _server):
        size = back_up(settings, urls, target)
    print(f"{target}: {size} bytes", file=sys.stderr)


@db.command("restore")
def db_restore(
    source: Annotated[Path, typer.Argument(help="A file that `classweave db backup` wrote.")],
    data_dir: DataDir = None,
) -> None:
    """Fill a new installation from a backup."""
    settings = settings_for(data_dir)
    with open_postgres(settings) as (urls, _server):
        restore(settings, urls, source)
    print("restored", file=sys.stderr)


@db.command("check")
def db_check(data_dir: DataDir = None) -> None:
    """Say what is wrong with the database; exit 1 when anything is."""
    with open_postgres(settings_for(data_dir)) as (urls, _server):
        found = check(urls)
    for line in found:
        print(line, file=sys.stderr)
    if found:
        raise typer.Exit(1)
    print("the database is as it should be", file=sys.stderr)


@db.command("freeze", hidden=True)
def db_freeze() -> None:
    """Write the first migration from the models (only before the first release)."""
    from classweave import migrations
    from classweave.schema import script

    target = Path(migrations.__file__).parent / "versions" / "0001_foundation.sql"
    target.write_text(script())
    print(f"{target.name}: {target.stat().st_size} bytes", file=sys.stderr)


@db.command("drift", hidden=True)
def db_drift() -> None:
    """Check that the migrations add up to what the models say."""
    from classweave.core.postgres import EmbeddedPostgres
    from classweave.schema import drift

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedPostgres(Path(folder))
        server.start()
        try:
            differences = drift(server)
        finally:
            server.stop()
    if differences:
        print("\n".join(differences), file=sys.stderr)
        raise typer.Exit(1)
    print("migrations and models agree", file=sys.stderr)


@app.command()
def up(
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Run everything: database, migrations, web, workers. One Ctrl-C stops it."""
    from classweave.supervisor import supervise

    settings = settings_for(data_dir, host=host, port=port)
    configure_logging(settings.log_level)
    supervise(settings)


@app.command()
def demo(
    data_dir: DataDir = None,
    once: Annotated[
        bool, typer.Option("--once", help="Run unattended, print a report, and stop.")
    ] = False,
    speed: Annotated[
        float, typer.Option(min=0.25, max=16, help="Play the lesson N times as fast.")
    ] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Hold a lesson on real recorded speech in a demo school, and serve it.

    With --once it runs unattended, adds recorded readers whose words are known, ends the session,
    prints a report, and exits 0 only if every stage did its work.
    """
    from classweave.demonstration.report import as_text, failures
    from classweave.demonstration.run import run_demo

    settings = settings_for(data_dir, port=port)
    configure_logging("warning" if settings.log_level == "info" else settings.log_level)
    report = run_demo(settings, once=once, speed=speed)
    if report is None:
        return
    print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode() if as_json else as_text(report))
    missing = failures(report)
    for failure in missing:
        print(f"classweave demo: {failure}", file=sys.stderr)
    raise typer.Exit(1 if missing else 0)


def _mount() -> None:
    """Give the rooms their commands."""
    from classweave.app import open_rooms
    from classweave.attend.commands import app as attend
    from classweave.compliance.commands import app as privacy
    from classweave.language.commands import app as language
    from classweave.live.commands import app as live
    from classweave.speech.commands import app as speech

    app.add_typer(live, name="live")
    app.add_typer(attend, name="attend")
    app.add_typer(speech, name="speech")
    app.add_typer(language, name="language")
    # Data rights reach into every room, so all of them must have declared what they keep.
    app.add_typer(privacy, name="privacy", callback=open_rooms)


def main() -> None:
    """Run the command; a refusal is one line on stderr and a non-zero exit."""
    _mount()
    try:
        app()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]).upper()
        print(f"classweave: setting CLASSWEAVE_{where}: {first['msg']}", file=sys.stderr)
        sys.exit(2)
    except (psycopg.Error, SQLAlchemyError) as error:
        first_line = str(error).strip().partition("\n")[0]
        print(f"classweave: the database: {first_line}", file=sys.stderr)
        sys.exit(1)
    except (RuntimeError, OSError) as error:
        print(f"classweave: {error}", file=sys.stderr)
        sys.exit(1)
