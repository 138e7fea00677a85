"""Real clients on a network that fails: they converge, and nothing that was saved is lost."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from devices import TestDevice, register
from node_clients import Clients, Refused, open_client, settle

from classweave.core import clock
from school_fixtures import School

pytestmark = pytest.mark.anyio

# The students were enrolled the moment their school was made.
DAYS = tuple((clock.now().date() + timedelta(days)).isoformat() for days in (1, 2))
STATUSES = ("present", "late", "excused", "left_early", None)
NAMES = ("ana", "ben", "chloe", "dmitri")
ROUNDS = 14


@dataclass
class Ledger:
    """What each device was told is saved. ``marks`` are of students whom it alone marks."""

    sessions: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    marks: dict[tuple[str, str, str], str | None] = field(
        default_factory=dict[tuple[str, str, str], str | None]
    )
    contested: dict[tuple[str, str], set[str | None]] = field(
        default_factory=dict[tuple[str, str], set[str | None]]
    )


class Worker:
    """One lecturer's device, at random but by a seed."""

    def __init__(
        self, clients: Clients, school: School, name: str, ledger: Ledger, seed: int
    ) -> None:
        self.clients, self.school, self.name, self.ledger = clients, school, name, ledger
        self.random = random.Random(f"{seed}{name}")
        own = NAMES.index(name)
        students = [str(s) for s in school.student_ids]
        # One student each whom nobody else marks; the last four are everybody's.
        self.own, self.shared = students[own], students[len(NAMES) :]
        self.kept = False

    async def ask(self, do: str, **more: Any) -> Any:
        return await self.clients.ask(self.name, do, **more)

    async def session(self, day: str) -> str:
        made = await self.ask(
            "start", class_id=str(self.school.class_id), date=day, start_time="09:00"
        )
        self.ledger.sessions[self.name, day] = made
        return made

    async def step(self) -> None:
        kind = self.random.choices(
            ("own", "shared", "session", "sync", "crash", "keep", "back"),
            (30, 20, 6, 28, 4, 6, 3),
        )[0]
        day = self.random.choice(DAYS)
        if kind in ("own", "shared"):
            await self.mark(day, self.own if kind == "own" else self.random.choice(self.shared))
        elif kind == "session":
            await self.ask("close", session=await self.session(day), by=str(self.school.teacher_id))
        elif kind == "sync":
            await self.sync()
        elif kind == "crash":
            await self.ask("crash")
        elif kind == "keep":
            await self.ask("keep", **{"as": "old"})
            self.kept = True
        elif self.kept and (await self.ask("dump"))["unsynced"] == 0:
            # Old storage loses what it never held; so only once the server has everything.
            await self.ask("crash", **{"as": "old"})

    async def mark(self, day: str, student: str) -> None:
        session = await self.session(day)
        status = self.random.choice(STATUSES)
        minutes = self.random.randint(1, 30) if status in ("late", "left_early") else None
        await self.ask("mark", session=session, student=student, status=status, minutes=minutes)
        if student == self.own:
            self.ledger.marks[self.name, day, student] = status
        else:
            self.ledger.contested.setdefault((day, student), {None}).add(status)

    async def sync(self) -> None:
        try:
            await self.ask("sync")
        except Refused as refused:
            if refused.status not in (0, 409, 503):
                raise


@pytest.mark.parametrize("seed", range(4))
async def test_clients_on_a_failing_network_converge(
    school: School,
    address: str,
    clients: Clients,
    witness: TestDevice,
    owner: psycopg.Connection,
    seed: int,
) -> None:
    ledger = Ledger()
    for number, name in enumerate(NAMES):
        await open_client(clients, school, address, name, seed * 10 + number)
        await clients.ask(name, "network", rate=0.45, online=True)
    workers = [Worker(clients, school, name, ledger, seed) for name in NAMES]

    async def work(worker: Worker) -> None:
        for _ in range(ROUNDS):
            await worker.step()

    await asyncio.gather(*(work(worker) for worker in workers))
    dumps = await settle(clients, NAMES)
    await witness.pull()
    truth = witness.rows
    for dump in dumps:
        assert dump["unsynced"] == 0
        for table, rows in dump["tables"].items():
            there = truth.get(table, {})
            assert rows.keys() == there.keys(), table
            for key, row in rows.items():
                assert {k: row[k] for k in there[key]} == there[key]
    sessions, records = truth["attendance_sessions"], truth.get("attendance_records", {})
    assert len({(s["date"], s["start_time"]) for s in sessions.values()}) == len(sessions)
    marked = {
        (sessions[r["session_id"]]["date"], r["student_id"]): r["status"] for r in records.values()
    }
    assert len(marked) == len(records), "two records of one student"
    for (name, day, student), status in ledger.marks.items():
        assert marked.get((day, student)) == status, f"{name} was told that {status} is saved"
    for (day, student), possible in ledger.contested.items():
        assert marked.get((day, student)) in possible
    buried = {
        row[0]
        for row in owner.execute(
            "SELECT id FROM attend.tombstones WHERE organization_id = %s", (school.organization_id,)
        )
    }
    assert not buried & (sessions.keys() | records.keys()), "a deleted row is back"


