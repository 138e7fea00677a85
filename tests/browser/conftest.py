"""What the browser tests share: the application on a port, and rows of lessons."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from attend_phone import enlarge
from fastapi import FastAPI

from school_fixtures import School

# The lessons that Live's own tests are made of, and the devices of Attend's.
sys.path += [str(Path(__file__).parents[1] / room) for room in ("live", "attend")]


@pytest.fixture(scope="module")
async def address(app: FastAPI) -> AsyncIterator[str]:
    """The application on a loopback port."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    )
    task = asyncio.create_task(server.serve([listening]))
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    await task


@pytest.fixture
async def big_class(school: School) -> School:
    """A school with a large class that has a lesson today."""
    return await enlarge(school)
