"""Sound arrives: open or resume a track, and commit chunks before they are acknowledged.

The chunks of all connections of a process that wait at the same moment are committed together, in
one transaction per organisation, so that the price of a commit is shared.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from prometheus_client import Counter, Histogram
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance.consent import may_capture
from classweave.core import clock
from classweave.core.database import Database
from classweave.core.problems import BadRequest, NotFound
from classweave.core.tenancy import Actor, system_actor
from classweave.live.frames import MAX_TRACK_MS, Frame
from classweave.live.models import ClassroomSession, Participant, Track
from classweave.live.models.sound import Codec
from classweave.live.states import SessionStatus

log = structlog.get_logger(__name__)

CHUNKS = Counter("classweave_sound_chunks", "Chunks of sound committed")
COMMIT_SECONDS = Histogram("classweave_sound_commit_seconds", "Time to commit waiting chunks")

_SAMPLE_RATES = {Codec.OPUS: (48_000,), Codec.PCM16: (8_000, 16_000, 24_000, 44_100, 48_000)}


@dataclass(frozen=True, slots=True)
class OpenTrack:
    """A track that a device may send to, as things stand."""

    id: UUID
    participant_id: UUID
    session_id: UUID
    organization_id: UUID
    codec: Codec
    sample_rate: int
    next_seq: int
    end_ms: int
    status: SessionStatus
    consent: bool
    muted: bool


async def consents_to_sound(session: AsyncSession, participant: Participant) -> bool:
    """Whether this device may send sound: the one question every stream asks.

    A student's own consent decides. A guest is nobody whose consent could stand on record, and a
    shared device hears several people: for these the teacher's word for the session decides.
    """
    if participant.student_id is not None:
        return await may_capture(session, participant.student_id)
    allowed = await session.scalar(
        select(ClassroomSession.recording_consent_obtained).where(
            ClassroomSession.id == participant.session_id
        )
    )
    return bool(allowed)


async def open_track(
    session: AsyncSession,
    actor: Actor,
    *,
    track_id: UUID | None,
    codec: Codec,
    sample_rate: int,
    elapsed_ms: int,
) -> OpenTrack:
    """Open the actor's track, or resume the one it names.

    ``elapsed_ms`` is the device's own clock of the track at this moment, which places sound that
    was captured before the connection stood. Raises :class:`NotFound` when the session is over.
    """
    if sample_rate not in _SAMPLE_RATES[codec]:
        raise BadRequest(f"{codec.value} at {sample_rate} Hz is not supported.", code="bad-hello")
    participant = await session.get_one(Participant, actor.id)
    lesson = await session.get_one(ClassroomSession, participant.session_id)
    if lesson.status in (SessionStatus.ARCHIVED, SessionStatus.DRAFT, SessionStatus.SCHEDULED):
        raise NotFound("This session is over.", code="session-over")
    track = await _track_to_resume(session, participant, track_id, codec, sample_rate)
    if track is None:
        if lesson.status is SessionStatus.ENDED:
            raise NotFound("This session is over.", code="session-over")
        track = await _new_track(session, participant, codec, sample_rate, elapsed_ms)
    consent = await consents_to_sound(session, participant)
    participant.can_speak = consent
    participant.last_seen_at = clock.now()
    participant.leave_time = None
    return OpenTrack(
        id=track.id,
        participant_id=participant.id,
        session_id=participant.session_id,
        organization_id=participant.organization_id,
        codec=codec,
        sample_rate=sample_rate,
        next_seq=track.next_seq,
        end_ms=track.end_ms,
        status=lesson.status,
        consent=consent,
        muted=participant.is_muted,
    )


async def _track_to_resume(
    session: AsyncSession,
    participant: Participant,
    track_id: UUID | None,
    codec: Codec,
    sample_rate: int,
) -> Track | None:
    """The participant's own open track of this name, if it goes on in the same encoding."""
    if track_id is None:
        return None
    return await session.scalar(
        select(Track)
        .where(
            Track.id == track_id,
            Track.participant_id == participant.id,
            Track.closed_at.is_(None),
            Track.codec == codec,
            Track.sample_rate == sample_rate,
        )
        .with_for_update(key_share=True)
    )


