"""The pages of this room: consent for staff, oversight for administrators."""

from __future__ import annotations

from fastapi import APIRouter

from classweave.compliance.pages import audit_trail, consents, oversight, requests
from classweave.core.permissions import Permission
from classweave.web.i18n import mark
from classweave.web.services import NavigationEntry

router = APIRouter(include_in_schema=False)
for part in (consents, oversight, audit_trail, requests):
    router.include_router(part.router)

NAVIGATION = (NavigationEntry(mark("Privacy"), "/compliance", "shield", Permission.AUDIT_READ),)
