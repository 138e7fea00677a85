"""A school with a row in every table, each marked, so that a leak of any of them can be seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from fastapi import FastAPI
from psycopg import sql

from classweave.core.database import Database
from classweave.core.identifiers import encode, uuid7
from classweave.core.tenancy import Role, system_actor
from classweave.directory.models import PersonRole
from classweave.directory.service import create_user
from school_fixtures import School, make_school

# Columns that people write or read; their values in a furnished school carry its mark.
_WORDS = frozenset({
    "name", "given_name", "family_name", "display_name", "preferred_name", "title", "goal",
    "description", "content", "note", "speaker_name", "prompt_message", "prompt_context",
    "teacher_notes", "parent_name", "subject", "setting_value", "last_error", "notes", "room",
    "platform",
})  # fmt: skip

# Which table holds what a public identifier names, and how to choose among its rows.
PREFIXES = {
    "class": "directory.classes",
    "org": "directory.organizations",
    "signin": "directory.sign_in_sessions",
    "student": "directory.students",
    "user": "directory.users",
    "session": "live.classroom_sessions",
    "group": "live.student_groups",
    "participant": "live.participants",
    "message": "live.messages",
    "prompt": "live.teacher_guidance_metrics",
    "recording": "live.recordings",
    "track": "live.tracks",
    "utterance": "live.transcriptions",
    "request": "compliance.data_requests",
    "device": "attend.devices",
    "term": "attend.terms",
    "checkin": "attend.check_in_windows",
}

_TABLES = """
SELECT c.oid, n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n
  ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname IN ('ops', 'directory', 'compliance', 'live', 'attend')
  AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
    AND a.attname = 'organization_id')
ORDER BY 2
"""

_COLUMNS = """
SELECT a.attname, t.typname, t.typtype, a.atthasdef, a.attnotnull,
  (SELECT enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY enumsortorder LIMIT 1),
  (SELECT f.oid::regclass::text FROM pg_constraint k JOIN pg_class f ON f.oid = k.confrelid
    WHERE k.conrelid = a.attrelid AND k.contype = 'f' AND a.attnum = ANY (k.conkey)
      AND f.oid <> 'directory.organizations'::regclass LIMIT 1)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum
"""


# Partitioned by term, and a term belongs to one organisation: records need no column for it.
RECORDS = """
FROM attend.attendance_records r JOIN attend.terms t ON t.number = r.term
WHERE t.organization_id = %s
"""


def tenant_tables(owner: psycopg.Connection) -> dict[str, int]:
    """Every table with an organisation, and its number."""
    return {name: oid for oid, name in owner.execute(_TABLES)}


@dataclass
class Furnished:
    """A complete school, its mark, its people's tokens and one identifier of every kind."""

    school: School
    mark: str
    device_token: str = ""
    access_code: str = ""
    # Of the teacher's device that takes attendance, and the roll that it took.
    roll_token: str = ""
    roll_id: str = ""
    record_id: str = ""
    people: dict[PersonRole, UUID] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    # What the frame of every page says to its readers of this school.
    own_names: list[str] = field(default_factory=list)

    async def token(self, role: PersonRole) -> str:
        """A fresh bearer token of the person with this role."""
        return await self.school.token(self.people[role])


