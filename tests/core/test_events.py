"""Events: numbered without gaps in the order of commits, and never missed by who follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from classweave.core.database import Database, dsn
from classweave.core.events import emit, last_sequence, read_events
from classweave.core.identifiers import uuid7
from classweave.core.listener import EventListener, Follower
from classweave.core.postgres import DatabaseUrls
from classweave.core.tenancy import system_actor
from school_fixtures import School

pytestmark = pytest.mark.anyio

NOBODY = frozenset[str]()


@pytest.fixture
async def own(urls: DatabaseUrls) -> AsyncGenerator[Database]:
    """A pool whose connections a test may cut without hurting the others'."""
    made = Database(urls.app.update_query_dict({"application_name": f"own-{uuid7()}"}))
    yield made
    await made.close()


@pytest.fixture
async def listener(own: Database) -> AsyncGenerator[EventListener]:
    made = EventListener(own)
    await made.start()
    yield made
    await made.stop()


def new_topic() -> str:
    return f"probe:{uuid7()}"


async def publish(
    school: School, topic: str, *values: int, audience: Sequence[str] = ("everyone",)
) -> None:
    async with school.database.transaction(system_actor(school.organization_id)) as session:
        for value in values:
            emit(session, topic, "probe", {"value": value}, audience=audience)


async def collect(follower: Follower, count: int) -> list[tuple[int, int]]:
    """The next ``count`` events as (number, value)."""
    found: list[tuple[int, int]] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            events = await follower.next()
            assert events is not None
            found += [(event.sequence, event.payload["value"]) for event in events]
    return found


async def cut(owner: psycopg.Connection, application: str) -> int:
    row = owner.execute(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE application_name = %s AND datname = current_database()",
        (application,),
    ).fetchone()
    assert row is not None
    return row[0]


async def test_numbers_have_no_gaps_and_follow_the_commits(
    school: School, owner: psycopg.Connection
) -> None:
    topic = new_topic()
    await asyncio.gather(
        *(publish(school, topic, *range(10 * w, 10 * w + 3)) for w in range(8) for _ in range(3))
    )
    rows = owner.execute(
        "SELECT sequence, xmin::text::bigint, payload ->> 'value' FROM ops.events"
        " WHERE topic = %s ORDER BY sequence",
        (topic,),
    ).fetchall()
    assert [row[0] for row in rows] == list(range(1, 73))
    # A transaction's events stand together, in the order in which it emitted them.
    for first in range(0, 72, 3):
        three = rows[first : first + 3]
        assert len({xid for _, xid, _ in three}) == 1
        assert [int(value) % 10 for *_, value in three] == [0, 1, 2]


async def test_who_reads_in_order_never_has_to_look_back(school: School) -> None:
    """Numbers become visible in order: a cursor that has seen N will never find one below it."""
    topic = new_topic()
    done = asyncio.Event()

    async def read() -> list[int]:
        seen: list[int] = []
        while not done.is_set() or len(seen) < 40:
            async with school.database.transaction(system_actor(school.organization_id)) as session:
                seen += [e.sequence for e in await read_events(session, topic, len(seen))]
            assert seen == list(range(1, len(seen) + 1))
        return seen

    reader = asyncio.create_task(read())
    async with asyncio.timeout(20):
        await asyncio.gather(*(publish(school, topic, w) for w in range(8) for _ in range(5)))
        done.set()
        assert len(await reader) == 40


async def test_a_rolled_back_event_leaves_no_hole(school: School) -> None:
    topic = new_topic()

    async def fail() -> None:
        async with school.database.transaction(system_actor(school.organization_id)) as session:
            emit(session, topic, "probe", {"value": 0})
            await session.flush()
            raise ZeroDivisionError

    await publish(school, topic, 1)
    with pytest.raises(ZeroDivisionError):
        await fail()
    await publish(school, topic, 2)
    async with school.database.transaction(system_actor(school.organization_id)) as session:
        events = await read_events(session, topic, 0)
        assert await last_sequence(session, topic) == 2
    assert [(e.sequence, e.payload["value"]) for e in events] == [(1, 1), (2, 2)]


async def test_a_follower_begins_now_or_where_it_stopped(
    school: School, listener: EventListener
) -> None:
    topic = new_topic()
    await publish(school, topic, 1, 2, 3)
    follow = listener.follow
    async with (
        follow(topic, school.organization_id, NOBODY, None) as now,
        follow(topic, school.organization_id, NOBODY, 1) as later,
        follow(topic, school.organization_id, NOBODY, 99) as ahead,
    ):
        await publish(school, topic, 4)
        assert await collect(now, 1) == [(4, 4)]
        assert await collect(later, 3) == [(2, 2), (3, 3), (4, 4)]
        assert await collect(ahead, 1) == [(4, 4)]


