"""Every column of the reference tables has a home here, or a stated reason why it has none."""

from __future__ import annotations

import json
import tomllib

import pytest

from classweave.core.model import Base
from classweave.dictionary import MEANINGS, REFERENCE, main, missing_meanings, read_reference_map
from classweave.schema import load_models

load_models()
COLUMNS: dict[str, list[str]] = json.loads((REFERENCE / "columns.json").read_text())
WRITTEN = tomllib.loads((REFERENCE / "map.toml").read_text())
MAP = read_reference_map()


def exists(home: str) -> bool:
    table, _, column = home.rpartition(".")
    return table in Base.metadata.tables and column in Base.metadata.tables[table].columns


def test_every_home_exists() -> None:
    lost = [
        f"{origin.table}.{origin.column}: no {origin.detail}"
        for origin in MAP.origins
        if origin.kind == "home" and not exists(origin.detail)
    ]
    assert not lost, "\n".join(lost)


def test_every_column_is_mapped_once() -> None:
    mapped = [(origin.table, origin.column) for origin in MAP.origins]
    wanted = [(table, column) for table, columns in COLUMNS.items() for column in columns]
    assert len(wanted) > 450
    assert sorted(mapped) == sorted(wanted)
    assert len(set(mapped)) == len(mapped)


def test_two_columns_of_a_table_never_share_a_home() -> None:
    homes = [(o.table, o.detail) for o in MAP.origins if o.kind == "home"]
    assert len(set(homes)) == len(homes)


def test_nothing_is_mapped_that_the_reference_does_not_have() -> None:
    stale = [
        f"{table}.{column}"
        for table, entry in WRITTEN["tables"].items()
        for column in entry.get("columns", {})
        if column not in COLUMNS[table]
    ]
    assert not stale
    assert not set(WRITTEN["tables"]) & set(WRITTEN["later"])


def test_what_is_withheld_is_really_not_kept() -> None:
    withheld = [origin for origin in MAP.origins if origin.kind == "withheld"]
    assert withheld
    kept = [
        f"{origin.table}.{origin.column}"
        for origin in withheld
        if exists(f"{WRITTEN['tables'][origin.table]['home']}.{origin.column}")
    ]
    assert not kept
    assert all(len(origin.detail) > 20 for origin in withheld), "say why"


def test_every_column_has_a_meaning() -> None:
    meanings = tomllib.loads(MEANINGS.read_text())
    assert not missing_meanings(meanings)
    del meanings["live.tracks"]["cursor"]
    meanings["live.tracks"]["hunch"] = "A column that does not exist."
    assert missing_meanings(meanings) == [
        "live.tracks.cursor has no meaning in dictionary.toml",
        "dictionary.toml explains live.tracks.hunch, which does not exist",
    ]


def test_the_dictionary_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["frobnicate"]) == 1
    assert "check|write" in capsys.readouterr().err
