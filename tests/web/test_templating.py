import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from jinja2 import TemplateNotFound, UndefinedError

from classweave.web.templating import (
    STATIC,
    Assets,
    Flash,
    NavItem,
    PageContext,
    Templates,
    clock_time,
    duration,
    icon,
    icons,
    qr,
)

NOW = datetime(2026, 3, 4, 23, 30, tzinfo=UTC)
PAGE = PageContext(
    locale="en",
    timezone="Europe/Berlin",
    user_name="Ada <b>",
    organization_name="Lindenhof & Sons",
    role="teacher",
    navigation=[NavItem("Live", "/live", current=True, icon="live"), NavItem("Classes", "/c")],
    csrf_token="token-1",
    flashes=[Flash("success", "Saved <i>"), Flash("<script>", "Odd kind")],
    path="/live",
)


SHELL = Templates(clock=lambda: NOW)


def rendered(folder: Path, source: str, page: PageContext = PAGE, **values: object) -> str:
    (folder / "t.html").write_text(source, encoding="utf-8")
    return Templates({"room": folder}, clock=lambda: NOW).render(page, "room/t.html", **values)


# --- The frame ------------------------------------------------------------------------------


def test_a_page_of_a_room_stands_in_the_frame_of_the_shell(tmp_path: Path) -> None:
    html = rendered(
        tmp_path,
        '{% extends "base.html" %}{% block title %}T{% endblock %}'
        "{% block content %}<p>{{ words }}</p>{% endblock %}",
        words="<script>alert(1)</script>",
    )
    assert '<html lang="en">' in html
    assert "<title>T · Classweave</title>" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "Ada &lt;b&gt;" in html
    assert "Lindenhof &amp; Sons" in html
    assert '<a class="skip" href="#content">' in html
    assert '<a href="/live" aria-current="page">' in html
    assert '<a href="/c">' in html
    assert '<meta name="csrf-token" content="token-1">' in html
    assert """hx-headers:inherited='{"X-CSRF-Token": "token-1"}'""" in html
    assert '<input type="hidden" name="csrf_token" value="token-1">' in html
    assert "Saved &lt;i&gt;" in html
    assert "Odd kind" in html
    assert "tone-&lt;script" not in html


def test_a_page_for_nobody_in_particular(tmp_path: Path) -> None:
    source = '{% extends "bare.html" %}{% block title %}Join{% endblock %}'
    html = rendered(tmp_path, source, PageContext(locale="es", theme="dark"))
    assert '<html lang="es" data-theme="dark">' in html
    assert "csrf" not in html
    assert "Ir al contenido" in html
    forged = rendered(tmp_path, source, PageContext(theme='"><script>'))
    assert "data-theme" not in forged


def test_what_a_template_needs_must_be_given(tmp_path: Path) -> None:
    with pytest.raises(UndefinedError):
        rendered(tmp_path, "{{ missing }}")
    with pytest.raises(TemplateNotFound):
        SHELL.render(PAGE, "nowhere/x.html")


def test_one_environment_serves_readers_of_two_languages_in_turn(tmp_path: Path) -> None:
    source = (
        '{% import "components/ui.html" as ui %}{{ ui.state("paused") }} {{ 1234.5|number(1) }}'
    )
    for _ in range(2):
        english = rendered(tmp_path, source)
        spanish = rendered(tmp_path, source, replace(PAGE, locale="es"))
        assert "Paused" in english
        assert "1,234.5" in english
        assert "En pausa" in spanish
        assert "1.234,5" in spanish


@pytest.mark.parametrize("locale", ["en", "es"])
@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 418])
def test_every_problem_is_told_kindly(status: int, signed_in: bool, locale: str) -> None:
    page = replace(PAGE, locale=locale, user_name="Ada" if signed_in else None, path="/x?<y>")
    problem = {"status": status, "title": "t", "detail": "Because <b>", "instance": "req_1"}
    html = SHELL.render(page, "errors/problem.html", problem=problem)
    assert ("Nothing was lost" if locale == "en" else "No se ha perdido nada") in html
    assert "Because &lt;b&gt;" in html
    assert f">{status}<" in html
    assert "req_1" in html
    bare = SHELL.render(page, "errors/problem.html", problem={"status": status, "detail": ""})
    assert "<dd></dd>" not in bare


# --- Words, times and numbers ---------------------------------------------------------------


