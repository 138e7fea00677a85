"""Measures as a page shows them: how to write the number, what stands behind it, which words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.identifiers import TypeIDError, decode
from classweave.core.model import Json
from classweave.language.measure import MEASURES
from classweave.language.transcript import Measure
from classweave.live.guidance import quiet
from classweave.live.measure_json import measure_from_json
from classweave.live.models import Transcription
from classweave.web.i18n import mark


@dataclass(frozen=True, slots=True)
class QuoteView:
    """Words behind a number. ``start`` in seconds of the session, ``href`` where they stand."""

    quote: str
    start: float
    speaker: str | None
    note: str
    href: str | None


@dataclass(frozen=True, slots=True)
class MeasureView:
    """One measure. ``percent``: the value is a share and written so; else ``digits`` decimals."""

    name: str
    title: str
    explanation: str
    value: float | None
    percent: bool
    digits: int
    unit: str
    n: int
    n_unit: str
    coverage: float
    status: str
    reason: str
    quotes: Sequence[QuoteView]


@dataclass(frozen=True, slots=True)
class Scale:
    """How a measure's values are written."""

    title: str
    percent: bool
    digits: int
    unit: str


_QUIET = Scale(mark("Seconds of quiet"), percent=False, digits=0, unit=mark("seconds"))
_SHARES = {
    "share": "",
    "cosine": "",
    "share of turns": mark("of turns"),
    "share of content turns": mark("of turns with content"),
    "share of questions": mark("of questions"),
    "share of claims": mark("of claims"),
}
_WHOLE = ("members", "turns", "words", "words/min")


def scale_of(name: str) -> Scale:
    """The scale of a measure, or of the seconds of quiet that a rule may look at."""
    info = MEASURES.get(name)
    if info is None:
        return _QUIET if name == quiet.NAME else Scale(name, percent=False, digits=2, unit="")
    percent = info.unit.startswith("share")
    digits = 0 if percent or info.unit in _WHOLE else 2 if info.unit in ("cosine", "") else 1
    return Scale(info.title, percent, digits, _SHARES.get(info.unit, info.unit))


Speakers = Mapping[str, str]
"""Who said an utterance, by its public id."""


def stored_measures(stored: Json | None) -> list[Measure]:
    """The measures that a row of ``group_metrics`` or ``tier1_analysis`` keeps."""
    return [measure_from_json(row) for row in (stored or {}).get("measures", ())]


def utterances_in(measures: Iterable[Measure]) -> set[str]:
    """The utterances that the evidence of ``measures`` quotes."""
    return {e.utterance for measure in measures for e in measure.evidence}


async def speakers_of(session: AsyncSession, utterances: Iterable[str]) -> dict[str, str]:
    """Who said each utterance; what is not an utterance's public id is left out."""
    ids: dict[UUID, str] = {}
    for written in utterances:
        try:
            ids[decode("utterance", written)] = written
        except TypeIDError:
            continue
    rows = await session.execute(
        select(Transcription.id, Transcription.speaker_name).where(Transcription.id.in_(ids))
    )
    return {ids[key]: name for key, name in rows}


def quotes_from(evidence: Sequence[Json], speakers: Speakers, page: str) -> list[QuoteView]:
    """Stored evidence as quotations that lead to their place in the transcript at ``page``."""
    return [
        QuoteView(
            quote=item["quote"],
            start=item["start"],
            speaker=speakers.get(item["utterance"]),
            note=item.get("note", ""),
            href=f"{page}#{item['utterance']}",
        )
        for item in evidence
    ]


def measure_view(measure: Measure, speakers: Speakers, page: str) -> MeasureView | None:
    """``measure`` for a page; ``None`` for one that this version does not know."""
    info = MEASURES.get(measure.name)
    if info is None:
        return None
    scale = scale_of(measure.name)
    return MeasureView(
        name=measure.name,
        title=scale.title,
        explanation=info.explanation,
        value=measure.value,
        percent=scale.percent,
        digits=scale.digits,
        unit=scale.unit,
        n=measure.n,
        n_unit=measure.n_unit,
        coverage=measure.coverage,
        status=measure.status,
        reason=measure.reason,
        quotes=[
            QuoteView(e.quote, e.start, speakers.get(e.utterance), e.note, f"{page}#{e.utterance}")
            for e in measure.evidence
        ],
    )


def measure_views(
    measures: Iterable[Measure], speakers: Speakers, page: str, only: Sequence[str] = ()
) -> list[MeasureView]:
    """Measures in the order of ``only``, or all in the order in which pages show them."""
    by_name = {measure.name: measure for measure in measures}
    names = only or tuple(MEASURES)
    views = [measure_view(by_name[n], speakers, page) for n in names if n in by_name]
    return [view for view in views if view is not None]
