"""Composition: which rooms are open. The only module that knows them all."""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.types import Lifespan

from classweave import __version__
from classweave.attend import api as attend_api
from classweave.attend import pages as attend_pages
from classweave.compliance import pages as compliance_pages
from classweave.core.listener import EventListener
from classweave.core.runtime import Runtime
from classweave.core.secrets import signing_key
from classweave.directory import api as directory_api
from classweave.directory import pages as directory_pages
from classweave.directory.api.authenticate import authenticate
from classweave.live import pages as live_pages
from classweave.live.api import device as live_device
from classweave.live.api import insights as live_insights
from classweave.live.api import sessions as live_sessions
from classweave.live.api import sound as live_sound
from classweave.live.api.authenticate import authenticate_device
from classweave.schema import load_all
from classweave.web import health
from classweave.web.errors import install_error_handlers
from classweave.web.middleware import ResponseMiddleware
from classweave.web.services import Authenticator, NavigationEntry, Services

# They are tried one after another, a millisecond for all of them: what devices ask stands first.
ROUTERS: Sequence[APIRouter] = (
    health.router,
    attend_api.router,
    directory_api.router,
    directory_pages.router,
    compliance_pages.router,
    live_sound.router,
    live_device.router,
    live_sessions.router,
    live_insights.router,
    live_pages.router,
    attend_pages.router,
)
AUTHENTICATORS: Sequence[Authenticator] = (authenticate_device, authenticate)
NAVIGATION: Sequence[NavigationEntry] = (
    *live_pages.NAVIGATION,
    *attend_pages.NAVIGATION,
    *directory_pages.NAVIGATION,
    *compliance_pages.NAVIGATION,
)

PROBLEM = "application/problem+json"
STATIC = Path(__file__).parent / "web" / "static"


def create_app(runtime: Runtime) -> FastAPI:
    """The web application on an open installation."""
    open_rooms()
    services = Services(
        settings=runtime.settings,
        database=runtime.database,
        files=runtime.files,
        listener=EventListener(runtime.database),
        jobs=runtime.jobs,
        signing_key=signing_key(runtime.settings),
        authenticators=AUTHENTICATORS,
        navigation=NAVIGATION,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        await services.listener.start()
        yield
        await services.listener.stop()

    app = _all_rooms(lifespan=lifespan)
    app.state.services = services
    app.add_middleware(ResponseMiddleware)
    install_error_handlers(app)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def open_rooms() -> None:
    """Import what registers itself: tables, personal data, jobs, and what consent sets off."""
    for part in ("models", "personal_data", "jobs"):
        load_all(part)
    for module in ("forget_words", "measure_groups", "compare_groups"):
        importlib.import_module(f"classweave.live.{module}")


def describe() -> dict[str, Any]:
    """The OpenAPI description, made without a database."""
    return _all_rooms().openapi()


def _all_rooms(lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """Every route, and what all of them have in common."""
    app = FastAPI(
        title="Classweave",
        version=__version__,
        description="The open classroom platform. Problems are RFC 9457; identifiers are TypeIDs.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # The framework would redirect to whatever the Host header says.
        redirect_slashes=False,
        responses={"default": {"description": "A problem", "content": {PROBLEM: {"schema": {
            "type": "object",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": {"type": "string", "description": "urn:classweave:problem:CODE"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string", "description": "What happened, and what to do"},
                "instance": {"type": "string", "description": "The path of the request"},
                "errors": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "field": {"type": "string"},
                            "message": {"type": "string"},
                        },
                    },
                },
            },
        }}}}},
    )  # fmt: skip
    for router in ROUTERS:
        app.include_router(router)
    return app
