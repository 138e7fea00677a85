"""Timetables from files: what is understood, what is not and on which line, and what is written."""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import date, time
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import orjson
import psycopg
import pytest
from devices import register
from rolls import browser
from test_terms import term_key
from zstandard import ZstdCompressor

from classweave.attend import read_apart
from classweave.attend.import_timetable import Planned, fold, match_classes, pack, unpack
from classweave.attend.read_timetable import MAXIMUM_BYTES, Timetable, read_timetable
from classweave.core.identifiers import encode
from classweave.core.problems import Invalid, TooLarge
from classweave.core.tenancy import Role
from school_fixtures import School

MADRID = ZoneInfo("Europe/Madrid")
FIRST, LAST = date(2026, 9, 1), date(2026, 12, 31)


def calendar(*events: str) -> bytes:
    body = "".join(f"BEGIN:VEVENT\r\n{event}\r\nEND:VEVENT\r\n" for event in events)
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{body}END:VCALENDAR\r\n".encode()


def read(content: bytes) -> Timetable:
    return read_timetable(content, FIRST, LAST, MADRID)


WEEKLY = (
    "UID:a\r\nSUMMARY:CS-101 Algorithms\r\nLOCATION:H 12\r\nDTSTART;TZID=Europe/Madrid:{start}\r\n"
    "DTEND;TZID=Europe/Madrid:20261019T103000\r\nRRULE:FREQ=WEEKLY;COUNT=3\r\n"
    "EXDATE;TZID=Europe/Madrid:20261026T090000"
).format(start="20261019T090000")


def test_repetitions_exceptions_and_the_end_of_summer_time() -> None:
    found = read(calendar(WEEKLY))
    assert [(e.date, e.start, e.end) for e in found.entries] == [
        (date(2026, 10, 19), time(9), time(10, 30)),
        (date(2026, 11, 2), time(9), time(10, 30)),
    ]
    assert found.entries[0].room == "H 12"
    assert found.troubles == []


def test_other_zones_are_told_in_the_organisations_and_floating_times_are_meant_there() -> None:
    found = read(
        calendar(
            "UID:a\r\nSUMMARY:X\r\nDTSTART:20261119T080000Z\r\nDTEND:20261119T090000Z",
            "UID:b\r\nSUMMARY:X\r\nDTSTART:20261120T080000",
        )
    )
    assert [(e.date.day, e.start) for e in found.entries] == [(19, time(9)), (20, time(8))]


def test_what_is_no_meeting_is_named_by_its_line() -> None:
    found = read(
        calendar(
            "UID:a\r\nSUMMARY:Holiday\r\nDTSTART;VALUE=DATE:20261012",
            "UID:b\r\nSUMMARY:Bomb\r\nDTSTART:20261012T080000Z\r\nRRULE:FREQ=SECONDLY",
            "UID:c\r\nSUMMARY:Night\r\nDTSTART:20261012T200000Z\r\nDTEND:20261013T050000Z",
            "UID:d\r\nSUMMARY:Never",
            "UID:e\r\nSUMMARY:Off\r\nSTATUS:CANCELLED\r\nDTSTART:20261012T080000Z",
            "UID:f\r\nSUMMARY:Other term\r\nDTSTART:20270112T080000Z",
        )
    )
    assert found.entries == []
    assert sorted((t.line, t.shown) for t in found.troubles) == [
        (4, "Holiday"), (9, "Bomb"), (15, "Night"), (21, "Never"),
    ]  # fmt: skip
    assert (found.cancelled, found.outside) == (1, 1)


def test_a_table_of_dates_and_of_weekdays() -> None:
    found = read(
        b"\xef\xbb\xbfClass;Date;Weekday;starts_on;ends_on;Start_time;End_time;Room\r\n"
        b"CS-101;2026-10-19;;;;9:00;10:30;H 12\r\n"
        b"\r\n"
        b"CS-101;;lunes;2026-11-01;2026-11-15;2:00 pm;;\r\n"
        b"CS-101;19.10.2026;;;;9:00;;\r\n"
        b"CS-101;2026-10-19;;;;11:00;10:00;\r\n"
        b"CS-101;2026-10-19;;;;late;;\r\n"
        b"CS-101;;;;;9:00;;\r\n"
        b"CS-101;2027-10-19;;;;9:00;;\r\n"
    )
    assert [(e.line, e.date, e.start, e.end, e.room) for e in found.entries] == [
        (2, date(2026, 10, 19), time(9), time(10, 30), "H 12"),
        (4, date(2026, 11, 2), time(14), None, None),
        (4, date(2026, 11, 9), time(14), None, None),
    ]
    assert [t.line for t in found.troubles] == [5, 6, 7, 8]
    assert found.outside == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"   \n", b"hello", b"\xff\xfe\x00", b"BEGIN:VCALENDAR\nBEGIN:VEVENT\n", b"a,b\n1,2\n",
     b"class,date\nx,2026-10-10\n", bytes(range(256)) * 40, b'class,date,start_time\n"x'],
)  # fmt: skip
def test_what_is_no_timetable_is_refused(content: bytes) -> None:
    try:
        found = read(content)
    except Invalid:
        return
    assert found.entries == []


