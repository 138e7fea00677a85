"""The one place where every stream, measure and export asks what a family allowed.

Consent is opt-in: a student without a standing, unexpired ``given`` has not consented.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance.models import ConsentKind, ConsentMethod, ConsentState, ParentalConsent
from classweave.core import audit, clock, events
from classweave.core.identifiers import encode
from classweave.core.problems import Conflict, Invalid
from classweave.core.tenancy import Actor
from classweave.directory.models import Student
from classweave.directory.service import access_student
from classweave.web.i18n import mark

TEXT_VERSION = "2026-11"
"""The version of the wording on the printed consent form; kept with every decision."""

Standing = Mapping[ConsentKind, ConsentState]

_DECISIONS = frozenset({ConsentState.GIVEN, ConsentState.REFUSED})
TRANSITIONS: Mapping[ConsentState | None, frozenset[ConsentState]] = {
    None: _DECISIONS,
    ConsentState.GIVEN: frozenset(ConsentState),
    ConsentState.REFUSED: _DECISIONS,
    ConsentState.WITHDRAWN: _DECISIONS,
    ConsentState.EXPIRED: _DECISIONS,
}
"""Which decision may follow which; ``None`` is a student who was never asked."""

# 16 CFR 312.5(b)(2)(vi): e-mail counts as parental consent only where nothing is disclosed.
_DISCLOSING = frozenset({ConsentKind.DATA_SHARING, ConsentKind.DISCLOSURE, ConsentKind.AI_TRAINING})


@dataclass(frozen=True, slots=True)
class ConsentChange:
    """What just changed, for those who must act in the same transaction."""

    organization: UUID
    student: UUID
    kind: ConsentKind
    before: ConsentState | None
    state: ConsentState


on_consent_change: list[Callable[[AsyncSession, ConsentChange], Awaitable[None]]] = []
"""Rooms above append what they must do at once: stop a stream, delete what it left and all that
quotes it. An erasure runs them too, with every kind withdrawn."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """How and from whom the school learnt of a decision."""

    method: ConsentMethod | None
    decided_at: datetime | None = None
    expires_at: datetime | None = None
    parent_name: str | None = None
    parent_email: str | None = None
    relationship: str | None = None
    note: str = ""


def judge(state: ConsentState, expires_at: datetime | None, at: datetime) -> ConsentState:
    """``state`` at the moment ``at``: what was given ends when it expires."""
    if state is ConsentState.GIVEN and expires_at is not None and expires_at <= at:
        return ConsentState.EXPIRED
    return state


def allows_capture(consents: Standing) -> bool:
    """Whether a voice may be captured: taking part and recording are both given."""
    return all(
        consents.get(kind) is ConsentState.GIVEN
        for kind in (ConsentKind.TAKE_PART, ConsentKind.RECORDING)
    )


def allows_analysis(consents: Standing) -> bool:
    """Whether words may be measured: taking part and analysis are both given."""
    return all(
        consents.get(kind) is ConsentState.GIVEN
        for kind in (ConsentKind.TAKE_PART, ConsentKind.ANALYSIS)
    )


def why_not_verifiable(kind: ConsentKind, method: ConsentMethod, under_13: bool) -> str | None:
    """Why ``method`` is no verifiable consent for this child; ``None`` when it is."""
    if not under_13:
        return None
    if method is ConsentMethod.STUDENT_OF_AGE:
        return mark("A child under 13 cannot consent; a parent or guardian decides.")
    if method is ConsentMethod.E_MAIL and kind in _DISCLOSING:
        return mark("For a child under 13, an e-mail is not enough to share or disclose data.")
    return None


async def standing_consents(
    session: AsyncSession, students: Sequence[UUID]
) -> dict[UUID, dict[ConsentKind, ConsentState]]:
    """What stands for each of ``students`` now. A kind that was never decided has no entry."""
    found: dict[UUID, dict[ConsentKind, ConsentState]] = {student: {} for student in students}
    rows = await session.execute(
        select(
            ParentalConsent.student_id,
            ParentalConsent.consent_type,
            ParentalConsent.state,
            ParentalConsent.expires_at,
        ).where(
            ParentalConsent.student_id.in_(found),
            ParentalConsent.superseded_at.is_(None),
        )
    )
    at = clock.now()
    for student, kind, state, expires_at in rows:
        found[student][kind] = judge(state, expires_at, at)
    return found


async def may_capture(session: AsyncSession, student_id: UUID) -> bool:
    """Whether this student's voice may be captured now."""
    return allows_capture((await standing_consents(session, [student_id]))[student_id])