def test_moments_are_shown_in_the_viewers_zone_and_language(tmp_path: Path) -> None:
    source = "{{ t|datetime('short') }}|{{ t|date('short') }}|{{ t|time }}|{{ t|ago }}"
    moment = NOW - timedelta(minutes=3)
    berlin = replace(PAGE, locale="en-GB")
    assert rendered(tmp_path, source, berlin, t=moment) == (
        "05/03/2026, 00:27|05/03/2026|00:27|3 minutes ago"
    )
    lima = replace(PAGE, locale="es", timezone="America/Lima")
    assert rendered(tmp_path, source, lima, t=moment) == "4/3/26, 18:27|4/3/26|18:27|hace 3 minutos"


def test_plain_dates_have_no_zone_and_naive_moments_are_refused(tmp_path: Path) -> None:
    assert rendered(tmp_path, "{{ t|date }}", t=date(2026, 3, 4)) == "Mar 4, 2026"
    with pytest.raises(ValueError, match="time zone"):
        rendered(tmp_path, "{{ t|datetime }}", t=NOW.replace(tzinfo=None))


def test_numbers_and_shares(tmp_path: Path) -> None:
    source = "{{ 0.314|percent }} {{ 0.314|percent(1) }} {{ 2.0|number(2) }} {{ 12345|number }}"
    assert rendered(tmp_path, source) == "31% 31.4% 2 12,345"
    spanish = rendered(tmp_path, source, replace(PAGE, locale="es"))
    assert spanish == "31\xa0% 31,4\xa0% 2 12.345"


def test_lengths_of_time() -> None:
    assert [duration(s) for s in (0, 59.6, 61, 120, 3600, 7384.0, -3)] == [
        "0 s",
        "1 min",
        "1 min 01 s",
        "2 min",
        "1 h 00 min",
        "2 h 03 min",
        "0 s",
    ]
    assert duration(timedelta(minutes=45)) == "45 min"
    assert [clock_time(s) for s in (0, 245.9, 3845)] == ["00:00", "04:05", "1:04:05"]


# --- Assets, icons, codes -------------------------------------------------------------------


def test_addresses_change_with_their_content(tmp_path: Path) -> None:
    assets = Assets(tmp_path)
    assert assets.url("shell.js") == "/static/dist/shell.js"
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "manifest.json").write_text(json.dumps({"shell.js": "shell-1A.js"}))
    assert assets.url("shell.js") == "/static/dist/shell-1A.js"
    with pytest.raises(LookupError, match=r"other\.js"):
        assets.url("other.js")
    sheet = tmp_path / "classweave.css"
    sheet.write_text("a{}")
    first = assets.url("classweave.css")
    assert re.fullmatch(r"/static/classweave\.css\?v=[0-9a-f]{12}", first)
    sheet.write_text("b{}")
    assert Assets(tmp_path).url("classweave.css") != first


def test_icons_are_decoration_unless_they_are_named() -> None:
    assert 'aria-hidden="true"' in icon("mic")
    assert 'role="img" aria-label="A &lt;b&gt;"' in icon("mic", "A <b>")
    with pytest.raises(KeyError):
        icon("no-such-thing")


def test_every_icon_a_template_names_exists() -> None:
    templates = STATIC.parent / "templates"
    for path in templates.glob("**/*.html"):
        for name in re.findall(r'\bicon\("([a-z-]+)"', path.read_text(encoding="utf-8")):
            assert name in icons(), (path.name, name)


def test_a_qr_code_is_dark_on_white_and_has_its_quiet_zone() -> None:
    drawing = qr("https://classweave.example/join/KX47QM", 'Say "cheese"')
    assert drawing.startswith('<svg role="img" aria-label="Say &#34;cheese&#34;"')
    assert 'fill="#fff"' in drawing
    width = int(re.search(r'viewBox="0 0 (\d+) ', drawing)[1])  # type: ignore[index]
    assert width == 29 + 8  # version 3 and four modules on either side


# --- Components -----------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["en", "es"])
def test_the_style_guide_shows_every_component(locale: str) -> None:
    page = replace(PAGE, locale=locale)
    html = SHELL.render(page, "styleguide.html", icon_names=list(icons()))
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert sorted(ids) == sorted(set(ids))
    assert " style=" not in html
    assert not re.search(r"\son[a-z]+=", html)
    used = set(re.findall(r"[a-z0-9-]+", " ".join(re.findall(r'class="([^"]+)"', html))))
    known = set(re.findall(r"\.([a-z][a-z0-9-]*)", (STATIC / "classweave.css").read_text()))
    unstyled = {"menu-name", "moment", "tone-neutral", "prompt-medium", "self-quiet", "self-heard"}
    assert used - known - unstyled == set()


