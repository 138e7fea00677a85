"""Consent as staff record it: a class at once, or one student with the whole history."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance import labels
from classweave.compliance.consent import (
    TEXT_VERSION,
    allows_analysis,
    allows_capture,
    consent_history,
    record_consents,
    standing_consents,
)
from classweave.compliance.models import ConsentKind
from classweave.compliance.pages import forms
from classweave.compliance.retention import policies_of
from classweave.core import audit
from classweave.core.identifiers import encode
from classweave.core.permissions import Permission, allowed
from classweave.core.problems import Conflict, Invalid
from classweave.core.tenancy import Actor
from classweave.directory.ids import ClassId, StudentId
from classweave.directory.models import Organization, Student, User
from classweave.directory.service import access_class, access_student, class_roster
from classweave.web.i18n import mark
from classweave.web.pages import page, redirect
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/compliance")

_CLASS_KINDS = (ConsentKind.TAKE_PART, ConsentKind.RECORDING, ConsentKind.ANALYSIS)
_RECORDED = mark("The decision is recorded. It applies from now on.")


@router.get("/classes/{class_id}/consents", dependencies=[allow(Permission.CONSENT_MANAGE)])
async def class_consents(
    request: Request, class_id: ClassId, session: Transaction, actor: CurrentActor
) -> HTMLResponse:
    """Who of a class takes part, is recorded and is analysed."""
    return await _class_page(request, session, actor, class_id, forms.empty_decision(actor), {})


@router.post("/classes/{class_id}/consents", dependencies=[allow(Permission.CONSENT_MANAGE)])
async def record_class_consents(
    request: Request, class_id: ClassId, session: Transaction, actor: CurrentActor
) -> Response:
    """Record one decision for the chosen students."""
    form = await request.form()
    kinds, state, errors = forms.read_decision(form)
    evidence, unread = forms.read_evidence(form, actor)
    errors |= unread
    roster = await class_roster(session, actor, class_id)
    chosen = set(forms.texts_of(form, "student"))
    everyone = forms.text_of(form, "everyone") == "1"
    students = [s.id for s in roster if everyone or encode("student", s.id) in chosen]
    if not students:
        errors["student"] = mark("Choose at least one student.")
    if not errors and state is not None:
        try:
            await record_consents(session, actor, students, kinds, state, evidence)
        except Invalid as problem:
            errors = forms.errors_of(problem)
        except Conflict as problem:
            errors = {"state": problem.detail}
        else:
            return redirect(request.url.path, _RECORDED)
    typed = forms.typed(form)
    return await _class_page(
        request, session, actor, class_id, typed, errors, kinds=kinds, chosen=chosen
    )


async def _class_page(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    class_id: UUID,
    typed: dict[str, str],
    errors: dict[str, str],
    *,
    kinds: list[ConsentKind] | None = None,
    chosen: set[str] | None = None,
) -> HTMLResponse:
    school_class = await access_class(session, actor, class_id)
    roster = await class_roster(session, actor, class_id)
    standing = await standing_consents(session, [student.id for student in roster])
    if roster:
        audit.record(
            session,
            "consent.read",
            resource="class",
            resource_id=class_id,
            description="Read the consents of a class",
            students=[student.id for student in roster],
            organization=school_class.organization_id,
        )
    return page(
        request,
        "compliance/class_consents.html",
        status=422 if errors else 200,
        school_class=school_class,
        class_key=encode("class", class_id),
        rows=[
            {
                "key": encode("student", student.id),
                "student": student,
                "standing": standing[student.id],
                "captured": allows_capture(standing[student.id]),
            }
            for student in roster
        ],
        kinds=_CLASS_KINDS,
        typed=typed,
        errors=errors,
        typed_kinds=[kind.value for kind in kinds or ()],
        chosen=chosen or set(),
        labels=labels,
    )


@router.get("/classes/{class_id}/consent-form", dependencies=[allow(Permission.CONSENT_MANAGE)])
async def consent_form(
    request: Request, class_id: ClassId, session: Transaction, actor: CurrentActor
) -> HTMLResponse:
    """The form to print: one sheet per student who has not been asked about everything."""
    school_class = await access_class(session, actor, class_id)
    roster = await class_roster(session, actor, class_id)
    standing = await standing_consents(session, [student.id for student in roster])
    organization = await session.get_one(Organization, school_class.organization_id)
    return page(
        request,
        "compliance/consent_form.html",
        school_class=school_class,
        class_key=encode("class", class_id),
        organization=organization,
        names=[
            student.display_name
            for student in roster
            if any(kind not in standing[student.id] for kind in _CLASS_KINDS)
        ],
        kinds=tuple(ConsentKind),
        text_version=TEXT_VERSION,
        policies=await policies_of(session, organization.id),
        labels=labels,
    )


@router.get("/students/{student_id}/consents", dependencies=[allow(Permission.CONSENT_MANAGE)])
async def student_consents(
    request: Request, student_id: StudentId, session: Transaction, actor: CurrentActor
) -> HTMLResponse:
    """What stands for one student, how it came about, and a form for the next decision."""
    student = await access_student(session, actor, student_id)
    return await _student_page(request, session, actor, student, forms.empty_decision(actor), {})


@router.post("/students/{student_id}/consents", dependencies=[allow(Permission.CONSENT_MANAGE)])
async def record_student_consents(
    request: Request, student_id: StudentId, session: Transaction, actor: CurrentActor
) -> Response:
    """Record one family's decision."""
    student = await access_student(session, actor, student_id)
    form = await request.form()
    kinds, state, errors = forms.read_decision(form)
    evidence, unread = forms.read_evidence(form, actor)
    errors |= unread
    if not errors and state is not None:
        try:
            await record_consents(session, actor, [student_id], kinds, state, evidence)
        except Invalid as problem:
            errors = forms.errors_of(problem)
        except Conflict as problem:
            errors = {"state": problem.detail}
        else:
            return redirect(request.url.path, _RECORDED)
    return await _student_page(
        request, session, actor, student, forms.typed(form), errors, kinds=kinds
    )


async def _student_page(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    student: Student,
    typed: dict[str, str],
    errors: dict[str, str],
    *,
    kinds: list[ConsentKind] | None = None,
) -> HTMLResponse:
    standing = (await standing_consents(session, [student.id]))[student.id]
    history = await consent_history(session, student.id)
    staff = {row.recorded_by for row in history if row.recorded_by}
    names = await session.execute(select(User.id, User.name).where(User.id.in_(staff)))
    audit.record(
        session,
        "consent.read",
        resource="student",
        resource_id=student.id,
        description="Read the consents of a student",
        students=[student.id],
        organization=student.organization_id,
    )
    return page(
        request,
        "compliance/student_consents.html",
        status=422 if errors else 200,
        student=student,
        student_key=encode("student", student.id),
        standing=standing,
        captured=allows_capture(standing),
        analysed=allows_analysis(standing),
        history=history,
        staff={row.id: row.name for row in names},
        typed=typed,
        errors=errors,
        typed_kinds=[kind.value for kind in kinds or ()],
        may_exercise=allowed(actor.role, Permission.DATA_RIGHTS),
        may_audit=allowed(actor.role, Permission.AUDIT_READ),
        labels=labels,
    )
