"""The one table of who may do what. Every route declares one of these."""

from __future__ import annotations

from enum import StrEnum

from classweave.core.tenancy import Role


class Permission(StrEnum):
    """``room:thing:action``."""

    ANYONE = "public:anything:use"
    SIGNED_IN = "directory:self:use"
    ORGANIZATION_READ = "directory:organization:read"
    ORGANIZATION_MANAGE = "directory:organization:manage"
    PEOPLE_MANAGE = "directory:people:manage"
    CLASS_READ = "directory:class:read"
    CLASS_MANAGE = "directory:class:manage"
    STUDENT_READ = "directory:student:read"
    CONSENT_MANAGE = "compliance:consent:manage"
    AUDIT_READ = "compliance:audit:read"
    RETENTION_MANAGE = "compliance:retention:manage"
    DATA_RIGHTS = "compliance:rights:exercise"
    SESSION_PREPARE = "live:session:prepare"
    SESSION_RUN = "live:session:run"
    SESSION_READ = "live:session:read"
    SESSION_TAKE_PART = "live:session:take_part"
    GUIDANCE_RULES = "live:guidance:edit"
    ATTEND_TAKE = "attend:roll:take"
    ATTEND_REPORT = "attend:report:read"
    ATTEND_MANAGE = "attend:term:manage"
    ATTEND_OWN = "attend:self:read"
    OPERATE = "ops:system:operate"


_STAFF = {Role.TEACHER, Role.SCHOOL_ADMIN, Role.DISTRICT_ADMIN, Role.PLATFORM_ADMIN}
_ADMINS = {Role.SCHOOL_ADMIN, Role.DISTRICT_ADMIN, Role.PLATFORM_ADMIN}
_PEOPLE = _STAFF | {Role.STUDENT, Role.OPS, Role.CURRICULUM}

GRANTS: dict[Permission, frozenset[Role]] = {
    Permission.ANYONE: frozenset(Role),
    Permission.SIGNED_IN: frozenset(_PEOPLE),
    Permission.ORGANIZATION_READ: frozenset(_STAFF),
    Permission.ORGANIZATION_MANAGE: frozenset(_ADMINS),
    Permission.PEOPLE_MANAGE: frozenset(_ADMINS),
    Permission.CLASS_READ: frozenset(_STAFF),
    Permission.CLASS_MANAGE: frozenset(_STAFF),
    Permission.STUDENT_READ: frozenset(_STAFF),
    Permission.CONSENT_MANAGE: frozenset(_STAFF),
    Permission.AUDIT_READ: frozenset(_ADMINS),
    Permission.RETENTION_MANAGE: frozenset(_ADMINS),
    Permission.DATA_RIGHTS: frozenset(_ADMINS),
    Permission.SESSION_PREPARE: frozenset({Role.TEACHER}),
    Permission.SESSION_RUN: frozenset({Role.TEACHER}),
    Permission.SESSION_READ: frozenset(_STAFF),
    Permission.SESSION_TAKE_PART: frozenset({Role.PARTICIPANT}),
    Permission.GUIDANCE_RULES: frozenset(_STAFF),
    Permission.ATTEND_TAKE: frozenset(_STAFF),
    Permission.ATTEND_REPORT: frozenset(_STAFF),
    Permission.ATTEND_MANAGE: frozenset(_ADMINS),
    Permission.ATTEND_OWN: frozenset({Role.STUDENT}),
    Permission.OPERATE: frozenset({Role.OPS, Role.PLATFORM_ADMIN}),
}


def allowed(role: Role, permission: Permission) -> bool:
    """Whether ``role`` holds ``permission``."""
    return role in GRANTS[permission]
