"""Transcripts as JSON Lines: one utterance a line, from any recogniser."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from classweave.language.transcript import Utterance, Word

_Seconds = Annotated[float, Field(allow_inf_nan=False)]
_Share = Annotated[float, Field(ge=0.0, le=1.0)]


class TranscriptError(ValueError):
    """A transcript that cannot be read; the message names the line, counted from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line


class _Word(BaseModel):
    text: str
    start: _Seconds
    end: _Seconds
    probability: _Share


class _Line(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    id: str = ""
    track: str = ""
    speaker: str | None = None
    start: _Seconds
    end: _Seconds
    text: str
    confidence: _Share | None = None
    words: list[_Word] = []
    role: Literal["student", "teacher"] = "student"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end < self.start:
            raise ValueError("end is before start")
        return self


def parse_transcript(lines: Iterable[bytes]) -> tuple[Utterance, ...]:
    """Utterances in time order from UTF-8 lines, each one JSON object; blank lines are skipped.

    Needs ``start``, ``end`` (seconds) and ``text``. ``speaker`` missing or null is a shared
    device. A missing ``id`` becomes ``uN`` by line, a missing ``track`` the speaker's own. Raises
    :class:`TranscriptError` on the first line that is no such object or repeats an id.
    """
    found: list[Utterance] = []
    seen: set[str] = set()
    for number, raw in enumerate(lines, start=1):
        if not raw.strip():
            continue
        try:
            line = _Line.model_validate_json(raw.removeprefix(b"\xef\xbb\xbf"))
        except ValidationError as error:
            raise TranscriptError(number, _problem(error)) from None
        identifier = line.id or f"u{number}"
        if identifier in seen:
            raise TranscriptError(number, f"the id {identifier!r} was used before")
        seen.add(identifier)
        found.append(
            Utterance(
                identifier,
                line.track or line.speaker or "shared",
                line.speaker,
                line.start,
                line.end,
                line.text,
                tuple(Word(w.text, w.start, w.end, w.probability) for w in line.words),
                line.confidence,
                line.role,
            )
        )
    return tuple(sorted(found, key=lambda u: (u.start, u.end)))


def _problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
