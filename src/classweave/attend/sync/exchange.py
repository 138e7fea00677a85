"""One request of a device, from its token to the answer's bytes, in the transaction it needs."""

from __future__ import annotations

import asyncio

import orjson
import psycopg

from classweave.attend.sync.check_push import Push, parse_push
from classweave.attend.sync.cursor import Cursor
from classweave.attend.sync.identify import ask_for_caller, caller_of
from classweave.attend.sync.pull import (
    Connection,
    answer_of,
    ask,
    ask_for_state,
    pull_session,
    state_of,
)
from classweave.attend.sync.push import answers_to_push, ask_to_push, decide_over, write_push
from classweave.core import audit, clock
from classweave.core.database import Database, act_as, driver_connection
from classweave.core.problems import Unavailable

_BUSY = "Many are saving at once. Nothing was kept; try again."
_SMALL = 64 * 1024
# When nothing was given, when the device last asked is noted once in a while.
_SEEN = """
UPDATE attend.sync_metadata SET last_pulled_at = %(now)s, cursor = %(cursor)s, pulls = pulls + 1
WHERE device_id = %(device)s AND (%(given)s OR last_pulled_at IS NULL
  OR last_pulled_at < %(now)s::timestamptz - interval '30 seconds')
"""
_GIVEN = """
INSERT INTO attend.sync_log (organization_id, device_id, kind, from_rev, to_rev)
VALUES (%(org)s, %(device)s, %(kind)s, %(from)s, %(to)s)
"""


async def answer_pull(
    database: Database,
    authorization: str | None,
    last: Cursor | None,
    migrated: frozenset[str],
) -> bytes:
    """What changed since ``last``, from one snapshot; what was given is noted in it.

    Two round trips to the database, whatever is asked.
    """
    try:
        async with database.bare_connection() as connection, connection.pipeline():
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            who = await ask_for_caller(connection, authorization)
            where = await ask_for_state(connection, last)
            caller = await caller_of(who)
            state = await state_of(where, caller, last)
            given = last != state.cursor or bool(migrated)
            note = {
                "now": clock.now(), "device": caller.device, "org": caller.organization,
                "cursor": state.cursor.number, "kind": state.kind, "given": given,
                "from": last.rev if last else None, "to": state.cursor.rev,
            }  # fmt: skip
            asked = await ask(connection, state, migrated) if given else None
            if given:
                await connection.execute(_GIVEN, note)
            await connection.execute(_SEEN, note)
            await connection.execute("COMMIT")
            if asked is None:
                return b'{"changes":{},"timestamp":%d}' % state.cursor.number
            return (await answer_of(asked, state))[0]
    except psycopg.errors.SerializationFailure as error:
        raise Unavailable("The device is synchronising twice at once; try again.") from error
    except psycopg.OperationalError as error:
        raise Unavailable("The database does not answer; try again.") from error


async def answer_push(
    database: Database, authorization: str | None, last: Cursor | None, body: bytes
) -> None:
    """Keep all of a push, or raise. Once this returns, it is committed.

    Two round trips to the database, whatever is pushed.
    """
    try:
        async with database.bare_connection() as connection:
            push = await _parsed(connection, authorization, body)
            async with connection.pipeline():
                await connection.execute("BEGIN")
                who = await ask_for_caller(connection, authorization)
                asked = await ask_to_push(connection, push)
                caller = await caller_of(who)
                if push.empty:
                    return
                rev, stored = await answers_to_push(asked, last, push)
            done = await decide_over(connection, caller, push, stored)
            async with connection.pipeline():
                await write_push(connection, caller, rev, done, clock.now())
                await audit.record_directly(
                    connection, caller.actor, "attendance.marked", resource="attend.revision",
                    description=f"Revision {rev} by a device", students=list(done.students),
                    data_accessed={
                        "revision": rev,
                        "classes": sorted(str(c) for c in done.classes),
                        "not_taken": len(done.refused),
                    },
                )  # fmt: skip
                await connection.execute("COMMIT")
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
        raise Unavailable(_BUSY, retry_after=2) from error
    except psycopg.OperationalError as error:
        raise Unavailable("The database does not answer; try again.") from error


async def _parsed(connection: Connection, authorization: str | None, body: bytes) -> Push:
    """The push of a body. A large one is read for a known device only, and beside the others."""
    if len(body) <= _SMALL:
        return parse_push(body)
    async with connection.transaction():
        await caller_of(await ask_for_caller(connection, authorization))
    return await asyncio.to_thread(parse_push, body)


async def answer_session(
    database: Database, authorization: str | None, session_id: str, digest: int | None
) -> bytes:
    """One session whole, for a device that counted another digest; the mismatch is logged."""
    async with database.transaction() as session:
        connection = await driver_connection(session)
        caller = await caller_of(await ask_for_caller(connection, authorization))
        await act_as(session, caller.actor)
        state = await state_of(await ask_for_state(connection, None), caller, None)
        body = await pull_session(connection, state, session_id)
        if digest is not None and digest != orjson.loads(body)["session"]["digest"]:
            await connection.execute(
                "INSERT INTO attend.sync_log (organization_id, device_id, kind, details)"
                " VALUES (%s, %s, 'mismatch', %s::jsonb)",
                (
                    caller.organization, caller.device,
                    orjson.dumps({"session": session_id, "digest": digest}).decode(),
                ),
            )  # fmt: skip
            await connection.execute(
                "UPDATE attend.sync_metadata SET mismatches = mismatches + 1 WHERE device_id = %s",
                (caller.device,),
            )
    return body
