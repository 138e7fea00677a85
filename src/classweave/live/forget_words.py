"""What a student said is taken back: the stream stops, sound and words go, and what quotes them.

The numbers of a group remain where they name nobody; whatever may quote the student is deleted
and can be written again from what is left.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance.consent import ConsentChange, may_capture, on_consent_change
from classweave.compliance.file_deletion import delete_files_later
from classweave.compliance.models import ConsentKind, ConsentState
from classweave.core import audit, clock
from classweave.core.events import emit
from classweave.core.identifiers import encode
from classweave.live.personal_data import recordings_of
from classweave.live.topics import STAFF, session_topic, to_participant

_CAPTURE = (ConsentKind.TAKE_PART, ConsentKind.RECORDING)

_OWN = "(SELECT id FROM live.participants WHERE student_id = :student)"
_GROUPS = f"(SELECT DISTINCT group_id FROM live.transcriptions WHERE speaker_id IN {_OWN})"
_SESSIONS = f"(SELECT DISTINCT session_id FROM live.transcriptions WHERE speaker_id IN {_OWN})"

# What may quote the student, or count what they said.
_QUOTES = (
    f"DELETE FROM live.tier1_analysis WHERE group_id IN {_GROUPS}",
    f"DELETE FROM live.tier2_analysis WHERE session_id IN {_SESSIONS}",
    f"DELETE FROM live.group_summaries WHERE group_id IN {_GROUPS}",
    f"DELETE FROM live.session_summaries WHERE session_id IN {_SESSIONS}",
    f"DELETE FROM live.educational_insights WHERE session_id IN {_SESSIONS}",
    "UPDATE live.teacher_guidance_metrics SET evidence = '[]', prompt_context = ''"
    f" WHERE group_id IN {_GROUPS}",
    f"UPDATE live.intervention_suggestions SET reason = '' WHERE group_id IN {_GROUPS}",
    f"UPDATE live.group_metrics SET measures = '{{}}' WHERE group_id IN {_GROUPS}",
    f"DELETE FROM live.student_metrics WHERE participant_id IN {_OWN}",
)

# The words themselves; after the quotes, which are found through them.
_WORDS = (
    f"DELETE FROM live.recordings WHERE participant_id IN {_OWN}",
    f"DELETE FROM live.transcriptions WHERE speaker_id IN {_OWN}",
    "DELETE FROM live.audio_chunks WHERE track_id IN"
    f" (SELECT id FROM live.tracks WHERE participant_id IN {_OWN})",
    "DELETE FROM ops.events WHERE type = 'caption' AND payload->>'participant' = ANY (:public)",
)


async def forget_words(session: AsyncSession, student_id: UUID) -> None:
    """Delete the student's sound and words in every session, and all that quotes them."""
    await delete_files_later(session, await recordings_of(session, student_id))
    own = await session.scalars(text(_OWN.strip("()")), {"student": student_id})
    public = [encode("participant", participant) for participant in own]
    await forget_quotes(session, student_id)
    for statement in _WORDS:
        await session.execute(text(statement), {"student": student_id, "public": public})


async def forget_quotes(session: AsyncSession, student_id: UUID) -> None:
    """Delete measures, summaries and prompts' evidence that may rest on the student's words."""
    for statement in _QUOTES:
        await session.execute(text(statement), {"student": student_id})


async def react_to_consent(session: AsyncSession, change: ConsentChange) -> None:
    """A consent changed while, perhaps, the student sits in a session: act on it at once.

    Also where the device has been sent out: what it said may still be on its way to words.
    """
    ended = change.state in (ConsentState.WITHDRAWN, ConsentState.REFUSED)
    if change.kind is ConsentKind.ANALYSIS and ended:
        await forget_quotes(session, change.student)
    if change.kind not in _CAPTURE:
        return
    seated = (
        await session.execute(
            text(
                "SELECT p.id, p.session_id FROM live.participants p"
                " WHERE p.student_id = :student ORDER BY p.id"
            ),
            {"student": change.student},
        )
    ).all()
    given = await may_capture(session, change.student)
    for participant_id, session_id in seated:
        if not given:
            await session.execute(
                text(
                    "UPDATE live.tracks SET closed_at = :now, finished_at = :now,"
                    " leased_by = NULL, leased_until = NULL"
                    " WHERE participant_id = :id AND finished_at IS NULL"
                ),
                {"now": clock.now(), "id": participant_id},
            )
        await session.execute(
            text("UPDATE live.participants SET can_speak = :given WHERE id = :id"),
            {"given": given, "id": participant_id},
        )
        emit(
            session,
            session_topic(session_id),
            "consent",
            {"given": given},
            audience=(STAFF, to_participant(participant_id)),
            organization=change.organization,
        )
    if not given and ended:
        await forget_words(session, change.student)
        audit.record(
            session,
            "recording.forgotten",
            resource="student",
            resource_id=change.student,
            description="deleted sound and words after a withdrawal",
            students=[change.student],
            compliance_basis="withdrawal of consent",
            organization=change.organization,
        )


on_consent_change.append(react_to_consent)
