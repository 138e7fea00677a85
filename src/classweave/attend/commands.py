"""``classweave attend``: a university to try it on."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import orjson
import typer
from sqlalchemy import select

from classweave.attend.simulate_university import Simulated, Size
from classweave.attend.simulate_university import simulate as simulate_university
from classweave.core.identifiers import encode
from classweave.core.runtime import open_runtime
from classweave.core.secrets import signing_key
from classweave.core.tenancy import system_actor
from classweave.directory.bootstrap import FIRST_LINK_VALID
from classweave.directory.models import PersonRole, User
from classweave.directory.reset_password import public_url
from classweave.directory.sign_in import create_sign_in_link

app = typer.Typer(no_args_is_help=True, help="Attendance: a university to try it on.")


@app.callback()
def _group() -> None:
    """Attendance: a university to try it on."""


@app.command()
def simulate(
    teachers: Annotated[int, typer.Option(min=1, max=5_000, help="Teachers.")] = 500,
    classes: Annotated[int, typer.Option(min=1, max=26, help="Classes of a teacher.")] = 5,
    students: Annotated[int, typer.Option(min=1, max=2_000, help="Students in a class.")] = 60,
    faculties: Annotated[int, typer.Option(min=1, max=50, help="Faculties.")] = 5,
    days: Annotated[int, typer.Option(min=0, max=400, help="Days with a session behind.")] = 90,
    attendance: Annotated[
        float, typer.Option(min=0, max=1, help="Share of students who come, on average.")
    ] = 0.8,
    tokens: Annotated[
        Path | None, typer.Option(help="Write a device token for each teacher, as JSON.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where this installation lives (CLASSWEAVE_DATA_DIR).")
    ] = None,
) -> None:
    """Make a university with a term of attendance behind it and a timetable before it.

    Works beside a running `classweave up` on the same data directory, which the printed links lead
    to. The tokens file holds "token", "name" and "classes" (ids) for each teacher; whoever has it
    can take attendance as these teachers.
    """
    size = Size(teachers, classes, students, faculties, days, attendance)
    made, links = asyncio.run(_simulate(size, data_dir))
    if tokens is not None:
        tokens.write_bytes(orjson.dumps(made.tokens, option=orjson.OPT_INDENT_2))
        tokens.chmod(0o600)
    print(
        orjson.dumps(
            {
                "university": encode("org", made.university),
                "faculties": [encode("org", faculty) for faculty in made.faculties],
                "teachers": made.teachers,
                "classes": made.classes,
                "students": made.students,
                "sessions": made.sessions,
                "records": made.records,
                "sign_in": links,
            },
            option=orjson.OPT_INDENT_2,
        ).decode()
    )


async def _simulate(size: Size, data_dir: Path | None) -> tuple[Simulated, dict[str, str]]:
    async with open_runtime(data_dir) as runtime:
        made = await simulate_university(
            runtime.database, runtime.urls, size, lambda line: print(line, file=sys.stderr)
        )
        key, url = signing_key(runtime.settings), public_url(runtime.settings)
        seen = system_actor(made.university, *made.faculties)
        async with runtime.database.transaction(seen) as session:
            links: dict[str, str] = {}
            for role in (PersonRole.DISTRICT_ADMIN, PersonRole.TEACHER):
                wanted = select(User).where(User.role == role).order_by(User.email).limit(1)
                person = await session.scalar(wanted)
                assert person is not None
                links[role.value] = create_sign_in_link(key, url, person, valid=FIRST_LINK_VALID)
        return made, links
