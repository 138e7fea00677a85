"""The speech worker: owns tracks by lease, reads their sound as a cursor, commits words.

The words of one utterance and the new position of the cursor are one transaction. A worker that
dies has committed all or nothing of an utterance; the next owner starts from the cursor and, since
cutting depends on the sound alone, finds the same utterances again.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError, SQLAlchemyError

from classweave.core import clock
from classweave.core.database import Database
from classweave.core.runtime import Runtime
from classweave.core.tenancy import system_actor
from classweave.live.commit_words import LeaseLost, TrackFacts, commit_cut, finish_track
from classweave.speech.decode import Chunk
from classweave.speech.recogniser import Recogniser, Recognition
from classweave.speech.segmenter import Cursor, Cut, Segmenter
from classweave.speech.whisper import WhisperRecogniser

log = structlog.get_logger(__name__)

CAPTION_SECONDS = Histogram(
    "classweave_caption_seconds", "End of an utterance to its committed words",
    buckets=(0.25, 0.5, 0.75, 1, 1.3, 1.7, 2.5, 4, 8, 16, 32, 64),
)  # fmt: skip
OWNED = Gauge("classweave_speech_tracks", "Tracks that this worker owns")
UTTERANCES = Counter("classweave_utterances", "Utterances recognised")
FAILURES = Counter("classweave_speech_failures", "Utterances that could not be recognised")

# A chunk is half a second of sound: looking oftener costs more than it brings.
_TICK = 0.15
_LEASE = timedelta(seconds=8)
_RENEW_SECONDS = 2.0
_CLAIM_SECONDS = 1.0
_CHUNKS_AT_ONCE = 40
_TRIES = 3
_ASIDE = timedelta(seconds=5)
# What the database says of a row, not of itself.
_OF_ONE_TRACK = (IntegrityError, DataError, ProgrammingError)


@dataclass(slots=True)
class OwnedTrack:
    """A track that this worker reads."""

    facts: TrackFacts
    segmenter: Segmenter
    next_seq: int
    waiting: list[Cut] = field(default_factory=list[Cut])
    closed_at_seq: int | None = None
    flushed: bool = False
    tries: int = 0


class SpeechWorker:
    """One process's worth of speech recognition: one model, one utterance at a time."""

    def __init__(self, runtime: Runtime, name: str, recogniser: Recogniser | None = None) -> None:
        """Work on ``runtime``; without a ``recogniser``, the model of its settings is loaded."""
        self._database: Database = runtime.database
        self._model = runtime.settings.speech_model
        # A name of its own for each life: a restarted worker must not inherit a lease.
        self._name = f"{name}-{time.time_ns()}"
        self._owned: dict[UUID, OwnedTrack] = {}
        self._stopping = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recogniser")
        self._recogniser = recogniser

    def stop(self) -> None:
        """Let :meth:`run` come to its end."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until SIGTERM, SIGINT or :meth:`stop`, then give the leases back."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        if self._recogniser is None:
            self._recogniser = await loop.run_in_executor(
                self._thread, WhisperRecogniser, self._model
            )
        log.info("speech_worker_ready", worker=self._name)
        renewed = claim_at = 0.0
        while not self._stopping.is_set():
            try:
                if time.monotonic() - renewed > _RENEW_SECONDS:
                    await self._renew()
                    renewed = time.monotonic()
                if time.monotonic() >= claim_at:
                    claim_at = time.monotonic() + self._until_next_claim(await self._claim_one())
                busy = await self._read() | await self._recognise_oldest()
            except (SQLAlchemyError, OSError) as error:
                # The database is away. What is committed is safe; the rest is read again.
                log.warning("speech_worker_waits", error=type(error).__name__)
                busy = await self._begin_again()
            if not busy:
                await asyncio.sleep(_TICK)
        await self._release()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        self._thread.shutdown(wait=False)

    async def _claim_one(self) -> bool:
        """Take one free track: one at a time, so that workers share what arrives at once.

        Says whether there was one.
        """
        now = clock.now()
        async with self._database.transaction() as session:
            rows = (
                await session.execute(
                    text("SELECT id, organization_id FROM live.tracks_to_read(:now, :most)"),
                    {"now": now, "most": 8},
                )
            ).all()
        for row in rows:
            facts = await self._lease(row.organization_id, row.id)
            if facts is None:
                continue
            try:
                self._own(facts)
            except Exception as error:  # a cursor that cannot be read
                await self._set_aside(row.organization_id, row.id, error)
            OWNED.set(len(self._owned))
            return True
        return False

    def _until_next_claim(self, found: bool) -> float:
        """Seconds. Who owns more waits longer, so that tracks go to whoever owns fewer."""
        return min(_CLAIM_SECONDS / 2, len(self._owned) / 4) if found else _CLAIM_SECONDS

    async def _lease(self, organization: UUID, track: UUID) -> dict[str, Any] | None:
        now = clock.now()
        async with self._database.transaction(system_actor(organization)) as session:
            row = (
                (
                    await session.execute(
                        text(
                            "UPDATE live.tracks t SET leased_by = :me, leased_until = :until"
                            " FROM live.classroom_sessions s, live.participants p"
                            " WHERE t.id = :track AND s.id = t.session_id"
                            " AND p.id = t.participant_id"
                            " AND t.finished_at IS NULL AND (t.leased_by = :me"
                            " OR t.leased_until IS NULL OR t.leased_until < :now)"
                            " RETURNING t.id, t.organization_id, t.session_id, t.group_id,"
                            " t.participant_id, t.codec, t.sample_rate, t.started_at, t.cursor_seq,"
                            " t.cursor, t.cuts, t.language_code, s.actual_start, s.language,"
                            " s.recording_enabled, s.transcription_enabled, p.display_name,"
                            " p.is_shared, (SELECT w.content FROM live.transcriptions w"
                            " WHERE w.track_id = t.id AND w.cut = t.cuts - 1) AS said"
                        ),
                        {"me": self._name, "until": now + _LEASE, "now": now, "track": track},
                    )
                )
                .mappings()
                .one_or_none()
            )
        return None if row is None else dict(row)

    def _own(self, row: dict[str, Any]) -> None:
        facts = TrackFacts.of(row, self._model)
        cursor = Cursor.from_dict(row["cursor"]) if row["cursor"] else Cursor()
        self._owned[facts.id] = OwnedTrack(
            facts=facts,
            segmenter=Segmenter(cursor),
            next_seq=cursor.seq,
        )

    async def _renew(self) -> None:
        now = clock.now()
        for organization, tracks in self._by_organization().items():
            async with self._database.transaction(system_actor(organization)) as session:
                kept = set(
                    await session.scalars(
                        text(
                            # In the order in which arriving sound locks them, or they would
                            # wait for each other in a circle.
                            "WITH mine AS (SELECT id FROM live.tracks"
                            " WHERE id = ANY (:tracks) AND leased_by = :me"
                            " AND finished_at IS NULL ORDER BY id FOR NO KEY UPDATE)"
                            " UPDATE live.tracks t SET leased_until = :until"
                            " FROM mine WHERE t.id = mine.id RETURNING t.id"
                        ),
                        {"until": now + _LEASE, "tracks": [t.facts.id for t in tracks],
                         "me": self._name},
                    )
                )  # fmt: skip
            for track in tracks:
                if track.facts.id not in kept:
                    self._drop(track)

    async def _begin_again(self) -> bool:
        """Give the tracks back and forget what was read of them: the cursor knows better."""
        try:
            await self._release()
        except (SQLAlchemyError, OSError):
            await asyncio.sleep(0.3)  # still away; the leases end by themselves
        self._owned.clear()
        return False

    async def _release(self) -> None:
        for organization, tracks in self._by_organization().items():
            async with self._database.transaction(system_actor(organization)) as session:
                await session.execute(
                    text(
                        "WITH mine AS (SELECT id FROM live.tracks"
                        " WHERE id = ANY (:tracks) AND leased_by = :me"
                        " ORDER BY id FOR NO KEY UPDATE)"
                        " UPDATE live.tracks t SET leased_by = NULL, leased_until = NULL"
                        " FROM mine WHERE t.id = mine.id"
                    ),
                    {"tracks": [t.facts.id for t in tracks], "me": self._name},
                )

    def _by_organization(self) -> dict[UUID, list[OwnedTrack]]:
        grouped: dict[UUID, list[OwnedTrack]] = defaultdict(list)
        for track in self._owned.values():
            grouped[track.facts.organization_id].append(track)
        return grouped

    def _drop(self, track: OwnedTrack) -> None:
        self._owned.pop(track.facts.id, None)
        OWNED.set(len(self._owned))

    async def _read(self) -> bool:
        """Fetch new chunks of all owned tracks and cut them. Says whether there were any."""
        busy = False
        for organization, tracks in self._by_organization().items():
            # Bounded memory: a track whose utterances wait is not read further.
            hungry = [t for t in tracks if not t.waiting and not t.flushed]
            if not hungry:
                continue
            async with self._database.transaction(system_actor(organization)) as session:
                rows = (
                    await session.execute(
                        text(
                            "SELECT t.id, CASE WHEN t.closed_at IS NOT NULL THEN t.next_seq END"
                            " AS closed_at_seq, c.seq, c.start_ms, c.duration_ms, c.payload"
                            " FROM unnest(CAST(:ids AS uuid[]), CAST(:seqs AS bigint[]))"
                            " AS o (id, seq) JOIN live.tracks t ON t.id = o.id LEFT JOIN LATERAL ("
                            " SELECT * FROM live.audio_chunks a WHERE a.track_id = o.id"
                            " AND a.seq >= o.seq ORDER BY a.seq LIMIT :most) c ON true"
                            " WHERE c.seq IS NOT NULL OR t.closed_at IS NOT NULL"
                            " ORDER BY t.id, c.seq"
                        ),
                        {"ids": [t.facts.id for t in hungry], "seqs": [t.next_seq for t in hungry],
                         "most": _CHUNKS_AT_ONCE},
                    )
                ).all()  # fmt: skip
            chunks: dict[UUID, list[Chunk]] = defaultdict(list)
            for row in rows:
                track = self._owned[row.id]
                track.closed_at_seq = row.closed_at_seq
                if row.seq is not None:
                    chunks[row.id].append(
                        Chunk(
                            row.seq,
                            row.start_ms,
                            row.duration_ms,
                            track.facts.codec,
                            row.payload,
                            track.facts.sample_rate,
                        )
                    )
            for track in hungry:
                try:
                    busy |= await self._feed(track, chunks.get(track.facts.id, []))
                except Exception as error:
                    await self._set_aside(organization, track.facts.id, error)
        return busy

    async def _set_aside(self, organization: UUID, track: UUID, error: Exception) -> None:
        """Leave a track that cannot be read for a while; its sound stays where it is.

        One track's trouble must not stop the others. The database's is everybody's: it is raised.
        """
        if isinstance(error, OSError | SQLAlchemyError) and not isinstance(error, _OF_ONE_TRACK):
            raise error
        FAILURES.inc()
        log.error("track_set_aside", track=str(track), exc_info=error)
        async with self._database.transaction(system_actor(organization)) as session:
            await session.execute(
                text(
                    "UPDATE live.tracks SET failures = failures + 1, last_error = :error,"
                    " leased_until = :until WHERE id = :track AND leased_by = :me"
                ),
                {"error": type(error).__name__, "until": clock.now() + _ASIDE,
                 "track": track, "me": self._name},
            )  # fmt: skip
        self._owned.pop(track, None)
        OWNED.set(len(self._owned))

    async def _feed(self, track: OwnedTrack, chunks: Sequence[Chunk]) -> bool:
        loop = asyncio.get_running_loop()
        if chunks:
            track.waiting += await loop.run_in_executor(self._thread, _cut, track.segmenter, chunks)
            track.next_seq = chunks[-1].seq + 1
        over = track.closed_at_seq is not None and track.next_seq >= track.closed_at_seq
        if over and not track.flushed:
            track.waiting += await loop.run_in_executor(self._thread, track.segmenter.flush)
            track.flushed = True
        if track.flushed and not track.waiting:
            await self._finish(track)
        return bool(chunks)

    async def _finish(self, track: OwnedTrack) -> None:
        with suppress(LeaseLost):
            await self._bring_up_to_date(track.facts)
            await finish_track(self._database, track.facts, self._name)
        self._drop(track)

    async def _recognise_oldest(self) -> bool:
        """Turn the utterance that has waited longest into words. Says whether there was one."""
        waiting = [track for track in self._owned.values() if track.waiting]
        if not waiting:
            return False
        track = min(waiting, key=lambda t: t.facts.moment(t.waiting[0].speech_end_s))
        cut = track.waiting[0]
        recognition: Recognition | None = None
        try:
            await self._bring_up_to_date(track.facts)
            if cut.samples is not None and track.facts.transcribe:
                recognition = await self._recognise(track, cut)
            await commit_cut(self._database, track.facts, self._name, cut, recognition)
        except LeaseLost:
            log.warning("lease_lost", track=str(track.facts.id))
            self._drop(track)
            return True
        except Exception as error:
            await self._set_aside(track.facts.organization_id, track.facts.id, error)
            return True
        track.waiting.pop(0)
        track.tries = 0
        if recognition is not None and recognition.text:
            UTTERANCES.inc()
            late = clock.now() - track.facts.moment(cut.speech_end_s)
            CAPTION_SECONDS.observe(max(0.0, late.total_seconds()))
        if track.flushed and not track.waiting:
            await self._finish(track)
        return True

    async def _bring_up_to_date(self, track: TrackFacts) -> None:
        """Read again what may have changed since the track was leased.

        A device connects before the session starts, when neither the start nor the switches are
        settled, and its track's own clock is settled by its first chunk. After that all stands.
        """
        if track.cuts and track.session_start is not None:
            return
        async with self._database.transaction(system_actor(track.organization_id)) as session:
            row = (
                await session.execute(
                    text(
                        "SELECT t.started_at, t.group_id, s.actual_start, s.recording_enabled,"
                        " s.transcription_enabled FROM live.tracks t"
                        " JOIN live.classroom_sessions s ON s.id = t.session_id WHERE t.id = :track"
                    ),
                    {"track": track.id},
                )
            ).one_or_none()
        if row is None:
            raise LeaseLost
        track.started_at = row.started_at
        track.group_id = row.group_id
        track.session_start = row.actual_start
        track.record = row.recording_enabled
        track.transcribe = row.transcription_enabled

    async def _recognise(self, track: OwnedTrack, cut: Cut) -> Recognition | None:
        assert self._recogniser is not None
        assert cut.samples is not None
        loop = asyncio.get_running_loop()
        before = track.facts.said if cut.continues else None
        for attempt in range(1, _TRIES + 1):
            try:
                return await loop.run_in_executor(
                    self._thread,
                    self._recogniser.recognise,
                    cut.samples,
                    track.facts.language,
                    before,
                )
            except Exception as error:  # one bad utterance must not stop a lesson
                FAILURES.inc()
                log.warning("utterance_failed", error=type(error).__name__, attempt=attempt)
                track.facts.last_error = f"{type(error).__name__} at {cut.start_s:.1f} s"
        return None


def _cut(segmenter: Segmenter, chunks: Sequence[Chunk]) -> list[Cut]:
    return [cut for chunk in chunks for cut in segmenter.push(chunk)]
