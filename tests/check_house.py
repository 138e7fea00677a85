"""Rules of the house that no linter knows. One line per finding; exit 1 when there are any.

Locks: every dependency of pyproject.toml is pinned with hashes, and no lock names a registry.
Tree: no registry host, no path of one machine, no deferred work, no file grown too long.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 450

# Each pattern is written so that it does not find itself here.
FORBIDDEN = {
    "names a package registry": re.compile(
        r"pypi\.(?:org|python)|pythonhosted\.or[g]|registry\.(?:npmjs|yarnpkg)\.|npmjs\.or[g]"
    ),
    "holds a path of one machine": re.compile(
        r"(?<![\w.])/(?:home|Users)/[a-z][\w-]*/|(?<![\w.])/work[/]\w|(?<![\w.])/roo[t]/"
    ),
    # Two folders have one, and which of them is meant depends on who was imported first.
    "imports a conftest": re.compile(r"^(?:from|import) conftes[t]\b"),
    "leaves work for later": re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b"),
}
UNREAD = (".ogg", ".png", ".webp", ".flac", ".wav", ".ico", ".mo")
NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*?)(?:\[[^\]]*\])?==([^\s;\\]+)")


def canonical(name: str) -> str:
    """A distribution's name as packaging compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def tracked() -> list[Path]:
    """Every file that git keeps or would keep."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def wanted() -> set[str]:
    """The dependencies that pyproject.toml asks for, in the groups that the lock holds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    stated = [*project["project"]["dependencies"], *groups["dev"], *groups["build"]]
    return {canonical(re.split(r"[\[<>=!~; ]", line)[0]) for line in stated}


def python_lock(text: str) -> Iterator[str]:
    """What is wrong with requirements.lock."""
    pinned: dict[str, bool] = {}
    name = ""
    for number, line in enumerate(text.splitlines(), 1):
        place = f"requirements.lock:{number}"
        if re.match(r"\s*(-i|--index-url|--extra-index-url|--find-links|--trusted-host)\b", line):
            yield f"{place}: names an index"
        if re.search(r"https?://| @ ", line):
            yield f"{place}: holds an address"
        if line.strip().startswith("--hash=sha256:"):
            pinned[name] = True
        elif line and not line.startswith((" ", "#")):
            found = NAME.match(line)
            if found is None:
                yield f"{place}: not pinned with ==: {line.strip()}"
                continue
            name = canonical(found[1])
            pinned.setdefault(name, "--hash=sha256:" in line)
    for name in sorted(wanted() - pinned.keys()):
        yield f"requirements.lock: {name} of pyproject.toml is missing; run make lock"
    for name in sorted(name for name, hashed in pinned.items() if not hashed):
        yield f"requirements.lock: {name} has no hash"


def node_lock(text: str, manifest: str) -> Iterator[str]:
    """What is wrong with package-lock.json."""
    packages: dict[str, dict[str, object]] = json.loads(text)["packages"]
    asked = json.loads(manifest)
    root = packages.get("", {})
    for kind in ("dependencies", "devDependencies"):
        if root.get(kind, {}) != asked.get(kind, {}):
            yield f"frontend/package-lock.json: {kind} differ from package.json"
    for name, entry in packages.items():
        if name and "resolved" in entry:
            yield f"frontend/package-lock.json: {name} has a registry address"
        if name and "integrity" not in entry and not entry.get("link"):
            yield f"frontend/package-lock.json: {name} has no integrity hash"


def words(path: Path) -> Iterator[str]:
    """What no file of the tree may hold."""
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        yield f"{path.relative_to(ROOT)}: is neither text nor a known binary"
        return
    for number, line in enumerate(text.splitlines(), 1):
        for fault, pattern in FORBIDDEN.items():
            if pattern.search(line):
                yield f"{path.relative_to(ROOT)}:{number}: {fault}: {line.strip()[:100]}"


def too_long(path: Path) -> Iterator[str]:
    """A module of ours that is telling us that it is two."""
    if path.suffix in (".py", ".ts") and path.is_relative_to(ROOT / "src"):
        lines, name = len(path.read_text().splitlines()), str(path.relative_to(ROOT))
        if lines > LONGEST:
            yield f"{name}: {lines} lines, over {LONGEST}"


def findings() -> Iterator[str]:
    """Every finding, one line each."""
    yield from python_lock((ROOT / "requirements.lock").read_text())
    frontend = ROOT / "frontend"
    yield from node_lock(
        (frontend / "package-lock.json").read_text(), (frontend / "package.json").read_text()
    )
    for path in tracked():
        if path.suffix not in UNREAD:
            yield from words(path)
            yield from too_long(path)


if __name__ == "__main__":
    found = list(findings())
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(1 if found else 0)
