"""Follows the events of the database and hands each to the followers of this process.

``NOTIFY`` only wakes: the rows are read by number, so that a lost connection, a restarted database
or a dropped notification costs time and never an event.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from uuid import UUID

import psycopg
import structlog

from classweave.core.database import Database, dsn
from classweave.core.events import CHANNEL, EVERYONE, Event, last_sequence, read_events
from classweave.core.telemetry import EVENT_FOLLOWERS, EVENTS_DELIVERED, LISTENER_RECONNECTS
from classweave.core.tenancy import system_actor

log = structlog.get_logger(__name__)

_BACKLOG = 2000
_PAGE = 1000
_POLL_SECONDS = 5.0
_HEARTBEAT_SECONDS = 10.0


@dataclass(eq=False, slots=True)
class Follower:
    """One reader of one topic; ``cursor`` is the number of the last event it was offered."""

    audience: frozenset[str]
    cursor: int
    lagging: bool = False
    _waiting: list[Event] = field(default_factory=list[Event])
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: bool = False

    def offer(self, event: Event) -> None:
        """Queue ``event`` if it is new and meant for this follower, and if it keeps up."""
        if event.sequence <= self.cursor or self.lagging:
            return
        if not event.audience.isdisjoint(self.audience):
            if len(self._waiting) >= _BACKLOG:
                self.lagging = True
                self.end()
                return
            self._waiting.append(event)
            self._wake.set()
        self.cursor = event.sequence

    async def next(self) -> list[Event] | None:
        """All that waits, as soon as something does; nothing, now and then, as a heartbeat.

        ``None`` is the end: the process stops, or this follower was too slow and has to come back
        with the number of the last event it saw.
        """
        if not self._waiting and not self._ended:
            await self._wake.wait()
        self._wake.clear()
        if self._ended and not self._waiting:
            return None
        events, self._waiting = self._waiting, []
        return events

    def wake(self) -> None:
        """Let :meth:`next` return, even with nothing."""
        self._wake.set()

    def end(self) -> None:
        """Let :meth:`next` return what waits, and then the end."""
        self._ended = True
        self._wake.set()


@dataclass(eq=False, slots=True)
class _Channel:
    """One topic of one organisation: its followers have been offered all up to ``position``."""

    topic: str
    organization: UUID
    position: int
    users: int = 0
    followers: set[Follower] = field(default_factory=set[Follower])


class EventListener:
    """One listening connection per process, supervised: it comes back by itself."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._channels: dict[tuple[str, UUID], _Channel] = {}
        self._by_topic: dict[str, set[_Channel]] = {}
        self._dirty: set[_Channel] = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._ended = False

    async def start(self) -> None:
        """Begin listening."""
        self._tasks = [
            asyncio.create_task(self._listen(), name="event-listener"),
            asyncio.create_task(self._deliver(), name="event-delivery"),
            asyncio.create_task(self._beat(), name="event-heartbeat"),
        ]

    def end_followers(self) -> None:
        """Let every stream of this process end, now and from now on; browsers come back."""
        self._ended = True
        for channel in self._channels.values():
            for follower in channel.followers:
                follower.end()

    async def stop(self) -> None:
        """Stop listening."""
        self.end_followers()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    @contextlib.asynccontextmanager
    async def follow(
        self, topic: str, organization: UUID, audience: frozenset[str], after: int | None
    ) -> AsyncGenerator[Follower]:
        """Follow ``topic`` from just behind number ``after``, or from now when it is ``None``."""
        async with self._database.transaction(system_actor(organization)) as session:
            last = await last_sequence(session, topic)
        follower = Follower(audience | {EVERYONE}, last if after is None else min(after, last))
        EVENT_FOLLOWERS.inc()
        channel = self._enter(topic, organization, last)
        try:
            await self._catch_up(follower, channel, last)
            channel.followers.add(follower)
            if self._ended:
                follower.end()
            yield follower
        finally:
            channel.followers.discard(follower)
            self._leave(channel)
            EVENT_FOLLOWERS.dec()

    def _enter(self, topic: str, organization: UUID, last: int) -> _Channel:
        channel = self._channels.get((topic, organization))
        if channel is None:
            channel = _Channel(topic, organization, last)
            self._channels[topic, organization] = channel
            self._by_topic.setdefault(topic, set()).add(channel)
            # What was announced since ``last`` was read found nobody here.
            self._mark(channel)
        channel.users += 1
        return channel

    def _leave(self, channel: _Channel) -> None:
        channel.users -= 1
        if not channel.users:
            del self._channels[channel.topic, channel.organization]
            self._by_topic[channel.topic].discard(channel)
            if not self._by_topic[channel.topic]:
                del self._by_topic[channel.topic]

    async def _catch_up(self, follower: Follower, channel: _Channel, last: int) -> None:
        """Offer what the other followers of the channel have had; then it may join them.

        Delivery goes on meanwhile, to the others only: whoever joins has no hole behind it.
        """
        while not follower.lagging and follower.cursor < (target := max(last, channel.position)):
            events = await self._read(channel, follower.cursor)
            for event in events:
                follower.offer(event)
            if len(events) < _PAGE:
                follower.cursor = max(follower.cursor, target)

    async def _read(self, channel: _Channel, after: int) -> list[Event]:
        async with self._database.transaction(system_actor(channel.organization)) as session:
            return await read_events(session, channel.topic, after, _PAGE)

    async def _listen(self) -> None:
        delay = 0.0
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    dsn(self._database.url),
                    autocommit=True,
                    application_name="classweave-listener",
                    connect_timeout=5,
                ) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    # Whatever was announced while nobody listened.
                    self._mark(*self._channels.values())
                    delay = 0.0
                    while True:
                        async for notification in connection.notifies(timeout=_POLL_SECONDS):
                            topic = notification.payload.partition(" ")[0]
                            self._mark(*self._by_topic.get(topic, ()))
                        # Nothing heard for a while: is the connection still alive?
                        async with asyncio.timeout(_POLL_SECONDS):
                            await connection.execute("SELECT 1")
            except (psycopg.Error, OSError) as error:
                LISTENER_RECONNECTS.inc()
                log.warning("event_listener_reconnects", error=type(error).__name__, delay=delay)
                await asyncio.sleep(delay)
                delay = min(max(0.1, delay * 2), 5.0)

    def _mark(self, *channels: _Channel) -> None:
        self._dirty.update(channels)
        self._wake.set()

    async def _deliver(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            channels, self._dirty = self._dirty, set()
            for channel in channels:
                try:
                    await self._advance(channel)
                except Exception as error:  # the database is away: try again, lose nothing
                    log.warning("event_delivery_waits", error=type(error).__name__)
                    self._mark(channel)
                    await asyncio.sleep(0.2)

    async def _advance(self, channel: _Channel) -> None:
        more = channel.users > 0
        while more:
            events = await self._read(channel, channel.position)
            for event in events:
                for follower in channel.followers:
                    follower.offer(event)
                channel.position = event.sequence
            EVENTS_DELIVERED.inc(len(events) * len(channel.followers))
            more = len(events) == _PAGE

    async def _beat(self) -> None:
        """One timer for all: a stream that is silent for long is taken for dead on the way."""
        while True:
            await asyncio.sleep(_HEARTBEAT_SECONDS)
            for channel in self._channels.values():
                for follower in channel.followers:
                    follower.wake()