BROKEN = (
    "DTEND:99991231T235959Z", "DTEND:00010101T000000Z", "DURATION:P99999999W",
    "DURATION:-P400000W", "UID:b", "SEQUENCE:xx\r\nDTSTAMP:zz", "DTEND;VALUE=TIME:090000",
    "DTEND;VALUE=DURATION:PT1H", "RRULE:FREQ=DAILY;INTERVAL=-1", "RRULE:FREQ=DAILY;INTERVAL=0",
    "RRULE:FREQ=DAILY;INTERVAL=99999999999999999999", "RRULE:FREQ=DAILY;COUNT=99999999999999999999",
)  # fmt: skip


@pytest.mark.parametrize("line", BROKEN)
def test_an_event_with_a_broken_property_leaves_the_others(line: str) -> None:
    good = "UID:g\r\nSUMMARY:CS-101\r\nDTSTART:20261119T080000Z\r\nDTEND:20261119T090000Z"
    start = "UID:a\r\nSUMMARY:Broken\r\nDTSTART:20261012T080000Z\r\n"
    found = read(calendar(start + line, good))
    assert "CS-101" in {entry.names[-1] for entry in found.entries}
    assert len(found.entries) + len(found.troubles) == 2


def test_a_zone_of_no_place_is_no_calendar() -> None:
    with pytest.raises(Invalid):
        read(calendar("UID:a\r\nDTSTART;TZID=" + "A" * 5000 + ":20261012T080000"))


@pytest.mark.anyio
async def test_what_takes_for_ever_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_apart, "CPU_SECONDS", 3)
    never = "UID:{0}\r\nDTSTART:20261012T080000Z\r\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"
    endless = calendar(*(never.format(number) for number in range(40)))
    with pytest.raises(TooLarge):
        await read_apart.read_apart(endless, FIRST, LAST, "Europe/Madrid")
    apart = await read_apart.read_apart(calendar(WEEKLY), FIRST, LAST, "Europe/Madrid")
    assert apart == read(calendar(WEEKLY))
    with pytest.raises(Invalid) as refused:
        await read_apart.read_apart(b"", FIRST, LAST, "Europe/Madrid")
    assert refused.value.extra["errors"] == [{"field": "file", "message": "The file is empty."}]


def test_long_words_are_cut() -> None:
    event = "UID:a\r\nDTSTART:20261119T080000Z\r\nX-CLASS:" + "w " * 100_000
    (entry,) = read(calendar(event)).entries
    assert len(entry.names[0]) <= 200


def test_limits() -> None:
    with pytest.raises(TooLarge):
        read(b"x" * (MAXIMUM_BYTES + 1))
    daily = "UID:{n}\r\nSUMMARY:X\r\nDTSTART:20260901T080000Z\r\nRRULE:FREQ=DAILY"
    with pytest.raises(TooLarge):
        read(calendar(*(daily.format(n=n) for n in range(300))))
    line = b"X,1,2026-09-01,2026-12-31,09:00\n"
    with pytest.raises(TooLarge):
        read(b"class,weekday,starts_on,ends_on,start_time\n" + line * 1200)


def test_a_class_is_known_by_its_code_wherever_it_stands() -> None:
    algebra, logic = uuid4(), uuid4()
    known = {fold("CS-101"): {algebra}, fold("Algebra"): {algebra}, fold("PH 2"): {logic}}
    assert match_classes(["cs 101"], known) == {algebra}
    assert match_classes(["Lecture: CS-101 (group A)"], known) == {algebra}
    assert match_classes(["PH-2 after CS-101"], known) == {algebra, logic}
    assert match_classes(["CS-1010", "Physics"], known) == set()


def test_a_tampered_preview_is_refused() -> None:
    planned = [Planned(uuid4(), FIRST, time(9), None, None, "A", "u")]
    assert unpack(pack(planned)) == planned
    key = encode("class", planned[0].class_id)
    rows = (
        [[5, "2026-09-01", "09:00", None, None, None, "u"]],
        [[[1], "2026-09-01", "09:00", None, None, None, "u"]],
        [[key, "2026-09-01", "09:00+02:00", None, None, None, "u"]],
    )
    made = [b64encode(ZstdCompressor().compress(orjson.dumps(row))).decode() for row in rows]
    for broken in ("", "x", "AAAA", pack(planned)[:-8], "KLUv/QRYAQAAW10=", *made):
        with pytest.raises(Invalid):
            unpack(broken)


