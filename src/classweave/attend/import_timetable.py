"""Putting a timetable into a term: looked at first, then written; what vanished is removed.

A source is a name that the person gives. Importing a source again makes its part of the term's
timetable what the file says now; meetings of other sources stay.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any
from uuid import UUID

import orjson
import zstandard
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.models import Term
from classweave.attend.plan_terms import access_term
from classweave.attend.read_apart import read_apart
from classweave.attend.read_timetable import (
    MAXIMUM_MEETINGS,
    Entry,
    Timetable,
    Trouble,
)
from classweave.core import audit
from classweave.core.identifiers import decode, encode
from classweave.core.problems import Conflict, Invalid
from classweave.core.tenancy import Actor
from classweave.directory.models import Organization, SchoolClass
from classweave.directory.service import access_class
from classweave.web.i18n import mark

_MOST_PACKED = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Planned:
    """A meeting whose class is known."""

    class_id: UUID
    date: date
    start: time
    end: time | None
    room: str | None
    title: str | None
    uid: str


@dataclass(slots=True)
class Preview:
    """What an import would do; ``packed`` is what :func:`apply_import` takes."""

    term: Term
    source: str
    kind: str
    planned: list[Planned] = field(default_factory=list[Planned])
    troubles: list[Trouble] = field(default_factory=list[Trouble])
    outside: int = 0
    cancelled: int = 0
    twice: int = 0
    new: int = 0
    changed: int = 0
    removed: int = 0
    packed: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, in meetings."""

    new: int
    changed: int
    removed: int


async def preview_import(
    session: AsyncSession,
    actor: Actor,
    term_id: UUID,
    content: bytes,
    source: str,
    class_id: UUID | None = None,
) -> Preview:
    """What ``content`` would do to the timetable of a term; nothing is written.

    ``class_id``: every meeting is of this class. Raises :class:`Invalid` and :class:`TooLarge`.
    """
    term = await _open_term(session, actor, term_id)
    zone = await session.scalar(
        select(Organization.timezone).where(Organization.id == term.organization_id)
    )
    found = await read_apart(content, term.starts_on, term.ends_on, zone or "UTC")
    only = await _class_of_term(session, actor, term, class_id) if class_id else None
    classes = await _classes(session, term.organization_id)
    preview = Preview(term, slug(source), found.kind, outside=found.outside)
    preview.cancelled, preview.troubles = found.cancelled, list(found.troubles)
    await asyncio.to_thread(_place, preview, found, classes, only)
    preview.troubles = sorted(_once(preview.troubles), key=lambda t: t.line)
    if not preview.planned and not preview.troubles:
        message = mark("There is no meeting of this term in the file.")
        raise Invalid(message, errors=[{"field": "file", "message": message}])
    preview.new, preview.changed, preview.removed = await _difference(session, preview)
    preview.packed = pack(preview.planned)
    return preview


async def apply_import(
    session: AsyncSession, actor: Actor, term_id: UUID, packed: str, source: str
) -> Imported:
    """Write what :func:`preview_import` showed. Raises :class:`Invalid` for anything else."""
    term = await _open_term(session, actor, term_id)
    planned = unpack(packed)
    own = {c.id for c in await _classes(session, term.organization_id)}
    for one in planned:
        if one.class_id not in own or not term.starts_on <= one.date <= term.ends_on:
            raise _not_ours()
    preview = Preview(term, slug(source), "", planned)
    new, changed, removed = await _difference(session, preview)
    await session.execute(text("SELECT attend.next_revision(:org)"), {"org": term.organization_id})
    await session.execute(text(_REMOVE), _parameters(preview))
    await session.execute(text(_KEEP), _parameters(preview))
    audit.record(
        session, "attendance.timetable_imported", resource="term", resource_id=term.id,
        description="Imported a timetable",
        data_accessed={"new": new, "changed": changed, "removed": removed},
        organization=term.organization_id,
    )  # fmt: skip
    return Imported(new, changed, removed)


def slug(source: str) -> str:
    """A source's name as it begins the ``uid`` of its meetings."""
    return re.sub(r"[^\w]+", "-", source.casefold()).strip("-")[:40] or "timetable"


