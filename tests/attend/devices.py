"""A device of a teacher as tests drive it: it pulls, pushes and keeps its cursor."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from classweave.core.tenancy import system_actor
from classweave.directory.models import PersonRole
from classweave.directory.roster import NewStudent
from classweave.directory.service import add_students, create_class, create_user
from school_fixtures import School

Row = dict[str, Any]
_ALPHABET = string.ascii_letters + string.digits
TABLES = (
    "organizations", "faculties", "users", "classes", "students", "enrollments", "meetings",
    "attendance_sessions", "attendance_records",
)  # fmt: skip


def new_id() -> str:
    """An id as WatermelonDB makes it."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


@dataclass
class TestDevice:
    """What a device holds: rows by table and id, and its cursor."""

    __test__ = False

    client: httpx.AsyncClient
    id: str
    rows: dict[str, dict[str, Row]] = field(default_factory=dict[str, dict[str, Row]])
    cursor: int | None = None

    async def pull(self, **more: Any) -> dict[str, Any]:
        """Pull and apply."""
        query = {"last_pulled_at": self.cursor or "null", "schema_version": 1, **more}
        answer = await self.client.get("/api/attend/sync", params=query)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        if body.get("experimentalStrategy") == "replacement":
            self.rows = {}
        for table, part in body["changes"].items():
            assert part["created"] == []
            kept = self.rows.setdefault(table, {})
            ids = [row["id"] for row in part["updated"]] + part["deleted"]
            assert len(ids) == len(set(ids)), "an id twice in one table"
            for row in part["updated"]:
                kept[row["id"]] = row
            for key in part["deleted"]:
                kept.pop(key, None)
        self.cursor = body["timestamp"]
        return body

    async def push(self, **changes: dict[str, Any]) -> httpx.Response:
        """Push; ``attendance_records={"created": [row]}`` and the like."""
        body = {
            table: {"created": [], "updated": [], "deleted": []} | changes.get(table, {})
            for table in TABLES
        }
        return await self.client.post(
            "/api/attend/sync", params={"last_pulled_at": self.cursor}, json={"changes": body}
        )

    async def sync(self, **changes: dict[str, Any]) -> None:
        """Pull, push, pull: what a device does until it is quiet."""
        await self.pull()
        answer = await self.push(**changes)
        assert answer.status_code == 200, answer.text
        await self.pull()

    def table(self, name: str) -> dict[str, Row]:
        """The rows held of a table."""
        return self.rows.get(name, {})


async def register(school: School, user: UUID | None = None, name: str = "Phone") -> TestDevice:
    """A registered device of the school's teacher, or of another of its people."""
    signed_in = school.program(await school.token(user or school.teacher_id))
    made = await signed_in.post("/api/attend/devices", json={"name": name})
    await signed_in.aclose()
    assert made.status_code == 201, made.text
    return TestDevice(school.program(made.json()["token"]), made.json()["id"])


async def pulled(school: School) -> TestDevice:
    """A device of the teacher that has pulled once."""
    device = await register(school)
    await device.pull()
    return device


async def taken(device: TestDevice, **changes: dict[str, Any]) -> None:
    """A push that is answered with 2xx, whatever becomes of its rows, and the pull after it."""
    answer = await device.push(**changes)
    assert answer.status_code == 200, answer.text
    await device.pull()


DAY = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
"""A day on which everybody is enrolled."""


def session_row(school: School, day: str = DAY, **more: Any) -> Row:
    """A session as a device makes it."""
    return {
        "id": new_id(), "class_id": str(school.class_id), "date": day, "start_time": "09:00",
        "end_time": "10:00", "note": None, "marked_at": None, "_status": "created", "_changed": "",
    } | more  # fmt: skip


def record_row(session: Row, student: UUID, status: str = "present", **more: Any) -> Row:
    """A record as a device makes it."""
    return {
        "id": new_id(), "session_id": session["id"], "student_id": str(student),
        "class_id": session["class_id"], "status": status, "minutes": None,
        "marked_at": 1_764_000_000_000, "notes": None, "_status": "created", "_changed": "",
    } | more  # fmt: skip


async def with_session(
    school: School, device: TestDevice, marked: int = 1, **more: Any
) -> tuple[Row, list[Row]]:
    """A session that the device made, with a record of each of the first students."""
    session = session_row(school, **more)
    records = [record_row(session, s) for s in school.student_ids[:marked]]
    await device.sync(
        attendance_sessions={"created": [session]}, attendance_records={"created": records}
    )
    return session, records


async def colleague(school: School) -> School:
    """Another teacher of the same organisation with a class of their own, and a student in it."""
    system = system_actor(school.organization_id)
    async with school.database.transaction(system) as session:
        user = await create_user(
            session, system, role=PersonRole.TEACHER, name="Colleague",
            email=f"c-{secrets.token_hex(4)}@test.invalid",
        )  # fmt: skip
    theirs = replace(school, teacher_id=user.id)
    async with school.database.transaction(theirs.teacher) as session:
        made = await create_class(session, theirs.teacher, name="9C History")
        students = await add_students(
            session, theirs.teacher, made.id, [NewStudent(given_name="Ines", birth_year=2010)]
        )
    return replace(theirs, class_id=made.id, student_ids=tuple(s.id for s in students))
