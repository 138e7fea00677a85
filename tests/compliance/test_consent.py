from __future__ import annotations

from datetime import timedelta

import pytest
from compliance_people import Place, make_place
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance import consent
from classweave.compliance.consent import ConsentChange, Evidence
from classweave.compliance.models import (
    ConsentKind,
    ConsentMethod,
    ConsentState,
    CoppaCompliance,
    ParentalConsent,
)
from classweave.core import clock
from classweave.core.audit import AuditLog
from classweave.core.database import Database
from classweave.core.events import read_events
from classweave.core.problems import Conflict, Invalid, NotFound
from classweave.directory.models import Student

pytestmark = pytest.mark.anyio

PAPER = Evidence(ConsentMethod.PAPER_FORM, parent_email="parent@example.org")


@pytest.fixture
async def place(database: Database) -> Place:
    return await make_place(database)


async def give(
    session: AsyncSession, place: Place, *kinds: ConsentKind, evidence: Evidence = PAPER
) -> None:
    for kind in kinds:
        await consent.record_consent(
            session, place.admin, place.child, kind, ConsentState.GIVEN, evidence
        )


async def test_nobody_is_captured_until_both_consents_are_given(
    database: Database, place: Place
) -> None:
    async with database.transaction(place.admin) as session:
        assert await consent.standing_consents(session, [place.child]) == {place.child: {}}
        assert not await consent.may_capture(session, place.child)
        await give(session, place, ConsentKind.TAKE_PART)
        assert not await consent.may_capture(session, place.child)
        await give(session, place, ConsentKind.RECORDING)
        assert await consent.may_capture(session, place.child)
        assert not await consent.may_analyse(session, place.child)
        await give(session, place, ConsentKind.ANALYSIS)
        assert await consent.may_analyse(session, place.child)
        assert not await consent.may_capture(session, place.adult)


async def test_the_newest_decision_stands_and_all_are_kept(
    database: Database, place: Place
) -> None:
    for state in (ConsentState.GIVEN, ConsentState.WITHDRAWN, ConsentState.GIVEN):
        async with database.transaction(place.admin) as session:
            await consent.record_consent(
                session, place.admin, place.child, ConsentKind.RECORDING, state, PAPER
            )
    async with database.transaction(place.admin) as session:
        history = await consent.consent_history(session, place.child)
        assert [row.state for row in history] == [
            ConsentState.GIVEN,
            ConsentState.WITHDRAWN,
            ConsentState.GIVEN,
        ]
        assert [row.superseded_at is None for row in history] == [True, False, False]
        assert history[1].revoked_at is not None
        assert history[0].recorded_by == place.admin.id


async def test_a_consent_ends_when_it_expires_without_any_job(
    database: Database, place: Place
) -> None:
    until = Evidence(ConsentMethod.IN_PERSON, expires_at=clock.now() + timedelta(days=30))
    async with database.transaction(place.admin) as session:
        await give(session, place, ConsentKind.TAKE_PART, evidence=PAPER)
        await give(session, place, ConsentKind.RECORDING, evidence=until)
        assert await consent.may_capture(session, place.child)
        with clock.shifted(timedelta(days=30)):
            assert not await consent.may_capture(session, place.child)
            standing = await consent.standing_consents(session, [place.child])
            assert standing[place.child][ConsentKind.RECORDING] is ConsentState.EXPIRED
    with clock.shifted(timedelta(days=31)):
        async with database.transaction(place.admin) as session:
            assert await consent.expire_consents(session, place.admin) == 1
            assert await consent.expire_consents(session, place.admin) == 0
        async with database.transaction(place.admin) as session:
            student = await session.get_one(Student, place.child)
            assert student.has_parental_consent
            assert not student.audio_recording_consent


async def test_only_what_was_given_can_be_withdrawn(database: Database, place: Place) -> None:
    async with database.transaction(place.admin) as session:
        with pytest.raises(Conflict):
            await consent.record_consent(
                session,
                place.admin,
                place.child,
                ConsentKind.RECORDING,
                ConsentState.WITHDRAWN,
                PAPER,
            )


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (ConsentKind.TAKE_PART, ConsentMethod.STUDENT_OF_AGE),
        (ConsentKind.DISCLOSURE, ConsentMethod.E_MAIL),
        (ConsentKind.AI_TRAINING, ConsentMethod.E_MAIL),
    ],
)
async def test_a_child_needs_a_verifiable_parental_consent(
    database: Database, place: Place, kind: ConsentKind, method: ConsentMethod
) -> None:
    async with database.transaction(place.admin) as session:
        with pytest.raises(Invalid):
            await give(session, place, kind, evidence=Evidence(method))
    with pytest.raises(IntegrityError, match="verifiable"):
        async with database.transaction(place.admin) as session:
            session.add(
                ParentalConsent(
                    organization_id=place.organization,
                    student_id=place.child,
                    consent_type=kind,
                    state=ConsentState.GIVEN,
                    consent_given=True,
                    consent_date=clock.now(),
                    verification_method=method,
                    verified_at=clock.now(),
                    consent_text_version="1",
                )
            )


