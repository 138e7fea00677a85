"""A session as files, and the interface that answers for its insights."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import httpx
import pytest
from demo_talk import DEMO
from lesson_fixtures import Lesson, end_lesson, hear, start_lesson
from sqlalchemy import text, update

from classweave.core.identifiers import encode
from classweave.core.spreadsheets import csv_row
from classweave.core.tenancy import Role
from classweave.language.jsonl import parse_transcript
from classweave.live.compare_groups import compare_groups
from classweave.live.export import Line, as_srt, as_vtt
from classweave.live.guidance.rules import default_text
from classweave.live.measure_groups import measure_and_guide
from classweave.live.models import StudentGroup, Transcription
from classweave.live.summarise_session import summarise_session
from school_fixtures import School

pytestmark = pytest.mark.anyio

LINE = Line(
    id="utterance_1", track="track_1", speaker="participant_1", name="Ana", group="Group A",
    start=1.5, end=3723.25, text="It floats.", confidence=0.9, words=[], role="student",
)  # fmt: skip


def test_a_cue_of_webvtt_names_its_voice() -> None:
    assert as_vtt(7, LINE, False) == "7\n00:00:01.500 --> 01:02:03.250\n<v Ana>It floats.</v>\n\n"
    assert "<v Group A · Ana>" in as_vtt(7, LINE, True)
    shared = replace(LINE, name="Group A", speaker=None)
    assert "<v Group A>" in as_vtt(7, shared, True)


def test_a_cue_of_srt_begins_with_the_name() -> None:
    assert as_srt(7, LINE, False) == "7\n00:00:01,500 --> 01:02:03,250\nAna: It floats.\n\n"


def test_markup_and_arrows_cannot_break_a_cue() -> None:
    nasty = replace(
        LINE, name="<b>\nEve & Co", text="a --> b\n\n2\n00:00 <i>x</i> &", start=-2.0, end=-1.0
    )
    cue = as_vtt(1, nasty, False)
    assert cue.count("-->") == 1
    assert cue.count("\n\n") == 1
    assert "<v &lt;b&gt; Eve &amp; Co>" in cue
    assert "<i>" not in cue
    assert "00:00:00.000 --> 00:00:00.001" in cue
    assert as_srt(1, nasty, False).count("-->") == 1


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-cmd", "@SUM(A1)", "\t=1", "  =1", "\r=1"])
def test_no_cell_is_run_by_a_spreadsheet(cell: str) -> None:
    ((read, number),) = csv.reader(io.StringIO(csv_row([cell, -0.25]), newline=""))
    assert read == f"'{cell}"
    assert number == "-0.25"


async def finished(school: School) -> Lesson:
    lesson = await start_lesson(school)
    for key, group in zip(("group_a", "group_b"), lesson.groups, strict=True):
        await hear(lesson, key, group)
    await end_lesson(lesson)
    await summarise_session(school.database, lesson.organization, lesson.session_id)
    return lesson


async def test_transcripts_are_exported_by_group_and_by_session(school: School) -> None:
    lesson = await finished(school)
    a = encode("group", lesson.groups[0])
    turns = DEMO.group("group_a").turns
    async with await school.sign_in() as teacher:
        vtt = await teacher.get(f"{lesson.url}/export.vtt", params={"group": a})
        assert vtt.status_code == 200, vtt.text
        assert vtt.headers["content-type"].startswith("text/vtt")
        assert (
            vtt.headers["content-disposition"]
            == 'attachment; filename="why-do-some-things-float-group-1.vtt"'
        )
        assert vtt.text.startswith("WEBVTT\n\n1\n")
        assert vtt.text.count(" --> ") == len(turns)
        assert re.search(r"<v Leila>Okay, so the question is why", vtt.text)
        srt = await teacher.get(f"{lesson.url}/export.srt")
        everything = len(turns) + len(DEMO.group("group_b").turns)
        assert srt.text.count(" --> ") == everything
        jsonl = await teacher.get(f"{lesson.url}/export.jsonl", params={"group": a})
        measured = parse_transcript(jsonl.content.splitlines())
        assert [u.text for u in measured] == [turn.text for turn in turns]
        assert json.loads(jsonl.text.splitlines()[0])["name"] == "Leila"
        assert measured[0].words
        wrong = await teacher.get(f"{lesson.url}/export.docx")
        assert wrong.status_code == 422
        gone = await teacher.get(
            f"{lesson.url}/export.vtt", params={"group": encode("group", school.class_id)}
        )
        assert gone.status_code == 404
    async with school.database.transaction(school.admin) as session:
        lines = (
            await session.execute(
                text(
                    "SELECT description, cardinality(affected_student_ids) AS n, actor_id"
                    " FROM compliance.audit_log WHERE event_type = 'session.exported'"
                    " ORDER BY sequence"
                )
            )
        ).all()
    assert [(line.description, line.n) for line in lines] == [
        ("exported words as vtt", 4),
        ("exported words as srt", 7),
        ("exported words as jsonl", 4),
    ]
    assert {line.actor_id for line in lines} == {school.teacher_id}


async def test_measures_are_exported_as_csv(school: School) -> None:
    lesson = await finished(school)
    async with school.database.transaction(lesson.system()) as session:
        await session.execute(
            update(StudentGroup)
            .where(StudentGroup.id == lesson.groups[0])
            .values(name='=HYPERLINK("http://x")')
        )
    async with await school.sign_in() as teacher:
        answer = await teacher.get(f"{lesson.url}/export.csv")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"), newline="")))
    assert {row["group"] for row in rows} == {'\'=HYPERLINK("http://x")', "Group B"}
    by_name = {row["measure"]: row for row in rows if row["group"] == "Group B"}
    assert float(by_name["dominance"]["value"]) == pytest.approx(0.65, abs=0.03)
    assert by_name["teacher_moves"]["value"] == ""
    assert by_name["teacher_moves"]["status"] == "not_enough"


async def test_another_school_and_other_teachers_get_nothing(
    school: School, other_school: School
) -> None:
    lesson = await finished(school)
    paths = ("measures", "transcript", "prompts", "summary", "export.vtt", "export.csv")
    async with await other_school.sign_in() as stranger:
        for path in paths:
            assert (await stranger.get(f"{lesson.url}/{path}")).status_code == 404, path
    async with await school.sign_in(Role.SCHOOL_ADMIN) as admin:
        for path in paths:
            assert (await admin.get(f"{lesson.url}/{path}")).status_code == 200, path
    async with school.program() as nobody:
        for path in paths:
            assert (await nobody.get(f"{lesson.url}/{path}")).status_code == 401, path


async def test_a_session_without_words_exports_empty_files(school: School) -> None:
    lesson = await start_lesson(school)
    async with await school.sign_in() as teacher:
        assert (await teacher.get(f"{lesson.url}/export.vtt")).text == "WEBVTT\n\n"
        assert (await teacher.get(f"{lesson.url}/export.jsonl")).text == ""
        assert (await teacher.get(f"{lesson.url}/export.csv")).text.count("\r\n") == 1
        assert (await teacher.get(f"{lesson.url}/summary")).json()["summary"] is None
        assert (await teacher.get(f"{lesson.url}/transcript")).json() == {
            "utterances": [], "more": False,
        }  # fmt: skip
        groups = (await teacher.get(f"{lesson.url}/measures")).json()["groups"]
        assert [g["measures"] for g in groups] == [[], []]


async def test_the_interface_tells_measures_words_and_summary(school: School) -> None:
    lesson = await start_lesson(school)
    for key, group in zip(("group_a", "group_b"), lesson.groups, strict=True):
        await hear(lesson, key, group, until=92)
        await measure_and_guide(school.database, lesson.organization, group)
    await compare_groups(school.database, lesson.organization, lesson.session_id)
    a, b = (encode("group", group) for group in lesson.groups)
    async with await school.sign_in() as teacher:
        groups = (await teacher.get(f"{lesson.url}/measures")).json()["groups"]
        assert [g["group"] for g in groups] == [b, a]
        assert groups[0]["need"] > groups[1]["need"]
        dominance = next(m for m in groups[0]["measures"] if m["name"] == "dominance")
        assert dominance["evidence"][0]["utterance"].startswith("utterance_")
        first = (await teacher.get(f"{lesson.url}/transcript", params={"limit": 3})).json()
        assert (len(first["utterances"]), first["more"]) == (3, True)
        after = first["utterances"][-1]["start"]
        rest = await teacher.get(f"{lesson.url}/transcript", params={"group": a, "after": after})
        assert all(u["start"] > after and u["group"] == a for u in rest.json()["utterances"])
        assert rest.json()["utterances"][0]["participant"].startswith("participant_")
        await end_lesson(lesson)
        await summarise_session(school.database, lesson.organization, lesson.session_id)
        summary = (await teacher.get(f"{lesson.url}/summary")).json()
        assert summary["written_by"] == "classweave"
        assert [g["group"] for g in summary["groups"]] == [a, b]


async def test_a_teacher_answers_prompts_through_the_interface(school: School) -> None:
    lesson = await start_lesson(school)
    group = lesson.groups[1]
    for since, until in ((0, 45), (45, 92)):
        await hear(lesson, "group_b", group, since=since, until=until)
        await measure_and_guide(school.database, lesson.organization, group)
    async with await school.sign_in() as teacher:
        (prompt,) = (await teacher.get(f"{lesson.url}/prompts")).json()
        assert (prompt["rule"], prompt["status"]) == ("one-voice", "generated")
        assert prompt["evidence"]
        url = f"/api/live/prompts/{prompt['id']}"
        assert (await teacher.post(f"{url}/acknowledge")).json()["status"] == "acknowledged"
        assert (await teacher.post(f"{url}/use")).json()["used_at"] is not None
        assert (await teacher.post(f"{url}/dismiss")).status_code == 409
        rated = await teacher.post(f"{url}/rate", json={"rating": 5, "text": "yes"})
        assert (rated.json()["rating"], rated.json()["rating_text"]) == (5, "yes")
        assert (await teacher.post(f"{url}/rate", json={"rating": 9})).status_code == 422
    async with await school.sign_in(Role.SCHOOL_ADMIN) as admin:
        assert len((await admin.get(f"{lesson.url}/prompts")).json()) == 1
        assert (await admin.post(f"{url}/use")).status_code == 403


async def test_rules_are_read_and_replaced_through_the_interface(school: School) -> None:
    url = "/api/live/guidance-rules"

    async def put(client: httpx.AsyncClient, rules: str, version: int) -> httpx.Response:
        return await client.put(url, json={"text": rules, "based_on": version})

    async with await school.sign_in(Role.SCHOOL_ADMIN) as admin:
        standing = (await admin.get(url)).json()
        assert standing == {"version": 0, "text": default_text()}
        own = default_text().replace("minutes_between = 3", "minutes_between = 5")
        assert (await put(admin, own, 0)).json()["version"] == 1
        assert (await put(admin, own + "\n", 0)).status_code == 409
        wrong = await put(admin, own.replace('"rolling"', '"weekly"', 1), 1)
        assert wrong.status_code == 422
        (mistake, *_) = wrong.json()["errors"]
        assert "weekly" in own.replace('"rolling"', '"weekly"', 1).splitlines()[mistake["line"] - 1]
        assert (await admin.get(url)).json()["version"] == 1


async def test_names_are_exported_as_they_were_displayed(school: School) -> None:
    lesson = await finished(school)
    async with school.database.transaction(lesson.system()) as session:
        await session.execute(
            update(Transcription)
            .where(Transcription.speaker_name == "Leila")
            .values(speaker_name="فاطمة 🎈")
        )
    async with await school.sign_in() as teacher:
        answer = await teacher.get(f"{lesson.url}/export.vtt")
    assert "<v Group A · فاطمة 🎈>" in answer.content.decode()
