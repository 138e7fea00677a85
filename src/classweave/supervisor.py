"""``classweave up``: the database, the web process and the workers as one process group.

Each part is a child that is started again when it dies; the embedded database is revived in place.
One Ctrl-C stops everything, children first, the database last.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from classweave.core.postgres import DatabaseUrls, EmbeddedPostgres
from classweave.core.runtime import connect, open_postgres
from classweave.core.secrets import signing_key
from classweave.core.settings import Settings
from classweave.directory.bootstrap import first_administrator_link
from classweave.directory.reset_password import public_url

log = structlog.get_logger(__name__)

_STOP_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Part:
    """One child process: what to run, and the one that runs now."""

    name: str
    arguments: Sequence[str]
    process: asyncio.subprocess.Process | None = None
    started: float = 0.0
    failures: int = 0
    task: asyncio.Task[None] | None = field(default=None, repr=False)


def _die_with_parent() -> None:
    """In the child: be told to stop when the supervisor dies, even by ``kill -9``."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Keeps the parts of one installation running."""

    def __init__(
        self, settings: Settings, urls: DatabaseUrls, postgres: EmbeddedPostgres | None
    ) -> None:
        self._settings = settings
        self._postgres = postgres
        self._environment = os.environ | {
            "CLASSWEAVE_DATA_DIR": str(settings.data_dir),
            "CLASSWEAVE_HOST": settings.host,
            "CLASSWEAVE_PORT": str(settings.port),
            "CLASSWEAVE_LOG_LEVEL": settings.log_level,
            "CLASSWEAVE_SPEECH_WORKERS": str(settings.speech_workers),
            "CLASSWEAVE_DATABASE_URL": urls.owner.render_as_string(hide_password=False),
            "CLASSWEAVE_APP_DATABASE_URL": urls.app.render_as_string(hide_password=False),
            # Our matrices are small: NumPy's threads would only spin, for a third of the price.
            "OPENBLAS_NUM_THREADS": "1",
        }
        self.parts = [
            Part("web", ["web"]),
            Part("jobs", ["jobs"]),
            *(
                Part(f"speech-{number}", ["speech", "--name", f"speech-{number}"])
                for number in range(1, settings.speech_workers + 1)
            ),
        ]
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Run until :meth:`stop`; then stop every part and return."""
        for part in self.parts:
            part.task = asyncio.create_task(self._keep(part), name=part.name)
        watch = asyncio.create_task(self._watch_postgres())
        await self._stopping.wait()
        watch.cancel()
        await asyncio.gather(*(self._end(part) for part in self.parts))
        await asyncio.gather(watch, return_exceptions=True)

    def stop(self) -> None:
        """Ask for the end."""
        self._stopping.set()

    async def _keep(self, part: Part) -> None:
        while not self._stopping.is_set():
            part.started = time.monotonic()
            part.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "classweave.parts",
                *part.arguments,
                env=self._environment,
                preexec_fn=_die_with_parent,
            )
            code = await part.process.wait()
            if self._stopping.is_set():
                return
            # A part that ran for a while starts again at once; one that cannot start waits longer.
            part.failures = 0 if time.monotonic() - part.started > 30 else part.failures + 1
            delay = min(0.2 * 2**part.failures, 30.0)
            log.warning("part_ended", part=part.name, exit_code=code, restart_in=delay)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)

    async def _watch_postgres(self) -> None:
        while self._postgres is not None:
            await asyncio.sleep(0.5)
            try:
                if await asyncio.to_thread(self._postgres.revive):
                    log.warning("database_revived")
            except Exception as error:  # it may still be cleaning up after the crash
                log.warning("database_not_yet_revived", error=type(error).__name__)

    async def _end(self, part: Part) -> None:
        process = part.process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
        if part.task is not None:
            part.task.cancel()
            await asyncio.gather(part.task, return_exceptions=True)


def supervise(settings: Settings) -> None:
    """Run an installation until SIGINT or SIGTERM."""
    with open_postgres(settings) as (urls, postgres):
        supervisor = Supervisor(settings, urls, postgres)

        async def run() -> None:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, supervisor.stop)
            url = public_url(settings)
            print(f"Classweave listens on {url}", file=sys.stderr)
            async with connect(settings, urls) as runtime:
                link = await first_administrator_link(runtime.database, signing_key(settings), url)
            if link is not None:
                print(f"Nobody has signed in yet. The first administrator: {link}", file=sys.stderr)
            await supervisor.run()

        asyncio.run(run())
