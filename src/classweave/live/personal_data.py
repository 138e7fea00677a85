"""Where Live keeps what belongs to a person."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance.models import PolicyType
from classweave.compliance.retention import RetentionRule
from classweave.compliance.retention import declare as declare_retention
from classweave.core.personal_data import PersonalData, Subject, register

_OWN = "(SELECT id FROM live.participants WHERE student_id = :subject)"


async def recordings_of(session: AsyncSession, student: UUID) -> Sequence[str]:
    """The files of the student's recordings."""
    rows = await session.scalars(
        text(f"SELECT file_path FROM live.recordings WHERE participant_id IN {_OWN}"),
        {"subject": student},
    )
    return list(rows)


def _student(
    table: str, where: str, purpose: str, columns: Sequence[str], **more: object
) -> PersonalData:
    return PersonalData(
        table=table, subject=Subject.STUDENT, where=where, purpose=purpose,
        on_erasure="delete", on_export=columns, **more,  # type: ignore[arg-type]
    )  # fmt: skip


register.declare(
    _student(
        "live.participants", "student_id = :subject", "taking part in sessions",
        ["id", "session_id", "display_name", "join_time", "leave_time",
         "total_speaking_time_seconds"],
    ),
    _student(
        "live.student_group_members", "student_id = :subject", "planned groups",
        ["session_id", "group_id", "created_at"],
    ),
    _student(
        "live.tracks", f"participant_id IN {_OWN}", "the stream of sound of a device",
        ["id", "session_id", "started_at", "heard_seconds", "muted_seconds"],
    ),
    _student(
        "live.audio_chunks",
        f"track_id IN (SELECT id FROM live.tracks WHERE participant_id IN {_OWN})",
        "sound that waits to become words", ["track_id", "seq", "received_at"],
    ),
    _student(
        "live.recordings", f"participant_id IN {_OWN}", "sound that is kept",
        ["id", "session_id", "file_path", "duration_seconds", "created_at"],
        files=recordings_of,
    ),
    _student(
        "live.transcriptions", f"speaker_id IN {_OWN}", "what was said",
        ["session_id", "start_time", "end_time", "content", "language_code", "confidence_score"],
    ),
    _student(
        "live.student_metrics", f"participant_id IN {_OWN}", "share in the talk",
        ["session_id", "total_speaking_time_seconds", "speaking_turns_count",
         "questions_asked_count", "participation_score"],
    ),
    _student(
        "live.messages", f"sender_id IN {_OWN}", "messages sent",
        ["session_id", "content", "created_at"],
    ),
    PersonalData(
        table="live.intervention_suggestions", subject=Subject.STUDENT,
        where="target_student_id = :subject", purpose="a suggested step that names a student",
        on_erasure="anonymise", anonymise="target_student_id = NULL",
        on_export=["session_id", "reason", "suggested_action", "created_at"],
    ),
    PersonalData(
        table="live.student_groups", subject=Subject.STUDENT, where="leader_id = :subject",
        purpose="leading a group", on_erasure="anonymise", anonymise="leader_id = NULL",
        on_export=["session_id", "name"],
    ),
)  # fmt: skip

_TAUGHT = {
    "live.classroom_sessions": ["id", "title", "actual_start", "actual_end", "teacher_notes"],
    "live.session_guidance_analytics": [
        "session_id", "session_date", "total_prompts_generated", "total_prompts_used",
        "avg_response_time_seconds", "teacher_satisfaction_rating", "teacher_feedback_text",
    ],
    "live.session_events": ["session_id", "event_type", "event_time"],
    "live.teacher_guidance_metrics": [
        "session_id", "prompt_message", "generated_at", "acknowledged_at", "used_at",
        "dismissed_at", "feedback_rating", "feedback_text", "response_time_seconds",
    ],
    "live.guidance_events": ["session_id", "event_type", "event_timestamp"],
    "live.intervention_suggestions": [
        "session_id", "suggested_action", "acted_upon", "acted_at", "created_at",
    ],
}  # fmt: skip

register.declare(
    *(
        PersonalData(
            table=table, subject=Subject.USER, where="teacher_id = :subject",
            purpose="teaching a session", on_erasure="keep", on_export=columns,
            reason="the school's record of its lessons; it names the account, which is emptied",
        )
        for table, columns in _TAUGHT.items()
    )
)  # fmt: skip

declare_retention(
    RetentionRule(PolicyType.SOUND, "live.recordings", "created_at", files="file_path"),
    RetentionRule(PolicyType.SOUND, "live.audio_chunks", "received_at"),
    RetentionRule(PolicyType.WORDS, "live.transcriptions", "created_at"),
    RetentionRule(PolicyType.WORDS, "live.group_summaries", "created_at"),
    RetentionRule(PolicyType.WORDS, "live.session_summaries", "created_at"),
    RetentionRule(PolicyType.WORDS, "live.tier1_analysis", "created_at"),
    RetentionRule(PolicyType.WORDS, "live.tier2_analysis", "created_at"),
    RetentionRule(PolicyType.MEASURES, "live.student_metrics", "created_at"),
    RetentionRule(PolicyType.MEASURES, "live.group_metrics", "created_at"),
    RetentionRule(PolicyType.MEASURES, "live.session_metrics", "created_at"),
    RetentionRule(PolicyType.PROMPTS, "live.teacher_guidance_metrics", "created_at"),
    RetentionRule(PolicyType.PROMPTS, "live.guidance_events", "created_at"),
    RetentionRule(PolicyType.PROMPTS, "live.intervention_suggestions", "created_at"),
    RetentionRule(PolicyType.PROMPTS, "live.session_guidance_analytics", "created_at"),
    RetentionRule(PolicyType.WORDS, "live.educational_insights", "created_at"),
    RetentionRule(PolicyType.MESSAGES, "live.messages", "created_at"),
    RetentionRule(PolicyType.EVENTS, "live.session_events", "event_time"),
    RetentionRule(PolicyType.EVENTS, "ops.events", "created_at"),
)
