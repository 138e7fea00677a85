"""A university of any size with a term of attendance behind it, for demonstrations and benches.

Made in sets by the owner of the tables: the triggers that would count row by row are off for the
duration of the transaction, and what they keep is computed once at the end.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg.sql import SQL, Identifier

from classweave.attend import simulate_sql as sql
from classweave.core import clock
from classweave.core.database import Database, dsn
from classweave.core.postgres import DatabaseUrls
from classweave.core.secrets import new_token, token_hash
from classweave.core.tenancy import system_actor
from classweave.directory.models import OrganizationKind, PersonRole
from classweave.directory.service import create_organization, create_user

Tell = Callable[[str], None]

_GIVEN = [
    "Ada", "Alan", "Amara", "Anouk", "Beatriz", "Boris", "Carmen", "Chidi", "Clara", "Daniel",
    "Dilek", "Elena", "Emeka", "Fatima", "Finn", "Grace", "Hana", "Hugo", "Ines", "Ivan", "Jamal",
    "Jana", "Kenji", "Lea", "Liam", "Mariam", "Mateo", "Mina", "Noor", "Olga", "Omar", "Paula",
    "Priya", "Quentin", "Rosa", "Samir", "Sofia", "Tariq", "Uma", "Viktor", "Wanjiru", "Xin",
    "Yara", "Zoran",
]  # fmt: skip
_FAMILY = [
    "Abebe", "Alvarez", "Banerjee", "Bauer", "Castillo", "Chen", "Dubois", "Eriksen", "Fischer",
    "Garcia", "Haddad", "Ibrahim", "Ivanova", "Jansen", "Kim", "Kowalski", "Lopez", "Mbeki",
    "Moreau", "Nakamura", "Nguyen", "Okafor", "Patel", "Quispe", "Rossi", "Santos", "Schmidt",
    "Silva", "Tanaka", "Usman", "Vargas", "Weber", "Xu", "Yilmaz", "Zhang",
]  # fmt: skip
_COURSES = [
    "Algorithms", "Linear Algebra", "Organic Chemistry", "Microeconomics", "Constitutional Law",
    "Thermodynamics", "Modern Poetry", "Statistics", "Anatomy", "Databases", "Ethics",
    "World History", "Genetics", "Signals", "Marketing",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """How large. ``classes`` are those of one teacher, ``students`` those in one class.

    A faculty has two teachers at least, of whom the second also teaches a class of the first.
    """

    teachers: int = 500
    classes: int = 5
    students: int = 60
    faculties: int = 5
    days: int = 90
    attendance: float = 0.8
    classes_of_a_student: int = 5


@dataclass(frozen=True, slots=True)
class Simulated:
    """What was made. ``tokens`` has, for each teacher, a device's token and the classes it sees."""

    university: UUID
    faculties: list[UUID]
    teachers: int
    classes: int
    students: int
    sessions: int
    records: int
    tokens: list[dict[str, Any]]


