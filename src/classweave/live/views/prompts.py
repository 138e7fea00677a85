"""Prompts as the console and the summary show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from classweave.core import clock
from classweave.core.identifiers import encode
from classweave.live.models import TeacherGuidanceMetrics
from classweave.live.prompt_teacher import STANDING
from classweave.live.states import PromptStatus
from classweave.live.views.measures import QuoteView, Scale, Speakers, quotes_from, scale_of

HELPFUL, UNHELPFUL = 5, 1


@dataclass(frozen=True, slots=True)
class PromptView:
    """One prompt. ``rating`` is "helpful", "unhelpful" or ``None``."""

    key: str
    group_id: UUID | None
    message: str
    reason: str
    category: str
    priority: str
    timing: str
    status: str
    rating: str | None
    quotes: Sequence[QuoteView]
    generated_at: datetime
    response_seconds: int | None
    target: Scale
    before: float | None
    after: float | None

    @property
    def action(self) -> str:
        """Where its buttons post to."""
        return f"/live/prompts/{self.key}"


def prompt_view(prompt: TeacherGuidanceMetrics, speakers: Speakers, page: str) -> PromptView:
    """``prompt`` for a page; ``page`` is where its group's words stand."""
    rating = prompt.feedback_rating
    status = prompt.status
    if status in STANDING and prompt.expires_at <= clock.now():
        status = PromptStatus.EXPIRED
    return PromptView(
        key=encode("prompt", prompt.id),
        group_id=prompt.group_id,
        message=prompt.prompt_message,
        reason=prompt.prompt_context,
        category=prompt.prompt_category.value,
        priority=prompt.priority_level.value,
        timing=prompt.suggested_timing.value,
        status=status.value,
        rating=None if rating is None else "helpful" if rating >= 3 else "unhelpful",
        quotes=quotes_from(prompt.evidence, speakers, page),
        generated_at=prompt.generated_at,
        response_seconds=prompt.response_time_seconds,
        target=scale_of(prompt.target_metric),
        before=None if prompt.metric_before is None else float(prompt.metric_before),
        after=None if prompt.metric_after is None else float(prompt.metric_after),
    )
