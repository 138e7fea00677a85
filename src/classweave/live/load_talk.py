"""A group's talk as the language room sees it: who may be measured, what they said, how well.

Whoever's consent does not stand is left out of everything, their words included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance.consent import allows_analysis, allows_capture, standing_consents
from classweave.core import clock
from classweave.core.identifiers import decode, encode
from classweave.core.model import Json
from classweave.directory.models import Organization, OrganizationSetting
from classweave.directory.regions import EEA
from classweave.language.transcript import Discussion, Track, Utterance, Word
from classweave.live.models import (
    ClassroomSession,
    Participant,
    StudentGroup,
    StudentGroupMember,
    Transcription,
)

# A device that has sent nothing for this long does not hold the group's clock back.
_STALE = timedelta(seconds=20)
_SPEECH_RATE = 16_000


@dataclass(frozen=True, slots=True)
class Totals:
    """How well a track was captured, in seconds since it began."""

    connected: float
    heard: float


@dataclass(frozen=True, slots=True)
class TrackState:
    """A track as it stands.

    ``starts``, ``arrived_until`` and ``read_until`` are seconds since the session began: what
    lies between the last two waits to become words.
    """

    id: str
    speaker: str | None
    totals: Totals
    muted: bool
    clipping: bool
    starts: float
    arrived_until: float
    read_until: float
    open: bool


Marks = Mapping[float, Mapping[str, Totals]]
"""What each track had gathered when earlier windows ended, by the second of that end."""


@dataclass(frozen=True, slots=True)
class Talk:
    """Everything one group has said so far, and by whom it may be heard.

    ``members`` are those whose voice may be captured and whose words may be measured, by the
    public id of their participant; ``participants`` are the rows behind each. ``left_out`` counts
    members who take part without being heard or measured.
    """

    utterances: tuple[Utterance, ...]
    members: tuple[str, ...]
    participants: Mapping[str, tuple[UUID, ...]]
    names: Mapping[str, str]
    tracks: tuple[TrackState, ...]
    left_out: int
    members_configured: int
    members_present: int
    elapsed: float
    paused_seconds: float
    concepts: tuple[str, ...]
    goal: str
    title: str
    language: str

    @property
    def heard_until(self) -> float:
        """The second up to which everything that was said has become words."""
        said = max((u.end for u in self.utterances), default=0.0)
        return max(said, min((t.read_until for t in self.tracks if t.open), default=0.0))

    def window(self, start: float, end: float, marks: Marks) -> Discussion:
        """The talk between two seconds, with how well each device was heard in between.

        ``marks`` are the tracks' totals when earlier windows ended. An utterance belongs to the
        window in which it ends.
        """
        known = [at for at in marks if at <= start]
        since = max(known, default=0.0)
        before: Mapping[str, Totals] = marks[since] if known else {}
        pause = self.paused_seconds if start <= 0.0 else 0.0
        gathered = max(end - since - pause, 1e-9)
        share = (end - start) / gathered
        return Discussion(
            utterances=tuple(u for u in self.utterances if start < u.end <= end),
            members=self.members,
            start=start,
            end=end,
            # Without any track nobody was heard; the language room must not take it for silence.
            tracks=tuple(_within(t, before.get(t.id), share, start, end) for t in self.tracks)
            or tuple(Track(member, member, 0.0, 0.0) for member in self.members),
            concepts=self.concepts,
            goal=self.goal,
            title=self.title,
            language=self.language,
        )


def _within(
    track: TrackState, before: Totals | None, share: float, start: float, end: float
) -> Track:
    """What a track gathered within a window, scaled from the nearest mark before it.

    Sound that has arrived and is not read yet is not heard: nobody knows what is in it.
    """
    seconds, mark = end - start, before or Totals(0.0, 0.0)
    unread = max(0.0, min(end, track.arrived_until) - max(start, track.read_until))
    heard = min(seconds, share * (track.totals.heard - mark.heard))
    return Track(
        id=track.id,
        speaker=track.speaker,
        connected_seconds=min(seconds, share * (track.totals.connected - mark.connected)),
        heard_seconds=max(0.0, min(heard, seconds - unread)),
        muted=track.muted,
        clipping=track.clipping,
        unread_seconds=unread,
    )


def totals_as_json(tracks: Sequence[TrackState]) -> Json:
    """The tracks' totals as a window's record keeps them."""
    return {t.id: [round(t.totals.connected, 1), round(t.totals.heard, 1)] for t in tracks}


def marks_from_json(ends: Mapping[float, Json]) -> Marks:
    """The inverse of :func:`totals_as_json`, for the records of several windows."""
    return {
        end: {track: Totals(float(pair[0]), float(pair[1])) for track, pair in tracks.items()}
        for end, tracks in ends.items()
    }


async def sentiment_allowed(session: AsyncSession, organization: UUID) -> bool:
    """Whether the tone of a group may be taken: a setting, and never where the region forbids."""
    region = await session.scalar(
        select(Organization.region).where(Organization.id == organization)
    )
    if (region or "").strip().upper()[:2] in EEA:
        return False
    value = await session.scalar(
        select(OrganizationSetting.setting_value).where(
            OrganizationSetting.organization_id == organization,
            OrganizationSetting.setting_key == "sentiment_allowed",
        )
    )
    return value != "false"


async def load_talk(session: AsyncSession, lesson: ClassroomSession, group: StudentGroup) -> Talk:
    """Load everything a group has said, leaving out whoever may not be measured."""
    planned = set(
        await session.scalars(
            select(StudentGroupMember.student_id).where(StudentGroupMember.group_id == group.id)
        )
    )
    people = await _people(session, group)
    students = {p.student_id for p in people if p.student_id is not None} | planned
    consents = await standing_consents(session, sorted(students))
    measured = {s for s in students if allows_analysis(consents[s])}
    heard = {s for s in measured if allows_capture(consents[s])}
    # For guests and for a device that hears everybody the teacher's word for the session stands;
    # a shared device cannot leave out one member of the group, so nobody may object.
    word = lesson.recording_consent_obtained
    shared = word and planned <= measured
    keys = _keys(people)
    allowed = {
        p.id
        for p in people
        if (shared if p.is_shared else word if p.student_id is None else p.student_id in measured)
    }
    members: dict[str, list[UUID]] = {}
    left_out = 0
    for person in people:
        if person.is_shared or person.group_id != group.id:
            continue
        if person.id in allowed and (person.student_id is None or person.student_id in heard):
            members.setdefault(keys[person.id], []).append(person.id)
        elif person.is_active:
            left_out += 1
    present = {p.student_id for p in people if p.group_id == group.id and p.is_active}
    return Talk(
        utterances=await _utterances(session, group, allowed, keys, shared),
        members=tuple(members),
        participants={key: tuple(rows) for key, rows in members.items()},
        names={keys[p.id]: p.display_name for p in people},
        tracks=await _tracks(session, lesson, group, allowed, keys),
        left_out=left_out,
        members_configured=len(planned),
        members_present=len(planned & present),
        elapsed=elapsed_seconds(lesson, clock.now()),
        paused_seconds=float(lesson.paused_seconds),
        concepts=tuple(lesson.concepts),
        goal=lesson.goal,
        title=lesson.title,
        language=lesson.language,
    )


def elapsed_seconds(lesson: ClassroomSession, at: datetime) -> float:
    """Seconds since the session began, pauses included; 0 before it has."""
    if lesson.actual_start is None:
        return 0.0
    end = min(at, lesson.actual_end) if lesson.actual_end is not None else at
    return max(0.0, (end - lesson.actual_start).total_seconds())


async def _people(session: AsyncSession, group: StudentGroup) -> list[Participant]:
    """Everyone who is in the group or has spoken in it, the newest last."""
    spoke = select(Transcription.speaker_id).where(Transcription.group_id == group.id)
    found = await session.scalars(
        select(Participant)
        .where(
            Participant.session_id == group.session_id,
            or_(Participant.group_id == group.id, Participant.id.in_(spoke)),
        )
        .order_by(Participant.join_time)
    )
    return list(found)


def _keys(people: Sequence[Participant]) -> dict[UUID, str]:
    """Each participant's public id; a student who came back is one person under the newest."""
    newest = {p.student_id: p.id for p in people if p.student_id is not None}
    return {
        p.id: encode("participant", newest[p.student_id] if p.student_id else p.id) for p in people
    }


