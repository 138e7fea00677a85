"""Which settings an organisation begins with, by where it is."""

from __future__ import annotations

from classweave.directory.models import SettingType
from classweave.web.i18n import mark

# Regulation (EU) 2024/1689, article 5(1)(f), forbids inferring emotions of people in education
# from their voice or face. Words are not covered; here the cautious answer is still "off" until
# a school in the European Economic Area decides otherwise.
EEA = frozenset(
    (
        "AT", "BE", "BG", "HR", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HU", "IE",
        "IS", "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
    )
)  # fmt: skip


def first_settings(region: str | None) -> list[tuple[str, str, SettingType, str]]:
    """Key, value, type and description of each setting; ``region`` is an ISO 3166 code."""
    cautious = (region or "").strip().upper()[:2] in EEA
    return [
        (
            "sentiment_allowed",
            "false" if cautious else "true",
            SettingType.BOOLEAN,
            mark("Show the tone of a group’s words. Never of one student, never from voices."),
        ),
    ]
