"""The console: every group as a card, those who need the teacher first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from classweave.core.model import Json
from classweave.live.models import (
    ClassroomSession,
    GroupMetrics,
    StudentGroup,
    TeacherGuidanceMetrics,
    Tier2Analysis,
    Transcription,
)
from classweave.live.prompt_teacher import prompts_of
from classweave.live.views.groups import Group, Member, read_groups
from classweave.live.views.measures import (
    MeasureView,
    measure_views,
    speakers_of,
    stored_measures,
    utterances_in,
)
from classweave.live.views.prompts import PromptView, prompt_view
from classweave.live.views.talk import Line, line_of

# A few at a glance; the group's own page has them all.
SHOWN = ("participation_equality", "on_topic", "reasoning", "open_questions")
LINES = 5

# Where the sum of a group's needs (see classweave.live.guidance.healthy) becomes a call.
URGENT, WATCH = 2.0, 0.5
_URGENCY = {"urgent": 0, "watch": 1, "unheard": 2, "well": 3}


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the group's talk one voice has. ``share`` is ``None`` when not heard."""

    name: str
    share: float | None
    seconds: float
    thread: int
    heard: bool


@dataclass(frozen=True, slots=True)
class Card:
    """One group on the console. ``need`` is urgent, watch, well or unheard; ``reasons`` why."""

    group: Group
    href: str
    need: str
    reasons: Sequence[str]
    prompts: Sequence[PromptView]
    shares: Sequence[Share]
    measures: Sequence[MeasureView]
    lines: Sequence[Line]
    threads: Mapping[UUID, int]


def shares_of(group: Group) -> list[Share]:
    """Who talks how much. Nobody who was not heard is shown as silent."""
    voices = [m for m in group.members if m.joined and (m.shared or not group.shared)]
    total = sum(m.speaking_seconds for m in voices)
    return [
        Share(
            name=m.name,
            share=(m.speaking_seconds / total) if _was_heard(m) and total > 0 else None,
            seconds=m.speaking_seconds,
            thread=m.thread,
            heard=_was_heard(m) and total > 0,
        )
        for m in voices
        if not m.shared
    ]


def _was_heard(member: Member) -> bool:
    return member.speaking_seconds > 0 or (
        member.capture is not None and member.capture.heard_seconds >= 10.0
    )


async def read_cards(session: AsyncSession, lesson: ClassroomSession, base: str) -> list[Card]:
    """The cards of all groups; ``base`` is the address of the session's pages."""
    groups = await read_groups(session, lesson)
    stored = await session.execute(
        select(GroupMetrics.group_id, GroupMetrics.measures).where(
            GroupMetrics.session_id == lesson.id
        )
    )
    measures = {group_id: stored_measures(found) for group_id, found in stored}
    prompts: dict[UUID | None, list[TeacherGuidanceMetrics]] = defaultdict(list)
    for prompt in await prompts_of(session, lesson.id):
        prompts[prompt.group_id].append(prompt)
    quoted = utterances_in(m for found in measures.values() for m in found) | {
        item["utterance"] for found in prompts.values() for p in found for item in p.evidence
    }
    speakers = await speakers_of(session, quoted)
    spoken = await _newest_lines(session, lesson.id)
    ranking = await _ranking(session, lesson.id)
    cards: list[Card] = []
    for group in groups:
        href = f"{base}/groups/{group.key}"
        threads = {m.participant_id: m.thread for m in group.members if m.participant_id}
        views = [prompt_view(p, speakers, href) for p in prompts[group.id]]
        shown = measure_views(measures.get(group.id, ()), speakers, href, SHOWN)
        cards.append(
            Card(
                group=group,
                href=href,
                need=_need(ranking.get(group.key), group, views, shown),
                reasons=[r["why"] for r in ranking.get(group.key, {}).get("reasons", ())[:2]],
                prompts=_current(views),
                shares=shares_of(group),
                measures=shown,
                lines=[line_of(row, threads) for row in spoken[group.id]],
                threads=threads,
            )
        )
    places = {key: place for place, key in enumerate(ranking)}
    last = len(places)
    return sorted(
        cards, key=lambda c: (_URGENCY[c.need], places.get(c.group.key, last), c.group.number)
    )


async def _ranking(session: AsyncSession, session_id: UUID) -> dict[str, Json]:
    """The newest comparison of the groups by public id, those who need the teacher first."""
    insights = await session.scalar(
        select(Tier2Analysis.insights)
        .where(Tier2Analysis.session_id == session_id)
        .order_by(Tier2Analysis.analysis_timestamp.desc())
        .limit(1)
    )
    return {row["group"]: row for row in (insights or {}).get("ranking", ())}


def _need(
    row: Json | None, group: Group, prompts: Sequence[PromptView], shown: Sequence[MeasureView]
) -> str:
    """How soon the group needs somebody: its measures, its prompts and its hands decide.

    Nobody is told that a group does well while every measure on its card lacks words.
    """
    standing = [p for p in prompts if p.status in ("generated", "acknowledged")]
    need = float(row["need"]) if row else 0.0
    if group.hands or need >= URGENT or any(p.priority == "high" for p in standing):
        return "urgent"
    if need >= WATCH or standing:
        return "watch"
    known = row is not None and row["measured"] and any(m.status != "not_enough" for m in shown)
    return "well" if known else "unheard"


def _current(prompts: Sequence[PromptView]) -> list[PromptView]:
    """What stands, or else the latest that still waits for the teacher's judgement."""
    standing = [p for p in prompts if p.status in ("generated", "acknowledged")]
    if standing:
        return standing
    return [p for p in prompts[:1] if p.status == "used" and p.rating is None]


async def _newest_lines(session: AsyncSession, session_id: UUID) -> dict[UUID, list[Transcription]]:
    newest = aliased(
        Transcription,
        select(Transcription)
        .where(Transcription.group_id == StudentGroup.id)
        .order_by(Transcription.start_time.desc())
        .limit(LINES)
        .lateral(),
    )
    rows = await session.execute(
        select(StudentGroup.id, newest)
        .join(newest, newest.group_id == StudentGroup.id)
        .where(StudentGroup.session_id == session_id)
        .order_by(newest.start_time)
    )
    found: dict[UUID, list[Transcription]] = defaultdict(list)
    for group_id, row in rows:
        found[group_id].append(row)
    return found
