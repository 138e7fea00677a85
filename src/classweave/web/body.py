"""What every JSON body has in common."""

from __future__ import annotations

from typing import Any, cast

from pydantic import BaseModel, ConfigDict, field_validator


class Body(BaseModel):
    """A JSON body of ours: nothing unexpected in it, and no text that cannot be kept."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _can_be_kept(cls, value: Any) -> Any:
        parts = cast("list[Any]", value) if isinstance(value, list) else [value]
        if any(isinstance(part, str) and not _storable(part) for part in parts):
            raise ValueError("There is a character in it that no text can have.")
        return cast("Any", value)


def _storable(text: str) -> bool:
    """PostgreSQL keeps neither NUL nor half of a surrogate pair, and JSON can hold both."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