def fold(name: str) -> str:
    """A class's code or name as it is compared: letters and digits only, whatever their case."""
    return "".join(character for character in name.casefold() if character.isalnum())


def match_classes(names: Sequence[str], known: Mapping[str, set[UUID]]) -> set[UUID]:
    """The classes that ``names`` may mean: by whole names first, then by words within them."""
    for name in names:
        if found := known.get(fold(name)):
            return found
    within: set[UUID] = set()
    for name in names:
        words = re.findall(r"\w+", name)
        spans = {
            fold("".join(words[start : start + length]))
            for start in range(min(len(words), 40))
            for length in (1, 2, 3, 4)
        }
        for span in spans:
            within |= known.get(span, set())
        if within:
            break
    return within


def pack(planned: Iterable[Planned]) -> str:
    """Meetings as a form carries them from the preview to the writing."""
    rows = [
        [encode("class", p.class_id), p.date.isoformat(), p.start.isoformat(),
         p.end.isoformat() if p.end else None, p.room, p.title, p.uid]
        for p in planned
    ]  # fmt: skip
    return base64.b64encode(zstandard.ZstdCompressor(level=9).compress(orjson.dumps(rows))).decode()


def unpack(packed: str) -> list[Planned]:
    """What :func:`pack` made; raises :class:`Invalid` for anything else."""
    try:
        raw = base64.b64decode(packed, validate=True)
        with zstandard.ZstdDecompressor().stream_reader(raw) as stream:
            rows: list[list[Any]] = orjson.loads(stream.read(_MOST_PACKED))
        if len(rows) > MAXIMUM_MEETINGS:
            raise ValueError("too many")
        planned = [
            Planned(
                decode("class", _text(row[0]) or ""), date.fromisoformat(row[1]), _at(row[2]),
                _at(row[3]) if row[3] else None, _text(row[4]), _text(row[5]), _text(row[6]) or "",
            )
            for row in rows
        ]  # fmt: skip
        if any(p.end is not None and p.end <= p.start for p in planned):
            raise ValueError("ends before it begins")
    except (ValueError, TypeError, IndexError, KeyError, binascii.Error, zstandard.ZstdError) as e:
        raise _not_ours() from e
    # A meeting twice would be written twice by one statement, which the database refuses.
    return list({(p.class_id, p.date, p.start): p for p in planned}.values())


def _at(value: str) -> time:
    at = time.fromisoformat(value)
    if at.tzinfo is not None:
        raise ValueError("a time of day is where the organisation is")
    return at


