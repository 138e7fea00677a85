"""A session as files: transcripts as WebVTT, SRT and JSON Lines, measures as CSV.

Lines are made one at a time, so that a long session is never held whole. Who exports what is
audited, with the students whose words it holds.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import audit
from classweave.core.identifiers import encode
from classweave.core.problems import NotFound
from classweave.core.spreadsheets import BYTE_ORDER_MARK, csv_row
from classweave.core.tenancy import Actor
from classweave.language.measure import MEASURES
from classweave.live.access import access_session, groups_of
from classweave.live.models import (
    ClassroomSession,
    GroupMetrics,
    Participant,
    StudentGroup,
    Transcription,
)

_BATCH = 200

MEASURE_COLUMNS = (
    "group", "measure", "title", "value", "unit", "n", "n_unit", "coverage", "status", "reason",
)  # fmt: skip


class Format(StrEnum):
    """What can be exported, by the ending of the file."""

    VTT = "vtt"
    SRT = "srt"
    JSONL = "jsonl"
    CSV = "csv"

    @property
    def media_type(self) -> str:
        """How a browser is told what it receives."""
        return {
            Format.VTT: "text/vtt; charset=utf-8",
            Format.SRT: "application/x-subrip; charset=utf-8",
            Format.JSONL: "application/jsonl; charset=utf-8",
            Format.CSV: "text/csv; charset=utf-8",
        }[self]


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance as it is exported: times in seconds, the name as it was displayed."""

    id: str
    track: str
    speaker: str | None
    name: str
    group: str
    start: float
    end: float
    text: str
    confidence: float
    words: list[dict[str, Any]]
    role: str


@dataclass(frozen=True, slots=True)
class Export:
    """What will be exported: checked, audited, and ready to be written line by line."""

    session_id: UUID
    groups: tuple[StudentGroup, ...]
    form: Format
    whole: bool
    file_name: str


async def prepare_export(
    session: AsyncSession, actor: Actor, session_id: UUID, group_id: UUID | None, form: Format
) -> Export:
    """Check that ``actor`` may export a group or a whole session, and audit it.

    Raises :class:`NotFound`.
    """
    lesson = await access_session(session, actor, session_id)
    groups = await groups_of(session, lesson.id)
    if group_id is not None:
        groups = [group for group in groups if group.id == group_id]
        if not groups:
            raise NotFound("There is no such group in this session.")
    audit.record(
        session, "session.exported", resource="session", resource_id=lesson.id,
        description=f"exported {'measures' if form is Format.CSV else 'words'} as {form.value}",
        students=await students_heard(session, lesson.id, [group.id for group in groups]),
        data_accessed={"groups": [str(group.id) for group in groups], "format": form.value},
        session_id=lesson.id,
    )  # fmt: skip
    only = None if group_id is None else groups[0]
    return Export(lesson.id, tuple(groups), form, only is None, file_name(lesson, only, form))


def write_export(session: AsyncSession, export: Export) -> AsyncIterator[str]:
    """The pieces of an export, in a transaction of the same actor."""
    if export.form is Format.CSV:
        return _measures(session, export.groups)
    return _transcript(session, export)


def file_name(lesson: ClassroomSession, group: StudentGroup | None, form: Format) -> str:
    """A plain file name: words of the title, the group's number, the ending."""
    words = re.sub(r"[^a-z0-9]+", "-", lesson.title.lower()).strip("-")[:60] or "session"
    part = "" if group is None else f"-group-{group.group_number}"
    return f"{words}{part}.{form.value}"


async def students_heard(
    session: AsyncSession, session_id: UUID, groups: Iterable[UUID]
) -> list[UUID]:
    """The students whose words stand in the groups' transcripts, or who sit in them."""
    spoke = select(Transcription.speaker_id).where(
        Transcription.session_id == session_id, Transcription.group_id.in_(list(groups))
    )
    found = await session.scalars(
        select(Participant.student_id)
        .where(
            Participant.session_id == session_id,
            Participant.group_id.in_(list(groups)) | Participant.id.in_(spoke),
            Participant.student_id.is_not(None),
        )
        .distinct()
    )
    return [student for student in found if student is not None]


