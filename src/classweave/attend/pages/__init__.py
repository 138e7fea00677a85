"""The pages of this room: reports and terms for staff, the app for teachers, check-in."""

from __future__ import annotations

from fastapi import APIRouter

from classweave.attend.pages import app, check_in, own, records, reports, risk, terms, timetable
from classweave.core.permissions import Permission
from classweave.web.i18n import mark
from classweave.web.services import NavigationEntry

router = APIRouter(include_in_schema=False)
# The order counts: "/attend/check-in/done" stands before addresses with parameters.
for part in (app, own, check_in, reports, records, risk, terms, timetable):
    router.include_router(part.router)

NAVIGATION = (
    NavigationEntry(mark("Attend"), "/attend", "attend", Permission.ATTEND_REPORT),
    NavigationEntry(mark("Check in"), "/attend/check-in", "check", Permission.ATTEND_OWN),
    NavigationEntry(mark("Attendance"), "/attend/mine", "attend", Permission.ATTEND_OWN),
)
