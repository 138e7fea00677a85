"""Devices as the app is: its own core on the real WatermelonDB, in a process of Node."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from devices import register

from school_fixtures import School

PROGRAM = Path(__file__).parent / "sync_clients" / "client.ts"
_PACKAGE = Path(__file__).parents[2] / "frontend/node_modules/@nozbe/watermelondb"


class Refused(Exception):
    """The network or the server did not do what a client asked; ``status`` 0 is no answer."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


@dataclass
class Clients:
    """The process, in which any number of devices live."""

    process: asyncio.subprocess.Process
    waiting: dict[int, asyncio.Future[Any]] = field(default_factory=dict[int, Any])
    ended: bool = False
    calls: count[int] = field(default_factory=lambda: count(1))

    async def ask(self, client: str, do: str, **more: Any) -> Any:
        """One command; raises :class:`Refused`, or ``AssertionError`` for any other error."""
        assert not self.ended, "the clients have ended"
        call = next(self.calls)
        future = self.waiting[call] = asyncio.get_running_loop().create_future()
        line = json.dumps({"call": call, "client": client, "do": do, **more})
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        async with asyncio.timeout(60):
            answer = await future
        if "error" in answer:
            if answer["status"] is not None:
                raise Refused(answer["status"])
            raise AssertionError(f"{client} {do} {more}: {answer['error']}")
        return answer["value"]

    async def listen(self) -> None:
        """Hand each answer to who waits for it."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            answer = json.loads(line)
            self.waiting.pop(answer["call"]).set_result(answer)
        self.ended = True
        for future in self.waiting.values():
            future.set_exception(AssertionError("the clients have ended"))


def node() -> str:
    """Where Node is; without it, or without the packages, the test is skipped."""
    beside = Path(sys.executable).with_name("node")
    found = str(beside) if beside.is_file() else shutil.which("node")
    if found is None or not _PACKAGE.is_dir():
        pytest.skip("Node and the front end's packages are needed: run make setup")
    return found


@asynccontextmanager
async def node_clients() -> AsyncGenerator[Clients]:
    """The process of the clients, ended at the end."""
    process = await asyncio.create_subprocess_exec(
        node(), "--disable-warning=ExperimentalWarning", str(PROGRAM),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=64 * 1024 * 1024,
    )  # fmt: skip
    clients = Clients(process)
    listening = asyncio.create_task(clients.listen())
    try:
        yield clients
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        listening.cancel()


async def open_client(
    clients: Clients, school: School, address: str, name: str, seed: int = 1, **more: Any
) -> None:
    """A registered device that has synchronised once."""
    device = await register(school, name=name)
    token = device.client.headers["authorization"].removeprefix("Bearer ")
    await device.client.aclose()
    await clients.ask(name, "open", origin=address, token=token, seed=seed, **more)
    await clients.ask(name, "sync")


async def settle(clients: Clients, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Heal the network, let every device synchronise until it is quiet, and dump all."""
    for name in names:
        await clients.ask(name, "calm")
    for _ in range(3):
        for name in names:
            outcome = await clients.ask(name, "sync")
            assert outcome["differing"] == []
    return [await clients.ask(name, "dump") for name in names]
