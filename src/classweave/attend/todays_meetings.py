"""What a teacher can let students check in to today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.report_attendance import taught_classes
from classweave.core import clock
from classweave.core.tenancy import Actor
from classweave.directory.service import local_today

MOST = 300

_MEETINGS = """
SELECT c.id, c.name, to_char(m.start_time, 'HH24:MI') AS start_time, m.room, NULL AS session_id
FROM attend.meetings m JOIN directory.classes c ON c.id = m.class_id
WHERE m.date = :today AND c.deleted_at IS NULL AND (:every OR c.id = ANY (:classes))
UNION ALL
SELECT c.id, c.name, s.start_time, NULL, s.id
FROM attend.attendance_sessions s JOIN directory.classes c ON c.id = s.class_id
WHERE s.date = :today AND s.deleted_at IS NULL AND c.deleted_at IS NULL
  AND (:every OR c.id = ANY (:classes))
UNION ALL
SELECT c.id, c.name, NULL, NULL, NULL FROM directory.classes c
WHERE c.id = ANY (:classes) AND c.deleted_at IS NULL AND c.archived_at IS NULL
ORDER BY start_time NULLS LAST, name, id LIMIT :most
"""


@dataclass(frozen=True, slots=True)
class Choice:
    """A meeting of today; without a ``start_time``, the class at any other time."""

    class_id: UUID
    name: str
    start_time: str | None
    room: str | None
    session_id: str | None


async def todays_meetings(session: AsyncSession, actor: Actor) -> Sequence[Choice]:
    """The timetable's meetings and the sessions there are, by time; then the teacher's classes.

    An administrator, who teaches none, sees what the timetable and the devices know.
    """
    own = await taught_classes(session, actor)
    rows = await session.execute(
        text(_MEETINGS),
        {
            "today": local_today(actor), "every": own is None, "classes": own or [], "most": MOST,
        },
    )  # fmt: skip
    found: dict[tuple[UUID, str], Choice] = {}
    for row in rows:
        key = (row.id, row.start_time or "")
        known = found.get(key)
        found[key] = Choice(
            row.id, row.name, row.start_time, row.room or (known.room if known else None),
            row.session_id or (known.session_id if known else None),
        )  # fmt: skip
    return list(found.values())


def likely(actor: Actor, choices: Sequence[Choice], session_id: str) -> Choice | None:
    """The meeting of that session, or the one that is on or next; ``None`` without any."""
    for choice in choices:
        if choice.session_id == session_id:
            return choice
    now = clock.now().astimezone(ZoneInfo(actor.timezone)).strftime("%H:%M")
    begun = [c for c in choices if c.start_time is not None and c.start_time <= now]
    coming = [c for c in choices if c.start_time is not None and c.start_time > now]
    return (begun[-1:] or coming or list(choices) or [None])[0]
