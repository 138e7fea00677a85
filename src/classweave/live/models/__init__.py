"""The tables of Live, one file a subject."""

from classweave.live.models.analysis import (
    AnalysisResult,
    EducationalInsight,
    GroupMetrics,
    GroupSummary,
    SessionMetrics,
    SessionSummary,
    StudentMetrics,
    Tier1Analysis,
    Tier2Analysis,
)
from classweave.live.models.guidance import (
    GuidanceEvent,
    GuidanceRules,
    InterventionSuggestion,
    SessionGuidanceAnalytics,
    TeacherGuidanceMetrics,
    TeacherPromptEffectiveness,
)
from classweave.live.models.sessions import (
    ClassroomSession,
    Message,
    Participant,
    SessionEvent,
    StudentGroup,
    StudentGroupMember,
)
from classweave.live.models.sound import AudioChunk, Recording, Track, Transcription

__all__ = [
    "AnalysisResult",
    "AudioChunk",
    "ClassroomSession",
    "EducationalInsight",
    "GroupMetrics",
    "GroupSummary",
    "GuidanceEvent",
    "GuidanceRules",
    "InterventionSuggestion",
    "Message",
    "Participant",
    "Recording",
    "SessionEvent",
    "SessionGuidanceAnalytics",
    "SessionMetrics",
    "SessionSummary",
    "StudentGroup",
    "StudentGroupMember",
    "StudentMetrics",
    "TeacherGuidanceMetrics",
    "TeacherPromptEffectiveness",
    "Tier1Analysis",
    "Tier2Analysis",
    "Track",
    "Transcription",
]
