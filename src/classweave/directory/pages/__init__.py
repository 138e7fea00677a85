"""The directory's pages, and its doors in the application bar."""

from __future__ import annotations

from fastapi import APIRouter

from classweave.core.permissions import Permission
from classweave.directory.pages import account, classes, organizations, sign_in, students
from classweave.web.i18n import mark
from classweave.web.services import NavigationEntry

router = APIRouter()
for part in (sign_in, account, classes, students, organizations):
    router.include_router(part.router)

NAVIGATION = (
    NavigationEntry(mark("Classes"), "/classes", "classes", Permission.CLASS_READ),
    NavigationEntry(mark("School"), "/organization", "people", Permission.ORGANIZATION_MANAGE),
)
