"""The child processes of ``classweave up``: web, jobs, speech. Started by the supervisor."""

from __future__ import annotations

import gc
import socket
import sys

import uvicorn
import uvloop

from classweave.core.listener import EventListener
from classweave.core.postgres import external_urls
from classweave.core.runtime import Runtime, connect
from classweave.core.settings import Settings
from classweave.core.telemetry import configure_logging


class WebServer(uvicorn.Server):
    """Ends the endless answers before it waits for the others: browsers come back by themselves."""

    def __init__(self, config: uvicorn.Config, listener: EventListener) -> None:
        super().__init__(config)
        self._listener = listener

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving."""
        self._listener.end_followers()
        await super().shutdown(sockets)


async def serve_web(runtime: Runtime) -> None:
    """Serve pages, JSON, events and sound until told to stop."""
    from classweave.app import create_app

    settings = runtime.settings
    app = create_app(runtime)
    server = WebServer(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            ws_max_size=128 * 1024,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=3,
        ),
        app.state.services.listener,
    )
    # What was made so far lives as long as the process. Looking through all of it in every full
    # collection would stop every stream for half a second.
    gc.collect()
    gc.freeze()
    await server.serve()


async def work_jobs(runtime: Runtime) -> None:
    """Run background jobs until told to stop."""
    from classweave.app import open_rooms

    open_rooms()
    await runtime.jobs.run_worker_async(
        concurrency=4, shutdown_graceful_timeout=5, delete_jobs="successful"
    )


async def read_speech(runtime: Runtime, name: str) -> None:
    """Turn sound into words until told to stop."""
    from classweave.live.read_tracks import SpeechWorker

    await SpeechWorker(runtime, name).run()


async def _main(arguments: list[str]) -> None:
    settings = Settings()
    configure_logging(settings.log_level)
    async with connect(settings, external_urls(settings)) as runtime:
        match arguments:
            case ["web"]:
                await serve_web(runtime)
            case ["jobs"]:
                await work_jobs(runtime)
            case ["speech", "--name", name]:
                await read_speech(runtime, name)
            case _:
                raise SystemExit(f"no such part: {arguments}")


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1:]))
