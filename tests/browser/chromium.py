"""Chromium for the browser tests: Debian's, without its errands on the network."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright

DIST = Path(__file__).parents[2] / "src/classweave/web/static/dist"
QUIET = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def _lacking(what: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def needed() -> str:
    """Where Chromium is; without it the test is skipped, in CI it fails."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        _lacking("Chromium is needed: install Debian's package chromium")
    if not (DIST / "manifest.json").is_file():
        _lacking("the front end is not built: run make setup")
    return str(path)


def launch(playwright: Playwright, *arguments: str) -> Browser:
    """A headless Chromium."""
    return playwright.chromium.launch(executable_path=needed(), args=[*QUIET, *arguments])