async def test_dates_must_make_sense(database: Database, place: Place) -> None:
    tomorrow = clock.now() + timedelta(days=1)
    yesterday = clock.now() - timedelta(days=1)
    async with database.transaction(place.admin) as session:
        for evidence in (
            Evidence(ConsentMethod.PHONE, decided_at=tomorrow),
            Evidence(ConsentMethod.PHONE, expires_at=yesterday),
            Evidence(None),
        ):
            with pytest.raises(Invalid):
                await give(session, place, ConsentKind.TAKE_PART, evidence=evidence)


async def test_withdrawal_clears_what_may_not_be_kept_of_a_child(
    database: Database, place: Place
) -> None:
    async with database.transaction(place.admin) as session:
        await give(session, place, ConsentKind.TAKE_PART)
    async with database.transaction(place.admin) as session:
        student = await session.get_one(Student, place.child)
        assert student.coppa_compliant
        assert student.parent_email == "parent@example.org"
        student.family_name = "Lovelace"
        student.email = f"{place.child}@example.org"
    async with database.transaction(place.admin) as session:
        await consent.record_consent(
            session,
            place.admin,
            place.child,
            ConsentKind.TAKE_PART,
            ConsentState.WITHDRAWN,
            PAPER,
        )
    async with database.transaction(place.admin) as session:
        student = await session.get_one(Student, place.child)
        assert not student.has_parental_consent
        assert not student.coppa_compliant
        assert (student.email, student.family_name, student.parent_email) == (None, None, None)
        protection = await session.scalar(
            select(CoppaCompliance).where(CoppaCompliance.student_id == place.child)
        )
        assert protection is not None
        assert protection.data_collection_limited


async def test_a_change_is_announced_once_audited_and_acted_on_in_the_same_transaction(
    database: Database, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[ConsentChange] = []

    async def react(session: AsyncSession, change: ConsentChange) -> None:
        assert not await consent.may_capture(session, change.student)
        seen.append(change)

    monkeypatch.setattr(consent, "on_consent_change", [react])
    async with database.transaction(place.admin) as session:
        await give(session, place, ConsentKind.RECORDING)
    assert seen == [
        ConsentChange(
            place.organization, place.child, ConsentKind.RECORDING, None, ConsentState.GIVEN
        )
    ]
    async with database.transaction(place.admin) as session:
        for topic in (
            f"compliance.student:{place.child}",
            f"compliance.organization:{place.organization}",
        ):
            (event,) = await read_events(session, topic, after=0)
            assert event.type == "consent.changed"
            assert event.payload["kind"] == "recording"
            assert event.payload["state"] == "given"
        line = await session.scalar(
            select(AuditLog).where(AuditLog.affected_student_ids.any_() == place.child)
        )
        assert line is not None
        assert line.event_type == "consent.given"


async def test_a_failing_reaction_undoes_the_decision(
    database: Database, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(session: AsyncSession, change: ConsentChange) -> None:
        raise RuntimeError("the stream could not be stopped")

    monkeypatch.setattr(consent, "on_consent_change", [fail])
    with pytest.raises(RuntimeError):
        async with database.transaction(place.admin) as session:
            await give(session, place, ConsentKind.RECORDING)
    async with database.transaction(place.admin) as session:
        assert await consent.consent_history(session, place.child) == []


async def test_decisions_are_not_edited(database: Database, place: Place) -> None:
    async with database.transaction(place.admin) as session:
        await give(session, place, ConsentKind.RECORDING)
    with pytest.raises(DBAPIError, match="not edited"):
        async with database.transaction(place.admin) as session:
            await session.execute(
                text(
                    "UPDATE compliance.parental_consents SET consent_date = now()"
                    " - interval '1 year' WHERE student_id = :student"
                ),
                {"student": place.child},
            )


async def test_another_organisation_sees_and_changes_nothing(
    database: Database, place: Place
) -> None:
    stranger = await make_place(database)
    async with database.transaction(place.admin) as session:
        await give(session, place, ConsentKind.TAKE_PART, ConsentKind.RECORDING)
    async with database.transaction(stranger.admin) as session:
        assert not await consent.may_capture(session, place.child)
        assert await consent.consent_history(session, place.child) == []
        with pytest.raises(NotFound):
            await give(session, place, ConsentKind.ANALYSIS)


async def test_the_protection_of_a_child_follows_the_directory(
    database: Database, place: Place
) -> None:
    async with database.transaction(place.admin) as session:
        rows = await session.scalars(select(CoppaCompliance).order_by(CoppaCompliance.is_under_13))
        adult, child = rows.all()
        assert (adult.student_id, adult.is_under_13) == (place.adult, False)
        assert (child.student_id, child.is_under_13) == (place.child, True)
        assert child.data_collection_limited
        student = await session.get_one(Student, place.child)
        student.birth_year = 2009
    async with database.transaction(place.admin) as session:
        child = await session.get_one(CoppaCompliance, child.id)
        assert not child.is_under_13
        assert child.birth_year == 2009
        student = await session.get_one(Student, place.child)
        assert student.coppa_compliant
    with pytest.raises(IntegrityError, match="directory"):
        await claim_under_13(database, place)


async def claim_under_13(database: Database, place: Place) -> None:
    async with database.transaction(place.admin) as session:
        await session.execute(
            update(CoppaCompliance)
            .where(CoppaCompliance.student_id == place.child)
            .values(is_under_13=True)
        )
