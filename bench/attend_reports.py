"""Reports and the archive of a simulated university: a part of ``bench/attendance.py``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from attend_place import University
from classweave.attend.archive_term import archive_term
from classweave.attend.find_at_risk import find_at_risk
from classweave.attend.models import Term
from classweave.attend.report_attendance import Period, report_class, report_organization
from classweave.core import clock
from classweave.core.tenancy import Actor, Role

Read = Callable[[AsyncSession], Awaitable[Any]]

_SESSIONS = "SELECT * FROM attend.attendance_sessions WHERE {} AND deleted_at IS NULL"
_STUDENTS = "SELECT * FROM attend.standings WHERE {}"
_OF_TEACHER = "class_id IN (SELECT class_id FROM directory.class_teachers WHERE user_id = '{}')"


async def reports(place: University) -> dict[str, float]:
    """Each report in the process, beside reading its counters by the same way."""
    with place.login() as login:
        row = login.execute(
            "SELECT u.organization_id, t.class_id, u.id FROM directory.class_teachers t"
            " JOIN directory.users u ON u.id = t.user_id WHERE t.class_id = %s",
            (place.teachers[4]["classes"][0],),
        ).fetchone()
        assert row is not None
        faculty, class_id, teacher = row
    admin = Actor(Role.SCHOOL_ADMIN, teacher, faculty, (faculty,))
    lecturer = Actor(Role.TEACHER, teacher, faculty, (faculty,))
    today = clock.now().date()
    period = Period(today - timedelta(days=200), today)
    one, mine = f"class_id = '{class_id}'", _OF_TEACHER.format(teacher)
    all_of_it = f"organization_id = '{faculty}'"
    asked: dict[str, tuple[Read, list[str]]] = {
        "class": (lambda s: report_class(s, admin, class_id), _counters(one)),
        "teacher": (lambda s: report_organization(s, lecturer, period), _counters(mine)),
        "faculty": (lambda s: report_organization(s, admin, period), _counters(all_of_it)),
        "at risk": (lambda s: find_at_risk(s, admin), [_STUDENTS.format(all_of_it)]),
    }
    found: dict[str, float] = {}
    for name, (report, counters) in asked.items():
        actor = lecturer if name == "teacher" else admin

        async def read(session: AsyncSession, statements: list[str] = counters) -> None:
            for statement in statements:
                (await session.execute(text(statement))).all()

        ours, floor = await _median(place, actor, report), await _median(place, actor, read)
        found |= {
            f"report, {name}, ms": round(ours, 1),
            f"its counters, {name}, ms": round(floor, 1),
            f"report / counters, {name}": round(ours / floor, 2),
        }
    return found


async def _median(place: University, actor: Actor, read: Read, times: int = 15) -> float:
    spent: list[float] = []
    for _time in range(times):
        began = time.perf_counter()
        async with place.runtime.database.transaction(actor) as session:
            await read(session)
        spent.append(1000 * (time.perf_counter() - began))
    return statistics.median(spent[3:])


def _counters(where: str) -> list[str]:
    return [_SESSIONS.format(where), _STUDENTS.format(where)]


class _Undone(Exception):
    """So that the next run finds the term."""


async def archive(place: University) -> dict[str, float]:
    """A faculty's term into the file store, its records dropped; all but the commit, undone."""
    with place.login() as login:
        row = login.execute(
            "SELECT organization_id, id FROM attend.terms WHERE name = 'This term'"
            " ORDER BY number DESC LIMIT 1"
        ).fetchone()
        assert row is not None
    faculty, term = row[0], UUID(str(row[1]))
    actor = Actor(Role.SCHOOL_ADMIN, None, faculty, (faculty,))
    began = time.perf_counter()
    try:
        async with place.runtime.database.transaction(actor) as session:
            over = await session.scalar(select(Term).where(Term.id == term))
            assert over is not None
            over.ends_on = clock.now().date() - timedelta(days=1)
            await session.flush()
            await archive_term(session, place.runtime.files, actor, term)
            await session.flush()
            raise _Undone
    except _Undone:
        spent = time.perf_counter() - began
    return {"archive of a faculty's term, s": round(spent, 1)}
