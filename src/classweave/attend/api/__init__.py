"""Attend as JSON."""

from __future__ import annotations

from fastapi import APIRouter

from classweave.attend.api import devices, sync

router = APIRouter()
for part in (sync.router, devices.router):
    router.include_router(part)
