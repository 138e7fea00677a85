"""Who may synchronise, how an answer travels, and how one session is healed."""

from __future__ import annotations

import asyncio
import gzip
import json

import psycopg
import pytest
import zstandard
from check_ins import student_token
from devices import colleague, new_id, pulled, with_session

from classweave.attend.devices import MOST
from classweave.core.tenancy import Role
from school_fixtures import School

pytestmark = pytest.mark.anyio

SESSIONS, RECORDS = "attendance_sessions", "attendance_records"
URL = "/api/attend/sync"


async def test_p9_an_answer_is_packed_as_the_client_reads_it(school: School) -> None:
    phone = await pulled(school)
    plain = (await phone.client.get(URL, headers={"accept-encoding": "identity"})).content
    for accepted, sent in (
        ("gzip", "gzip"), ("zstd", "zstd"), ("gzip, deflate, br, zstd", "zstd"),
        ("identity", None), ("br", None), ("", None), ("gzip;q=0", None), ("zstd;q=0,gzip", "gzip"),
        ("gzip;q=0.000", None), ("GZIP;q=0.5", "gzip"),
    ):  # fmt: skip
        request = phone.client.stream("GET", URL, headers={"accept-encoding": accepted})
        async with request as answer:
            body = b"".join([piece async for piece in answer.aiter_raw()])
        assert answer.headers.get("content-encoding") == sent, accepted
        assert answer.headers["cache-control"] == "no-store"
        assert "Accept-Encoding" in answer.headers["vary"]
        unpack = {"gzip": gzip.decompress, "zstd": _zstd, None: bytes}[sent]
        assert json.loads(unpack(body)) == json.loads(plain)
    assert len(plain) > 1_400


def _zstd(body: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(body)


async def test_who_shows_no_token_is_refused(school: School) -> None:
    phone = await pulled(school)
    token = phone.client.headers["authorization"].split()[1]
    session = await school.token(school.teacher_id)
    for shown in (
        None, "", token, f"Basic {token}", "Bearer", "Bearer ", "Bearer nobody",
        f"Bearer {session}", f"Bearer {token}x", f"Bearer {phone.id}",
    ):  # fmt: skip
        headers = {} if shown is None else {"authorization": shown}
        async with school.program() as stranger:
            for answer in (
                await stranger.get(URL, headers=headers),
                await stranger.post(
                    f"{URL}?last_pulled_at=1", headers=headers, json={"changes": {}}
                ),
                await stranger.get(f"{URL}/sessions/x", headers=headers),
            ):
                assert answer.status_code == 401, shown
    # And a device's token opens nothing else.
    assert (await phone.client.get("/api/attend/devices")).status_code == 401


async def test_a_revoked_device_is_refused_and_only_by_its_teacher(school: School) -> None:
    theirs = await colleague(school)
    phone, laptop = await pulled(school), await pulled(school)
    async with await theirs.sign_in() as other, await school.sign_in() as own:
        assert (await other.delete(f"/api/attend/devices/{phone.id}")).status_code == 404
        assert (await other.delete(f"/api/attend/devices/{new_id()}")).status_code in (
            400,
            404,
            422,
        )
        assert (await other.get("/api/attend/devices")).json() == []
        await phone.pull()
        assert (await own.delete(f"/api/attend/devices/{phone.id}")).status_code == 204
        assert (await own.delete(f"/api/attend/devices/{phone.id}")).status_code == 204
        assert [d["id"] for d in (await own.get("/api/attend/devices")).json()] == [laptop.id]
    assert (await phone.client.get(URL)).status_code == 401
    assert (await phone.push()).status_code == 401
    await laptop.pull()


async def test_a_student_registers_no_device(school: School) -> None:
    async with school.program(await student_token(school, 0)) as student:
        answer = await student.post("/api/attend/devices", json={"name": "Phone"})
    assert answer.status_code == 403


async def test_a_session_is_healed_by_who_sees_it(
    school: School, owner: psycopg.Connection
) -> None:
    theirs = await colleague(school)
    phone, other = await pulled(school), await pulled(theirs)
    session, records = await with_session(school, phone, marked=2)
    where = f"{URL}/sessions/{session['id']}"
    body = (await phone.client.get(where, params={"digest": 7})).json()
    assert body["session"] == phone.table(SESSIONS)[session["id"]]
    assert {r["id"]: r for r in body["records"]} == phone.table(RECORDS)
    assert (await other.client.get(where)).status_code == 404
    assert (await phone.client.get(f"{URL}/sessions/{new_id()}")).status_code == 404
    for wrong in ("x", -1, 2**32):
        assert (await phone.client.get(where, params={"digest": wrong})).status_code in (400, 422)
    assert len(records) == 2
    logged = owner.execute(
        "SELECT details ->> 'digest' FROM attend.sync_log WHERE kind = 'mismatch'"
        " AND organization_id = %s",
        (school.organization_id,),
    ).fetchall()
    assert logged == [("7",)]


async def test_a_device_that_asks_twice_at_once(school: School) -> None:
    phone = await pulled(school)
    await with_session(school, phone)
    answers = await asyncio.gather(*(phone.client.get(URL) for _ in range(6)))
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert any(answer.status_code == 200 for answer in answers)


async def test_many_devices_at_once_are_no_more_than_one_teacher_may_have(school: School) -> None:
    async with await school.sign_in(Role.TEACHER) as teacher:
        answers = await asyncio.gather(
            *(teacher.post("/api/attend/devices", json={"name": f"Phone {n}"}) for n in range(25))
        )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201] * MOST + [409] * 5
