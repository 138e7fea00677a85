"""Public identifiers of Attend. Sessions and records go by the ids that devices gave them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from classweave.core.identifiers import Prefix

CheckInId = Annotated[UUID, Prefix("checkin")]
DeviceId = Annotated[UUID, Prefix("device")]
TermId = Annotated[UUID, Prefix("term")]