async def furnish(database: Database, app: FastAPI, owner: psycopg.Connection) -> Furnished:
    """Make a school, run a lesson in it, and fill every table that is still empty."""
    school = await make_school(database, app)
    made = Furnished(school, f"Mark{school.organization_id.hex}")
    made.people = {PersonRole.TEACHER: school.teacher_id, PersonRole.SCHOOL_ADMIN: school.admin_id}
    system = system_actor(school.organization_id)
    async with database.transaction(system) as session:
        for role in PersonRole:
            if role not in made.people:
                email = f"{role}-{school.organization_id.hex}@test.invalid"
                user = await create_user(
                    session,
                    system,
                    role=role,
                    name="Somebody",
                    email=None if role is PersonRole.STUDENT else email,
                )
                made.people[role] = user.id
    await _hold_lesson(made)
    await _take_roll(made)
    owner.execute("SET session_replication_role = replica")  # no triggers, no foreign keys
    try:
        for table, oid in tenant_tables(owner).items():
            _fill(owner, made, table, oid)
        for table, oid in tenant_tables(owner).items():
            _mark(owner, made, table, oid)
    finally:
        owner.execute("SET session_replication_role = origin")
    made.own_names = [
        name
        for (name,) in owner.execute(
            "SELECT name FROM directory.organizations WHERE id = %s UNION ALL"
            " SELECT name FROM directory.users WHERE organization_id = %s",
            (school.organization_id, school.organization_id),
        )
    ]
    for prefix, table in PREFIXES.items():
        found = _any_row(owner, table, school.organization_id)
        assert found is not None, table
        made.ids[prefix] = encode(prefix, found)
    # Where several rows would do, the ones that belong together.
    made.ids |= {
        "class": encode("class", school.class_id),
        "user": encode("user", school.teacher_id),
        "student": school.student(0),
    }
    return made


async def _hold_lesson(made: Furnished) -> None:
    school = made.school
    async with await school.sign_in(Role.TEACHER) as teacher:
        body = {"title": "Lesson", "class_id": encode("class", school.class_id)}
        session = (await teacher.post("/api/live/sessions", json=body)).json()["id"]
        url = f"/api/live/sessions/{session}"
        await teacher.post(f"{url}/auto-group")
        made.access_code = (await teacher.post(f"{url}/open")).json()["access_code"]
        async with school.program() as device:
            joined = await device.post(
                "/api/live/join", json={"code": made.access_code, "student": school.student(0)}
            )
            made.device_token = joined.json()["token"]
        assert (await teacher.post(f"{url}/start")).status_code == 200
        sent = await teacher.post(f"{url}/messages", json={"content": "Hello"})
        assert sent.status_code == 201, sent.text


async def _take_roll(made: Furnished) -> None:
    """Marks that stand, that were changed, cleared and refused: a row in each of Attend's tables
    that a device fills."""
    school = made.school
    async with await school.sign_in(Role.TEACHER) as teacher:
        device = await teacher.post("/api/attend/devices", json={"name": "Phone", "platform": "x"})
        assert device.status_code == 201, device.text
        made.roll_token = device.json()["token"]
    made.roll_id, made.record_id = uuid7().hex, uuid7().hex
    roll = {
        "id": made.roll_id, "class_id": str(school.class_id), "date": "2099-11-25",
        "start_time": "09:00", "note": made.mark, "marked_at": 1_764_000_000_000,
    }  # fmt: skip
    cleared, kept = (
        {"id": key, "session_id": made.roll_id, "student_id": str(student), "status": "present",
         "marked_at": 1_764_000_000_000, "notes": made.mark}
        for key, student in zip((uuid7().hex, made.record_id), school.student_ids, strict=False)
    )  # fmt: skip
    async with school.program(made.roll_token) as phone:
        for changes in (
            {"attendance_sessions": {"created": [roll]},
             "attendance_records": {"created": [cleared, kept]}},
            {"classes": {"updated": [{"id": str(school.class_id), "name": "8B Science"}]},
             "attendance_records": {"updated": [kept | {"status": "late", "minutes": 3}],
                                    "deleted": [cleared["id"]]},
             "students": {"updated": [{"id": str(school.student_ids[0]), "name": "Nobody"}]}},
        ):  # fmt: skip
            pulled = await phone.get("/api/attend/sync")
            assert pulled.status_code == 200, pulled.text
            query = {"last_pulled_at": pulled.json()["timestamp"]}
            sent = await phone.post("/api/attend/sync", params=query, json={"changes": changes})
            assert sent.status_code == 200, sent.text


def _any_row(owner: psycopg.Connection, table: str, organization: UUID) -> UUID | None:
    key = "id" if table == "directory.organizations" else "organization_id"
    row = owner.execute(
        f"SELECT id FROM {table} WHERE {key} = %s ORDER BY created_at LIMIT 1", (organization,)
    ).fetchone()
    return row[0] if row else None


