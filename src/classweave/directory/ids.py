"""The directory's identifiers as routes and JSON see them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from classweave.core.identifiers import Prefix

ClassId = Annotated[UUID, Prefix("class")]
OrganizationId = Annotated[UUID, Prefix("org")]
SignInId = Annotated[UUID, Prefix("signin")]
StudentId = Annotated[UUID, Prefix("student")]
UserId = Annotated[UUID, Prefix("user")]
