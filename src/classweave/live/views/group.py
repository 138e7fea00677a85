"""One group from its first word to its last, with every measure and prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.live.models import ClassroomSession, GroupMetrics, Message
from classweave.live.prompt_teacher import prompts_of
from classweave.live.send_message import messages_for
from classweave.live.views.console import Share, shares_of
from classweave.live.views.groups import Group, read_groups
from classweave.live.views.measures import (
    MeasureView,
    measure_views,
    speakers_of,
    stored_measures,
    utterances_in,
)
from classweave.live.views.prompts import PromptView, prompt_view
from classweave.live.views.talk import Line, read_lines


@dataclass(frozen=True, slots=True)
class Lane:
    """When one voice spoke. Times in seconds of the session."""

    name: str
    thread: int
    spans: Sequence[tuple[float, float]]

    @property
    def seconds(self) -> float:
        """How long, in all."""
        return sum(end - start for start, end in self.spans)


@dataclass(frozen=True, slots=True)
class GroupPage:
    """Everything that is known of one group."""

    group: Group
    lines: Sequence[Line]
    shares: Sequence[Share]
    measures: Sequence[MeasureView]
    prompts: Sequence[PromptView]
    lanes: Sequence[Lane]
    messages: Sequence[Message]
    threads: Mapping[UUID, int]

    @property
    def end(self) -> float:
        """The last word, in seconds of the session."""
        return max((line.end for line in self.lines), default=0.0)

    @property
    def timeline(self) -> dict[str, Any]:
        """The plot of who talked when, as the chart island takes it."""
        return {
            "kind": "timeline",
            "end": round(self.end, 1),
            "lanes": [
                {
                    "name": lane.name,
                    "thread": lane.thread,
                    "spans": [[round(start, 1), round(end, 1)] for start, end in lane.spans],
                }
                for lane in self.lanes
            ],
        }


async def read_group_page(
    session: AsyncSession, lesson: ClassroomSession, group_id: UUID, page: str
) -> GroupPage | None:
    """The group's page, which is at the address ``page``; ``None`` for a group of elsewhere."""
    groups = await read_groups(session, lesson)
    group = next((g for g in groups if g.id == group_id), None)
    if group is None:
        return None
    threads = {m.participant_id: m.thread for m in group.members if m.participant_id}
    lines = await read_lines(session, group.id, threads)
    stored = await session.scalar(
        select(GroupMetrics.measures).where(GroupMetrics.group_id == group.id)
    )
    measures = stored_measures(stored)
    prompts = [p for p in await prompts_of(session, lesson.id) if p.group_id == group.id]
    quoted = utterances_in(measures) | {item["utterance"] for p in prompts for item in p.evidence}
    speakers = await speakers_of(session, quoted)
    return GroupPage(
        group=group,
        lines=lines,
        shares=shares_of(group),
        measures=measure_views(measures, speakers, page),
        prompts=[prompt_view(p, speakers, page) for p in prompts],
        lanes=_lanes(lines),
        messages=await messages_for(session, lesson.id, group.id),
        threads=threads,
    )


def _lanes(lines: Sequence[Line]) -> list[Lane]:
    spans: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for line in lines:
        spans.setdefault((line.speaker, line.thread), []).append((line.start, line.end))
    return [Lane(name, thread, found) for (name, thread), found in sorted(spans.items())]
