"""What a push may look like: which bodies are none, which rows are wrong, which are put right."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import psycopg
import pytest
import zstandard
from devices import (
    TestDevice,
    pulled,
    record_row,
    session_row,
    with_session,
)

from classweave.web.middleware import MAX_BODY_BYTES
from school_fixtures import School

pytestmark = pytest.mark.anyio

SESSIONS, RECORDS = "attendance_sessions", "attendance_records"


async def send(device: TestDevice, body: bytes, encoding: str | None = None) -> httpx.Response:
    """The bytes of a body as they are."""
    return await device.client.post(
        "/api/attend/sync",
        params={"last_pulled_at": device.cursor},
        content=body,
        headers={"content-encoding": encoding} if encoding else {},
    )


# U10, U13: values -------------------------------------------------------------------------------

WRONG_IN_A_RECORD: list[dict[str, Any]] = [
    *({"status": value} for value in ("absent", "", None, 1, True, ["present"], "PRESENT")),
    *({"minutes": value} for value in (-1, 1441, "5", True, [], 2**53, 10**400)),
    *({"marked_at": value} for value in (-1, "2026-01-01", False, 2**53, 253_402_300_799_001)),
    *({"notes": value} for value in (5, {}, True, "n" * 2001)),
    *({"student_id": value} for value in (None, "", 5, "nobody", "\0", "\ud800")),
    *({"session_id": value} for value in (None, "", 5, "a b", "\ud800", "x" * 65)),
    *({"class_id": value} for value in (5, "nothing", "\ud800")),
]


async def test_u10_wrong_values_in_records_are_put_right(school: School) -> None:
    phone = await pulled(school)
    session, (record,) = await with_session(school, phone)
    truth = dict(phone.table(RECORDS))
    good = record_row(session, school.student_ids[2])
    spoilt = [record | wrong for wrong in WRONG_IN_A_RECORD]
    fresh = [record_row(session, school.student_ids[1]) | wrong for wrong in WRONG_IN_A_RECORD]
    phone.rows[RECORDS] |= {row["id"]: row for row in (*spoilt, *fresh)}
    changes = {RECORDS: {"updated": spoilt, "created": [*fresh, good]}}
    answer = await send(phone, json.dumps({"changes": changes}).encode())
    assert answer.status_code == 200, answer.text
    await phone.pull()
    assert {k: r for k, r in phone.table(RECORDS).items() if k != good["id"]} == truth
    assert good["id"] in phone.table(RECORDS)


WRONG_IN_A_SESSION: list[dict[str, Any]] = [
    *({"date": v} for v in (None, "", 20260101, "2026-13-01", "2026-02-30", "1999-12-31")),
    *({"date": v} for v in ("2101-01-01", "2026-01-01T00:00", "٢٠٢٦-٠١-٠١", True)),
    *({"start_time": v} for v in ("24:00", "9", "09:60", 900, True, "0٩:3٠", "09:00 ")),
    *({"end_time": v} for v in ("25:00", "noon", 1.5, "10:0٠")),
    *({"marked_at": v} for v in (True, "now", -5, 2**60)),
    *({"note": v} for v in (5, [], "n" * 2001)),
    *({"class_id": v} for v in (None, "", 5, "nothing")),
]


async def test_u10_wrong_values_in_sessions_are_put_right(school: School) -> None:
    phone = await pulled(school)
    session, _ = await with_session(school, phone, marked=0)
    truth = dict(phone.table(SESSIONS))
    spoilt = [session | wrong for wrong in WRONG_IN_A_SESSION]
    fresh = [session_row(school, start_time="16:00") | wrong for wrong in WRONG_IN_A_SESSION]
    phone.rows[SESSIONS] |= {row["id"]: row for row in (*spoilt, *fresh)}
    changes = {SESSIONS: {"updated": spoilt, "created": fresh}}
    answer = await send(phone, json.dumps({"changes": changes}).encode())
    assert answer.status_code == 200, answer.text
    await phone.pull()
    assert phone.table(SESSIONS) == truth


READ_KINDLY: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"notes": "a\0b"}, {"notes": "ab"}),
    ({"notes": "a\ud83db"}, {"notes": "a\ufffdb"}),
    ({"notes": "\0"}, {"notes": None}),
    ({"notes": ""}, {"notes": None}),
    ({"notes": "🎈" * 2000}, {"notes": "🎈" * 2000}),
    ({"notes": '"\\\u2028\x1f'}, {"notes": '"\\\u2028\x1f'}),
    ({"minutes": 5.0}, {"minutes": 5}),
    ({"minutes": 7.9}, {"minutes": 7}),
    ({"minutes": 1440}, {"minutes": 1440}),
    ({"marked_at": 1_764_000_000_001}, {"marked_at": 1_764_000_000_001}),
    ({"marked_at": 1_764_000_000_000.0}, {"marked_at": 1_764_000_000_000}),
    # Columns of the client, of the server, and of nobody.
    ({"_status": "updated", "_changed": "status"}, {"status": "late"}),
    ({"rev": 0, "created_at": 5, "place": 3, "no": 1, "term": 9}, {"status": "late"}),
    ({"__proto__": {"status": "x"}, "constructor": 1, "x": [[]]}, {"status": "late"}),
]


async def test_u11_u13_values_that_are_read_kindly(school: School) -> None:
    phone = await pulled(school)
    session = session_row(school, ignored=True, total_present=99, digest=1, deleted_at=5)
    changes: dict[str, Any] = {SESSIONS: {"created": [session]}}
    for sent, kept in READ_KINDLY:
        record = record_row(session, school.student_ids[0], "late") | sent
        changes[RECORDS] = {"created": [record]}
        answer = await send(phone, json.dumps({"changes": changes}).encode())
        assert answer.status_code == 200, answer.text
        await phone.pull()
        stored = phone.table(RECORDS)[record["id"]]
        assert stored | kept == stored, sent
        assert "_status" not in stored
        assert phone.table(SESSIONS)[session["id"]]["total_present"] == 1
        changes = {RECORDS: {"deleted": [record["id"]]}}
        assert (await send(phone, json.dumps({"changes": changes}).encode())).status_code == 200
        await phone.pull()


async def test_u13_a_number_beyond_all_numbers(school: School) -> None:
    phone = await pulled(school)
    _session, (record,) = await with_session(school, phone)
    text = json.dumps({"changes": {RECORDS: {"updated": [record | {"minutes": "?"}]}}})
    for number in ("1e400", "-1e400", "1e308", "9007199254740993", "1" * 400):
        answer = await send(phone, text.replace('"?"', number).encode())
        assert answer.status_code == 200, (number, answer.text)
        await phone.pull()
        assert phone.table(RECORDS)[record["id"]]["minutes"] is None
    for constant in ("NaN", "Infinity"):
        assert (await send(phone, text.replace('"?"', constant).encode())).status_code == 400


# What is no push --------------------------------------------------------------------------------

SOUND = {"id": "a", "session_id": "b"}


NO_PUSH: list[bytes] = [
        b"", b"{", b"null", b"[]", b"5", b'"changes"', b"{}", b"\xff\xfe", b"\x80",
        b"[" * 100_000, b'{"a":' * 50_000,
        *(
            json.dumps({"changes": changes}).encode()
            for changes in (
                None, [], "all", 5,
                {"nothing": {"created": []}}, {"__proto__": {}}, {"constructor": {}},
                {"\ud800": {}}, {"sync_clocks": {}},
                {RECORDS: None}, {RECORDS: []}, {RECORDS: {"created": {}}},
                {RECORDS: {"created": None}}, {RECORDS: {"created": ["id"]}},
                {RECORDS: {"updated": [None]}}, {RECORDS: {"updated": [[]]}},
                {RECORDS: {"deleted": "id"}}, {RECORDS: {"deleted": [{}]}},
                *({RECORDS: {"deleted": [key]}} for key in ("", "a b", "x" * 65, 5, None, "é")),
                *({table: {"created": [SOUND | {"id": key}]}
                   for table in (RECORDS, SESSIONS, "students")}
                  for key in ("", "a/b", "\0", "\ud800", "x" * 65, 5, None, "a\n")),
            )
        ),
]  # fmt: skip


async def test_u10_u11_what_is_no_push_is_refused(school: School) -> None:
    phone = await pulled(school)
    for body in NO_PUSH:
        answer = await send(phone, body)
        assert answer.status_code == 400, (body[:60], answer.text)
        assert answer.headers["content-type"].startswith("application/problem+json")


async def test_u2_a_push_without_a_cursor_of_this_server(school: School) -> None:
    phone = await pulled(school)
    body = {"changes": {SESSIONS: {"created": [session_row(school)]}}}
    cursors = {"": 409, "null": 409, "0": 409, "1": 409, str(2**53 - 1): 409}
    cursors |= dict.fromkeys(("garbage", "-1", str(2**53), "1e3", "1.5", "٣"), 400)
    for cursor, status in cursors.items():
        answer = await phone.client.post(f"/api/attend/sync?last_pulled_at={cursor}", json=body)
        assert answer.status_code == status, (cursor, answer.text)
    await phone.pull()
    assert phone.table(SESSIONS) == {}


# U12: size and packing --------------------------------------------------------------------------


async def test_u12_a_packed_body(school: School) -> None:
    phone = await pulled(school)
    packed = {"gzip": gzip.compress, "zstd": zstandard.compress}
    for hour, encoding in enumerate(("gzip", "zstd", "GZIP", "identity", None)):
        session = session_row(school, start_time=f"{hour:02}:00")
        plain = json.dumps({"changes": {SESSIONS: {"created": [session]}}}).encode()
        body = packed.get((encoding or "").lower(), bytes)(plain)
        assert (await send(phone, body, encoding)).status_code == 200
        await phone.pull()
        assert session["id"] in phone.table(SESSIONS)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_u12_a_body_that_is_not_what_it_says(school: School, encoding: str) -> None:
    phone = await pulled(school)
    pack = gzip.compress if encoding == "gzip" else zstandard.compress
    whole = pack(json.dumps({"changes": {SESSIONS: {"created": [session_row(school)]}}}).encode())
    for body in (whole[:-9], whole[:12], b"", b"{}", b"\0" + whole):
        assert (await send(phone, body, encoding)).status_code == 400
    for other in ("br", "deflate", "gzip, gzip", "zip"):
        assert (await send(phone, whole, other)).status_code == 400


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_u12_a_bomb_is_too_large(school: School, encoding: str) -> None:
    phone = await pulled(school)
    nothing = b" " * (65 * 1024 * 1024)
    bomb = gzip.compress(nothing, 1) if encoding == "gzip" else zstandard.compress(nothing, 1)
    assert len(bomb) < 1024 * 1024
    assert (await send(phone, bomb, encoding)).status_code == 413


async def test_u12_sixteen_megabytes_and_no_more(school: School) -> None:
    phone = await pulled(school)
    session = session_row(school)
    body = json.dumps({"changes": {SESSIONS: {"created": [session]}}}).encode()
    assert (await send(phone, body.ljust(MAX_BODY_BYTES + 1))).status_code == 413
    assert (await send(phone, body.ljust(MAX_BODY_BYTES))).status_code == 200


async def test_u12_a_term_s_rows_in_one_push(school: School, owner: psycopg.Connection) -> None:
    """A device that was away for months cannot split its push."""
    phone = await pulled(school)
    days = [f"2099-{month:02d}-{day:02d}" for month in range(1, 11) for day in range(1, 29)]
    sessions = [session_row(school, day, marked_at=1_764_000_100_000) for day in days]
    records = [record_row(s, student) for s in sessions for student in school.student_ids]
    await phone.sync(
        attendance_sessions={"created": sessions}, attendance_records={"created": records}
    )
    assert len(phone.table(RECORDS)) == len(days) * len(school.student_ids)
    counts = owner.execute(
        "SELECT DISTINCT held, present FROM attend.standings WHERE class_id = %s",
        (school.class_id,),
    ).fetchall()
    assert counts == [(len(days), len(days))]