async def _transcript(session: AsyncSession, export: Export) -> AsyncIterator[str]:
    names = {group.id: group.name for group in export.groups}
    query = (
        select(Transcription)
        .where(
            Transcription.session_id == export.session_id,
            Transcription.group_id.in_(names),
            Transcription.is_final,
        )
        .order_by(Transcription.start_seconds, Transcription.id)
        .execution_options(yield_per=_BATCH)
    )
    write = _WRITERS[export.form]
    if export.form is Format.VTT:
        yield "WEBVTT\n\n"
    number = 0
    async for row in await session.stream_scalars(query):
        number += 1
        group = names[row.group_id] if row.group_id else ""
        yield write(number, line_of(row, group), export.whole)


def line_of(row: Transcription, group: str) -> Line:
    """A stored utterance as it is exported."""
    return Line(
        id=encode("utterance", row.id),
        track=encode("track", row.track_id),
        speaker=encode("participant", row.speaker_id) if row.speaker_id else None,
        name=row.speaker_name,
        group=group,
        start=float(row.start_seconds),
        end=float(row.end_seconds),
        text=" ".join(row.content.split()),
        confidence=float(row.confidence_score),
        words=row.words,
        role="teacher" if row.speaker_type == "teacher" else "student",
    )


def as_vtt(number: int, line: Line, whole: bool) -> str:
    """One WebVTT cue with its voice; in a whole session the group goes before the name."""
    name = _plain(_who(line, whole))
    # In the text, & < > are markup, and a blank line or an arrow would end the cue.
    return f"{number}\n{_clock(line, '.')}\n<v {name}>{_plain(line.text)}</v>\n\n"


def as_srt(number: int, line: Line, whole: bool) -> str:
    """One SubRip cue, the name before the words."""
    return f"{number}\n{_clock(line, ',')}\n{_who(line, whole)}: {_bare(line.text)}\n\n"


def as_jsonl(_number: int, line: Line, _whole: bool) -> str:
    """One line of the format that ``classweave language measure`` reads, with name and group."""
    return (
        orjson.dumps(
            {
                "id": line.id,
                "track": line.track,
                "speaker": line.speaker,
                "name": line.name,
                "group": line.group,
                "start": line.start,
                "end": line.end,
                "text": line.text,
                "confidence": line.confidence,
                "role": line.role,
                "words": line.words,
            }
        ).decode()
        + "\n"
    )


_WRITERS: Mapping[Format, Callable[[int, Line, bool], str]] = {
    Format.VTT: as_vtt,
    Format.SRT: as_srt,
    Format.JSONL: as_jsonl,
}


def _who(line: Line, whole: bool) -> str:
    if whole and line.group and line.group != line.name:
        return f"{line.group} · {line.name}"
    return line.name


def _plain(value: str) -> str:
    """Text that WebVTT takes as text."""
    return _bare(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _bare(value: str) -> str:
    """One line without anything that a cue's timing line could be mistaken for."""
    return " ".join(value.split()).replace("-->", "→")


def _clock(line: Line, point: str) -> str:
    # Nothing was said before the session began, and a cue must end after it starts.
    start = max(0, round(1000 * line.start))
    end = max(start + 1, round(1000 * line.end))
    return f"{_time(start, point)} --> {_time(end, point)}"


def _time(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}{point}{rest:03}"


async def _measures(session: AsyncSession, groups: Sequence[StudentGroup]) -> AsyncIterator[str]:
    stored = {
        row.group_id: row.measures
        for row in await session.scalars(
            select(GroupMetrics).where(GroupMetrics.group_id.in_([group.id for group in groups]))
        )
    }
    yield BYTE_ORDER_MARK + csv_row(MEASURE_COLUMNS)
    for group in groups:
        for row in _rows(group, stored.get(group.id) or {}):
            yield csv_row(row)


def _rows(group: StudentGroup, stored: Mapping[str, Any]) -> Iterator[list[object]]:
    for measure in stored.get("measures", ()):
        info = MEASURES.get(measure["name"])
        yield [
            group.name,
            measure["name"],
            info.title if info else measure["name"],
            measure["value"],
            measure["unit"],
            measure["n"],
            measure["n_unit"],
            measure["coverage"],
            measure["status"],
            measure["reason"],
        ]
