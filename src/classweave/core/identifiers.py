"""UUIDv7 inside, TypeIDs (``session_01h…``) outside: sortable, typed, safe in a URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema
from typeid import TypeID
from typeid.errors import TypeIDException
from uuid_utils.compat import uuid7

__all__ = ["Prefix", "TypeIDError", "decode", "encode", "uuid7"]


class TypeIDError(ValueError):
    """The text is not an identifier of the expected type."""


def encode(prefix: str, value: UUID) -> str:
    """The public form of ``value``: ``prefix_`` and 26 base-32 characters."""
    typed: Any = TypeID
    return str(typed.from_uuid(value, prefix=prefix))


def decode(prefix: str, text: str) -> UUID:
    """The UUID in ``text``; raises :class:`TypeIDError` when it is not a ``prefix_…``."""
    try:
        typed: Any = TypeID
        parsed = typed.from_string(text)
    except (TypeIDException, ValueError) as error:
        raise TypeIDError(f"not an identifier of kind {prefix}") from error
    if parsed.prefix != prefix:
        raise TypeIDError(f"not an identifier of kind {prefix}")
    return UUID(bytes=parsed.uuid.bytes)


@dataclass(frozen=True, slots=True)
class Prefix:
    """Marks a UUID that is a ``prefix_…`` TypeID outside: ``Annotated[UUID, Prefix("class")]``.

    In JSON, paths, queries and forms the TypeID is read and written; Python sees the UUID.
    """

    prefix: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._parse,
            serialization=core_schema.plain_serializer_function_ser_schema(
                self._serialise, return_schema=core_schema.str_schema()
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{self.prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$"}

    def _parse(self, value: object) -> UUID:
        return value if isinstance(value, UUID) else decode(self.prefix, str(value))

    def _serialise(self, value: UUID) -> str:
        return encode(self.prefix, value)
