"""A group's measures over the session so far, in the columns that the reference gives them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import clock
from classweave.core.model import Json
from classweave.language.transcript import Measure
from classweave.live.load_talk import Talk
from classweave.live.measure_json import measure_as_json, score
from classweave.live.models import ClassroomSession, GroupMetrics, StudentGroup


def write_group(group: StudentGroup, whole: Mapping[str, Measure], *, sentiment: bool) -> None:
    """The group's own columns, over the session so far. Shares stand as 0-100.

    ``collaboration_score`` is the mean of equal participation, turn-taking and building on each
    other, from at least two of them that have a value. ``sentiment_arc`` has the tone of each
    minute with talk, or nothing where tone is not taken.
    """
    parts = [_value(whole, n) for n in ("participation_equality", "turn_taking", "transactivity")]
    known = [part for part in parts if part is not None]
    group.collaboration_score = score(100 * sum(known) / len(known)) if len(known) >= 2 else None
    group.topic_focus_score = _percent(whole, "on_topic")
    group.topical_cohesion = _percent(whole, "topical_cohesion")
    group.argumentation_quality = _percent(whole, "argumentation")
    group.conceptual_density = score(_value(whole, "conceptual_density"))
    tone = whole.get("sentiment") if sentiment else None
    group.sentiment_arc = None if tone is None or tone.value is None else _arc(tone)


def _arc(tone: Measure) -> list[Json]:
    minutes = {
        int(key.partition(":")[2]): value
        for key, value in tone.details.items()
        if key.startswith("minute:")
    }
    return [{"minute": k, "value": round(minutes[k], 3)} for k in sorted(minutes)]


async def write_group_metrics(
    session: AsyncSession,
    lesson: ClassroomSession,
    group: StudentGroup,
    talk: Talk,
    whole: Mapping[str, Measure],
    end: float,
) -> None:
    """The group's row of ``group_metrics``, over the session so far. Shares stand as 0-100.

    ``emotional_support_instances`` counts the same turns as ``supportive_interactions_count``:
    one from the other cannot be told by words alone.
    """
    support = _count(whole, "supportive_interactions")
    values: dict[str, Any] = {
        "calculation_timestamp": clock.now(),
        "participation_equality_index": _value(whole, "participation_equality"),
        "dominant_speaker_percentage": _percent(whole, "dominance"),
        "silent_members_count": _count(whole, "silent_members"),
        "turn_taking_score": _percent(whole, "turn_taking"),
        "interruption_rate": score(_value(whole, "interruptions")),
        "supportive_interactions_count": support,
        "topic_coherence_score": _percent(whole, "topical_cohesion"),
        "vocabulary_diversity_score": score(_value(whole, "lexical_diversity")),
        "academic_discourse_score": _percent(whole, "academic_vocabulary"),
        "average_sentiment_score": score(_value(whole, "sentiment")),
        "emotional_support_instances": support,
        "conflict_instances": _count(whole, "conflict"),
        "configured_name": group.name,
        "configured_size": talk.members_configured,
        "leader_assigned": group.leader_id is not None,
        "leader_ready_at": group.leader_ready_at,
        "members_configured": talk.members_configured,
        "members_present": talk.members_present,
        "measures": {
            "start": 0.0,
            "end": round(end, 3),
            "measures": [measure_as_json(m) for m in whole.values()],
        },
    }
    await session.execute(
        insert(GroupMetrics)
        .values(
            organization_id=lesson.organization_id,
            group_id=group.id,
            session_id=lesson.id,
            **values,
        )
        .on_conflict_do_update(index_elements=["group_id"], set_=values)
    )


def _value(measures: Mapping[str, Measure], name: str) -> float | None:
    found = measures.get(name)
    return None if found is None else found.value


def _percent(measures: Mapping[str, Measure], name: str) -> Decimal | None:
    value = _value(measures, name)
    return None if value is None else score(100 * value)


def _count(measures: Mapping[str, Measure], name: str) -> int | None:
    value = _value(measures, name)
    return None if value is None else round(value)
