"""Planned against actual, and how many groups were ready: at the start, after 5 and 10 minutes."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.live.models import (
    ClassroomSession,
    SessionMetrics,
    StudentGroup,
    StudentGroupMember,
)


async def write_plan(session: AsyncSession, lesson: ClassroomSession) -> None:
    """Write down what was planned, as it stands when the session opens."""
    groups = (
        select(func.count()).select_from(StudentGroup).where(StudentGroup.session_id == lesson.id)
    )
    members = (
        select(func.count())
        .select_from(StudentGroupMember)
        .where(StudentGroupMember.session_id == lesson.id)
    )
    plan = {
        "planned_groups": await session.scalar(groups),
        "planned_group_size": lesson.target_group_size,
        "planned_duration_minutes": lesson.planned_duration_minutes,
        "planned_members": await session.scalar(members),
        "planned_leaders": await session.scalar(groups.where(StudentGroup.leader_id.is_not(None))),
        "planned_scheduled_start": lesson.scheduled_start,
        "configured_at": lesson.configured_at,
    }
    await session.execute(
        insert(SessionMetrics)
        .values(organization_id=lesson.organization_id, session_id=lesson.id, **plan)
        .on_conflict_do_update(index_elements=["session_id"], set_=plan)
    )


async def write_start(session: AsyncSession, lesson: ClassroomSession) -> None:
    """Write down how ready the groups were when the session started."""
    ready = await ready_groups(session, lesson.id)
    await session.execute(
        text(
            "UPDATE live.session_metrics SET started_at = :started, ready_groups_at_start = :ready,"
            " started_without_ready_groups = :without, group_formation_time_seconds ="
            " extract(epoch FROM (CAST(:started AS timestamptz) - configured_at))::bigint"
            " WHERE session_id = :session"
        ),
        {
            "started": lesson.actual_start,
            "ready": ready,
            "without": lesson.started_without_ready_groups,
            "session": lesson.id,
        },
    )


async def write_readiness(session: AsyncSession, session_id: UUID, minutes: int) -> None:
    """Write down how many groups are ready ``minutes`` (5 or 10) after the start.

    A session that was over before then has no such number.
    """
    column = {5: "ready_groups_at_5m", 10: "ready_groups_at_10m"}[minutes]
    await session.execute(
        text(
            f"UPDATE live.session_metrics m SET {column} = :ready FROM live.classroom_sessions s"
            " WHERE m.session_id = :session AND s.id = m.session_id AND s.actual_end IS NULL"
        ),
        {"ready": await ready_groups(session, session_id), "session": session_id},
    )


async def ready_groups(session: AsyncSession, session_id: UUID) -> int:
    """How many groups of the session are ready now."""
    count = await session.scalar(
        select(func.count())
        .select_from(StudentGroup)
        .where(StudentGroup.session_id == session_id, StudentGroup.is_ready)
    )
    return int(count or 0)