async def _new_track(
    session: AsyncSession,
    participant: Participant,
    codec: Codec,
    sample_rate: int,
    elapsed_ms: int,
) -> Track:
    """A track that begins with this hello; what the device sent on others before is all of them.

    A track that nothing arrived on is begun anew instead of leaving a trail of empty ones.
    """
    now = clock.now()
    elapsed = timedelta(milliseconds=min(max(0, elapsed_ms), MAX_TRACK_MS))
    # Whatever a device says of its clock, it heard nothing of this session before it joined.
    started_at = max(now - elapsed, participant.join_time)
    earlier = await session.scalars(
        select(Track)
        .where(Track.participant_id == participant.id, Track.closed_at.is_(None))
        .order_by(Track.id)
        .with_for_update(key_share=True)
    )
    track = None
    for known in earlier.all():
        if track is None and known.next_seq == 0 and known.group_id == participant.group_id:
            track = known
        else:
            known.closed_at = now
    if track is None:
        track = Track(
            organization_id=participant.organization_id,
            session_id=participant.session_id,
            group_id=participant.group_id,
            participant_id=participant.id,
            next_seq=0,
            end_ms=0,
        )
        session.add(track)
    track.codec = codec
    track.sample_rate = sample_rate
    track.started_at = started_at
    await session.flush()
    return track


async def close_tracks(session: AsyncSession, participant_id: UUID) -> None:
    """Nothing more is taken on the participant's tracks; what is there will become words."""
    await session.execute(
        update(Track)
        .where(Track.participant_id == participant_id, Track.closed_at.is_(None))
        .values(closed_at=clock.now())
    )


# What was said outside the running session is not kept, only that time passed. A chunk is judged
# by when it was captured, not by when it came: a device that was cut off during a pause may send
# later what it should not, and what was on its way when the pause began was said before it.
_INSERT = text(
    """
WITH track AS (
  -- Locked: who closes a track (a withdrawal, a move) is sure that nothing follows.
  SELECT t.id, t.session_id, t.started_at, t.next_seq, t.end_ms FROM live.tracks t
  WHERE t.id = ANY (CAST(:track AS uuid[])) AND t.closed_at IS NULL
  ORDER BY t.id FOR NO KEY UPDATE
), arrived AS (
  SELECT DISTINCT ON (track_id, seq) * FROM unnest(
    CAST(:track AS uuid[]), CAST(:seq AS bigint[]), CAST(:start AS bigint[]),
    CAST(:duration AS int[]), CAST(:silent AS bool[]), CAST(:muted AS bool[]),
    CAST(:peak AS smallint[]), CAST(:rms AS smallint[]), CAST(:payload AS bytea[]),
    CAST(:last AS bool[]), CAST(:alive AS bool[]), CAST(:clipping AS bool[])
  ) AS a (track_id, seq, start_ms, duration_ms, is_silent, is_muted, peak_dbfs, rms_dbfs, payload,
          is_last, alive, clipping)
), new AS (
  SELECT a.*, t.session_id,
    t.next_seq + row_number() OVER (PARTITION BY a.track_id ORDER BY a.seq) - 1 AS due,
    least(:moment, t.started_at + make_interval(secs =>
      (a.start_ms + a.duration_ms / 2.0) / 1000.0)) AS captured_at,
    t.started_at,
    coalesce(bool_or(a.is_last) OVER (PARTITION BY a.track_id ORDER BY a.seq
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), false) AS is_over,
    coalesce(lag(a.start_ms + a.duration_ms) OVER (PARTITION BY a.track_id ORDER BY a.seq),
      t.end_ms) AS before_ms
  FROM arrived a JOIN track t ON t.id = a.track_id
  WHERE a.seq >= t.next_seq
), accepted AS (
  -- Only what follows on: after a failed commit a later chunk must not leave a hole behind it.
  -- Time is lost only between two chunks of one stretch of listening: nothing is captured before
  -- the first chunk, before the start or in a pause, and that is no gap.
  SELECT n.*, coalesce(e.listening, false) AS listened,
    CASE WHEN n.seq > 0 AND e.listening
        AND n.started_at + make_interval(secs => n.before_ms / 1000.0) >= e.event_time
      THEN greatest(0, n.start_ms - n.before_ms) ELSE 0 END AS gap_ms
  FROM new n LEFT JOIN LATERAL (
    SELECT s.event_time, s.event_type IN ('started', 'resumed') AS listening
    FROM live.session_events s
    WHERE s.session_id = n.session_id AND s.event_time <= n.captured_at
      AND s.event_type IN ('started', 'paused', 'resumed', 'ended')
    ORDER BY s.event_time DESC LIMIT 1) e ON true
  WHERE n.seq = n.due AND NOT n.is_over
), stored AS (
  INSERT INTO live.audio_chunks (track_id, organization_id, seq, start_ms, duration_ms, is_silent,
    is_muted, peak_dbfs, rms_dbfs, payload)
  SELECT track_id, :organization, seq, start_ms, duration_ms, is_silent OR NOT listened, is_muted,
    peak_dbfs, rms_dbfs, CASE WHEN listened THEN payload END FROM accepted
  RETURNING track_id, seq
), sums AS (
  SELECT a.track_id, max(a.seq) + 1 AS next_seq, max(a.start_ms + a.duration_ms) AS end_ms,
    sum(a.duration_ms) AS ms, sum(a.gap_ms) AS gap_ms,
    coalesce(sum(a.duration_ms) FILTER (WHERE a.alive), 0) AS alive_ms,
    coalesce(sum(a.duration_ms) FILTER (WHERE a.is_muted), 0) AS muted_ms,
    coalesce(sum(a.duration_ms) FILTER (WHERE a.clipping), 0) AS clipping_ms,
    max(a.peak_dbfs) AS peak, (array_agg(a.rms_dbfs ORDER BY a.seq DESC))[1] AS rms,
    bool_or(a.is_last) AS is_last
  FROM accepted a JOIN stored s USING (track_id, seq) GROUP BY a.track_id
), moved AS (
  UPDATE live.tracks t SET
    next_seq = s.next_seq,
    gap_seconds = t.gap_seconds + s.gap_ms / 1000.0,
    end_ms = greatest(t.end_ms, s.end_ms),
    last_chunk_at = :moment,
    connected_seconds = t.connected_seconds + s.ms / 1000.0,
    heard_seconds = t.heard_seconds + s.alive_ms / 1000.0,
    muted_seconds = t.muted_seconds + s.muted_ms / 1000.0,
    clipping_seconds = t.clipping_seconds + s.clipping_ms / 1000.0,
    peak_dbfs = s.peak, rms_dbfs = s.rms,
    closed_at = CASE WHEN s.is_last THEN :moment ELSE t.closed_at END
  FROM sums s WHERE t.id = s.track_id
  RETURNING t.id, t.next_seq
)
SELECT t.id, coalesce(m.next_seq, t.next_seq) AS next_seq
FROM track t LEFT JOIN moved m ON m.id = t.id
"""
)

