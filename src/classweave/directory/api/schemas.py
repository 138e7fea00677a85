"""What bodies and answers of the directory's routes have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from classweave.core.text import clean
from classweave.directory.ids import OrganizationId, UserId
from classweave.directory.models import PersonRole, UserStatus
from classweave.directory.roster import MAXIMUM_NAME


def _seen(value: str) -> str:
    if text := clean(value):
        return text
    raise ValueError("There is nothing to see in it.")


Text = Annotated[str, StringConstraints(max_length=200), AfterValidator(_seen)]
Name = Annotated[str, StringConstraints(max_length=MAXIMUM_NAME), AfterValidator(_seen)]
Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, max_length=254, pattern=r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)*$"
    ),
]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
Grade = Annotated[str, StringConstraints(max_length=20)]
Year = Annotated[int, Field(ge=1900, le=2200)]


class Body(BaseModel):
    """What a client sends: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")

    def changes(self) -> dict[str, Any]:
        """The fields that were sent, as they are in Python (dumping would write identifiers)."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Out(BaseModel):
    """What a client gets, read from a row's attributes."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    @classmethod
    def of(cls, row: object) -> Self:
        """The public form of ``row``."""
        return cls.model_validate(row)


class UserOut(Out):
    """A person who signs in."""

    id: UserId
    organization_id: OrganizationId
    role: PersonRole
    name: str
    email: str | None
    status: UserStatus
    locale: str | None
    timezone: str | None
    last_login: datetime | None
