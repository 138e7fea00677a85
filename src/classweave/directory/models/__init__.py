"""The directory: one tree of organisations, the people in it, and the classes they share."""

from classweave.directory.models.classes import (
    ClassRole,
    ClassTeacher,
    Enrollment,
    EnrollmentStatus,
    SchoolClass,
)
from classweave.directory.models.organizations import (
    Organization,
    OrganizationKind,
    OrganizationSetting,
    SettingType,
    SubscriptionStatus,
    SubscriptionTier,
)
from classweave.directory.models.people import (
    PersonRole,
    Student,
    StudentStatus,
    Teacher,
    User,
    UserStatus,
)
from classweave.directory.models.sign_in import (
    PasswordReset,
    SignInSession,
    SignInThrottle,
)

__all__ = [
    "ClassRole",
    "ClassTeacher",
    "Enrollment",
    "EnrollmentStatus",
    "Organization",
    "OrganizationKind",
    "OrganizationSetting",
    "PasswordReset",
    "PersonRole",
    "SchoolClass",
    "SettingType",
    "SignInSession",
    "SignInThrottle",
    "Student",
    "StudentStatus",
    "SubscriptionStatus",
    "SubscriptionTier",
    "Teacher",
    "User",
    "UserStatus",
]
