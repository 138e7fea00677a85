from babel.messages.catalog import Catalog

from classweave.web import i18n
from classweave.web.bare_strings import bare_strings


def test_the_browsers_wish_is_granted_by_quality_and_region() -> None:
    assert i18n.negotiate("fr-CH, es;q=0.8, en;q=0.7") == "es"
    assert i18n.negotiate("es-MX,es;q=0.9,en-US;q=0.8") == "es"
    assert i18n.negotiate("en-GB,es;q=0.9") == "en"
    assert i18n.negotiate("es;q=0, en") == "en"


def test_a_stated_preference_outranks_the_browser() -> None:
    assert i18n.negotiate("en-US", "es") == "es"
    assert i18n.negotiate("es", "en") == "en"


def test_headers_nobody_can_read_fall_back_to_english() -> None:
    for header in (None, "", ";;;", "xx;q=banana", "\x00", "*", "q=1;es", "tlh"):
        assert i18n.negotiate(header) == "en", header


def test_a_page_never_mixes_the_language_of_words_and_of_dates() -> None:
    assert str(i18n.babel_locale("es-MX")) == "es_MX"
    assert str(i18n.babel_locale("es_mx")) == "es_MX"
    assert str(i18n.babel_locale("de-DE")) == "en"
    assert str(i18n.babel_locale("en-XX!")) == "en"


def test_spanish_words_and_plurals() -> None:
    spanish = i18n.translations("es-MX")
    assert spanish.gettext("Sign in") == "Iniciar sesión"
    one = "One thing needs mending. Nothing you typed was lost."
    many = "%(count)s things need mending. Nothing you typed was lost."
    assert spanish.ngettext(one, many, 1).startswith("Hay una cosa")
    assert spanish.ngettext(one, many, 2).startswith("Hay %(count)s cosas")
    assert i18n.translations("en").gettext("Sign in") == "Sign in"
    assert i18n.translations("de").gettext("Sign in") == "Sign in"


def test_the_shells_own_strings_are_all_translated() -> None:
    """The whole house is judged by ``python -m classweave.web.i18n check``; this is our part."""
    own = Catalog()
    for message in i18n.extract_catalogue():
        if any(str(path).startswith("web/") for path, _ in message.locations):
            own.add(message.id, locations=message.locations, context=message.context)
    assert len(own) > 100
    spanish = i18n.read_catalogue(i18n.catalogue_paths()["es"])
    faults = [str(fault) for fault in i18n.catalogue_faults(own, spanish)]
    assert [fault for fault in faults if "no longer used" not in fault] == []


def test_every_kind_of_gap_in_a_catalogue_is_found() -> None:
    template, catalogue = Catalog(), Catalog(locale="es")
    for source in ("missing", "empty", "unsure", "Hello %(name)s", ("one", "%(n)s many"), "good"):
        template.add(source)
    catalogue.add("empty", "")
    catalogue.add("unsure", "inseguro", flags=["fuzzy"])
    catalogue.add("Hello %(name)s", "Hola %(nombre)s")
    catalogue.add(("one", "%(n)s many"), ("uno", ""))
    catalogue.add("good", "bien")
    catalogue.add("stale", "viejo")
    found = {fault.where: fault.what for fault in i18n.catalogue_faults(template, catalogue)}
    assert found["es 'missing'"] == "missing"
    assert found["es 'empty'"] == "not translated"
    assert found["es 'unsure'"] == "fuzzy"
    assert found["es 'one'"] == "not translated"
    assert "es 'Hello %(name)s'" in found
    assert "no longer used" in found["es 'stale'"]
    assert "es 'good'" not in found


def test_words_outside_the_catalogue_are_found_with_their_line() -> None:
    source = """{% extends "base.html" %}
<p>{{ _("Marked") }} · 12 %</p>
<p>Forgotten words</p>
{% trans n=3 %}{{ n }} known{% pluralize %}{{ n }} knowns{% endtrans %}
<img alt="A picture" src="x.png"><input placeholder="{{ _('fine') }}">
<code>not prose</code> <svg><title>nor this</title></svg> <b translate="no">nor that</b>
{# a comment with words #}<span title="Bare">Classweave</span>
"""
    assert list(bare_strings(source)) == [(3, "Forgotten words"), (5, "A picture"), (7, "Bare")]


def test_no_template_of_the_shell_has_bare_words() -> None:
    templates = i18n.PACKAGE / "web" / "templates"
    found = {
        path.name: list(bare_strings(path.read_text(encoding="utf-8")))
        for path in templates.glob("**/*.html")
        if path.name != "styleguide.html"
    }
    assert len(found) >= 8
    assert {name: strings for name, strings in found.items() if strings} == {}
