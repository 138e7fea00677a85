"""Is it alive, is it ready, how is it doing: for operators and their tools."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from classweave.core.problems import NotFound
from classweave.web.requests import opened
from classweave.web.services import services_of

router = APIRouter(tags=["operations"])


@router.get("/healthz", include_in_schema=False, dependencies=[opened()])
async def healthz() -> PlainTextResponse:
    """The process answers."""
    return PlainTextResponse("ok\n")


@router.get("/readyz", include_in_schema=False, dependencies=[opened()])
async def readyz(request: Request) -> Response:
    """The database answers too."""
    try:
        async with services_of(request).database.transaction() as session:
            await session.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError):
        return JSONResponse({"database": "unreachable"}, status_code=503)
    return JSONResponse({"database": "ok"})


@router.get("/metrics", include_in_schema=False, dependencies=[opened()])
async def metrics(request: Request) -> Response:
    """Prometheus metrics, without personal data, for collectors on this machine."""
    if request.client is not None and request.client.host not in ("127.0.0.1", "::1"):
        raise NotFound("There is nothing here.")
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
