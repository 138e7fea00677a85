"""A table that holds a person's data and is not in the register would survive an erasure."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Table

from classweave.core.model import Base
from classweave.core.personal_data import Subject, register
from classweave.schema import ROOMS, load_models

load_models()
for room in ROOMS:
    importlib.import_module(f"classweave.{room}.personal_data")

# Columns that name a person by their name alone; foreign keys are found by where they point.
_BY_NAME = {
    Subject.STUDENT: re.compile(
        r"(^|_)(student|students|participant|speaker|listener|member|leader|sender)_ids?$"
    ),
    Subject.USER: re.compile(r"(^|_)(user|teacher|author|actor|staff|person)_ids?$"),
}
_BY_KEY = {
    "directory.students.id": Subject.STUDENT,
    "live.participants.id": Subject.STUDENT,
    "directory.users.id": Subject.USER,
}

# Found by the rule, and yet nothing to export or erase; each with its reason.
_EXEMPT: dict[tuple[str, str], str] = {}


def subject_of(column: Column[object]) -> Subject | None:
    """Whose data a column points at, if anybody's."""
    for key in column.foreign_keys:
        # Who did something to the record of another: the database forgets it with the account.
        attribution = column.name.endswith("_by") and key.ondelete == "SET NULL"
        if key.target_fullname in _BY_KEY and not attribution:
            return _BY_KEY[key.target_fullname]
    for subject, pattern in _BY_NAME.items():
        if pattern.search(column.name):
            return subject
    return None


def people_in(table: Table) -> Iterator[tuple[str, Subject]]:
    for column in table.columns:
        subject = subject_of(column)
        if subject is not None:
            yield column.name, subject


def test_every_table_that_points_at_a_person_is_in_the_register() -> None:
    declared = {(entry.table, entry.subject) for entry in register.entries}
    missing = [
        f"{table.fullname}.{column} ({subject.value})"
        for table in Base.metadata.sorted_tables
        for column, subject in people_in(table)
        if (table.fullname, subject) not in declared and (table.fullname, column) not in _EXEMPT
    ]
    assert missing == []


def test_the_rule_finds_what_it_should() -> None:
    found = {
        (table.fullname, column, subject)
        for table in Base.metadata.sorted_tables
        for column, subject in people_in(table)
    }
    assert ("directory.enrollments", "student_id", Subject.STUDENT) in found
    assert ("directory.sign_in_sessions", "user_id", Subject.USER) in found
    assert ("compliance.audit_log", "affected_student_ids", Subject.STUDENT) in found
    assert ("compliance.audit_log", "actor_id", Subject.USER) in found
    assert ("compliance.parental_consents", "student_id", Subject.STUDENT) in found
    assert not any(column == "recorded_by" for _, column, _ in found)


def test_no_exemption_is_stale() -> None:
    for name, column in _EXEMPT:
        assert subject_of(Base.metadata.tables[name].columns[column]) is not None


@pytest.mark.parametrize("entry", register.entries, ids=lambda e: f"{e.table}:{e.subject.value}")
def test_every_declaration_fits_its_table(entry: object) -> None:
    from classweave.core.personal_data import PersonalData

    assert isinstance(entry, PersonalData)
    table = Base.metadata.tables[entry.table]
    assert set(entry.on_export) <= set(table.columns.keys())
    assert ":subject" in entry.where
    assert entry.purpose


def test_a_table_is_erased_before_what_it_depends_on() -> None:
    for subject in Subject:
        order = [e.table for e in register.of(subject) if e.on_erasure == "delete"]
        for index, name in enumerate(order):
            for key in Base.metadata.tables[name].foreign_keys:
                parent = key.column.table.fullname
                if parent == name or key.ondelete is not None or parent not in order:
                    continue
                assert index < order.index(parent), f"{name} must be erased before {parent}"
