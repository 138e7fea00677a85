"""Turning templates into pages.

Each room of the house keeps its own ``templates/`` folder and is reached by a prefix
(``live/console.html``); names without a prefix belong to the shell. Nothing of a web framework
is needed here: a page is a template, a :class:`PageContext` and values.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import segno
from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.numbers import format_decimal, format_percent
from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    pass_context,
)
from jinja2.runtime import Context
from markupsafe import Markup

from classweave.web import i18n

HERE = Path(__file__).resolve().parent
STATIC = HERE / "static"
STATIC_URL = "/static"

_OWN_SUFFIXES = frozenset({".css", ".svg", ".png", ".webmanifest"})


@dataclass(frozen=True, slots=True)
class NavItem:
    """One entry of the application navigation; ``icon`` names a symbol of ``icons.svg``."""

    title: str
    href: str
    current: bool = False
    icon: str | None = None


@dataclass(frozen=True, slots=True)
class Flash:
    """A message kept over a redirect and shown once.

    ``kind`` is "info", "success", "warning" or "error"; anything else is shown as "info", since
    it travels through the browser.
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class PageContext:
    """Who looks at the page, and in what language, time zone and theme.

    ``locale`` is a language tag ("en", "es-MX"), ``timezone`` an IANA name, ``theme`` "light",
    "dark" or ``None`` to follow the device. ``path`` is the request's path, without the query.
    """

    locale: str = i18n.SOURCE_LANGUAGE
    timezone: str = "UTC"
    theme: str | None = None
    user_name: str | None = None
    organization_name: str | None = None
    role: str | None = None
    navigation: Sequence[NavItem] = ()
    csrf_token: str | None = None
    flashes: Sequence[Flash] = ()
    path: str = "/"


# Macros are imported without the caller's context (Jinja then compiles them once), yet they need
# the reader's language. Rendering is one synchronous call, so a context variable serves it.
_page: ContextVar[PageContext] = ContextVar("page")