def test_not_heard_is_never_shown_as_silent(tmp_path: Path) -> None:
    people = [
        {"name": "A", "share": 1.0, "seconds": 60, "thread": 1, "heard": True},
        {"name": "B", "share": 0.0, "seconds": 0, "thread": 2, "heard": True},
        {"name": "C", "share": None, "seconds": 0, "thread": 3, "heard": False},
    ]
    source = '{% import "components/data.html" as data %}{{ data.talk_shares(people) }}'
    html = rendered(tmp_path, source, people=people)
    silent, unheard = html.split("<li class")[2:]
    assert "0%" in silent
    assert "not heard" not in silent
    assert "not heard" in unheard
    assert "%" not in unheard


def test_a_measure_without_enough_behind_it_shows_no_number(tmp_path: Path) -> None:
    source = """{% import "components/data.html" as data %}
{{ data.measure("Uptake", 0.5, "3 turns", 0.2, status="not_enough", reason="9 more turns") }}"""
    html = rendered(tmp_path, source)
    assert "Not enough yet" in html
    assert "9 more turns" in html
    assert "0.5" not in html


def test_a_prompt_offers_what_its_state_allows(tmp_path: Path) -> None:
    source = """{% import "components/live.html" as live %}
{{ live.prompt_card("p", "M", "R", "energy", "low", "/p", status=status, rating=rating) }}"""

    def offered(status: str, rating: str | None = None) -> list[str]:
        html = rendered(tmp_path, source, status=status, rating=rating)
        return re.findall(r'name="(?:action|rating)" value="([a-z]+)"', html)

    assert offered("generated") == ["use", "acknowledge", "dismiss"]
    assert offered("acknowledged") == ["use", "dismiss"]
    assert offered("used") == ["helpful", "unhelpful"]
    assert offered("used", "helpful") == []
    assert offered("expired") == []


def test_a_field_says_what_is_wrong_where_it_is_wrong(tmp_path: Path) -> None:
    source = """{% import "components/forms.html" as forms %}
{{ forms.field("goal", "Goal", '"x"', hint="H", error="E", attrs={"maxlength": 9}) }}
{{ forms.field("note", "Note", none, required=false) }}"""
    html = rendered(tmp_path, source)
    assert 'aria-describedby="f-goal-hint f-goal-error"' in html
    assert 'aria-invalid="true"' in html
    assert 'value="&#34;x&#34;"' in html
    assert 'maxlength="9"' in html
    assert html.count(" required") == 1
    assert html.count("(optional)") == 1


# --- Colours --------------------------------------------------------------------------------


def tokens(theme: int) -> dict[str, str]:
    """Colour tokens of a theme: 0 light, 1 dark."""
    css = (STATIC / "classweave.css").read_text(encoding="utf-8")
    pairs = re.findall(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", css)
    return {name: (light, dark)[theme] for name, light, dark in pairs}


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


GROUNDS = ("ground", "surface", "sunken")
TINTS = ("indigo-tint", "lichen-tint", "weld-tint", "madder-tint", "woad-tint")
# (text, ground, least contrast): body text is held to AAA, to be read from across a room.
TEXT_PAIRS = [
    *[("ink", ground, 7.0) for ground in (*GROUNDS, *TINTS)],
    *[("ink-soft", ground, 5.5) for ground in GROUNDS],
    *[(dye, ground, 4.5) for dye in ("indigo", "indigo-deep", "madder") for ground in GROUNDS],
    *[(tint.removesuffix("-tint"), tint, 4.5) for tint in TINTS],
    *[("indigo-deep", tint, 4.5) for tint in TINTS],
    ("indigo", "madder-tint", 4.5),
    ("on-indigo", "indigo", 4.5),
    ("on-indigo", "indigo-deep", 4.5),
    ("on-madder", "madder", 4.5),
    ("chalk", "board", 7.0),
    ("chalk-soft", "board", 7.0),
]
# Edges of controls, marks in plots and the focus ring (WCAG 2.2, 1.4.11).
MARK_PAIRS = [
    *[("line-strong", ground, 3.0) for ground in GROUNDS],
    *[("focus", ground, 3.0) for ground in (*GROUNDS, *TINTS)],
    *[(f"thread-{n}", ground, 3.0) for n in range(7) for ground in GROUNDS],
]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast_of_every_pair_of_tokens(theme: int) -> None:
    colours = tokens(theme)
    assert len(colours) >= 30
    low = [
        (text, ground, round(contrast(colours[text], colours[ground]), 2), least)
        for text, ground, least in TEXT_PAIRS + MARK_PAIRS
        if contrast(colours[text], colours[ground]) < least
    ]
    assert low == []


def test_contrast_is_computed_as_wcag_defines_it() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_every_token_that_is_used_exists() -> None:
    css = (STATIC / "classweave.css").read_text(encoding="utf-8")
    defined = set(re.findall(r"--([a-z0-9-]+)\s*:", css))
    assert set(re.findall(r"var\(--([a-z0-9-]+)", css)) <= defined
