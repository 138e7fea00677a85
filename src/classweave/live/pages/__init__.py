"""The pages of this room: the teacher's, and those of the devices in a session."""

from __future__ import annotations

from fastapi import APIRouter

from classweave.core.permissions import Permission
from classweave.live.pages import (
    console,
    group,
    groups,
    guidance,
    here,
    join,
    lobby,
    prepare,
    recordings,
    summary,
)
from classweave.web.i18n import mark
from classweave.web.services import NavigationEntry

router = APIRouter(include_in_schema=False)
# The order counts: "/live/here" and "/live/sessions/new" stand before addresses with parameters.
for part in (
    join.router,
    here.router,
    prepare.router,
    groups.router,
    group.router,
    recordings.router,
    lobby.router,
    console.router,
    console.prompts,
    summary.router,
    guidance.router,
):
    router.include_router(part)

NAVIGATION = (NavigationEntry(mark("Live"), "/live", "live", Permission.SESSION_READ),)
