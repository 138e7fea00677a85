"""Measures as the database and the interface keep them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from classweave.core.model import Json
from classweave.language.transcript import Evidence, Measure
from classweave.live.guidance.rules import DETAILS, Window
from classweave.live.message_json import restore_messages, with_messages

_LARGEST_SCORE = 999.99


def score(value: float | None) -> Decimal | None:
    """``value`` for a column of five digits, two of them decimals; clipped to what fits."""
    if value is None or not math.isfinite(value):
        return None
    return Decimal(str(round(min(_LARGEST_SCORE, max(-_LARGEST_SCORE, value)), 2)))


def evidence_as_json(evidence: Sequence[Evidence]) -> list[Json]:
    """Quotations with their utterance, times in seconds of the session, and what they show."""
    return [
        {
            "utterance": e.utterance,
            "start": round(e.start, 3),
            "end": round(e.end, 3),
            "quote": e.quote,
            "note": e.note,
        }
        for e in evidence
    ]


def measure_as_json(measure: Measure) -> Json:
    """A measure with everything that stands behind it."""
    return with_messages(
        {
            "name": measure.name,
            "value": _rounded(measure.value),
            "n": measure.n,
            "n_unit": measure.n_unit,
            "unit": measure.unit,
            "coverage": round(measure.coverage, 4),
            "status": measure.status,
            "reason": measure.reason,
            "evidence": evidence_as_json(measure.evidence),
            "details": {key: _rounded(value) for key, value in measure.details.items()},
        }
    )


def measure_from_json(stored: Mapping[str, Any]) -> Measure:
    """The measure that :func:`measure_as_json` or :func:`values_as_json` kept."""
    row = restore_messages(stored)
    return Measure(
        name=row["name"],
        value=row["value"],
        n=row["n"],
        n_unit=row.get("n_unit", ""),
        coverage=row.get("coverage", 1.0),
        status=row["status"],
        reason=row.get("reason", ""),
        unit=row.get("unit", ""),
        evidence=tuple(Evidence(**evidence) for evidence in row.get("evidence", ())),
        details=dict(row.get("details", {})),
    )


def values_as_json(windows: Mapping[Window, Mapping[str, Measure]]) -> Json:
    """What later runs need of this one: the numbers of every window, without any words."""
    return {
        window: [
            {
                "name": m.name,
                "value": _rounded(m.value),
                "n": m.n,
                "status": m.status,
                "details": {k: _rounded(v) for k, v in m.details.items() if k in DETAILS},
            }
            for m in measures.values()
        ]
        for window, measures in windows.items()
    }


def values_from_json(stored: Mapping[str, Any]) -> dict[Window, dict[str, Measure]]:
    """The numbers of every window by name, as :func:`values_as_json` kept them."""
    found: dict[Window, dict[str, Measure]] = {}
    for window in ("recent", "rolling", "whole"):
        rows = [measure_from_json(row) for row in stored.get(window, ())]
        found[window] = {m.name: m for m in rows}
    return found


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)
