from __future__ import annotations

from datetime import timedelta

import pytest
from compliance_people import Place, make_place
from sqlalchemy import text

from classweave.compliance.consent import Evidence, record_consent, standing_consents
from classweave.compliance.jobs import expire, retain, schedule_expiry, schedule_retention
from classweave.compliance.models import (
    ConsentKind,
    ConsentMethod,
    ConsentState,
)
from classweave.core import clock
from classweave.core.database import Database
from classweave.directory.models import Student

pytestmark = pytest.mark.anyio


@pytest.fixture
async def place(database: Database) -> Place:
    return await make_place(database)


async def test_what_ran_out_is_recorded_by_the_clock(database: Database, place: Place) -> None:
    ends = clock.now() + timedelta(days=1)
    async with database.transaction(place.admin) as session:
        await record_consent(
            session,
            place.admin,
            place.child,
            ConsentKind.RECORDING,
            ConsentState.GIVEN,
            Evidence(ConsentMethod.PHONE, expires_at=ends),
        )
    await expire(organization=str(place.organization))
    async with database.transaction(place.admin) as session:
        standing = await standing_consents(session, [place.child])
        assert standing[place.child] == {ConsentKind.RECORDING: ConsentState.GIVEN}
    with clock.shifted(timedelta(days=1)):
        await expire(organization=str(place.organization))
    async with database.transaction(place.admin) as session:
        states = await session.execute(
            text("SELECT state, recorded_by FROM compliance.parental_consents ORDER BY id")
        )
        assert [tuple(row) for row in states] == [("given", place.admin.id), ("expired", None)]


async def test_children_who_left_long_ago_are_erased_by_the_nightly_run(
    database: Database, place: Place
) -> None:
    await retain(organization=str(place.organization))
    async with database.transaction(place.admin) as session:
        assert await session.get(Student, place.child) is not None
    with clock.shifted(timedelta(days=367)):
        await retain(organization=str(place.organization))
    async with database.transaction(place.admin) as session:
        assert await session.get(Student, place.child) is None
        assert await session.get(Student, place.adult) is not None


@pytest.mark.parametrize(
    ("schedule", "task"),
    [(schedule_retention, "compliance.retain"), (schedule_expiry, "compliance.expire")],
)
async def test_each_organisation_gets_one_waiting_job(
    database: Database, place: Place, schedule: object, task: str
) -> None:
    assert callable(schedule)
    await schedule(timestamp=0)
    await schedule(timestamp=1)
    async with database.transaction(place.admin) as session:
        waiting = await session.scalar(
            text(
                "SELECT count(*) FROM procrastinate_jobs WHERE task_name = :task"
                " AND status = 'todo' AND args->>'organization' = :organization"
            ),
            {"task": task, "organization": str(place.organization)},
        )
    assert waiting == 1
