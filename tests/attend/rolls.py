"""Rolls as tests take them: one device, several days, what each student did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from devices import Row, TestDevice, record_row, register, session_row

from classweave.core.identifiers import encode
from classweave.core.tenancy import Role
from school_fixtures import School

TAKEN = 1_764_000_100_000


async def take(
    school: School,
    days: Mapping[str, Mapping[int, str]],
    device: TestDevice | None = None,
    **more: Any,
) -> list[Row]:
    """Take a roll on each day: student's number to status; who is not named is absent."""
    device = device or await register(school)
    await device.pull()
    sessions: list[Row] = []
    for day, marks in days.items():
        row = session_row(school, day, **({"marked_at": TAKEN} | more))
        records = [
            record_row(row, school.student_ids[index], status) for index, status in marks.items()
        ]
        await device.sync(
            attendance_sessions={"created": [row]}, attendance_records={"created": records}
        )
        sessions.append(row)
    return sessions


async def browser(school: School, role: Role = Role.SCHOOL_ADMIN) -> httpx.AsyncClient:
    """A person who reads pages."""
    client = await school.sign_in(role)
    client.headers["accept"] = "text/html"
    return client


def class_key(school: School) -> str:
    """The class as addresses have it."""
    return encode("class", school.class_id)
