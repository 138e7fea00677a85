"""The two routes of the protocol, and the healing of one session. docs/attendance-sync.md."""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from typing import Annotated

import zstandard
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field, ValidationError

from classweave.attend.sync.cursor import parse_cursor
from classweave.attend.sync.exchange import answer_pull, answer_push, answer_session
from classweave.core.permissions import Permission
from classweave.core.problems import BadRequest, TooLarge
from classweave.web.requests import allow_inside
from classweave.web.services import services_of

router = APIRouter(prefix="/api/attend/sync", tags=["attend: synchronisation"])
DEVICE = [allow_inside(Permission.ATTEND_TAKE)]

MOST_UNPACKED = 64 * 1024 * 1024
_NOT_AT_ALL = re.compile(r";\s*q\s*=\s*0(\.0*)?\s*$")
_WORTH_PACKING = 1_400  # a packet


@router.get("", dependencies=DEVICE, response_class=Response)
async def pull(
    request: Request,
    last_pulled_at: str | None = None,
    schema_version: Annotated[str | None, Query(max_length=20)] = None,
    migration: Annotated[str | None, Query(max_length=20_000)] = None,
) -> Response:
    """What changed since ``last_pulled_at``; everything for ``null``."""
    _check_schema(schema_version)
    body = await answer_pull(
        services_of(request).database,
        request.headers.get("authorization"),
        parse_cursor(last_pulled_at),
        _migrated(migration),
    )
    return await _packed(request, body)


@router.post("", dependencies=DEVICE)
async def push(request: Request, last_pulled_at: str | None = None) -> dict[str, object]:
    """Keep all of it, or nothing."""
    body, encoding = await request.body(), request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        body = await asyncio.to_thread(_unpacked, body, encoding)
    await answer_push(
        services_of(request).database,
        request.headers.get("authorization"),
        parse_cursor(last_pulled_at),
        body,
    )
    return {}


@router.get("/sessions/{session_id}", dependencies=DEVICE, response_class=Response)
async def heal(
    request: Request,
    session_id: Annotated[str, Path(pattern="^[A-Za-z0-9._-]{1,64}$")],
    digest: Annotated[int | None, Query(ge=0, lt=2**32)] = None,
) -> Response:
    """One session with all its records, when the device's digest is another."""
    body = await answer_session(
        services_of(request).database, request.headers.get("authorization"), session_id, digest
    )
    return await _packed(request, body)


def _check_schema(version: str | None) -> None:
    if version is not None and not (version.isascii() and version.isdigit() and int(version) > 0):
        raise BadRequest("schema_version is a whole number from 1 on.")


class _Columns(BaseModel):
    table: str


class _Migration(BaseModel):
    tables: list[str] = Field(default_factory=list[str])
    columns: list[_Columns] = Field(default_factory=list[_Columns])


def _migrated(text: str | None) -> frozenset[str]:
    """The tables that a migration needs whole; unknown names mean nothing to us."""
    if text is None or text in ("", "null", "undefined"):
        return frozenset()
    try:
        migration = _Migration.model_validate_json(text)
    except ValidationError as error:
        raise BadRequest("migration is not what a client sends.") from error
    return frozenset(migration.tables) | {part.table for part in migration.columns}


async def _packed(request: Request, body: bytes) -> Response:
    """The answer as small as the client can read it."""
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding, Authorization"}
    accepted = {
        part.partition(";")[0].strip().lower()
        for part in request.headers.get("accept-encoding", "").split(",")
        if not _NOT_AT_ALL.search(part)
    }
    if len(body) > _WORTH_PACKING and "zstd" in accepted:
        packer = zstandard.ZstdCompressor(level=1)
        body = await asyncio.to_thread(packer.compress, body)
        headers["Content-Encoding"] = "zstd"
    elif len(body) > _WORTH_PACKING and "gzip" in accepted:
        body = await asyncio.to_thread(gzip.compress, body, 1)
        headers["Content-Encoding"] = "gzip"
    return Response(body, media_type="application/json", headers=headers)


def _unpacked(body: bytes, encoding: str) -> bytes:
    """The body of a push. Raises ``TooLarge`` for what unpacks beyond any push."""
    encoding = encoding.strip().lower()
    try:
        if encoding == "gzip":
            reader = zlib.decompressobj(wbits=31)
            plain = reader.decompress(body, MOST_UNPACKED + 1)
            if not reader.eof and len(plain) <= MOST_UNPACKED:
                raise BadRequest("The body ends before its end.")
        elif encoding == "zstd":
            with zstandard.ZstdDecompressor().stream_reader(body) as stream:
                plain = stream.read(MOST_UNPACKED + 1)
        elif encoding in ("identity", ""):
            plain = body
        else:
            raise BadRequest("Content-Encoding is gzip, zstd or none.")
    except (zlib.error, zstandard.ZstdError) as error:
        raise BadRequest("The body is not what Content-Encoding says.") from error
    if len(plain) > MOST_UNPACKED:
        raise TooLarge("This is too large for one push.")
    return plain
