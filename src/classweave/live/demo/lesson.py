"""The demo lesson as typed data: who is in the school, what each group says, and when.

``tracks.json`` holds what :mod:`classweave.live.demo.make_tracks` rendered: the times are those of
the sound itself, from the first to the last voice of each turn, not of the script's intentions.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from classweave.live.demo.known import known_values

FOLDER = Path(__file__).parent

ConsentState = Literal["given", "refused", "withdrawn", "expired"]
ConsentPurpose = Literal["participation", "recording", "analysis"]

GroupKind = Literal["scripted", "recorded", "reference"]
"""Scripted: ours, voiced. Recorded: a real conversation. Reference: read speech, known words."""


@dataclass(frozen=True, slots=True)
class DemoLesson:
    """What the teacher prepared."""

    title: str
    subject: str
    grade: str
    goal: str
    concepts: tuple[str, ...]
    planned_minutes: int


@dataclass(frozen=True, slots=True)
class DemoTurn:
    """One turn as rendered: seconds of its first and last voice, the words, what it does.

    ``labels`` name moves (``claim``, ``evidence``, ``reasoning``, ``uptake``, ``disagreement``,
    ``off_topic``) and questions (``open_question``, ``closed_question``, one for each asked).
    """

    speaker: str
    start: float
    end: float
    text: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DemoWord:
    """A word of a human transcript with its times in seconds and the corpus' speaker."""

    speaker: str
    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class DemoExcerpt:
    """A stretch of a recorded track and where it comes from."""

    label: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class DemoMember:
    """A member of a group. ``sound`` is their own device's track; ``None`` sends none."""

    key: str
    given_name: str
    family_name: str
    sound: Path | None


@dataclass(frozen=True, slots=True)
class DemoGroup:
    """A group, its sound, and everything known of it beforehand.

    ``seconds`` is the length of every track. A ``shared`` group has one ``sound`` for all and
    ``words`` instead of ``turns``. ``known`` maps names of measures to their true values; see
    :func:`classweave.live.demo.known.known_values`.
    """

    key: str
    name: str
    kind: GroupKind
    mode: Literal["per_student", "shared"]
    leader: str | None
    members: tuple[DemoMember, ...]
    seconds: float
    turns: tuple[DemoTurn, ...]
    words: tuple[DemoWord, ...]
    excerpts: tuple[DemoExcerpt, ...]
    sound: Path | None
    known: Mapping[str, float]
    licence: str
    attribution: str

    def tracks(self) -> dict[str | None, Path]:
        """Sound files by member key; a shared device's only track is under ``None``."""
        if self.sound is not None:
            return {None: self.sound}
        return {member.key: member.sound for member in self.members if member.sound is not None}

    def reference_text(self, member: str | None = None) -> str:
        """The words truly said, in order of time: by one member, or by all."""
        spoken = sorted((*self.turns, *self.words), key=lambda part: part.start)
        return " ".join(part.text for part in spoken if member in (None, part.speaker))


@dataclass(frozen=True, slots=True)
class DemoStaff:
    """A grown-up of the demo school, with an address that no mail reaches."""

    title: str
    given_name: str
    family_name: str
    email: str


@dataclass(frozen=True, slots=True)
class DemoStudent:
    """A student of the class list with what the family consented to."""

    key: str
    given_name: str
    family_name: str
    birth_year: int
    consent: Mapping[ConsentPurpose, ConsentState] = field(
        default_factory=dict[ConsentPurpose, ConsentState]
    )


@dataclass(frozen=True, slots=True)
class DemoSchool:
    """The demo school: one class and those who work with it."""

    district: str
    school: str
    class_name: str
    subject: str
    grade: str
    teacher: DemoStaff
    administrator: DemoStaff
    students: tuple[DemoStudent, ...]


@dataclass(frozen=True, slots=True)
class Demo:
    """The lesson, the school it is held in, and the groups under way."""

    school: DemoSchool
    lesson: DemoLesson
    groups: tuple[DemoGroup, ...]

    def group(self, key: str) -> DemoGroup:
        """The group of that key (``group_a``, ``group_b``, ``group_c``, ``reference``).

        Raises ``KeyError`` when there is none.
        """
        for group in self.groups:
            if group.key == key:
                return group
        raise KeyError(key)


@lru_cache(maxsize=1)
def load_demo() -> Demo:
    """Read the demo's data files; the sound stays on disk."""
    table = _toml("lesson")
    keys: list[str] = table.pop("groups")
    lesson = DemoLesson(concepts=tuple(table.pop("concepts")), **table)
    school = _school(_toml("school"))
    names = {student.key: student for student in school.students}
    rendered = json.loads((FOLDER / "tracks.json").read_text("utf-8"))
    groups = tuple(_group(key, _toml(key), rendered[key], names) for key in keys)
    return Demo(school=school, lesson=lesson, groups=groups)


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))


def _school(table: dict[str, Any]) -> DemoSchool:
    given: dict[ConsentPurpose, ConsentState] = {
        "participation": "given",
        "recording": "given",
        "analysis": "given",
    }
    students = tuple(
        DemoStudent(consent=given | row.pop("consent", {}), **row) for row in table.pop("students")
    )
    teacher = DemoStaff(**table.pop("teacher"))
    administrator = DemoStaff(**table.pop("administrator"))
    return DemoSchool(teacher=teacher, administrator=administrator, students=students, **table)


def _group(
    key: str, script: dict[str, Any], rendered: dict[str, Any], names: dict[str, DemoStudent]
) -> DemoGroup:
    sounds: dict[str, str] = rendered.get("sounds", {})
    members = tuple(_member(row, sounds.get(row["key"]), names) for row in script["members"])
    turns = tuple(
        DemoTurn(labels=tuple(turn.pop("labels")), **turn) for turn in rendered.get("turns", [])
    )
    words = tuple(DemoWord(**word) for word in rendered.get("words", []))
    return DemoGroup(
        key=key,
        name=script["name"],
        kind=script["kind"],
        mode=script["mode"],
        leader=script.get("leader"),
        members=members,
        seconds=rendered["seconds"],
        turns=turns,
        words=words,
        excerpts=tuple(DemoExcerpt(**row) for row in rendered.get("excerpts", [])),
        sound=FOLDER / "sound" / rendered["sound"] if "sound" in rendered else None,
        known=known_values(turns, words, list(sounds), labelled=script["kind"] == "scripted"),
        licence=script["licence"],
        attribution=script["attribution"],
    )


def _member(row: dict[str, Any], sound: str | None, names: dict[str, DemoStudent]) -> DemoMember:
    named = names.get(row["key"])
    return DemoMember(
        key=row["key"],
        given_name=named.given_name if named else row["given_name"],
        family_name=named.family_name if named else row["family_name"],
        sound=FOLDER / "sound" / sound if sound else None,
    )