async def may_analyse(session: AsyncSession, student_id: UUID) -> bool:
    """Whether this student's words may be measured now."""
    return allows_analysis((await standing_consents(session, [student_id]))[student_id])


async def consent_history(session: AsyncSession, student_id: UUID) -> Sequence[ParentalConsent]:
    """Every decision about ``student_id``, the newest first."""
    rows = await session.scalars(
        select(ParentalConsent)
        .where(ParentalConsent.student_id == student_id)
        .order_by(ParentalConsent.id.desc())
    )
    return rows.all()


async def record_consent(
    session: AsyncSession,
    actor: Actor,
    student_id: UUID,
    kind: ConsentKind,
    state: ConsentState,
    evidence: Evidence,
) -> ParentalConsent:
    """Record one decision; from its commit on it is the one that stands.

    Raises as :func:`record_consents` does.
    """
    (row,) = await record_consents(session, actor, [student_id], [kind], state, evidence)
    return row


async def record_consents(
    session: AsyncSession,
    actor: Actor,
    students: Collection[UUID],
    kinds: Collection[ConsentKind],
    state: ConsentState,
    evidence: Evidence,
) -> list[ParentalConsent]:
    """Record the same decision of several families, about several kinds: all of it or nothing.

    A withdrawal skips whoever has no such consent in force. Raises, before anything is written,
    :class:`NotFound` for a student who is not the actor's, :class:`Conflict` when there is nothing
    that could end, and :class:`Invalid` for dates or a method that cannot be.
    """
    now = clock.now()
    found = [await access_student(session, actor, student) for student in sorted(students)]
    errors: dict[str, str] = {}
    for student in found:
        for kind in kinds:
            errors |= check_decision(kind, state, evidence, now, under_13=student.is_under_13)
    if errors:
        raise Invalid(
            mark("The decision was not recorded."),
            errors=[{"field": field, "message": message} for field, message in errors.items()],
        )
    # The locks let two decisions about one student follow each other instead of colliding.
    await session.execute(
        select(Student.id)
        .where(Student.id.in_(students))
        .order_by(Student.id)
        .with_for_update(key_share=True)
    )
    before = await _decided(session, students)
    rows: list[ParentalConsent] = []
    for student in found:
        for kind in kinds:
            last = before.get((student.id, kind))
            if state in TRANSITIONS[last]:
                rows.append(await _add(session, actor, student, kind, last, state, evidence, now))
    if not rows:
        raise Conflict(
            mark("There is no consent in force that could end."), code="no-consent-in-force"
        )
    return rows


def check_decision(
    kind: ConsentKind, state: ConsentState, evidence: Evidence, now: datetime, *, under_13: bool
) -> dict[str, str]:
    """What is wrong with a decision, by field; empty when nothing is."""
    errors: dict[str, str] = {}
    if evidence.decided_at is not None and evidence.decided_at > now:
        errors["decided_on"] = mark("A decision cannot lie in the future.")
    if state is ConsentState.GIVEN:
        if evidence.expires_at is not None and evidence.expires_at <= now:
            errors["expires_on"] = mark("It would have run out already.")
        if evidence.method is None:
            errors["method"] = mark("Say how the consent was given.")
        elif reason := why_not_verifiable(kind, evidence.method, under_13):
            errors["method"] = reason
    return errors