async def _utterances(
    session: AsyncSession,
    group: StudentGroup,
    allowed: set[UUID],
    keys: Mapping[UUID, str],
    shared: bool,
) -> tuple[Utterance, ...]:
    rows = await session.scalars(
        select(Transcription)
        .where(Transcription.group_id == group.id, Transcription.is_final)
        .order_by(Transcription.start_seconds, Transcription.id)
    )
    return tuple(
        utterance_of(row, keys.get(row.speaker_id) if row.speaker_id else None)
        for row in rows
        if (shared if row.speaker_id is None else row.speaker_id in allowed)
    )


def utterance_of(row: Transcription, speaker: str | None) -> Utterance:
    """A stored utterance as the language room sees it; ``speaker`` is a public id."""
    return Utterance(
        id=encode("utterance", row.id),
        track=encode("track", row.track_id),
        speaker=speaker,
        start=float(row.start_seconds),
        end=float(row.end_seconds),
        text=row.content,
        words=tuple(
            Word(w["text"], float(w["start"]), float(w["end"]), float(w["probability"]))
            for w in row.words
        ),
        confidence=float(row.confidence_score),
        role="teacher" if row.speaker_type == "teacher" else "student",
    )


async def _tracks(
    session: AsyncSession,
    lesson: ClassroomSession,
    group: StudentGroup,
    allowed: set[UUID],
    keys: Mapping[UUID, str],
) -> tuple[TrackState, ...]:
    rows = (
        await session.execute(
            sql(
                "SELECT t.id, t.participant_id, t.started_at, t.last_chunk_at, t.finished_at,"
                " t.connected_seconds, t.heard_seconds, t.clipping_seconds, t.end_ms,"
                " coalesce((t.cursor->>'position')::bigint, 0) AS position, p.is_muted, p.is_shared"
                " FROM live.tracks t JOIN live.participants p ON p.id = t.participant_id"
                " WHERE t.group_id = :group ORDER BY t.started_at, t.id"
            ),
            {"group": group.id},
        )
    ).all()
    now = clock.now()
    found: list[TrackState] = []
    for row in rows:
        if row.participant_id not in allowed:
            continue
        begin = lesson.actual_start or row.started_at
        starts = (row.started_at - begin).total_seconds()
        last: datetime | None = row.last_chunk_at
        live = row.finished_at is None and last is not None
        connected = float(row.connected_seconds)
        arrived = row.end_ms / 1000.0
        read = arrived if row.finished_at else min(row.position / _SPEECH_RATE, arrived)
        found.append(
            TrackState(
                id=encode("track", row.id),
                speaker=None if row.is_shared else keys[row.participant_id],
                totals=Totals(connected, float(row.heard_seconds)),
                muted=bool(row.is_muted) and live,
                clipping=float(row.clipping_seconds) > 0.05 * connected,
                starts=starts,
                arrived_until=starts + arrived,
                read_until=starts + read,
                open=row.finished_at is None and last is not None and now - last < _STALE,
            )
        )
    return tuple(found)


async def all_there(session: AsyncSession, talk: Talk) -> bool:
    """Whether every utterance of ``talk`` still exists: none was erased since it was loaded."""
    ids = [decode("utterance", u.id) for u in talk.utterances]
    count = await session.scalar(
        select(func.count()).select_from(Transcription).where(Transcription.id.in_(ids))
    )
    return count == len(ids)