async def simulate(database: Database, urls: DatabaseUrls, size: Size, tell: Tell) -> Simulated:
    """Make the university in one transaction: all of it is there, or nothing."""
    tag = secrets.token_hex(3)
    async with database.transaction(system_actor()) as session:
        university = await create_organization(
            session, name=f"Simulated University {tag}", kind=OrganizationKind.UNIVERSITY
        )
        await create_user(
            session, system_actor(university.id), role=PersonRole.DISTRICT_ADMIN,
            name="Administrator", email=f"administrator.{tag}@university.example",
        )  # fmt: skip
        faculties = [
            (
                await create_organization(
                    session, name=f"Faculty {number + 1}", kind=OrganizationKind.FACULTY,
                    parent_id=university.id, code=f"F{number + 1}",
                )
            ).id
            for number in range(max(1, min(size.faculties, size.teachers // 2)))
        ]  # fmt: skip
    totals = [0, 0, 0, 0]
    tokens: list[dict[str, Any]] = []
    for number, faculty in enumerate(faculties):
        teachers = size.teachers // len(faculties) + (number < size.teachers % len(faculties))
        with psycopg.connect(dsn(urls.owner)) as connection:
            made = _Faculty(connection, faculty, f"{tag}{number}", teachers, size)
            made.fill()
            tokens += made.tokens()
            counted = made.counts()
        totals = [a + b for a, b in zip(totals, counted, strict=True)]
        tell(f"faculty {number + 1} of {len(faculties)}: {counted[3]:,} records")
    return Simulated(
        university.id, faculties, size.teachers, totals[0], totals[1], totals[2], totals[3], tokens
    )


class _Faculty:
    """One faculty, in one transaction of the tables' owner."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        faculty: UUID,
        tag: str,
        teachers: int,
        size: Size,
    ) -> None:
        self._connection = connection
        self._size = size
        self._teachers = teachers
        today = clock.now().date()
        last = today - timedelta(days=1)
        days: list[date] = []
        while len(days) < size.days:
            if last.weekday() < 5:
                days.append(last)
            last -= timedelta(days=1)
        self._values: dict[str, Any] = {
            "org": faculty, "tag": tag, "teachers": teachers, "classes": size.classes,
            "students": size.students, "share": size.attendance, "given": _GIVEN,
            "family": _FAMILY, "courses": _COURSES, "days": days[::-1],
            "pool": max(
                size.students,
                teachers * size.classes * size.students // size.classes_of_a_student,
            ),
            "begin": (days[-1] if days else last) - timedelta(days=7),
            "end": today + timedelta(days=120),
            "codes": secrets.randbelow(30**6 - teachers * size.classes - 1),
        }  # fmt: skip

    def _run(self, statement: LiteralString) -> None:
        self._connection.execute(statement, self._values)

    def fill(self) -> None:
        """Everything but the devices."""
        self._connection.execute(
            "SELECT set_config('classweave.organizations', %s, true),"
            " set_config('classweave.role', 'system', true)",
            (str(self._values["org"]),),
        )
        self._run(sql.TEACHERS)
        self._run(sql.CLASSES)
        self._run(sql.SHARED)
        self._run(sql.STUDENTS)
        self._run(sql.ENROLLMENTS)
        self._run(sql.CLOCK)
        self._run(sql.PLACES)
        self._run(sql.QUIET)
        term = self._connection.execute(sql.TERM, self._values).fetchone()
        assert term is not None
        self._values["term"] = term[0]
        self._run(sql.SESSIONS)
        self._records(term[0])
        self._run(sql.COUNT_SESSIONS)
        self._run(sql.COUNT_STUDENTS)
        self._run(sql.LOUD)
        self._run(sql.MEETINGS)

    def _records(self, term: int) -> None:
        """Into a table without indexes, which then becomes the term's partition."""
        name = Identifier("attend", f"records_{term}")
        self._connection.execute(
            SQL(
                "CREATE TABLE {} (LIKE attend.attendance_records INCLUDING DEFAULTS"
                " INCLUDING CONSTRAINTS)"
            ).format(name)
        )
        self._connection.execute(
            SQL("INSERT INTO {} ").format(name) + SQL(sql.RECORDS), self._values
        )
        for statement in (
            "ALTER TABLE {} ADD PRIMARY KEY (term, session_no, place)",
            "CREATE UNIQUE INDEX ON {} (term, id)",
            "ALTER TABLE {} ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE {} FORCE ROW LEVEL SECURITY",
        ):
            self._connection.execute(SQL(statement).format(name))
        self._connection.execute(
            SQL(
                "ALTER TABLE attend.attendance_records ATTACH PARTITION {} FOR VALUES IN ({})"
            ).format(name, term)
        )
        self._connection.execute(
            "ANALYZE attend.attendance_records, attend.attendance_sessions, attend.places,"
            " directory.enrollments, directory.students"
        )

    def tokens(self) -> list[dict[str, Any]]:
        """A device for each teacher."""
        teachers = self._connection.execute(
            "SELECT u.id, u.name, (SELECT array_agg(t.class_id::text ORDER BY t.class_id)"
            " FROM directory.class_teachers t WHERE t.user_id = u.id) FROM directory.users u"
            " WHERE u.organization_id = %(org)s AND u.role = 'teacher' ORDER BY u.email",
            self._values,
        ).fetchall()
        made: list[dict[str, Any]] = []
        for user, name, classes in teachers:
            token = new_token()
            self._connection.execute(
                "WITH d AS (INSERT INTO attend.devices"
                " (organization_id, user_id, name, platform, token_hash)"
                " VALUES (%(org)s, %(user)s, 'Simulated', 'simulation', %(hash)s) RETURNING id)"
                " INSERT INTO attend.sync_metadata (organization_id, device_id)"
                " SELECT %(org)s, id FROM d",
                {"org": self._values["org"], "user": user, "hash": token_hash(token)},
            )
            made.append({"token": token, "name": name, "classes": classes or []})
        return made

    def counts(self) -> list[int]:
        """Classes, students, sessions, records."""
        row = self._connection.execute(
            "SELECT (SELECT count(*) FROM directory.classes WHERE organization_id = %(org)s),"
            " (SELECT count(*) FROM directory.students WHERE organization_id = %(org)s),"
            " (SELECT count(*) FROM attend.attendance_sessions WHERE term = %(term)s),"
            " (SELECT coalesce(sum(total_present + total_excused), 0)"
            "  FROM attend.attendance_sessions WHERE term = %(term)s)",
            self._values,
        ).fetchone()
        assert row is not None
        return [int(value) for value in row]
