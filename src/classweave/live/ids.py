"""Live's identifiers as routes and JSON see them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from classweave.core.identifiers import Prefix

GroupId = Annotated[UUID, Prefix("group")]
MessageId = Annotated[UUID, Prefix("message")]
ParticipantId = Annotated[UUID, Prefix("participant")]
PromptId = Annotated[UUID, Prefix("prompt")]
RecordingId = Annotated[UUID, Prefix("recording")]
SessionId = Annotated[UUID, Prefix("session")]
TrackId = Annotated[UUID, Prefix("track")]
UtteranceId = Annotated[UUID, Prefix("utterance")]