class Templates:
    """The template roots of all rooms, rendered with the shell's globals and filters.

    ``rooms`` maps a prefix to a folder of templates. ``clock`` tells the present moment to
    relative times ("3 minutes ago").
    """

    def __init__(
        self,
        rooms: Mapping[str, Path] | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        static: Path = STATIC,
    ) -> None:
        prefixed = {name: FileSystemLoader(root) for name, root in (rooms or {}).items()}
        environment = Environment(
            loader=ChoiceLoader([FileSystemLoader(HERE / "templates"), PrefixLoader(prefixed)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        )
        environment.policies["ext.i18n.trimmed"] = True
        loose: Any = environment  # Jinja leaves these members untyped
        loose.install_gettext_callables(_gettext, _ngettext, newstyle=True)
        assets = Assets(static)
        loose.globals.update(
            asset=assets.url,
            icon=icon,
            qr=qr,
            csrf_token=lambda: _page.get().csrf_token,
            translate=_gettext,
            languages=i18n.available,
        )
        loose.filters.update(_FILTERS, ago=_ago_from(clock))
        self._environment = environment

    def render(self, page: PageContext, template: str, /, **values: Any) -> str:
        """Render ``template`` for the reader described by ``page``.

        Raises :class:`jinja2.TemplateNotFound` for an unknown name and
        :class:`jinja2.UndefinedError` when the template needs a value that is not given.
        """
        token = _page.set(page)
        try:
            return self._environment.get_template(template).render(page=page, **values)
        finally:
            _page.reset(token)


@cache
def _shared() -> Templates:
    """Every room that has a ``templates`` folder, under its own name."""
    folders = (folder for folder in HERE.parent.glob("*/templates") if folder.parent != HERE)
    return Templates({folder.parent.name: folder for folder in folders})


def render(page: PageContext, template: str, /, **values: Any) -> str:
    """Render a template of the house, for example ``render(page, "live/console.html", …)``."""
    return _shared().render(page, template, **values)


# --- Language -------------------------------------------------------------------------------


def _gettext(message: str) -> str:
    return i18n.translations(_page.get().locale).gettext(message)


def _ngettext(singular: str, plural: str, number: int) -> str:
    return i18n.translations(_page.get().locale).ngettext(singular, plural, number)


# --- Filters --------------------------------------------------------------------------------
# `pass_context` keeps Jinja from folding a filter over a constant while it compiles a template:
# the answer depends on the reader.

_DateStyle = Literal["full", "long", "medium", "short"]


@pass_context
def _datetime(_: Context, value: datetime, style: _DateStyle = "medium") -> str:
    """A moment in the viewer's time zone; naive datetimes are refused."""
    if value.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be shown")
    page = _page.get()
    return format_datetime(
        value, style, tzinfo=ZoneInfo(page.timezone), locale=i18n.babel_locale(page.locale)
    )


@pass_context
def _date(_: Context, value: date, style: _DateStyle = "medium") -> str:
    """The day of a moment in the viewer's time zone, or a plain date."""
    page = _page.get()
    if isinstance(value, datetime):
        value = value.astimezone(ZoneInfo(page.timezone)).date()
    return format_date(value, style, locale=i18n.babel_locale(page.locale))


@pass_context
def _time(_: Context, value: datetime) -> str:
    """The time of day in the viewer's time zone, to the minute."""
    page = _page.get()
    return format_time(
        value, "short", tzinfo=ZoneInfo(page.timezone), locale=i18n.babel_locale(page.locale)
    )


@pass_context
def _number(_: Context, value: float, digits: int = 0) -> str:
    """A number with at most ``digits`` decimals."""
    pattern = "#,##0" + ("." + "#" * digits if digits else "")
    return format_decimal(value, pattern, locale=i18n.babel_locale(_page.get().locale))


@pass_context
def _percent(_: Context, value: float, digits: int = 0) -> str:
    """A share (0-1) as a percentage with at most ``digits`` decimals."""
    locale = i18n.babel_locale(_page.get().locale)
    pattern = locale.percent_formats[None].pattern
    if digits:
        pattern = pattern.replace("0", "0." + "#" * digits, 1)
    return format_percent(value, pattern, locale=locale)


def duration(seconds: float | timedelta) -> str:
    """A length of time by its two largest units: "45 s", "3 min 05 s", "1 h 12 min".

    The unit symbols are those of the SI and the same in every language.
    """
    total = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    minutes, left = divmod(max(0, round(total)), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    if minutes:
        return f"{minutes} min {left:02d} s" if left else f"{minutes} min"
    return f"{left} s"


def clock_time(seconds: float) -> str:
    """An offset into a session as a player shows it: "04:05", "1:04:05"."""
    minutes, left = divmod(max(0, int(seconds)), 60)
    if minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02d}:{left:02d}"
    return f"{minutes:02d}:{left:02d}"


def _ago_from(clock: Callable[[], datetime]) -> Callable[[Context, datetime], str]:
    @pass_context
    def ago(_: Context, value: datetime) -> str:
        """How long ago (or ahead) a moment is, in words."""
        locale = i18n.babel_locale(_page.get().locale)
        return format_timedelta(value - clock(), add_direction=True, locale=locale)

    return ago


_FILTERS: dict[str, Callable[..., str]] = {
    "datetime": _datetime,
    "date": _date,
    "time": _time,
    "number": _number,
    "percent": _percent,
    "duration": duration,
    "clock": clock_time,
}


# --- Assets, icons, codes -------------------------------------------------------------------


class Assets:
    """Addresses of static files that change when their content does.

    Our own files get their digest as a query; what the front-end build makes carries it in its
    name, listed in ``dist/manifest.json`` (``{"shell.js": "shell-1A2B.js"}``). Before that build
    has run, pages still render and work as plain HTML.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[float, str]] = {}

    def url(self, name: str) -> str:
        """The address of ``name``; raises :class:`LookupError` when there is no such file."""
        own = self._folder / name
        if own.suffix in _OWN_SUFFIXES and own.is_file():
            return self._once(own, name, lambda: f"{STATIC_URL}/{name}?v={_digest(own)}")
        manifest = self._folder / "dist" / "manifest.json"
        if not manifest.is_file():
            return f"{STATIC_URL}/dist/{name}"

        def built() -> str:
            files: dict[str, str] = json.loads(manifest.read_text(encoding="utf-8"))
            if name not in files:
                raise LookupError(f"the front-end build made no {name}")
            return f"{STATIC_URL}/dist/{files[name]}"

        return self._once(manifest, name, built)

    def _once(self, source: Path, name: str, make: Callable[[], str]) -> str:
        """Reuse an address while the file behind it is unchanged."""
        changed = source.stat().st_mtime
        known = self._known.get(name)
        if known is None or known[0] != changed:
            known = self._known[name] = (changed, make())
        return known[1]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


_SYMBOL = re.compile(r'<symbol id="([a-z-]+)"[^>]*>(.*?)</symbol>', re.DOTALL)


@cache
def icons() -> dict[str, str]:
    """The drawings of ``icons.svg`` by name (24 x 24 units, drawn in the current colour)."""
    return {
        name: " ".join(body.split())
        for name, body in _SYMBOL.findall((STATIC / "icons.svg").read_text(encoding="utf-8"))
    }


def icon(name: str, label: str | None = None) -> Markup:
    """An icon set in the line; decorative unless ``label`` says what it means.

    Raises :class:`KeyError` for a name that ``icons.svg`` does not have.
    """
    meaning = (
        Markup('role="img" aria-label="{}"').format(label)
        if label
        else Markup('aria-hidden="true"')
    )
    return Markup('<svg class="icon" viewBox="0 0 24 24" {}>{}</svg>').format(
        meaning,
        Markup(icons()[name]),  # noqa: S704 - our own drawings
    )


def qr(text: str, label: str) -> Markup:
    """A QR code (error correction M) as inline SVG, always dark on white with its quiet zone."""
    drawing = segno.make(text, error="m", micro=False).svg_inline(
        border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None
    )
    described = Markup('<svg role="img" aria-label="{}" ').format(label)
    return described + Markup(drawing.removeprefix("<svg "))  # noqa: S704 - drawn by segno
