"""Find words in a template that no translator will ever see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from jinja2 import Environment

_SHOWN_ATTRIBUTES = frozenset({"alt", "aria-label", "aria-description", "placeholder", "title"})
_NOT_PROSE = frozenset({"script", "style", "code", "kbd", "pre", "svg"})
_WORD = re.compile(r"[^\W\d_]{2,}")
_NAME = "Classweave"  # a name is the same in every language


def bare_strings(source: str) -> Iterator[tuple[int, str]]:
    """Line numbers and words of a Jinja template's HTML that are not marked for translation.

    Text and the attributes a person meets are looked at; expressions, ``trans`` blocks and
    elements that hold no prose (``code``, ``svg``, ``translate="no"``) are not.
    """
    finder = _Finder()
    finder.feed(_html_only(source))
    finder.close()
    yield from finder.found


def _html_only(source: str) -> str:
    """The template with every Jinja construct blanked out, line breaks kept for numbering."""
    environment = Environment(  # noqa: S701 - it only splits the source into tokens
        extensions=["jinja2.ext.i18n"], keep_trailing_newline=True
    )
    pieces: list[str] = []
    opening: list[str] | None = None
    translated = False
    for _, kind, text in environment.lex(source):
        if kind == "data":
            pieces.append(_blank(text) if translated else text)
            continue
        if kind == "block_begin":
            opening = []
        elif kind == "block_end" and opening is not None:
            if opening[:1] == ["trans"]:
                translated = True
            elif opening[:1] == ["endtrans"]:
                translated = False
            opening = None
        elif kind == "name" and opening is not None:
            opening.append(text)
        pieces.append(_blank(text))
    return "".join(pieces)


def _blank(text: str) -> str:
    return "\n" * text.count("\n")


class _Finder(HTMLParser):
    """Collects prose, and skips the elements that hold none."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[int, str]] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._silent:
            if tag == self._silent[0]:
                self._silent.append(tag)
        elif tag in _NOT_PROSE or ("translate", "no") in attrs:
            self._silent = [tag]
        for name, value in attrs:
            if name in _SHOWN_ATTRIBUTES and value:
                self._note(value)

    def handle_endtag(self, tag: str) -> None:
        if self._silent and tag == self._silent[0]:
            self._silent.pop()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._note(data)

    def _note(self, text: str) -> None:
        words = " ".join(text.split())
        if _WORD.search(words.replace(_NAME, "")):
            blank_lines = len(text) - len(text.lstrip())
            self.found.append((self.getpos()[0] + text[:blank_lines].count("\n"), words))