async def test_a_mark_made_after_a_lost_answer_survives_the_merge(
    school: School, address: str, clients: Clients, witness: TestDevice
) -> None:
    for number, name in enumerate(("ana", "ben")):
        await open_client(clients, school, address, name, number)
    student = str(school.student_ids[0])
    meeting = {"class_id": str(school.class_id), "date": DAYS[0], "start_time": "09:00"}
    for name in ("ben", "ana"):
        # Both begin the session offline, under ids of their own.
        session = await clients.ask(name, "start", **meeting)
        await clients.ask(name, "mark", session=session, student=student, status="present")
    await clients.ask("ben", "sync")
    # Ana's push is kept, its answer lost; she goes on marking.
    session = await clients.ask("ana", "start", **meeting)
    await lose_an_answer(clients, "ana")
    await clients.ask("ana", "mark", session=session, student=student, status="late", minutes=9)
    other = str(school.student_ids[1])
    await clients.ask("ana", "mark", session=session, student=other, status="excused")
    await settle(clients, ("ana", "ben"))
    await witness.pull()
    records = witness.table("attendance_records").values()
    said = {r["student_id"]: (r["status"], r["minutes"]) for r in records}
    assert said == {student: ("late", 9), other: ("excused", None)}


async def lose_an_answer(clients: Clients, name: str) -> None:
    """A synchronisation whose push is kept without the device hearing of it."""
    await clients.ask(name, "lose_answers", pushes=1)
    with pytest.raises(Refused):
        await clients.ask(name, "sync")


async def test_deleted_sessions_and_renamed_classes_reach_everyone(
    school: School, address: str, clients: Clients
) -> None:
    for number, name in enumerate(("ana", "ben")):
        await open_client(clients, school, address, name, number)
    session = await clients.ask(
        "ana", "start", class_id=str(school.class_id), date=DAYS[0], start_time="09:00"
    )
    assert len(await clients.ask("ana", "all_present", session=session)) == len(school.student_ids)
    await clients.ask("ana", "rename", class_id=str(school.class_id), name="Physics, evening")
    await clients.ask("ana", "keep", **{"as": "before"})
    await clients.ask("ana", "sync")
    await clients.ask("ben", "sync")
    await clients.ask("ben", "delete", session=session)
    for dump in await settle(clients, ("ben", "ana")):
        assert dump["tables"]["attendance_sessions"] == {}
        assert dump["tables"]["attendance_records"] == {}
        (taught,) = dump["tables"]["classes"].values()
        assert taught["name"] == "Physics, evening"
    # The storage of before the push, with all of it still to be pushed: nothing comes back.
    await clients.ask("ana", "crash", **{"as": "before"})
    for dump in await settle(clients, ("ana", "ben")):
        assert dump["tables"]["attendance_records"] == {}
        assert dump["tables"]["attendance_sessions"] == {}


async def test_rows_that_were_damaged_on_the_device_are_healed(
    school: School,
    address: str,
    clients: Clients,
    witness: TestDevice,
    owner: psycopg.Connection,
) -> None:
    await open_client(clients, school, address, "ana", 1)
    session = await clients.ask(
        "ana", "start", class_id=str(school.class_id), date=DAYS[0], start_time="09:00"
    )
    await clients.ask("ana", "all_present", session=session)
    await clients.ask("ana", "sync")
    await clients.ask("ana", "damage", session=session)
    # The session has to come with a pull to be compared.
    await clients.ask("ana", "note", session=session, note="Fire drill")
    outcome = await clients.ask("ana", "sync")
    assert outcome["healed"] == [session]
    (dump,) = await settle(clients, ("ana",))
    await witness.pull()
    truth = witness.rows
    assert dump["tables"]["attendance_records"].keys() == truth["attendance_records"].keys()
    logged = owner.execute(
        "SELECT count(*) FROM attend.sync_log WHERE organization_id = %s AND kind = 'mismatch'",
        (school.organization_id,),
    ).fetchone()
    assert logged == (1,)


async def test_a_device_that_is_signed_out_keeps_its_rows(
    school: School, address: str, clients: Clients
) -> None:
    device = await register(school, name="Lost phone")
    token = device.client.headers["authorization"].removeprefix("Bearer ")
    await clients.ask("ana", "open", origin=address, token=token, seed=1)
    await clients.ask("ana", "sync")
    async with school.program(await school.token(school.teacher_id)) as signed_in:
        gone = await signed_in.delete(f"/api/attend/devices/{device.id}")
    await device.client.aclose()
    assert gone.status_code == 204
    await clients.ask("ana", "start", class_id=str(school.class_id), date=DAYS[0], start_time="")
    with pytest.raises(Refused) as refused:
        await clients.ask("ana", "sync")
    assert refused.value.status == 401
    assert (await clients.ask("ana", "dump"))["unsynced"] == 1
