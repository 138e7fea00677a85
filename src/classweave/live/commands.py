"""``classweave live``: play recordings into a session of a running installation."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import httpx
import orjson
import typer

from classweave.live.replay import ReplayDevice, SessionRefused, frames_of, join
from classweave.speech.decode import Samples, UndecodableAudio, decode_file

app = typer.Typer(no_args_is_help=True, help="Live sessions: play recordings into one.")


@app.callback()
def _group() -> None:
    """Live sessions: play recordings into one."""


@app.command()
def replay(
    files: Annotated[list[Path], typer.Argument(help="Recordings; each becomes a device.")],
    code: Annotated[str, typer.Option(help="The session's access code.")],
    url: Annotated[str, typer.Option(help="Where Classweave listens.")] = "http://127.0.0.1:8000",
    group: Annotated[
        str | None, typer.Option(help="The group to join, by name; the emptiest by default.")
    ] = None,
    speed: Annotated[float, typer.Option(min=0.25, max=16, help="N times real speed.")] = 1.0,
) -> None:
    """Play each FILE into a session as one device, through the WebSocket that browsers use.

    The devices join as guests named after their files, so the session must allow display names
    and the teacher must have said that guests may be heard. Ends when everything is acknowledged.
    """
    try:
        sent = asyncio.run(_replay(files, code, url.rstrip("/"), group, speed))
    except (SessionRefused, UndecodableAudio) as error:
        print(f"classweave live replay: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    except (httpx.HTTPError, httpx.InvalidURL):
        print(f"classweave live replay: nothing answers at {url}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(orjson.dumps(sent, option=orjson.OPT_INDENT_2).decode())


def _sound_of(path: Path) -> Samples:
    """The recording at ``path``. Raises :class:`UndecodableAudio` with a line that names it."""
    try:
        return decode_file(path)
    except FileNotFoundError:
        raise UndecodableAudio(f"there is no file {path}") from None
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise UndecodableAudio(f"{path}: {reason}") from None


async def _replay(
    files: list[Path], code: str, url: str, group: str | None, speed: float
) -> list[dict[str, Any]]:
    tracks = [frames_of(_sound_of(path)) for path in files]
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        response = await client.get(f"/api/live/codes/{code}")
        if response.status_code != 200:
            raise SessionRefused(response.json()["detail"])
        groups = {row["name"]: row["id"] for row in response.json()["groups"]}
        if group is not None and group not in groups:
            raise SessionRefused(f"there is no group {group!r}; there are: {', '.join(groups)}")
        devices: list[ReplayDevice] = []
        for path, frames in zip(files, tracks, strict=True):
            who = {"display_name": path.stem[:40], "group": groups.get(group or "")}
            joined = await join(client, code, **who)
            devices.append(ReplayDevice(url, joined["token"], frames, speed))
    print(f"{len(devices)} devices wait for the session to start", file=sys.stderr)
    await asyncio.gather(*(device.run() for device in devices))
    return [
        {
            "file": str(path),
            "track": device.track,
            "chunks": len(device.frames),
            "acknowledged": device.acknowledged + 1,
            "reconnects": device.reconnects,
        }
        for path, device in zip(files, devices, strict=True)
    ]