def _value(made: Furnished, owner: psycopg.Connection, name: str, kind: str, variety: str,
           label: str | None, target: str | None) -> Any:  # fmt: skip
    if name == "organization_id":
        return made.school.organization_id
    if variety == "e":
        return label
    match kind:
        case "uuid":
            found = _any_row(owner, target, made.school.organization_id) if target else None
            return found or uuid7()
        case "text":
            return f"{name} {made.mark}"
        case "jsonb":
            return f'{{"note": "{made.mark}"}}'
        case "_text":
            return [made.mark]
        case "_uuid":
            return [made.school.student_ids[0]]
        case "bytea":
            return uuid7().bytes
        case "bool":
            return False
        case "timestamptz" if name.startswith("closes"):
            return "2026-01-02T00:00:00Z"
        case "time":
            return "11:00" if name.startswith("end") else "10:00"
        case "timestamptz":
            return "2026-01-01T00:00:00Z"
        case "date":
            return "2026-01-01"
        case _:
            return 1


def _fill(owner: psycopg.Connection, made: Furnished, table: str, oid: int) -> None:
    """Insert a marked row where the lesson left none."""
    if owner.execute(
        f"SELECT 1 FROM {table} WHERE organization_id = %s LIMIT 1", (made.school.organization_id,)
    ).fetchone():
        return
    columns = owner.execute(_COLUMNS, (oid,)).fetchall()
    refusals: list[str] = []
    # First with every column, then with those alone that a row cannot be without.
    for everything in (True, False):
        chosen = {
            name: _value(made, owner, name, kind, variety, label, target)
            for name, kind, variety, default, needed, label, target in columns
            if name == "organization_id" or (not default and (everything or needed))
        }
        try:
            owner.execute(
                sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                    sql.SQL(table),
                    sql.SQL(", ").join(map(sql.Identifier, chosen)),
                    sql.SQL(", ").join([sql.Placeholder()] * len(chosen)),
                ),
                tuple(chosen.values()),
            )
            return
        except psycopg.Error as error:
            refusals.append(str(error))
    raise AssertionError(f"cannot furnish {table}: {refusals}")


def _mark(owner: psycopg.Connection, made: Furnished, table: str, oid: int) -> None:
    """Add the mark to what people write in a table."""
    for name, kind, *_rest in owner.execute(_COLUMNS, (oid,)).fetchall():
        if kind == "text" and name in _WORDS:
            owner.execute(
                sql.SQL(
                    "UPDATE {t} SET {c} = left({c}, 60) || ' ' || %s WHERE organization_id = %s"
                    " AND {c} IS NOT NULL AND {c} NOT LIKE '%%Mark%%'"
                ).format(t=sql.SQL(table), c=sql.Identifier(name)),
                (made.mark, made.school.organization_id),
            )
    owner.execute(
        "UPDATE directory.organizations SET name = name || ' ' || %s WHERE id = %s"
        " AND name NOT LIKE '%%Mark%%'",
        (made.mark, made.school.organization_id),
    )


def digest(owner: psycopg.Connection, made: Furnished) -> dict[str, str]:
    """A checksum of every table's rows of the school: equal exactly when nothing was changed."""
    found: dict[str, str] = {}
    for table in [*tenant_tables(owner), "directory.organizations"]:
        key = "id" if table == "directory.organizations" else "organization_id"
        row = owner.execute(
            f"SELECT md5(string_agg(md5(r::text), '' ORDER BY md5(r::text))) FROM {table} r"
            f" WHERE {key} = %s",
            (made.school.organization_id,),
        ).fetchone()
        assert row is not None
        found[table] = row[0]
    row = owner.execute(
        f"SELECT md5(string_agg(r::text, '' ORDER BY r.id)) {RECORDS}",
        (made.school.organization_id,),
    ).fetchone()
    assert row is not None
    found["attend.attendance_records"] = row[0]
    return found
