"""Languages: which one a reader gets, the catalogues, and the check that they are complete.

Source strings are English. ``locale/<language>/LC_MESSAGES/classweave.po`` is the only file a
translator touches; it is compiled in memory at the first use, so there is no build step to
forget.

``python -m classweave.web.i18n extract`` brings every catalogue up to date with the sources and
``python -m classweave.web.i18n check`` fails on whatever a translator still has to do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, cast

from babel import Locale, UnknownLocaleError
from babel.core import negotiate_locale
from babel.messages import frontend
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from babel.support import NullTranslations, Translations

from classweave.core.problems import Problem

PACKAGE = Path(__file__).resolve().parents[1]
LOCALES = PACKAGE / "locale"
DOMAIN = "classweave"
SOURCE_LANGUAGE = "en"


def mark(text: str) -> str:
    """Mark a string for translation where the reader is not known yet (a module constant)."""
    return text


def catalogue_paths() -> dict[str, Path]:
    """The catalogue file of each translated language, by language tag."""
    found = sorted(LOCALES.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))
    return {path.parent.parent.name: path for path in found}


@cache
def available() -> tuple[str, ...]:
    """Languages a page can be shown in, the source language first."""
    return (SOURCE_LANGUAGE, *catalogue_paths())


@cache
def translations(locale: str) -> NullTranslations:
    """The compiled catalogue of ``locale``; source strings as they are when there is none."""
    path = catalogue_paths().get(language_of(locale))
    if path is None:
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, read_catalogue(path))
    compiled.seek(0)
    return Translations(compiled, domain=DOMAIN)


def language_of(locale: str) -> str:
    """The available language that serves ``locale`` ("es-MX" and "es_MX" are served by "es")."""
    parts = locale.replace("-", "_").split("_")
    return parts[0] if parts[0] in available() else SOURCE_LANGUAGE


def babel_locale(locale: str) -> Locale:
    """The locale whose dates and numbers suit ``locale``; English for an unknown tag.

    The region is kept, since "en-GB" and "en-US" write dates differently, but only where the
    language itself can be shown: a page never mixes two languages.
    """
    language = language_of(locale)
    if locale.replace("_", "-").split("-")[0] == language:
        try:
            return Locale.parse(locale.replace("_", "-"), sep="-")
        except (ValueError, UnknownLocaleError):
            pass
    return Locale.parse(language)


def negotiate(accept_language: str | None, preference: str | None = None) -> str:
    """Choose a language: the person's stated preference, else what the browser asks for.

    ``accept_language`` is the HTTP header (RFC 9110, section 12.5.4). A malformed part of it is
    ignored. The answer is one of :func:`available`.
    """
    wanted = [preference] if preference else []
    wanted += _by_quality(accept_language or "")
    chosen = negotiate_locale([tag.replace("-", "_") for tag in wanted], list(available()))
    return chosen or SOURCE_LANGUAGE


def _by_quality(header: str) -> list[str]:
    """Language tags of an Accept-Language header, most wanted first, refused ones left out."""
    ranked: list[tuple[float, str]] = []
    for part in header.split(","):
        tag, _, parameters = part.strip().partition(";")
        quality = 1.0
        if parameters:
            name, _, number = parameters.strip().partition("=")
            try:
                quality = float(number) if name.strip() == "q" else 1.0
            except ValueError:
                continue
        if tag.strip() and quality > 0:
            ranked.append((-quality, tag.strip()))
    return [tag for _, tag in sorted(ranked, key=lambda entry: entry[0])]


# --- Catalogues -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fault:
    """Something a translator or a page's author has to mend."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


# A problem's detail is told to a person, so naming the class is marking enough.
_PROBLEMS = (Problem, *Problem.__subclasses__())
_KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "mark": None,
    **{kind.__name__: None for kind in _PROBLEMS},
}


def read_catalogue(path: Path) -> Catalog:
    """Parse one .po file; its language is the folder's name."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.parent.name, domain=DOMAIN, abort_invalid=True)


def extract_catalogue() -> Catalog:
    """Every string marked for translation in the package, as an empty catalogue."""
    with (LOCALES / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = cast(Any, frontend).parse_mapping_cfg(file)
    # No dates and no line numbers: the file then changes only when a string does.
    template = Catalog(domain=DOMAIN, project="Classweave", fuzzy=False)
    for filename, _, message, comments, context in extract_from_dir(
        PACKAGE, methods, options, keywords=_KEYWORDS, comment_tags=("Translators:",)
    ):
        template.add(message, None, [(filename, 0)], auto_comments=comments, context=context)
    return template


def update_catalogues() -> None:
    """Bring every catalogue up to date: new strings empty, vanished strings dropped."""
    template = extract_catalogue()
    for path in catalogue_paths().values():
        catalogue = read_catalogue(path)
        catalogue.update(template, no_fuzzy_matching=True, update_creation_date=False)
        catalogue.obsolete.clear()
        with path.open("wb") as file:
            write_po(file, catalogue, width=98, include_lineno=False, sort_output=True)


def catalogue_faults(template: Catalog, catalogue: Catalog) -> Iterator[Fault]:
    """What a catalogue lacks beside the sources: missing, empty, unsure, stale or wrong strings."""
    name = str(catalogue.locale)
    for source in template:
        if not source.id:
            continue
        where = f"{name} {_shown(source.id)}"
        entry = catalogue.get(source.id, source.context)
        forms = entry.string if entry and isinstance(entry.string, tuple | list) else None
        if entry is None:
            yield Fault(where, "missing")
        elif entry.fuzzy:
            yield Fault(where, "fuzzy")
        elif not (all(forms) if forms is not None else entry.string):
            yield Fault(where, "not translated")
        else:
            for error in entry.check(catalogue):
                yield Fault(where, str(error))
    for entry in catalogue:
        if entry.id and template.get(entry.id, entry.context) is None:
            yield Fault(f"{name} {_shown(entry.id)}", "no longer used; run extract")


def _shown(message_id: str | list[str] | tuple[str, ...]) -> str:
    return repr(message_id if isinstance(message_id, str) else message_id[0])


def check() -> list[Fault]:
    """Every fault of every catalogue, and every bare string in a template."""
    from classweave.web.bare_strings import bare_strings  # it needs Jinja; readers do not

    template = extract_catalogue()
    faults: list[Fault] = []
    for path in catalogue_paths().values():
        faults += catalogue_faults(template, read_catalogue(path))
    for path in sorted(PACKAGE.glob("**/templates/**/*.html")):
        if path.name != "styleguide.html":  # for the people who build pages, in English only
            for line, text in bare_strings(path.read_text(encoding="utf-8")):
                where = f"{path.relative_to(PACKAGE)}:{line}"
                faults.append(Fault(where, f"not marked for translation: {text!r}"))
    return faults


def main(arguments: list[str]) -> int:
    """Run ``extract`` or ``check``; the exit status is 0 when nothing is left to do."""
    if arguments == ["extract"]:
        update_catalogues()
        return 0
    if arguments == ["check"]:
        faults = check()
        for fault in faults:
            sys.stderr.write(f"{fault}\n")
        return 1 if faults else 0
    sys.stderr.write("usage: python -m classweave.web.i18n check|extract\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
