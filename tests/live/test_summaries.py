"""What a session leaves behind: summaries with quotations, insights, and a past to compare with."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from demo_talk import DEMO, utterances_of
from lesson_fixtures import PLAN, end_lesson, forget_session, hear, start_lesson
from pydantic import SecretStr
from sqlalchemy import select, text

from classweave.compliance.models import ConsentKind, ConsentState
from classweave.core.identifiers import encode
from classweave.core.jobs import use_runtime
from classweave.core.runtime import Runtime
from classweave.core.settings import Settings
from classweave.live.models import (
    EducationalInsight,
    GroupMetrics,
    GroupSummary,
    SessionSummary,
    TeacherGuidanceMetrics,
)
from classweave.live.summarise_session import summarise_session
from classweave.live.write_summary import write_summary
from school_fixtures import School

pytestmark = pytest.mark.anyio

LINES = utterances_of(DEMO.group("group_a"))


class Model(HTTPServer):
    """An OpenAI-compatible endpoint on loopback that answers what it is told to."""

    def __init__(self, status: int, content: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.content = status, content
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []


class _Handler(BaseHTTPRequestHandler):
    server: Model

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.append({"path": self.path, **json.loads(body)})
        self.server.keys.append(self.headers.get("authorization"))
        answer = json.dumps(
            {
                "model": "a-model-2026",
                "choices": [{"message": {"role": "assistant", "content": self.server.content}}],
            }
        ).encode()
        self.send_response(self.server.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def a_model(content: str, status: int = 200) -> Iterator[Model]:
    server = Model(status, content)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def settings_of(model: Model, **more: Any) -> Settings:
    return Settings(llm_url=f"http://127.0.0.1:{model.server_port}/v1", llm_model="a-model", **more)


def sentences(*pairs: tuple[str, list[int]]) -> str:
    return json.dumps({"sentences": [{"text": t, "lines": lines} for t, lines in pairs]})


async def test_no_model_is_asked_unless_one_is_configured() -> None:
    assert await write_summary(Settings(), LINES, "goal") is None


async def test_sentences_without_valid_lines_are_dropped() -> None:
    answer = sentences(
        ("They asked why things float.", [1]),
        ("They went to the moon.", []),
        ("They cited a line that is not there.", [1, 999]),
        ("They settled on density.", [len(LINES), 8, 8]),
    )
    with a_model(f"```json\n{answer}\n```") as model:
        written = await write_summary(
            settings_of(model, llm_key=SecretStr("k" * 8)), LINES, 'A "goal"'
        )
    assert written is not None
    assert written.model == "a-model-2026"
    assert [s.text for s in written.sentences] == [
        "They asked why things float.",
        "They settled on density.",
    ]
    assert written.sentences[1].utterances == (LINES[-1].id, LINES[7].id)
    assert written.dropped == 2
    (asked,) = model.asked
    assert asked["path"] == "/v1/chat/completions"
    assert model.keys == ["Bearer kkkkkkkk"]
    sent = json.dumps(asked["messages"])
    assert "why some things float" in sent
    # The model sees lines by number: not who said them.
    for member in DEMO.group("group_a").members:
        assert member.family_name not in sent


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ("I would rather chat.", 200),
        ("{}", 200),
        (sentences(("No proof.", [0])), 200),
        (sentences(("", [1])), 200),
        ('{"sentences": [{"text": 3, "lines": "1"}]}', 200),
        (sentences(("Fine.", [1])), 500),
    ],
)
async def test_whatever_goes_wrong_the_extractive_summary_stands(content: str, status: int) -> None:
    with a_model(content, status) as model:
        assert await write_summary(settings_of(model), LINES, "goal") is None


async def test_a_model_that_is_not_there_is_no_error() -> None:
    with a_model("") as model:
        settings = settings_of(model)
    assert await write_summary(settings, LINES, "goal") is None


async def test_a_long_discussion_is_sent_in_part() -> None:
    with a_model(sentences(("Long.", [400]))) as model:
        written = await write_summary(settings_of(model), LINES * 60, "goal")
    assert written is not None
    assert model.asked[0]["messages"][1]["content"].count("\n") <= 402


async def test_a_session_is_summarised_with_quotations(school: School, runtime: Runtime) -> None:
    lesson = await start_lesson(school)
    for key, group in zip(("group_a", "group_b"), lesson.groups, strict=True):
        await hear(lesson, key, group)
    await end_lesson(lesson)
    answer = sentences(("They explained floating by density.", [8]))
    with a_model(answer) as model, use_runtime(replace(runtime, settings=settings_of(model))):
        await summarise_session(school.database, lesson.organization, lesson.session_id)
    assert len(model.asked) == 2
    async with school.database.transaction(lesson.system()) as session:
        groups = {
            row.group_id: row
            for row in await session.scalars(
                select(GroupSummary).where(GroupSummary.session_id == lesson.session_id)
            )
        }
        whole = await session.scalar(
            select(SessionSummary).where(SessionSummary.session_id == lesson.session_id)
        )
        insights = list(
            await session.scalars(
                select(EducationalInsight).where(EducationalInsight.session_id == lesson.session_id)
            )
        )
        events = await session.scalar(
            text("SELECT count(*) FROM ops.events WHERE topic = :topic AND type = 'summary'"),
            {"topic": f"live.session:{lesson.session_id}"},
        )
    a = groups[lesson.groups[0]]
    assert a.written_by == "a-model-2026"
    assert a.summary_json["written"]["sentences"][0]["utterances"][0].startswith("utterance_")
    said = {turn.text for turn in DEMO.group("group_a").turns}
    assert len(a.summary_json["what"]) >= 3
    assert all(quote["text"] in said for quote in a.summary_json["what"])
    assert "density" in a.summary_json["concepts_named"]
    assert whole is not None
    assert whole.written_by == "classweave"
    assert {row["group"] for row in whole.summary_json["what"]} == {
        encode("group", group) for group in lesson.groups
    }
    assert {i.applies_to_type for i in insights} == {"group", "session"}
    assert all(i.impact_score is None for i in insights)
    assert any("quiet members" in i.description for i in insights)
    assert events == 1
    # Once more: the same rows again, no second set, and without a model the quotations stand.
    await summarise_session(school.database, lesson.organization, lesson.session_id)
    async with school.database.transaction(lesson.system()) as session:
        again = list(
            await session.scalars(
                select(GroupSummary).where(GroupSummary.session_id == lesson.session_id)
            )
        )
        insights_again = list(
            await session.scalars(
                select(EducationalInsight.description).where(
                    EducationalInsight.session_id == lesson.session_id
                )
            )
        )
    assert {row.written_by for row in again} == {"classweave"}
    assert sorted(insights_again) == sorted(i.description for i in insights)


async def test_a_class_is_compared_with_its_own_past(school: School) -> None:
    earlier = [
        {"name": "participation_equality", "value": 0.9, "status": "ok"},
        {"name": "reasoning", "value": 0.9, "status": "uncertain"},
    ]
    for _ in range(3):
        past = await start_lesson(school)
        await end_lesson(past)
        async with school.database.transaction(past.system()) as session:
            for group in past.groups:
                session.add(
                    GroupMetrics(
                        organization_id=past.organization,
                        group_id=group,
                        session_id=past.session_id,
                        configured_name="g",
                        configured_size=4,
                        leader_assigned=False,
                        members_configured=4,
                        members_present=4,
                        measures={"measures": earlier},
                    )
                )
    lesson = await start_lesson(school)
    await hear(lesson, "group_b", lesson.groups[1])
    await end_lesson(lesson)
    await summarise_session(school.database, lesson.organization, lesson.session_id)
    async with school.database.transaction(lesson.system()) as session:
        summary = await session.scalar(
            select(GroupSummary).where(GroupSummary.group_id == lesson.groups[1])
        )
    assert summary is not None
    how = summary.summary_json["how"]
    (shared,) = [line for line in how if "shared" in line]
    assert "less than in most of this class's earlier discussions" in shared
    assert not any("reason" in line and "class" in line for line in how)


async def test_nothing_said_makes_an_honest_summary(school: School) -> None:
    lesson = await start_lesson(school)
    await end_lesson(lesson)
    await summarise_session(school.database, lesson.organization, lesson.session_id)
    async with school.database.transaction(lesson.system()) as session:
        summaries = list(await session.scalars(select(GroupSummary)))
        whole = await session.scalar(select(SessionSummary))
    assert len(summaries) == 2
    assert all(s.summary_json["what"] == [] for s in summaries)
    assert all("Only 0 words" in s.summary_json["reason"] for s in summaries)
    assert whole is not None
    assert whole.summary_json["reason"] == "Too little was heard in any group."


async def test_one_member_a_shared_device_and_a_deleted_session_are_no_error(
    school: School,
) -> None:
    alone = await start_lesson(school)
    await school.consent(
        [ConsentKind.ANALYSIS],
        ConsentState.REFUSED,
        [alone.students[key] for key in ("leila", "isaac", "sofia")],
    )
    await hear(alone, "group_a", alone.groups[0])
    await end_lesson(alone)
    await summarise_session(school.database, alone.organization, alone.session_id)
    async with school.database.transaction(alone.system()) as session:
        summary = await session.scalar(
            select(GroupSummary).where(GroupSummary.group_id == alone.groups[0])
        )
    assert summary is not None
    assert "buoyant" not in str(summary.summary_json["what"])
    await school.consent([ConsentKind.ANALYSIS])
    shared = await start_lesson(school, shared=True)
    await hear(shared, "group_a", shared.groups[0])
    await end_lesson(shared)
    await summarise_session(school.database, shared.organization, shared.session_id)
    async with school.database.transaction(shared.system()) as session:
        summary = await session.scalar(
            select(GroupSummary).where(GroupSummary.group_id == shared.groups[0])
        )
    assert summary is not None
    assert summary.summary_json["what"]
    assert all(quote["speaker"] is None for quote in summary.summary_json["what"])
    await forget_session(shared)
    await summarise_session(school.database, shared.organization, shared.session_id)


async def test_with_analysis_off_nothing_is_summarised(school: School) -> None:
    lesson = await start_lesson(school, plan=replace(PLAN, ai_analysis_enabled=False))
    await hear(lesson, "group_a", lesson.groups[0])
    await end_lesson(lesson)
    await summarise_session(school.database, lesson.organization, lesson.session_id)
    async with school.database.transaction(lesson.system()) as session:
        assert not list(await session.scalars(select(GroupSummary)))
        assert not list(await session.scalars(select(TeacherGuidanceMetrics)))