Waiting = tuple[UUID, Frame, asyncio.Future[bool]]


def _no_chunks() -> defaultdict[UUID, list[Waiting]]:
    return defaultdict(list)


class ChunkWriter:
    """Commits the chunks of this process. ``write`` returns once its chunk is on disk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting = _no_chunks()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def write(self, organization: UUID, track: UUID, frame: Frame) -> bool:
        """Commit one chunk, and say whether it was taken.

        A track that was closed meanwhile takes none, nor does one that waits for an earlier chunk.
        Raises what the database raised when it could not commit.
        """
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="chunk-writer")
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[organization].append((track, frame, done))
        self._wake.set()
        return await done

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            batches = self._waiting
            self._waiting = _no_chunks()
            for organization, batch in batches.items():
                try:
                    with COMMIT_SECONDS.time():
                        async with self._database.transaction(
                            system_actor(organization)
                        ) as session:
                            awaited = await store_chunks(session, organization, batch)
                except Exception as error:
                    log.warning("chunks_not_committed", error=type(error).__name__)
                    for *_rest, done in batch:
                        if not done.done():
                            done.set_exception(error)
                else:
                    for track, frame, done in batch:
                        taken = frame.seq < awaited.get(track, 0)
                        CHUNKS.inc(taken)
                        if not done.done():
                            done.set_result(taken)


async def store_chunks(
    session: AsyncSession, organization: UUID, batch: Sequence[Waiting]
) -> dict[UUID, int]:
    """Insert chunks and count them on their tracks; what is already stored is left alone.

    Returns, for each track that is open, the number of the chunk awaited next: everything below
    it is stored.
    """
    frames = [frame for _track, frame, _done in batch]
    rows = await session.execute(
        _INSERT,
        {
            "organization": organization,
            "moment": clock.now(),
            "track": [track for track, _frame, _done in batch],
            "seq": [f.seq for f in frames],
            "start": [f.start_ms for f in frames],
            "duration": [f.duration_ms for f in frames],
            "silent": [f.silent for f in frames],
            "muted": [f.muted for f in frames],
            "peak": [f.peak for f in frames],
            "rms": [f.rms for f in frames],
            "payload": [f.payload for f in frames],
            "last": [f.last for f in frames],
            "alive": [f.alive for f in frames],
            "clipping": [f.clipping for f in frames],
        },
    )
    return {row.id: row.next_seq for row in rows}
