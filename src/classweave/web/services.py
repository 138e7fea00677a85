"""What a web process holds for its requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import procrastinate
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from classweave.core.database import Database
from classweave.core.listener import EventListener
from classweave.core.permissions import Permission
from classweave.core.settings import Settings
from classweave.core.storage import FileStore
from classweave.core.tenancy import Actor

# Looks at a request's credentials inside the request's transaction; ``None``: not mine.
Authenticator = Callable[[HTTPConnection, AsyncSession], Awaitable[Actor | None]]


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """A door in the application bar; shown to those who hold ``permission``."""

    title: str
    href: str
    icon: str
    permission: Permission


@dataclass(slots=True)
class Services:
    """Made once by the application, found by every request as ``request.app.state.services``."""

    settings: Settings
    database: Database
    files: FileStore
    listener: EventListener
    jobs: procrastinate.App
    signing_key: bytes
    authenticators: Sequence[Authenticator] = ()
    navigation: Sequence[NavigationEntry] = field(default_factory=tuple)


def services_of(connection: HTTPConnection) -> Services:
    """The services of the application that serves this connection."""
    found = connection.app.state.services
    assert isinstance(found, Services)
    return found
