"""A session that is over: what was said, how, what came of the prompts, plan against fact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.model import Json
from classweave.live.message_json import restore_messages
from classweave.live.models import (
    ClassroomSession,
    GroupMetrics,
    GroupSummary,
    SessionMetrics,
    SessionSummary,
    Track,
)
from classweave.live.prompt_teacher import prompts_of
from classweave.live.views.console import Share, shares_of
from classweave.live.views.groups import Group, read_groups
from classweave.live.views.measures import (
    MeasureView,
    QuoteView,
    Speakers,
    measure_views,
    speakers_of,
    stored_measures,
    utterances_in,
)
from classweave.live.views.prompts import PromptView, prompt_view

SHOWN = (
    "participation_equality", "silent_members", "turn_taking", "open_questions", "reasoning",
    "transactivity", "on_topic", "conceptual_density",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MomentView:
    """A stretch worth replaying. Times in seconds of the session."""

    kind: str
    start: float
    end: float
    why: str
    href: str
    quote: QuoteView | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a summary says: quotations, the way of talking, moments and steps.

    ``written`` are sentences of a language model, each with the quotations it rests on, where one
    is configured; ``written_by`` names it.
    """

    what: Sequence[QuoteView]
    key_terms: Sequence[str]
    concepts_missing: Sequence[str]
    moments: Sequence[MomentView]
    how: Sequence[str]
    next_steps: Sequence[str]
    reason: str
    written: Sequence[tuple[str, Sequence[str]]]
    written_by: str


@dataclass(frozen=True, slots=True)
class GroupPart:
    """One group of the summary."""

    group: Group
    href: str
    report: Report | None
    shares: Sequence[Share]
    measures: Sequence[MeasureView]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the writing is: tracks whose words are all known, groups that are summarised."""

    tracks_done: int
    tracks: int
    groups_done: int
    groups: int


@dataclass(frozen=True, slots=True)
class SummaryPage:
    """Everything the summary shows; ``report`` is ``None`` while it is being written."""

    report: Report | None
    parts: Sequence[GroupPart]
    prompts: Sequence[PromptView]
    group_names: dict[UUID, str]
    metrics: SessionMetrics | None
    progress: Progress

    def prompts_that_were(self, *states: str) -> int:
        """How many prompts ended in one of ``states``."""
        return sum(prompt.status in states for prompt in self.prompts)


async def read_summary(
    session: AsyncSession, lesson: ClassroomSession, base: str, *, playable: bool
) -> SummaryPage:
    """The summary of ``lesson``, whose pages are at ``base``.

    ``playable``: sound was kept, so that moments lead to the player.
    """
    groups = await read_groups(session, lesson)
    stored = (
        await session.execute(
            select(GroupSummary.group_id, GroupSummary.summary_json, GroupSummary.written_by).where(
                GroupSummary.session_id == lesson.id
            )
        )
    ).all()
    summaries: dict[UUID, tuple[Json, str]] = {
        row.group_id: (row.summary_json, row.written_by) for row in stored
    }
    whole = await session.scalar(
        select(SessionSummary).where(SessionSummary.session_id == lesson.id)
    )
    rows = await session.execute(
        select(GroupMetrics.group_id, GroupMetrics.measures).where(
            GroupMetrics.session_id == lesson.id
        )
    )
    measures = {group_id: stored_measures(found) for group_id, found in rows}
    prompts = await prompts_of(session, lesson.id)
    quoted = utterances_in(m for found in measures.values() for m in found)
    quoted |= {item["utterance"] for prompt in prompts for item in prompt.evidence}
    for summary in [s for s, _ in summaries.values()] + ([whole.summary_json] if whole else []):
        quoted |= _utterances(summary)
    speakers = await speakers_of(session, quoted)
    pages = {group.id: f"{base}/groups/{group.key}" for group in groups}
    by_key = {group.key: pages[group.id] for group in groups}
    return SummaryPage(
        report=None
        if whole is None
        else _report(whole.summary_json, whole.written_by, speakers, by_key, base, playable),
        parts=[
            GroupPart(
                group=group,
                href=pages[group.id],
                report=_report(*summaries[group.id], speakers, {}, pages[group.id], playable)
                if group.id in summaries
                else None,
                shares=shares_of(group),
                measures=measure_views(
                    measures.get(group.id, ()), speakers, pages[group.id], SHOWN
                ),
            )
            for group in groups
        ],
        prompts=[
            prompt_view(p, speakers, pages.get(p.group_id, base) if p.group_id else base)
            for p in reversed(prompts)
        ],
        group_names={group.id: group.name for group in groups},
        metrics=await session.scalar(
            select(SessionMetrics).where(SessionMetrics.session_id == lesson.id)
        ),
        progress=await read_progress(session, lesson),
    )


async def read_progress(session: AsyncSession, lesson: ClassroomSession) -> Progress:
    """How far the summary of an ended session is."""
    tracks = (
        await session.execute(
            select(func.count(), func.count(Track.finished_at)).where(Track.session_id == lesson.id)
        )
    ).one()
    groups = await session.scalar(
        select(func.count()).select_from(GroupSummary).where(GroupSummary.session_id == lesson.id)
    )
    return Progress(tracks[1], tracks[0], int(groups or 0), lesson.total_groups)


async def is_written(session: AsyncSession, lesson: ClassroomSession) -> bool:
    """Whether the session's summary is there."""
    found = await session.scalar(
        select(SessionSummary.id).where(SessionSummary.session_id == lesson.id)
    )
    return found is not None


def _utterances(summary: Json) -> set[str]:
    quotes = [*summary.get("what", ()), *(m["quote"] for m in summary.get("moments", ()))]
    written = summary.get("written") or {"sentences": ()}
    return {q["utterance"] for q in quotes if q} | {
        u for sentence in written["sentences"] for u in sentence["utterances"]
    }


def _report(
    row: Json,
    written_by: str,
    speakers: Speakers,
    pages: dict[str, str],
    page: str,
    playable: bool,
) -> Report:
    """A stored summary. Quotes lead to their group's page, which ``pages`` has by public id."""
    stored = restore_messages(row)

    def quote(item: Json) -> QuoteView:
        at = pages.get(item.get("group", ""), page)
        return QuoteView(
            quote=item["text"],
            start=item["start"],
            speaker=speakers.get(item["utterance"]),
            note=item.get("name", ""),
            href=f"{at}#{item['utterance']}",
        )

    def moment(item: Json) -> MomentView:
        said = item["quote"]
        place = f"#t={item['start']}" if playable else f"#{said['utterance']}" if said else ""
        return MomentView(
            kind=item["kind"],
            start=item["start"],
            end=item["end"],
            why=item["why"],
            href=page + place,
            quote=quote(said) if said else None,
        )

    written = stored.get("written") or {"sentences": ()}
    return Report(
        what=[quote(item) for item in stored.get("what", ())],
        key_terms=stored.get("key_terms", ()),
        concepts_missing=stored.get("concepts_missing", ()),
        moments=[moment(item) for item in stored.get("moments", ())],
        how=stored.get("how", ()),
        next_steps=stored.get("next_steps", ()),
        reason=stored.get("reason", ""),
        written=[
            (sentence["text"], [f"{page}#{u}" for u in sentence["utterances"]])
            for sentence in written["sentences"]
        ],
        written_by=written_by,
    )
