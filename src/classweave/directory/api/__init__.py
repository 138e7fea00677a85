"""The directory for programs: sessions, classes, students, people, organisations."""

from __future__ import annotations

from fastapi import APIRouter

from classweave.directory.api import classes, organizations, sign_in, students

router = APIRouter()
for part in (sign_in, classes, students, organizations):
    router.include_router(part.router)