# Pages ----------------------------------------------------------------------------------------


async def preview(
    admin: httpx.AsyncClient, term: str, content: bytes, source: str = "registry"
) -> httpx.Response:
    return await admin.post(
        "/attend/timetable/preview",
        data={"term": term, "source": source},
        files={"file": ("t.csv", content, "text/csv")},
    )


async def apply(admin: httpx.AsyncClient, term: str, page: httpx.Response) -> httpx.Response:
    packed = re.search(r'name="meetings" value="([^"]+)"', page.text)
    assert packed is not None, page.text
    return await admin.post(
        "/attend/timetable", data={"term": term, "source": "registry", "meetings": packed[1]}
    )


@pytest.mark.anyio
async def test_an_import_is_seen_first_then_written_and_reaches_devices(school: School) -> None:
    term = await term_key(school, name="Autumn", starts_on=str(FIRST), ends_on=str(LAST))
    phone = await register(school)
    await phone.pull()
    head = b"class,date,start_time,end_time,room\n"
    first = head + b"8B Science,2026-10-01,09:00,10:00,A\n8b science,2026-10-02,09:00,10:00,=B\n"
    async with await browser(school) as admin:
        seen = await preview(admin, term, first + b"9Z Magic,2026-10-02,09:00,,\n")
        assert seen.status_code == 200
        assert "No class has this code or name." in seen.text
        assert "9Z Magic" in seen.text
        await phone.pull()
        assert phone.table("meetings") == {}
        assert (await apply(admin, term, seen)).status_code == 303
        await phone.pull()
        assert {(m["date"], m["room"]) for m in phone.table("meetings").values()} == {
            ("2026-10-01", "A"), ("2026-10-02", "=B"),
        }  # fmt: skip
        kept = {m["date"]: m["id"] for m in phone.table("meetings").values()}
        other = await preview(admin, term, head + b"8B Science,2026-10-07,09:00,,\n", "else")
        assert other.status_code == 200
        # Again, with one moved to another room and one vanished.
        again = await preview(admin, term, head + b"8B Science,2026-10-02,09:00,10:00,C\n")
        assert (await apply(admin, term, again)).status_code == 303
        await phone.pull()
        assert {m["id"]: m["room"] for m in phone.table("meetings").values()} == {
            kept["2026-10-02"]: "C"
        }
        assert (await apply(admin, term, again)).status_code == 303
        changes = (await phone.pull())["changes"].values()
        assert [row for part in changes for row in (*part["updated"], *part["deleted"])] == []


@pytest.mark.anyio
async def test_wrong_files_terms_and_people(
    school: School, other_school: School, owner: psycopg.Connection
) -> None:
    term = await term_key(school, name="Autumn", starts_on=str(FIRST), ends_on=str(LAST))
    theirs = await term_key(other_school, name="Autumn")
    good = b"class,date,start_time\n8B Science,2026-10-01,09:00\n"
    async with await browser(school) as admin:
        for content in (b"hello", b"", b"x" * (MAXIMUM_BYTES + 1)):
            answer = await preview(admin, term, content)
            assert answer.status_code in (413, 422)
            assert 'id="f-file-error"' in answer.text
        assert (await preview(admin, theirs, good)).status_code == 404
        assert (await preview(admin, "", good)).status_code == 422
        foreign = pack([Planned(other_school.class_id, FIRST, time(9), None, None, None, "")])
        sent = {"term": term, "source": "x", "meetings": foreign}
        assert (await admin.post("/attend/timetable", data=sent)).status_code == 422
        early = pack([Planned(school.class_id, date(2020, 1, 1), time(9), None, None, None, "")])
        sent = {"term": term, "source": "x", "meetings": early}
        assert (await admin.post("/attend/timetable", data=sent)).status_code == 422
        chosen = await admin.post(
            "/attend/timetable/preview",
            data={"term": term, "class": encode("class", other_school.class_id)},
            files={"file": ("t.csv", good, "text/csv")},
        )
        assert chosen.status_code == 404
    async with await browser(school, Role.TEACHER) as teacher:
        assert (await preview(teacher, term, good)).status_code == 403
    rows = owner.execute("SELECT count(*) FROM attend.meetings WHERE class_id = ANY (%s)",
                         ([school.class_id, other_school.class_id],)).fetchone()  # fmt: skip
    assert rows == (0,)
