"""The rules of the house find what they are there to find."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import check_house
from check_house import FORBIDDEN, ROOT, node_lock, python_lock, too_long, tracked, wanted

HASH = "    --hash=sha256:" + "0" * 64


def lock(*without: str) -> str:
    names = sorted(wanted() - set(without))
    return "".join(f"{name}==1.0 \\\n{HASH}\n" for name in names)


def test_a_whole_python_lock_has_no_findings() -> None:
    assert list(python_lock(lock())) == []


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (lock("fastapi"), "fastapi of pyproject.toml is missing"),
        (lock() + "left-pad==1.0\n", "left-pad has no hash"),
        (lock() + "left-pad>=1.0\n", "not pinned"),
        ("--index-url somewhere\n" + lock(), "names an index"),
        (lock() + "left-pad @ file\n", "holds an address"),
    ],
)
def test_a_broken_python_lock_is_found(text: str, finding: str) -> None:
    found = list(python_lock(text))
    assert any(finding in line for line in found), found


def test_a_broken_node_lock_is_found() -> None:
    manifest = json.dumps({"devDependencies": {"esbuild": "1.0.0"}})
    packages = {
        "": {"devDependencies": {"esbuild": "0.9.0"}},
        "node_modules/esbuild": {"version": "1.0.0", "resolved": "somewhere"},
    }
    assert list(node_lock(json.dumps({"packages": packages}), manifest)) == [
        "frontend/package-lock.json: devDependencies differ from package.json",
        "frontend/package-lock.json: node_modules/esbuild has a registry address",
        "frontend/package-lock.json: node_modules/esbuild has no integrity hash",
    ]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("see pypi" + ".org/simple", True),
        ("https://registry." + "npmjs.or" + "g/x", True),
        ("cd /home" + "/ada/classweave", True),
        ("# TO" + "DO: later", True),
        ("todo el mundo, mastodon", False),
        ("src/work/main.py and ~/home/x", False),
    ],
)
def test_forbidden_words(line: str, found: bool) -> None:
    assert any(pattern.search(line) for pattern in FORBIDDEN.values()) is found


def test_a_file_that_grew_too_long_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    path = ROOT / "src" / "classweave" / "dictionary.py"
    assert list(too_long(path)) == []
    monkeypatch.setattr(check_house, "LONGEST", 10)
    assert "over 10" in next(too_long(path))


def test_the_tree_is_read_from_git() -> None:
    files = tracked()
    assert Path(__file__).resolve() in files
    assert not any(".venv" in path.parts or "node_modules" in path.parts for path in files)
