"""Terms: which one a day belongs to, and beginning the use of Attend."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import psycopg


async def term_on(connection: psycopg.AsyncConnection[Any], organization: UUID, day: date) -> int:
    """The number of the term that ``day`` belongs to: the shortest that holds it.

    Where none was planned, the calendar year is one: attendance is never refused for want of a
    term.
    """
    found = await connection.execute(
        "SELECT number FROM attend.terms WHERE organization_id = %s AND archived_at IS NULL"
        " AND %s BETWEEN starts_on AND ends_on ORDER BY ends_on - starts_on LIMIT 1",
        (organization, day),
    )
    row = await found.fetchone()
    if row is None:
        # Another term may have the year's name already, such as an archived one: the first free.
        found = await connection.execute(
            "INSERT INTO attend.terms (organization_id, name, starts_on, ends_on)"
            " SELECT %(org)s, free.name, %(first)s, %(last)s FROM (SELECT k,"
            "   %(year)s || CASE WHEN k = 1 THEN '' ELSE ' (' || k || ')' END AS name"
            "   FROM generate_series(1, 1 + (SELECT count(*)::integer FROM attend.terms"
            "     WHERE organization_id = %(org)s)) k) free"
            " WHERE NOT EXISTS (SELECT FROM attend.terms t"
            "   WHERE t.organization_id = %(org)s AND t.name = free.name)"
            " ORDER BY free.k LIMIT 1 RETURNING number",
            {
                "org": organization,
                "year": str(day.year),
                "first": date(day.year, 1, 1),
                "last": date(day.year, 12, 31),
            },
        )
        row = await found.fetchone()
        assert row is not None
    return int(row[0])


async def begin_use(connection: psycopg.AsyncConnection[Any], organization: UUID) -> None:
    """Give an organisation its clock; from then on its changes are counted.

    The first time, everybody enrolled gets a place, and nobody is enrolled meanwhile.
    """
    made = await connection.execute(
        "INSERT INTO attend.sync_clocks (organization_id) VALUES (%s) ON CONFLICT DO NOTHING",
        (organization,),
    )
    if made.rowcount:
        await connection.execute("LOCK TABLE directory.enrollments IN SHARE ROW EXCLUSIVE MODE")
        await connection.execute(
            "SELECT attend.seat(ARRAY("
            "SELECT id FROM directory.classes WHERE organization_id = %s))",
            (organization,),
        )
