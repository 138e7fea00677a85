"""Who acts, in which role, and which organisations they may see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal
from uuid import UUID


class Role(StrEnum):
    """The roles a person can hold. ``participant`` is a device in a session, ``system`` a job."""

    STUDENT = "student"
    TEACHER = "teacher"
    SCHOOL_ADMIN = "school_admin"
    DISTRICT_ADMIN = "district_admin"
    PLATFORM_ADMIN = "platform_admin"
    OPS = "ops"
    CURRICULUM = "curriculum"
    PARTICIPANT = "participant"
    SYSTEM = "system"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a transaction.

    ``organization`` is where new rows belong; ``organizations`` are all whose rows the database
    shows. ``session`` is the sign-in (or device) session behind the request, and the CSRF token
    is bound to it. ``person`` is the student the actor is, where there is one.
    """

    role: Role
    id: UUID | None = None
    organization: UUID | None = None
    organizations: tuple[UUID, ...] = ()
    session: UUID | None = None
    credential: Literal["cookie", "bearer", "none"] = "none"
    person: UUID | None = None
    name: str = ""
    locale: str | None = None
    timezone: str = "UTC"
    ip_address: str | None = None
    user_agent: str | None = None

    @property
    def home(self) -> UUID:
        """The organisation new rows belong to; raises ``LookupError`` for a nobody."""
        if self.organization is None:
            raise LookupError("this actor belongs to no organisation")
        return self.organization

    @property
    def signed_in(self) -> bool:
        """Whether a person or device stands behind this actor."""
        return self.role not in (Role.ANONYMOUS, Role.SYSTEM)

    def seen_from(self, ip_address: str | None, user_agent: str | None) -> Actor:
        """The same actor with the network facts that the audit trail keeps."""
        return replace(self, ip_address=ip_address, user_agent=user_agent)


ANONYMOUS = Actor(role=Role.ANONYMOUS)


def system_actor(*organizations: UUID) -> Actor:
    """The actor of background work done for ``organizations``."""
    return Actor(
        role=Role.SYSTEM,
        organization=organizations[0] if organizations else None,
        organizations=organizations,
    )