async def expire_consents(session: AsyncSession, actor: Actor) -> int:
    """Record as expired what has run out; returns how many. Queries judge expiry without it."""
    due = await session.execute(
        select(ParentalConsent.student_id, ParentalConsent.consent_type)
        .where(
            ParentalConsent.superseded_at.is_(None),
            ParentalConsent.state == ConsentState.GIVEN,
            ParentalConsent.expires_at <= clock.now(),
        )
        .order_by(ParentalConsent.student_id)
    )
    count = 0
    for student_id, kind in due.all():
        evidence = Evidence(method=None, note="ran out")
        await record_consent(session, actor, student_id, kind, ConsentState.EXPIRED, evidence)
        count += 1
    return count


async def take_back_everything(session: AsyncSession, organization: UUID, student: UUID) -> None:
    """Let nothing stand for a student about to be erased, and let every room act on it.

    Rooms delete what quotes the student in records that belong to others.
    """
    before = await _decided(session, [student])
    await session.execute(
        update(ParentalConsent)
        .where(ParentalConsent.student_id == student, ParentalConsent.superseded_at.is_(None))
        .values(superseded_at=clock.now())
    )
    for kind in ConsentKind:
        last = before.get((student, kind))
        change = ConsentChange(organization, student, kind, last, ConsentState.WITHDRAWN)
        for react in on_consent_change:
            await react(session, change)


async def _decided(
    session: AsyncSession, students: Collection[UUID]
) -> dict[tuple[UUID, ConsentKind], ConsentState]:
    """The standing decisions as recorded, expiry not judged."""
    rows = await session.execute(
        select(
            ParentalConsent.student_id, ParentalConsent.consent_type, ParentalConsent.state
        ).where(ParentalConsent.student_id.in_(students), ParentalConsent.superseded_at.is_(None))
    )
    return {(student, kind): state for student, kind, state in rows}


async def _add(
    session: AsyncSession,
    actor: Actor,
    student: Student,
    kind: ConsentKind,
    before: ConsentState | None,
    state: ConsentState,
    evidence: Evidence,
    now: datetime,
) -> ParentalConsent:
    decided_at = evidence.decided_at or now
    given = state is ConsentState.GIVEN
    row = ParentalConsent(
        organization_id=student.organization_id,
        student_id=student.id,
        consent_type=kind,
        state=state,
        consent_given=given,
        consent_date=decided_at,
        # Of a parent who refused, nothing is kept (16 CFR 312.5(c)(1)).
        parent_name=None if state is ConsentState.REFUSED else evidence.parent_name,
        parent_email=evidence.parent_email if given else None,
        relationship=evidence.relationship,
        verification_method=evidence.method,
        verified_at=now if given else None,
        ip_address=actor.ip_address,
        user_agent=actor.user_agent,
        consent_text_version=TEXT_VERSION,
        expires_at=evidence.expires_at if given else None,
        revoked_at=decided_at if state is ConsentState.WITHDRAWN else None,
        note=evidence.note,
        recorded_by=actor.id,
    )
    session.add(row)
    await session.flush()
    change = ConsentChange(student.organization_id, student.id, kind, before, state)
    _announce(session, change, row.id, evidence.method)
    for react in on_consent_change:
        await react(session, change)
    return row


def _announce(
    session: AsyncSession, change: ConsentChange, row_id: UUID, method: ConsentMethod | None
) -> None:
    audit.record(
        session,
        f"consent.{change.state.value}",
        resource="parental_consent",
        resource_id=row_id,
        description=f"Consent to {change.kind.value} recorded as {change.state.value}",
        students=[change.student],
        data_accessed={
            "kind": change.kind.value,
            "before": change.before.value if change.before else None,
            "state": change.state.value,
            "method": method.value if method else None,
        },
        compliance_basis="consent (COPPA 16 CFR 312.5, GDPR art. 6(1)(a))",
        organization=change.organization,
    )
    payload = {
        "student": encode("student", change.student),
        "kind": change.kind.value,
        "state": change.state.value,
    }
    for topic in (
        f"compliance.student:{change.student}",
        f"compliance.organization:{change.organization}",
    ):
        events.emit(
            session,
            topic,
            "consent.changed",
            payload,
            audience=("staff",),
            organization=change.organization,
        )