async def test_who_joins_during_delivery_has_no_hole(
    school: School, listener: EventListener
) -> None:
    topic = new_topic()
    wanted = list(range(1, 121))

    async def follow_from_the_start(wait: float) -> list[int]:
        await asyncio.sleep(wait)
        async with listener.follow(topic, school.organization_id, NOBODY, 0) as follower:
            return [number for number, _ in await collect(follower, len(wanted))]

    followers = [asyncio.create_task(follow_from_the_start(n / 50)) for n in range(12)]
    for value in range(0, len(wanted), 2):
        await publish(school, topic, value, value + 1)
    assert await asyncio.gather(*followers) == [wanted] * 12
    assert listener._channels == {}
    assert listener._by_topic == {}


async def test_audiences(school: School, listener: EventListener) -> None:
    topic = new_topic()
    follow = listener.follow
    async with (
        follow(topic, school.organization_id, frozenset({"staff"}), 0) as staff,
        follow(topic, school.organization_id, frozenset({"group:a"}), 0) as group,
    ):
        await publish(school, topic, 1, audience=["staff"])
        await publish(school, topic, 2, audience=["group:b", "staff"])
        await publish(school, topic, 3, audience=["group:a"])
        await publish(school, topic, 4)
        assert await collect(staff, 3) == [(1, 1), (2, 2), (4, 4)]
        assert await collect(group, 2) == [(3, 3), (4, 4)]


@pytest.mark.parametrize("everything", [False, True])
async def test_nothing_is_missed_when_connections_are_cut(
    school: School,
    own: Database,
    listener: EventListener,
    owner: psycopg.Connection,
    everything: bool,
) -> None:
    topic = new_topic()
    async with listener.follow(topic, school.organization_id, NOBODY, 0) as follower:
        await publish(school, topic, 0)
        assert await collect(follower, 1) == [(1, 0)]
        assert await cut(owner, "classweave-listener") >= 1
        if everything:
            assert await cut(owner, str(own.url.query["application_name"])) >= 1
        # Some of these commit while nobody listens.
        for value in range(1, 20):
            await publish(school, topic, value)
        assert await collect(follower, 19) == [(n + 1, n) for n in range(1, 20)]


async def test_a_slow_follower_is_sent_away_and_comes_back(
    school: School, listener: EventListener
) -> None:
    topic = new_topic()
    total = 4500
    async with listener.follow(topic, school.organization_id, NOBODY, 0) as quick:
        reading = asyncio.create_task(collect(quick, total))
        seen: list[int] = []
        visits = 0
        async with listener.follow(topic, school.organization_id, NOBODY, 0) as slow:
            for start in range(0, total, 500):
                await publish(school, topic, *range(start, start + 500))
            assert len(await reading) == total
            assert slow.lagging
            while (events := await slow.next()) is not None:
                seen += [event.sequence for event in events]
        while len(seen) < total:
            visits += 1
            async with listener.follow(topic, school.organization_id, NOBODY, seen[-1]) as again:
                events = await again.next()
                assert events
                seen += [event.sequence for event in events]
    assert seen == list(range(1, total + 1))
    assert 1 <= visits <= 3


async def test_the_end_reaches_every_follower(school: School, own: Database) -> None:
    listener = EventListener(own)
    await listener.start()
    topic = new_topic()
    async with listener.follow(topic, school.organization_id, NOBODY, 0) as follower:
        await publish(school, topic, 1)
        assert await collect(follower, 1) == [(1, 1)]
        listener.end_followers()
        assert await follower.next() is None
        async with listener.follow(topic, school.organization_id, NOBODY, None) as late:
            assert await late.next() is None
    await listener.stop()


async def test_another_organisation_hears_nothing(
    school: School, other_school: School, listener: EventListener
) -> None:
    """Even who names the topic of another school, as no route would, is shown no event of it."""
    topic = new_topic()
    follow = listener.follow
    async with (
        follow(topic, school.organization_id, NOBODY, 0) as mine,
        follow(topic, other_school.organization_id, frozenset({"staff"}), 0) as stranger,
    ):
        await publish(school, topic, 1, 2, audience=["everyone", "staff"])
        assert await collect(mine, 2) == [(1, 1), (2, 2)]
        await asyncio.sleep(0.1)
        stranger.wake()
        assert await stranger.next() == []


async def test_no_event_of_another_organisation_is_written(
    school: School, other_school: School, owner: psycopg.Connection
) -> None:
    topic = new_topic()
    await publish(school, topic, 1)

    async def intrude(organization: UUID | None) -> None:
        async with school.database.transaction(other_school.teacher) as session:
            emit(session, topic, "probe", {"value": 2}, organization=organization)

    for organization in (None, school.organization_id):
        with pytest.raises(Exception, match="row-level security"):
            await intrude(organization)
    assert owner.execute(
        "SELECT count(*) FROM ops.events WHERE topic = %s", (topic,)
    ).fetchone() == (1,)


async def test_a_notification_carries_no_content(school: School, urls: DatabaseUrls) -> None:
    topic = new_topic()
    async with await psycopg.AsyncConnection.connect(dsn(urls.app), autocommit=True) as connection:
        await connection.execute("LISTEN classweave_events")
        await publish(school, topic, 424242)
        async for notification in connection.notifies(timeout=10, stop_after=1):
            assert notification.payload == f"{topic} 1"
    async with school.database.transaction(None) as session:
        found = await session.scalar(text("SELECT count(*) FROM ops.events"))
    assert found == 0
