"""What the documents say about the program is so: settings, commands, links, close codes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from classweave import cli
from classweave.core.settings import Settings
from classweave.live import frames, receive_sound
from classweave.live.api import sound

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")


def named(page: str) -> str:
    return (ROOT / page).read_text()


def setting_row(name: str) -> str:
    """The row of the settings table that operations.md must hold."""
    field = Settings.model_fields[name]
    default = "" if field.default is None else f"`{field.default}`"
    return f"| `CLASSWEAVE_{name.upper()}` | {default} | {field.description or ''}"


def test_every_setting_is_explained() -> None:
    table = named("docs/operations.md")
    missing = [row for name in Settings.model_fields if (row := setting_row(name)) not in table]
    assert not missing, "\n".join(["docs/operations.md lacks:", *missing])
    for name in re.findall(r"`CLASSWEAVE_([A-Z_]+)`", table):
        assert name.lower() in Settings.model_fields or name == "CACHE_DIR", name


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as hosting sites make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).strip() for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken: list[str] = []
    for target in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = page if not path else page.parent / path
        if not found.exists() or (
            anchor and found.suffix == ".md" and anchor not in anchors(found.read_text())
        ):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    named_paths = re.findall(r"`((?:src|tests|bench|docs|frontend)/[\w./-]+)`", text)
    named_paths += re.findall(r"(?:python |T=)((?:tests|bench)/[\w./-]+)", text)
    assert not [path for path in named_paths if not (ROOT / path).exists()]


def commands() -> Iterator[tuple[str, str]]:
    """Every `classweave …` in a document's code, with the page it stands in."""
    for page in PAGES:
        text = page.read_text()
        blocks = re.findall(r"```(?:sh)?\n(.*?)```", text, re.DOTALL)
        lines = [line.strip() for block in blocks for line in block.splitlines()]
        lines += re.findall(r"`(classweave [a-z][^`]*)`", text)
        for line in lines:
            if line.startswith("classweave "):
                yield str(page.relative_to(ROOT)), line


def known_options(command: object) -> set[str]:
    return {option for parameter in getattr(command, "params", []) for option in parameter.opts}


def test_commands_exist() -> None:
    cli._mount()
    root = typer.main.get_command(cli.app)
    wrong: list[str] = []
    found = set(commands())
    assert len(found) > 5
    for page, line in found:
        command: object = root
        for word in shlex.split(line.split("#")[0])[1:]:
            children = getattr(command, "commands", {})
            if children and not word.startswith("-"):
                if word not in children:
                    wrong.append(f"{page}: {line}: no {word}")
                    break
                command = children[word]
            elif word.startswith("--") and word.split("=")[0] not in {
                *known_options(command),
                "--help",
            }:
                wrong.append(f"{page}: {line}: no {word}")
    assert not wrong, "\n".join(wrong)


def test_every_command_says_what_it_does() -> None:
    cli._mount()
    waiting: list[tuple[str, object]] = [("classweave", typer.main.get_command(cli.app))]
    while waiting:
        name, command = waiting.pop()
        assert getattr(command, "help", None), f"{name} has no help"
        waiting += [(f"{name} {n}", c) for n, c in getattr(command, "commands", {}).items()]


def test_the_sound_protocol_is_the_one_that_is_spoken() -> None:
    text = named("docs/sound-protocol.md")
    closes = {int(code) for code in re.findall(r"^\| (\d{4}) \|", text, re.MULTILINE)}
    assert closes == {
        sound.BAD_DATA, sound.SIGN_IN, sound.NO_CONSENT, sound.OVER, sound.REPLACED,
        sound.TOO_LARGE, sound.TOO_FAST, sound.AGAIN,
    }  # fmt: skip
    assert f"magic `{frames.MAGIC:#x}`" in text
    assert frames.HEADER.size == 20
    assert f"at most {frames.MAX_CHUNK_MS} " in text
    assert f"at most {frames.MAX_PAYLOAD:,} bytes" in text
    assert f"more than {sound._BURST_CHUNKS} chunks at once, or {sound._CHUNKS_PER_SECOND} " in text
    for rate in receive_sound._SAMPLE_RATES[frames.Codec.PCM16]:
        assert str(rate) in text
    for flag in (f"`{frames.SILENT}` silent", f"`{frames.MUTED}` muted", f"`{frames.LAST}` last"):
        assert flag in text
    written = re.findall(r'BadFrame\(\s*"([a-z-]+)"', Path(frames.__file__).read_text())
    assert all(f"`{code}`" in text for code in written)


def test_decisions_are_numbered_and_say_what_enforces_them() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        for heading in ("## Context", "## Decision", "## Consequences", "## Enforced by"):
            assert heading in text, f"{page.name} lacks {heading}"