def _text(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or "\0" in value or len(value) > 1000:
        raise ValueError("not a text of ours")
    return value


def _not_ours() -> Invalid:
    message = mark("The preview has expired. Choose the file again.")
    return Invalid(message, errors=[{"field": "file", "message": message}])


async def _open_term(session: AsyncSession, actor: Actor, term_id: UUID) -> Term:
    term = await access_term(session, actor, term_id)
    if term.archived_at is not None:
        raise Conflict(mark("This term is archived. It cannot be changed any more."))
    return term


async def _class_of_term(
    session: AsyncSession, actor: Actor, term: Term, class_id: UUID
) -> SchoolClass:
    found = await access_class(session, actor, class_id)
    if found.organization_id != term.organization_id:
        message = mark("This class is of another organisation than the term.")
        raise Invalid(message, errors=[{"field": "class", "message": message}])
    return found


async def _classes(session: AsyncSession, organization: UUID) -> Sequence[SchoolClass]:
    return (
        await session.scalars(
            select(SchoolClass).where(
                SchoolClass.organization_id == organization,
                SchoolClass.deleted_at.is_(None),
                SchoolClass.archived_at.is_(None),
            )
        )
    ).all()


def _place(
    preview: Preview, found: Timetable, classes: Sequence[SchoolClass], only: SchoolClass | None
) -> None:
    """Give each entry its class, or say why that cannot be."""
    known: dict[str, set[UUID]] = {}
    for one in classes:
        for name in (one.code, one.name):
            if name and fold(name):
                known.setdefault(fold(name), set()).add(one.id)
    taken: dict[tuple[UUID, date, time], Planned] = {}
    meant: dict[tuple[str, ...], set[UUID]] = {}
    for entry in found.entries:
        if entry.names not in meant:
            meant[entry.names] = {only.id} if only else match_classes(entry.names, known)
        matched = meant[entry.names]
        if len(matched) != 1:
            preview.troubles.append(_unplaced(entry, matched))
            continue
        planned = Planned(
            next(iter(matched)), entry.date, entry.start, entry.end, entry.room, entry.title,
            entry.uid[:200],
        )  # fmt: skip
        key = (planned.class_id, planned.date, planned.start)
        preview.twice += key in taken
        taken.setdefault(key, planned)
    preview.planned = sorted(taken.values(), key=lambda p: (p.date, p.start, str(p.class_id)))


def _unplaced(entry: Entry, matched: set[UUID]) -> Trouble:
    shown = " · ".join(dict.fromkeys(entry.names))[:120]
    if matched:
        return Trouble(entry.line, mark("It may mean more than one class."), shown)
    return Trouble(entry.line, mark("No class has this code or name."), shown)


def _once(troubles: Iterable[Trouble]) -> list[Trouble]:
    """A repeated event says its trouble once."""
    return list(dict.fromkeys(troubles))


async def _difference(session: AsyncSession, preview: Preview) -> tuple[int, int, int]:
    row = (await session.execute(text(_DIFFERENCE), _parameters(preview))).one()
    return int(row[0]), int(row[1]), int(row[2])


def _parameters(preview: Preview) -> dict[str, Any]:
    planned = preview.planned
    return {
        "org": preview.term.organization_id,
        "first": preview.term.starts_on,
        "last": preview.term.ends_on,
        "source": f"{preview.source}:",
        "classes": [p.class_id for p in planned],
        "dates": [p.date for p in planned],
        "starts": [p.start for p in planned],
        "ends": [p.end for p in planned],
        "rooms": [p.room for p in planned],
        "titles": [p.title for p in planned],
        "uids": [f"{preview.source}:{p.uid}" for p in planned],
    }


_WANTED = """
WITH wanted AS (SELECT * FROM unnest(CAST(:classes AS uuid[]), CAST(:dates AS date[]),
  CAST(:starts AS time[]), CAST(:ends AS time[]), CAST(:rooms AS text[]), CAST(:titles AS text[]),
  CAST(:uids AS text[])) AS w (class_id, date, start_time, end_time, room, title, uid))
"""
_SAME = "m.class_id = w.class_id AND m.date = w.date AND m.start_time = w.start_time"
_VANISHED = f"""m.organization_id = :org AND m.date BETWEEN :first AND :last
  AND starts_with(m.uid, :source) AND NOT EXISTS (SELECT FROM wanted w WHERE {_SAME})"""
_OTHER = (
    "(m.end_time, m.room, m.title, m.uid) IS DISTINCT FROM (w.end_time, w.room, w.title, w.uid)"
)
_DIFFERENCE = f"""{_WANTED}
SELECT count(*) FILTER (WHERE m.id IS NULL), count(*) FILTER (WHERE m.id IS NOT NULL AND {_OTHER}),
  (SELECT count(*) FROM attend.meetings m WHERE {_VANISHED})
FROM wanted w LEFT JOIN attend.meetings m ON {_SAME}
"""
_REMOVE = f"{_WANTED} DELETE FROM attend.meetings m WHERE {_VANISHED}"
_KEEP = f"""{_WANTED}
INSERT INTO attend.meetings AS m
  (organization_id, class_id, date, start_time, end_time, room, title, uid)
SELECT :org, w.class_id, w.date, w.start_time, w.end_time, w.room, w.title, w.uid FROM wanted w
ON CONFLICT (class_id, date, start_time) DO UPDATE SET end_time = excluded.end_time,
  room = excluded.room, title = excluded.title, uid = excluded.uid
WHERE (m.end_time, m.room, m.title, m.uid)
  IS DISTINCT FROM (excluded.end_time, excluded.room, excluded.title, excluded.uid)
"""
