from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from compliance_people import Place, make_place
from sqlalchemy import func, select, text

from classweave.compliance import retention
from classweave.compliance.consent import Evidence, record_consent
from classweave.compliance.file_deletion import delete_files
from classweave.compliance.models import (
    ConsentKind,
    ConsentMethod,
    ConsentState,
    ParentalConsent,
    PolicyType,
    RetentionPolicy,
    RetentionRun,
)
from classweave.compliance.retention import RetentionRule, RetentionTerms, retain
from classweave.core import clock, events
from classweave.core.audit import AuditLog
from classweave.core.database import Database
from classweave.core.problems import Invalid
from classweave.core.runtime import Runtime
from classweave.directory.models import Organization

pytestmark = pytest.mark.anyio


@pytest.fixture
async def place(database: Database) -> Place:
    return await make_place(database)


async def emit(database: Database, place: Place, topic: str, count: int = 1) -> None:
    async with database.transaction(place.admin) as session:
        for number in range(count):
            events.emit(session, f"{topic}:{place.organization}", "test.happened", {"n": number})


async def count_events(database: Database, place: Place) -> int:
    async with database.transaction(place.admin) as session:
        found = await session.scalar(text("SELECT count(*) FROM ops.events"))
        return int(found or 0)


async def test_every_organisation_begins_with_policies(database: Database, place: Place) -> None:
    async with database.transaction(place.admin) as session:
        policies = await retention.policies_of(session, place.organization)
        assert {policy.policy_type for policy in policies} == set(PolicyType)
        by_type = {policy.policy_type: policy for policy in policies}
        organization = await session.get_one(Organization, place.organization)
        words = by_type[PolicyType.WORDS]
        assert words.delete_after_days == organization.data_retention_days
        assert not by_type[PolicyType.AUDIT].auto_delete_enabled


async def test_what_passed_its_policy_goes_and_the_rest_stays(
    database: Database, place: Place
) -> None:
    await emit(database, place, "test.old", 3)
    with clock.shifted(timedelta(days=8)):
        run = await retain(database, place.organization)
    assert run.completed_at is not None
    assert run.counts == {"ops.events": 3}
    assert await count_events(database, place) == 0
    await emit(database, place, "test.new")
    run = await retain(database, place.organization)
    assert run.counts == {}
    assert await count_events(database, place) == 1
    async with database.transaction(place.admin) as session:
        lines = await session.scalar(
            select(func.count()).select_from(AuditLog).where(AuditLog.event_type == "retention.run")
        )
        assert lines == 2
        assert await session.scalar(select(func.count()).select_from(RetentionRun)) == 2


async def test_another_organisation_is_left_alone(database: Database, place: Place) -> None:
    other = await make_place(database)
    await emit(database, other, "test.other")
    with clock.shifted(timedelta(days=30)):
        await retain(database, place.organization)
    assert await count_events(database, other) == 1


async def test_batches_delete_everything_that_is_due(
    database: Database, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_ROWS", 7)
    await emit(database, place, "test.many", 30)
    with clock.shifted(timedelta(days=8)):
        run = await retain(database, place.organization)
    assert run.counts == {"ops.events": 30}


async def test_two_runs_at_once_delete_each_row_once(
    database: Database, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_ROWS", 5)
    await emit(database, place, "test.race", 40)
    with clock.shifted(timedelta(days=8)):
        runs = await asyncio.gather(*(retain(database, place.organization) for _ in range(2)))
    assert sum(run.counts.get("ops.events", 0) for run in runs) == 40


async def test_a_policy_that_is_switched_off_deletes_nothing(
    database: Database, place: Place
) -> None:
    await emit(database, place, "test.kept")
    async with database.transaction(place.admin) as session:
        policy = await session.scalar(
            select(RetentionPolicy).where(RetentionPolicy.policy_type == PolicyType.EVENTS)
        )
        assert policy is not None
        policy.auto_delete_enabled = False
    with clock.shifted(timedelta(days=800)):
        await retain(database, place.organization)
    assert await count_events(database, place) == 1


async def test_past_consents_go_and_the_standing_one_stays(
    database: Database, place: Place
) -> None:
    for _ in range(3):
        async with database.transaction(place.admin) as session:
            await record_consent(
                session,
                place.admin,
                place.child,
                ConsentKind.RECORDING,
                ConsentState.GIVEN,
                Evidence(ConsentMethod.PAPER_FORM),
            )
    with clock.shifted(timedelta(days=1100)):
        run = await retain(database, place.organization)
    assert run.counts["compliance.parental_consents"] == 2
    async with database.transaction(place.admin) as session:
        (left,) = (await session.scalars(select(ParentalConsent))).all()
        assert left.superseded_at is None


async def test_files_go_with_their_rows_after_the_commit(
    runtime: Runtime, place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A job works on the installation that was opened, whatever the environment says.
    monkeypatch.setenv("CLASSWEAVE_DATA_DIR", str(tmp_path))
    database, files = runtime.database, runtime.files
    path = f"{place.organization}/sound/one.opus"
    await files.put(path, b"sound")
    rule = RetentionRule(
        PolicyType.EVENTS,
        "ops.events",
        "created_at",
        where="type = 'test.happened'",
        files=f"CASE WHEN doomed.sequence = 1 THEN '{path}' END",
    )
    monkeypatch.setattr(retention, "_rules", [rule])
    await emit(database, place, "test.sound", 2)
    with clock.shifted(timedelta(days=8)):
        run = await retain(database, place.organization)
    assert (run.counts, run.files) == ({"ops.events": 2}, 1)
    assert await files.get(path) == b"sound"
    async with database.transaction(place.admin) as session:
        queued = await session.scalar(
            text(
                "SELECT args FROM procrastinate_jobs WHERE task_name = 'compliance.delete_files'"
                " AND args->'paths' ? :path"
            ),
            {"path": path},
        )
    assert queued is not None
    await delete_files(**queued)
    await delete_files(**queued)
    with pytest.raises(FileNotFoundError):
        await files.get(path)


def test_every_rule_names_a_table_with_its_columns() -> None:
    from classweave.core.model import Base

    rules = retention.declared()
    assert {rule.policy_type for rule in rules} >= {
        PolicyType.EVENTS,
        PolicyType.CONSENT_HISTORY,
        PolicyType.SIGN_IN_SESSIONS,
    }
    for rule in rules:
        columns = Base.metadata.tables[rule.table].columns
        assert rule.timestamp_column in columns
        assert "organization_id" in columns
        assert rule.table in retention.deletion(rule)


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (RetentionTerms(-1, 5, "why", True), "retention_days"),
        (RetentionTerms(9, 5, "why", True), "delete_after_days"),
        (RetentionTerms(1, 5, "  ", True), "legal_basis"),
    ],
)
def test_terms_must_make_sense(terms: RetentionTerms, field: str) -> None:
    assert list(retention.check_terms(PolicyType.SOUND, terms)) == [field]


async def test_the_audit_trail_cannot_be_put_on_the_list(database: Database, place: Place) -> None:
    async with database.transaction(place.admin) as session:
        with pytest.raises(Invalid):
            await retention.change_policy(
                session,
                place.organization,
                PolicyType.AUDIT,
                RetentionTerms(10, 10, "why", True),
            )
