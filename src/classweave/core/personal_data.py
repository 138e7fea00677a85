"""The register of personal data: every room says where it keeps what belongs to a person.

Export and erasure walk this register, and a test fails when a table that refers to a person is
not in it: a new table cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

FilesOf = Callable[[AsyncSession, UUID], Awaitable[Sequence[str]]]


class Subject(StrEnum):
    """Whose data it is."""

    STUDENT = "student"
    USER = "user"


@dataclass(frozen=True, slots=True)
class PersonalData:
    """One table's answer to "where is this person's data, and what happens to it?".

    ``where`` is SQL over the table's columns with the parameter ``:subject``. ``on_erasure`` says
    what an erasure does: ``delete`` the rows, run the assignments of ``anonymise`` (``SET`` list),
    or ``keep`` them for the stated ``reason`` (a legal duty). ``on_export`` lists the columns that
    the person receives. ``files`` names stored files that go with the rows.
    """

    table: str
    subject: Subject
    where: str
    purpose: str
    on_erasure: Literal["delete", "anonymise", "keep"]
    on_export: Sequence[str]
    anonymise: str = ""
    reason: str = ""
    files: FilesOf | None = None

    def __post_init__(self) -> None:
        if self.on_erasure == "anonymise" and not self.anonymise:
            raise ValueError(f"{self.table}: say how to anonymise")
        if self.on_erasure == "keep" and not self.reason:
            raise ValueError(f"{self.table}: say why it is kept")


class PersonalDataRegister:
    """All declarations, in the order they were made; erasure runs in the reverse order."""

    def __init__(self) -> None:
        self.entries: list[PersonalData] = []

    def declare(self, *entries: PersonalData) -> None:
        """Add a room's declarations, each after those of the tables that it refers to."""
        known = {(e.table, e.subject, e.where) for e in self.entries}
        self.entries += [e for e in entries if (e.table, e.subject, e.where) not in known]

    def of(self, subject: Subject) -> list[PersonalData]:
        """Declarations for one kind of person in the order of erasure: the last declared first."""
        return [e for e in reversed(self.entries) if e.subject is subject]

    async def export(
        self, session: AsyncSession, subject: Subject, person: UUID
    ) -> dict[str, list[dict[str, Any]]]:
        """Everything kept about ``person``, by table, in the columns declared for export."""
        found: dict[str, list[dict[str, Any]]] = {}
        for entry in self.of(subject):
            columns = ", ".join(entry.on_export)
            rows = await session.execute(
                text(f"SELECT {columns} FROM {entry.table} WHERE {entry.where}"),
                {"subject": person},
            )
            found.setdefault(entry.table, []).extend(dict(row) for row in rows.mappings())
        return found

    async def files_of(self, session: AsyncSession, subject: Subject, person: UUID) -> list[str]:
        """The names of the stored files that belong to ``person``, each once."""
        paths: list[str] = []
        for entry in self.of(subject):
            if entry.files is not None:
                paths.extend(await entry.files(session, person))
        return list(dict.fromkeys(paths))

    async def erase(self, session: AsyncSession, subject: Subject, person: UUID) -> dict[str, int]:
        """Erase ``person``'s rows; returns how many each table lost or had cleared.

        No file is touched, for a deleted one could not be rolled back: the caller asks
        :meth:`files_of` before, and has them deleted once the transaction has committed.
        """
        done: dict[str, int] = {}
        for entry in self.of(subject):
            if entry.on_erasure == "keep":
                continue
            statement = (
                f"DELETE FROM {entry.table} WHERE {entry.where}"
                if entry.on_erasure == "delete"
                else f"UPDATE {entry.table} SET {entry.anonymise} WHERE {entry.where}"
            )
            result = await session.execute(text(statement), {"subject": person})
            done[entry.table] = done.get(entry.table, 0) + int(getattr(result, "rowcount", 0))
        return done


register = PersonalDataRegister()
