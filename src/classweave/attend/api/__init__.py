"""Attend as JSON."""

from __future__ import annotations

from fastapi import APIRouter

from classweave.attend.api import check_in, devices, reports, sync

router = APIRouter()
for part in (sync.router, devices.router, check_in.router, reports.router):
    router.include_router(part)
