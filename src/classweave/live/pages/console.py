"""The console of a running session, and what the teacher does there."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core import audit, clock
from classweave.core.events import last_sequence
from classweave.core.identifiers import encode
from classweave.core.permissions import Permission, allowed
from classweave.core.problems import Conflict, Invalid
from classweave.core.tenancy import Actor
from classweave.live import run_session, send_message
from classweave.live.access import access_session
from classweave.live.ids import ParticipantId, PromptId, SessionId
from classweave.live.models import ClassroomSession, StudentGroup
from classweave.live.pages.forms import Short, Text, by_htmx, done, in_readers_words, known_id, show
from classweave.live.prompt_teacher import Step, answer_prompt, rate_prompt
from classweave.live.states import SessionStatus
from classweave.live.topics import session_topic
from classweave.live.views.console import read_cards
from classweave.live.views.lessons import lesson_href
from classweave.live.views.measures import speakers_of
from classweave.live.views.prompts import HELPFUL, UNHELPFUL, prompt_view
from classweave.live.views.talk import public_threads
from classweave.web.i18n import mark
from classweave.web.pages import redirect
from classweave.web.requests import CurrentActor, Transaction, allow

router = APIRouter(prefix="/live/sessions/{session_id}", include_in_schema=False)
prompts = APIRouter(prefix="/live/prompts", include_in_schema=False)

_RUN = [allow(Permission.SESSION_RUN)]
_READ = [allow(Permission.SESSION_READ)]
_RATINGS = {"helpful": HELPFUL, "unhelpful": UNHELPFUL}
_STEPS: dict[str, Step] = {"acknowledge": "acknowledge", "use": "use", "dismiss": "dismiss"}


def session_url(lesson: ClassroomSession) -> str:
    """Where the pages of a session are."""
    return f"/live/sessions/{encode('session', lesson.id)}"


@router.get("/console", dependencies=_READ)
async def console_page(
    request: Request, session_id: SessionId, session: Transaction, actor: CurrentActor
) -> Response:
    """All groups at once, the one that needs the teacher first."""
    lesson = await access_session(session, actor, session_id)
    if lesson.status not in (SessionStatus.LIVE, SessionStatus.PAUSED):
        return redirect(lesson_href(lesson))
    audit.record(
        session, "transcript.read", resource="session", resource_id=lesson.id,
        description="opened the console", session_id=lesson.id,
        organization=lesson.organization_id,
    )  # fmt: skip
    return await _show(request, session, actor, lesson, "console.html")


@router.get("/console/groups", dependencies=_READ)
async def console_part(
    request: Request, session_id: SessionId, session: Transaction, actor: CurrentActor
) -> Response:
    """The cards, as they are now."""
    lesson = await access_session(session, actor, session_id)
    return await _show(request, session, actor, lesson, "parts/console_groups.html")


async def _show(
    request: Request,
    session: AsyncSession,
    actor: Actor,
    lesson: ClassroomSession,
    template: str,
) -> Response:
    last = await last_sequence(session, session_topic(lesson.id))
    base = session_url(lesson)
    cards = await read_cards(session, lesson, base)
    return show(
        request,
        template,
        lesson=lesson,
        base=base,
        cards=cards,
        threads={card.group.key: public_threads(card.threads) for card in cards},
        choices=sorted((card.group.key, card.group.name) for card in cards),
        hands=[(member, card.group) for card in cards for member in card.group.hands],
        last=last,
        now=clock.now(),
        may_run=allowed(actor.role, Permission.SESSION_RUN),
    )


@router.post("/pause", dependencies=_RUN)
async def pause(session_id: SessionId, session: Transaction, actor: CurrentActor) -> Response:
    """Hear nothing for a while."""
    lesson = await run_session.pause_session(session, actor, session_id)
    return redirect(lesson_href(lesson), mark("Paused. Nothing is heard until you go on."))


@router.post("/resume", dependencies=_RUN)
async def resume(session_id: SessionId, session: Transaction, actor: CurrentActor) -> Response:
    """Hear again."""
    lesson = await run_session.resume_session(session, actor, session_id)
    return redirect(lesson_href(lesson), mark("The session goes on."))


@router.post("/end", dependencies=_RUN)
async def end(session_id: SessionId, session: Transaction, actor: CurrentActor) -> Response:
    """End for good; the summary is written next."""
    lesson = await run_session.end_session(session, actor, session_id)
    return redirect(lesson_href(lesson), mark("The session has ended. The summary is on its way."))


@router.post("/archive", dependencies=_RUN)
async def archive(session_id: SessionId, session: Transaction, actor: CurrentActor) -> Response:
    """Put the session away."""
    lesson = await run_session.archive_session(session, actor, session_id)
    return redirect(lesson_href(lesson), mark("The session is archived. You can still read it."))


@router.post("/messages", dependencies=_RUN)
async def message(
    request: Request,
    session_id: SessionId,
    session: Transaction,
    actor: CurrentActor,
    content: Text = "",
    group: Short = "",
) -> Response:
    """Write to one group or to all."""
    to = known_id("group", group)
    try:
        await send_message.send_message(session, actor, session_id, to, content)
    except Invalid as problem:
        return redirect(_console(session_id), in_readers_words(request, problem.detail), "error")
    return redirect(_console(session_id), mark("The message is sent."))


@router.post("/participants/{participant_id}/answer", dependencies=_RUN)
async def answer(
    request: Request,
    session_id: SessionId,
    participant_id: ParticipantId,
    session: Transaction,
    actor: CurrentActor,
) -> Response:
    """The raised hand was seen."""
    await run_session.answer_hand(session, actor, session_id, participant_id)
    return done(request, _console(session_id))


@router.post("/participants/{participant_id}/move", dependencies=_RUN)
async def move(
    request: Request,
    session_id: SessionId,
    participant_id: ParticipantId,
    session: Transaction,
    actor: CurrentActor,
    group: Short = "",
) -> Response:
    """Move somebody to another group."""
    wanted = known_id("group", group)
    if wanted is None:
        return redirect(_console(session_id))
    try:
        await run_session.move_student(session, actor, session_id, participant_id, wanted)
    except Conflict as problem:
        return redirect(_console(session_id), in_readers_words(request, problem.detail), "error")
    return redirect(_console(session_id), mark("Moved. The device has been told."))


@router.post("/participants/{participant_id}/remove", dependencies=_RUN)
async def remove(
    request: Request,
    session_id: SessionId,
    participant_id: ParticipantId,
    session: Transaction,
    actor: CurrentActor,
) -> Response:
    """Send a device out; it may join again."""
    await run_session.remove_participant(session, actor, session_id, participant_id)
    return done(request, _console(session_id))


def _console(session_id: SessionId) -> str:
    return f"/live/sessions/{encode('session', session_id)}/console"


@prompts.post("/{prompt_id}", dependencies=_RUN)
async def answer_a_prompt(
    request: Request,
    prompt_id: PromptId,
    session: Transaction,
    actor: CurrentActor,
    action: Short = "",
    rating: Short = "",
) -> Response:
    """Use, acknowledge, dismiss or rate a prompt; the answer is its card."""
    if action in _STEPS:
        prompt = await answer_prompt(session, actor, prompt_id, _STEPS[action])
    elif rating in _RATINGS:
        prompt = await rate_prompt(session, actor, prompt_id, _RATINGS[rating], None)
    else:
        raise Invalid("Use, acknowledge, dismiss or rate the prompt.", code="bad-answer")
    lesson = await access_session(session, actor, prompt.session_id)
    if not by_htmx(request):
        return redirect(lesson_href(lesson))
    group = await session.get(StudentGroup, prompt.group_id) if prompt.group_id else None
    page = f"{session_url(lesson)}/groups/{encode('group', group.id)}" if group else ""
    speakers = await speakers_of(session, [item["utterance"] for item in prompt.evidence])
    return show(request, "parts/prompt.html", prompt=prompt_view(prompt, speakers, page))
