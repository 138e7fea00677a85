"""Where the directory keeps what belongs to a person.

Each call declares what depends on the ones before it: erasure runs the last declared first.
"""

from __future__ import annotations

from classweave.core.personal_data import PersonalData, Subject, register

_STUDENT_ACCOUNT = "(SELECT user_id FROM directory.students WHERE id = :subject)"

register.declare(
    PersonalData(
        table="directory.students",
        subject=Subject.STUDENT,
        where="id = :subject",
        purpose="to know who is in a class",
        on_erasure="delete",
        on_export=(
            "display_name", "given_name", "family_name", "preferred_name", "email", "google_id",
            "status", "grade_level", "birth_year", "is_under_13", "teacher_verified_age",
            "has_parental_consent", "consent_date", "parent_email", "data_sharing_consent",
            "audio_recording_consent", "email_consent", "coppa_compliant", "created_at",
        ),
    ),
)  # fmt: skip
register.declare(
    PersonalData(
        table="directory.enrollments",
        subject=Subject.STUDENT,
        where="student_id = :subject",
        purpose="to know which class a student was in on a day",
        on_erasure="delete",
        on_export=("class_id", "starts_on", "ends_on", "status"),
    ),
)
register.declare(
    PersonalData(
        table="directory.users",
        subject=Subject.STUDENT,
        where=f"id = {_STUDENT_ACCOUNT}",
        purpose="the student's own account, where there is one",
        on_erasure="anonymise",
        anonymise="name = 'Former student', given_name = NULL, family_name = NULL, email = NULL,"
        " picture = NULL, google_id = NULL, password_hash = NULL, locale = NULL, timezone = NULL,"
        " last_login = NULL, status = 'inactive', deleted_at = now()",
        on_export=("name", "given_name", "family_name", "email", "last_login", "login_count"),
    ),
)
register.declare(
    PersonalData(
        table="directory.sign_in_sessions",
        subject=Subject.STUDENT,
        where=f"user_id = {_STUDENT_ACCOUNT}",
        purpose="to keep the student signed in, and to show where",
        on_erasure="delete",
        on_export=("created_at", "last_seen_at", "expires_at", "ip_address", "user_agent"),
    ),
    PersonalData(
        table="directory.password_resets",
        subject=Subject.STUDENT,
        where=f"user_id = {_STUDENT_ACCOUNT}",
        purpose="to set a password once",
        on_erasure="delete",
        on_export=("created_at", "expires_at", "used_at"),
    ),
)

register.declare(
    PersonalData(
        table="directory.users",
        subject=Subject.USER,
        where="id = :subject",
        purpose="to sign a person in and to show who teaches",
        on_erasure="anonymise",
        anonymise="name = 'Former member', given_name = NULL, family_name = NULL, email = NULL,"
        " picture = NULL, google_id = NULL, password_hash = NULL, locale = NULL, timezone = NULL,"
        " last_login = NULL, status = 'inactive', deleted_at = now()",
        on_export=(
            "role", "name", "given_name", "family_name", "email", "picture", "google_id", "status",
            "locale", "timezone", "last_login", "login_count", "created_at",
        ),
    ),
)  # fmt: skip
register.declare(
    PersonalData(
        table="directory.teachers",
        subject=Subject.USER,
        where="user_id = :subject",
        purpose="what a teacher teaches, and limits on sessions at once",
        on_erasure="delete",
        on_export=("access_level", "grade", "subject", "features_enabled",
                   "total_sessions_created"),
    ),
    PersonalData(
        table="directory.classes",
        subject=Subject.USER,
        where=":subject IN (teacher_id, created_by, updated_by)",
        purpose="to know who answers for a class",
        on_erasure="keep",
        reason="the class is the school's record; it names the account, which is anonymised",
        on_export=("name", "subject", "grade_level", "academic_term", "created_at"),
    ),
    PersonalData(
        table="directory.class_teachers",
        subject=Subject.USER,
        where="user_id = :subject",
        purpose="to know who teaches a class",
        on_erasure="keep",
        reason="the class is the school's record; it names the account, which is anonymised",
        on_export=("class_id", "role", "created_at"),
    ),
    PersonalData(
        table="directory.students",
        subject=Subject.USER,
        where="user_id = :subject",
        purpose="to know whose account it is",
        on_erasure="anonymise",
        anonymise="user_id = NULL",
        on_export=("display_name", "grade_level"),
    ),
    PersonalData(
        table="directory.sign_in_sessions",
        subject=Subject.USER,
        where="user_id = :subject",
        purpose="to keep a person signed in, and to show where",
        on_erasure="delete",
        on_export=("created_at", "last_seen_at", "expires_at", "ip_address", "user_agent"),
    ),
    PersonalData(
        table="directory.password_resets",
        subject=Subject.USER,
        where="user_id = :subject",
        purpose="to set a password once",
        on_erasure="delete",
        on_export=("created_at", "expires_at", "used_at"),
    ),
)  # fmt: skip
