"""What every table has in common."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Enum, ForeignKey, MetaData, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

Json = dict[str, Any]


class Base(DeclarativeBase):
    """The one metadata of the one database. Each room keeps to its own schema."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own protocol
        str: Text(),
        int: BigInteger(),
        datetime: DateTime(timezone=True),
        UUID: PgUUID(as_uuid=True),
        Json: JSONB(),
        list[str]: JSONB(),
        list[Json]: JSONB(),
    }


Now = Annotated[datetime, mapped_column(server_default=text("now()"))]


class Row:
    """A table with a UUIDv7 key and a creation time."""

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    created_at: Mapped[Now]


class Changing:
    """A table whose rows change: ``updated_at`` is kept by a trigger."""

    updated_at: Mapped[Now]


class Tenant:
    """A table whose rows belong to one organisation; row-level security follows from it."""

    @declared_attr
    @classmethod
    def organization_id(cls) -> Mapped[UUID]:
        """The organisation this row belongs to."""
        return mapped_column(ForeignKey("directory.organizations.id", ondelete="CASCADE"))


def pg_enum(kind: type[StrEnum], schema: str, name: str) -> Enum:
    """A PostgreSQL enum type of ``kind``'s values in ``schema``."""

    def values(members: type[StrEnum]) -> list[str]:
        return [member.value for member in members]

    return Enum(kind, name=name, schema=schema, values_callable=values)
