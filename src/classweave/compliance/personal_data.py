"""Where this room keeps what belongs to a person, and what an erasure does with it."""

from __future__ import annotations

from classweave.compliance.models import PolicyType
from classweave.compliance.retention import RetentionRule
from classweave.compliance.retention import declare as declare_retention
from classweave.core.personal_data import PersonalData, Subject, register
from classweave.directory import personal_data as directory_data

# Importing the directory's declarations first puts its tables under these.
__all__ = ["directory_data", "register"]

_TRAIL = (
    "id",
    "event_timestamp",
    "event_type",
    "actor_type",
    "resource_type",
    "description",
    "compliance_basis",
    "data_accessed",
)
_KEEP_TRAIL = (
    "the trail proves who saw the record and that it was erased; it holds identifiers, no names"
)
_KEEP_REQUESTS = "the proof that the request was carried out; it holds an identifier and counts"

register.declare(
    PersonalData(
        table="compliance.audit_log",
        subject=Subject.STUDENT,
        where=":subject = ANY (affected_student_ids)",
        purpose="who saw or changed the student's record, and on which ground",
        on_erasure="keep",
        on_export=_TRAIL,
        reason=_KEEP_TRAIL,
    ),
    PersonalData(
        table="compliance.audit_log",
        subject=Subject.USER,
        where="actor_id = :subject",
        purpose="what the person did with student records",
        on_erasure="keep",
        on_export=(*_TRAIL, "ip_address", "user_agent"),
        reason=_KEEP_TRAIL,
    ),
    PersonalData(
        table="compliance.data_requests",
        subject=Subject.STUDENT,
        where="subject_id = :subject",
        purpose="requests to receive or erase the student's data",
        on_erasure="keep",
        on_export=("id", "created_at", "request_type", "status", "completed_at", "receipt_hash"),
        reason=_KEEP_REQUESTS,
    ),
    PersonalData(
        table="compliance.data_requests",
        subject=Subject.USER,
        where="subject_id = :subject",
        purpose="requests to receive or erase the person's data",
        on_erasure="keep",
        on_export=("id", "created_at", "request_type", "status", "completed_at", "receipt_hash"),
        reason=_KEEP_REQUESTS,
    ),
    PersonalData(
        table="compliance.coppa_compliance",
        subject=Subject.STUDENT,
        where="student_id = :subject",
        purpose="protection of a child under 13",
        on_erasure="anonymise",
        anonymise="birth_year = NULL, age_verification_method = NULL, age_verified_at = NULL,"
        " deletion_completed_at = now()",
        on_export=(
            "birth_year",
            "is_under_13",
            "age_verification_method",
            "age_verified_at",
            "data_collection_limited",
            "no_behavioral_targeting",
            "no_third_party_sharing",
            "delete_after_days",
            "deletion_requested_at",
            "parent_last_reviewed",
        ),
    ),
    PersonalData(
        table="compliance.parental_consents",
        subject=Subject.STUDENT,
        where="student_id = :subject",
        purpose="what the family allowed, and how the school knows",
        on_erasure="delete",
        on_export=(
            "id",
            "created_at",
            "consent_type",
            "state",
            "consent_date",
            "parent_name",
            "parent_email",
            "relationship",
            "verification_method",
            "verified_at",
            "consent_text_version",
            "expires_at",
            "revoked_at",
            "superseded_at",
            "note",
        ),
    ),
    PersonalData(
        table="compliance.parental_consents",
        subject=Subject.USER,
        where="recorded_by = :subject",
        purpose="decisions of families that the person recorded",
        on_erasure="anonymise",
        anonymise="recorded_by = NULL, ip_address = NULL, user_agent = NULL",
        on_export=("id", "created_at", "consent_type", "state", "ip_address", "user_agent"),
    ),
)

declare_retention(
    RetentionRule(PolicyType.EVENTS, "ops.events", "created_at"),
    RetentionRule(
        PolicyType.CONSENT_HISTORY,
        "compliance.parental_consents",
        "superseded_at",
        where="superseded_at IS NOT NULL",
    ),
    RetentionRule(PolicyType.SIGN_IN_SESSIONS, "directory.password_resets", "expires_at"),
    RetentionRule(PolicyType.SIGN_IN_SESSIONS, "directory.sign_in_sessions", "expires_at"),
)
