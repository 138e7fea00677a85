"""The application on a port, and devices that synchronise with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from devices import TestDevice, register
from fastapi import FastAPI
from node_clients import Clients, node_clients

from loopback import serve
from school_fixtures import School


@pytest.fixture
async def address(app: FastAPI) -> AsyncGenerator[str]:
    async with serve(app) as bound:
        yield f"http://{bound}"


@pytest.fixture
async def clients() -> AsyncGenerator[Clients]:
    async with node_clients() as running:
        yield running


@pytest.fixture
async def witness(school: School) -> AsyncGenerator[TestDevice]:
    """A device that pulls for the first time when all is over: it is given what the server has."""
    device = await register(school, name="Witness")
    yield device
    await device.client.aclose()
