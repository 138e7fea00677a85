"""Classes."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter

from classweave.core.permissions import Permission
from classweave.directory import manage_classes, service
from classweave.directory.api.schemas import Body, Language, Out, Text
from classweave.directory.ids import ClassId, OrganizationId, UserId
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/api/directory", tags=["directory"])


class ClassIn(Body):
    """A new class; ``teacher_id`` only where an administrator makes it."""

    name: Text
    teacher_id: UserId | None = None
    subject: Text | None = None
    grade_level: Text | None = None
    academic_term: Text | None = None
    language: Language = "en"


class ClassChange(Body):
    """Fields of a class to set; ``archived`` puts it away or takes it out again."""

    name: Text = ""
    subject: Text | None = None
    grade_level: Text | None = None
    academic_term: Text | None = None
    language: Language = "en"
    archived: bool | None = None


class ClassOut(Out):
    """A class."""

    id: ClassId
    organization_id: OrganizationId
    teacher_id: UserId
    name: str
    subject: str | None
    grade_level: str | None
    academic_term: str | None
    language: str
    invite_code: str
    archived_at: datetime | None
    created_at: datetime


@router.get("/classes", dependencies=[allow(Permission.CLASS_READ)])
async def list_classes(
    session: Transaction, actor: CurrentActor, archived: bool = False
) -> list[ClassOut]:
    """The classes that the caller teaches or administers."""
    found = await manage_classes.list_classes(session, actor, archived=archived)
    return [ClassOut.of(entry.school_class) for entry in found]


@router.post("/classes", status_code=201, dependencies=[allow(Permission.CLASS_MANAGE)])
async def create_class(session: Transaction, actor: CurrentActor, body: ClassIn) -> ClassOut:
    """Add a class."""
    return ClassOut.of(await service.create_class(session, actor, **dict(body)))


@router.get("/classes/{class_id}", dependencies=[allow(Permission.CLASS_READ)])
async def read_class(session: Transaction, actor: CurrentActor, class_id: ClassId) -> ClassOut:
    """One class."""
    return ClassOut.of(await service.access_class(session, actor, class_id))


@router.patch("/classes/{class_id}", dependencies=[allow(Permission.CLASS_MANAGE)])
async def change_class(
    session: Transaction, actor: CurrentActor, class_id: ClassId, body: ClassChange
) -> ClassOut:
    """Rename, describe, archive or restore a class."""
    changes = body.changes()
    archived = changes.pop("archived", None)
    changed = await service.access_class(session, actor, class_id)
    if changes:
        changed = await manage_classes.update_class(session, actor, class_id, changes)
    if archived is not None:
        changed = await manage_classes.archive_class(session, actor, class_id, archived=archived)
    return ClassOut.of(changed)
