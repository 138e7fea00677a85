"""Cuts a device's track into utterances, so that a crash changes nothing.

A :class:`Segmenter` is a pure function of a :class:`Cursor` and the chunks from that cursor on.
It keeps that promise in the plainest way: after each cut it starts over from the cut's own
cursor, exactly as a process would that was killed after committing the cut. What a decoder, a
detector or a filter remembered is therefore never needed across a cut, and the little that is
(the position and the noise floor) is written in the cursor.

Positions are samples at 16 kHz since the track's clock read zero. Lost time between chunks,
chunks flagged silent, and chunks that cannot be decoded are silence of their duration.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from classweave.speech.decode import (
    SAMPLE_RATE,
    Chunk,
    PayloadDecoder,
    Samples,
    UndecodableAudio,
)
from classweave.speech.gate import (
    WINDOW,
    WINDOWS_PER_S,
    SpeechDetector,
    follow_floor,
    window_levels,
    worth_a_look,
)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where to go on: chunk ``seq``, of whose stream the first ``sample_offset`` are done with.

    ``position`` is the track position of the first sample not done with, and ``noise_floor_db``
    what is known of the room. Chunks before ``seq`` are never needed again. The offset can reach
    beyond chunk ``seq``: a decoder needs some packets to find its feet.
    """

    seq: int = 0
    sample_offset: int = 0
    position: int = 0
    noise_floor_db: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; :meth:`from_dict` restores them exactly."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Cursor:
        """The cursor that :meth:`to_dict` wrote."""
        return cls(**stored)


@dataclass(frozen=True, slots=True)
class Cut:
    """A finished stretch of the track, and the cursor to commit together with what it yields.

    ``samples`` (16 kHz) start at ``start_s``; ``None`` means that nobody spoke. All times are
    seconds on the track. ``speech_start_s`` and ``speech_end_s`` are the first and last sound of
    speech, without the margins; ``speech_seconds`` counts the voiced windows between, and
    ``quiet_s`` is the time from the end of the cut before to the first sound.
    """

    samples: Samples | None
    start_s: float
    end_s: float
    speech_start_s: float
    speech_end_s: float
    speech_seconds: float
    quiet_s: float
    cursor: Cursor

    @property
    def continues(self) -> bool:
        """Whether speech began so soon that the cut before may hold the sentence's first half."""
        return self.quiet_s < _SAME_BREATH_S


@dataclass(frozen=True, slots=True)
class ChunkLevel:
    """What one chunk says about capture: levels in dBFS, shares 0-1 of samples and of windows."""

    seq: int
    rms_dbfs: float
    peak_dbfs: float
    clipping: float
    voiced: float
    decodable: bool = True


@dataclass(frozen=True, slots=True)
class Cutting:
    """When to cut. Seconds, and Silero probabilities. ``bench/words.py`` is where they come from.

    An utterance ends after ``pause_s`` without speech, a short one (less than ``short_s`` of
    speech) after ``short_pause_s``: half-sentences are recognised badly. One that passes
    ``max_s`` is cut at its longest pause in the last ``search_s``. Less than ``min_speech_s`` of
    voice is a click.
    """

    speech_on: float = 0.5
    speech_off: float = 0.2
    pause_s: float = 0.5
    short_s: float = 4.0
    short_pause_s: float = 0.6
    min_speech_s: float = 0.12
    max_s: float = 18.0
    search_s: float = 9.0
    margin_before_s: float = 0.35
    margin_after_s: float = 0.4
    idle_s: float = 10.0


_WARM_UP = SAMPLE_RATE * 80 // 1000  # an Opus decoder converges within 80 ms (RFC 7845)
_GAP_TOLERANCE = SAMPLE_RATE * 40 // 1000
_JUMP = 2 * SAMPLE_RATE
_CLIPPED = 0.99
_SAME_BREATH_S = 0.6  # behind a cut that itself ended some 0.4 s after the last sound


class Segmenter:
    """Push the chunks of one track in order, commit each cut that comes out. Not thread-safe.

    To resume, make a new one from the last committed cursor and push the stored chunks from
    ``cursor.seq`` on: the same cuts come out, sample for sample. Memory is bounded by
    ``Cutting.max_s`` of sound.
    """

    def __init__(self, cursor: Cursor | None = None, cutting: Cutting | None = None) -> None:
        self._cutting = cutting or Cutting()
        self._chunks: list[Chunk] = []
        self._detector = SpeechDetector()
        self._last_seq: int | None = None
        self._level: ChunkLevel | None = None
        self._start(cursor or Cursor())

    @property
    def cursor(self) -> Cursor:
        """Where the last cut left off."""
        return self._cursor

    @property
    def level(self) -> ChunkLevel | None:
        """Levels of the chunk pushed last."""
        return self._level

    def push(self, chunk: Chunk) -> list[Cut]:
        """Take the next chunk and return the cuts it completes.

        Raises :class:`ValueError` for a chunk that is not later than the one before, or that lies
        before the cursor.
        """
        if chunk.seq < self._cursor.seq or (
            self._last_seq is not None and chunk.seq <= self._last_seq
        ):
            raise ValueError(f"chunk {chunk.seq} comes after it was done with")
        self._last_seq = chunk.seq
        self._level = None
        self._chunks.append(chunk)
        return self._advance()

    def flush(self) -> list[Cut]:
        """The track pauses or ends: return what is left, as if silence followed."""
        cuts: list[Cut] = []
        while (cut := self._append(self._decoder.drain())) is not None:
            self._start(cut.cursor)
            cuts += [cut, *self._advance()]
        if self._buffer.size and self._last_seq is not None:
            end = self._position + self._buffer.size
            done = Cursor(self._last_seq + 1, 0, end, self._floor)
            spoken = self._onset is not None and self._long_enough()
            cuts.append(self._utterance(self._buffer.size, done) if spoken else self._quiet(done))
            self._start(done)
        return cuts

    # One run from a cursor to the next cut -----------------------------------------------------

    def _start(self, cursor: Cursor) -> None:
        """Forget everything but the cursor and the chunks from it on."""
        self._cursor = cursor
        self._chunks = [chunk for chunk in self._chunks if chunk.seq >= cursor.seq]
        self._next = 0
        self._position = cursor.position
        self._discard = cursor.sample_offset
        self._end = cursor.position - cursor.sample_offset
        self._starts: list[tuple[int, int]] = []
        self._decoder = PayloadDecoder()
        self._detector.reset()
        self._floor = cursor.noise_floor_db
        self._buffer: Samples = np.zeros(0, np.float32)
        self._probabilities: list[float] = []
        self._levels: list[float] = []
        self._onset: int | None = None
        self._last_voiced = 0
        self._voiced = 0

    def _advance(self) -> list[Cut]:
        """Consume the chunks at hand, starting over after each cut."""
        cuts: list[Cut] = []
        while self._next < len(self._chunks):
            chunk = self._chunks[self._next]
            self._next += 1
            cut = self._consume(chunk)
            if cut is not None:
                cuts.append(cut)
                self._start(cut.cursor)
        return cuts

    def _consume(self, chunk: Chunk) -> Cut | None:
        lost = chunk.start_ms * SAMPLE_RATE // 1000 - self._end
        if lost > _GAP_TOLERANCE and (cut := self._silence(lost, chunk.seq)) is not None:
            return cut
        self._starts.append((chunk.seq, self._end))
        samples = self._decoded(chunk)
        before = len(self._probabilities)
        if samples is None:
            cut = self._silence(chunk.duration_ms * SAMPLE_RATE // 1000, chunk.seq + 1)
        else:
            cut = self._append(samples)
        if self._level is None and chunk.seq == self._last_seq:
            voiced = [p >= self._cutting.speech_on for p in self._probabilities[before:]]
            self._level = _level(chunk, samples, sum(voiced) / max(1, len(voiced)))
        return cut

    def _decoded(self, chunk: Chunk) -> Samples | None:
        if chunk.payload is None:
            return None
        before = self._decoder.duration
        try:
            samples = self._decoder.decode(chunk.codec, chunk.payload, chunk.sample_rate)
        except UndecodableAudio:
            return None
        self._end += self._decoder.duration - before
        return samples

    def _silence(self, size: int, next_seq: int) -> Cut | None:
        """Pass ``size`` samples of silence, after which chunk ``next_seq`` comes."""
        cut = self._append(self._decoder.drain())
        while cut is None and size > 0:
            if self._onset is None and size > _JUMP:
                return self._quiet(Cursor(next_seq, 0, self._end + size, self._floor))
            block = min(size, SAMPLE_RATE // 2)
            self._end += block
            size -= block
            cut = self._append(np.zeros(block, np.float32))
        return cut

    def _append(self, samples: Samples) -> Cut | None:
        """Take samples into the buffer, judge the windows they complete, and cut if it is time."""
        done = min(self._discard, samples.size)
        self._discard -= done
        self._buffer = np.concatenate([self._buffer, samples[done:]])
        first = len(self._probabilities)
        fresh = self._buffer[first * WINDOW : self._buffer.size // WINDOW * WINDOW]
        if not fresh.size:
            return None
        levels = window_levels(fresh)
        if self._onset is not None or worth_a_look(levels, self._floor):
            probabilities = self._detector.probabilities(fresh)
        else:
            self._detector.reset()
            probabilities = np.zeros(levels.size, np.float32)
        self._floor = follow_floor(self._floor, levels)
        self._probabilities += probabilities.tolist()
        self._levels += levels.tolist()
        for window in range(first, len(self._probabilities)):
            cut = self._step(window)
            if cut is not None:
                return cut
        return None

    def _step(self, window: int) -> Cut | None:
        cutting = self._cutting
        probability = self._probabilities[window]
        if self._onset is None:
            if probability >= cutting.speech_on:
                self._onset = self._last_voiced = window
                self._voiced = 1
            elif window + 1 >= cutting.idle_s * WINDOWS_PER_S:
                until = (window + 1) * WINDOW - int(cutting.margin_before_s * SAMPLE_RATE)
                return self._quiet(self._cursor_at(until))
            return None
        if probability >= cutting.speech_off:
            self._last_voiced = window
            self._voiced += 1
            if (window - self._onset + 1) / WINDOWS_PER_S >= cutting.max_s:
                end = self._best_pause(window)
                return self._utterance(end, self._cursor_at(end))
            return None
        short = self._voiced < cutting.short_s * WINDOWS_PER_S
        pause = cutting.short_pause_s if short else cutting.pause_s
        if window - self._last_voiced < pause * WINDOWS_PER_S:
            return None
        if not self._long_enough():
            self._onset = None
            return None
        margin = int(cutting.margin_after_s * SAMPLE_RATE)
        end = min((self._last_voiced + 1) * WINDOW + margin, (window + 1) * WINDOW)
        return self._utterance(end, self._cursor_at(end))

    def _long_enough(self) -> bool:
        return self._voiced >= self._cutting.min_speech_s * WINDOWS_PER_S

    def _best_pause(self, window: int) -> int:
        """Offset of the middle of the longest pause, or else of the quietest 0.1 s, of late."""
        first = window - int(self._cutting.search_s * WINDOWS_PER_S)
        longest = run = best = 0
        for at in range(first, window):
            run = run + 1 if self._probabilities[at] < self._cutting.speech_off else 0
            if run > longest:
                longest, best = run, at - run // 2
        if longest < 2:
            smooth = np.convolve(self._levels[first:window], np.ones(3), "valid")
            best = first + 1 + int(smooth.argmin())
        return best * WINDOW + WINDOW // 2

    # What comes of it --------------------------------------------------------------------------

    def _cursor_at(self, offset: int) -> Cursor:
        """The cursor at ``offset`` samples into the buffer, with room for the decoder to settle."""
        position = self._position + offset
        for seq, start in reversed(self._starts):
            if start <= position - _WARM_UP:
                return Cursor(seq, position - start, position, self._floor)
        seq, start = self._starts[0]
        return Cursor(seq, position - start, position, self._floor)

    def _utterance(self, end: int, cursor: Cursor) -> Cut:
        """Cut the utterance that ends ``end`` samples into the buffer."""
        onset = self._onset or 0
        start = max(0, onset * WINDOW - int(self._cutting.margin_before_s * SAMPLE_RATE))
        voiced = [
            at
            for at in range(onset, min(end // WINDOW, len(self._probabilities)))
            if self._probabilities[at] >= self._cutting.speech_off
        ]
        return Cut(
            samples=self._buffer[start:end],
            start_s=self._seconds(start),
            end_s=self._seconds(end),
            speech_start_s=self._seconds(onset * WINDOW),
            speech_end_s=self._seconds(((voiced[-1] if voiced else onset) + 1) * WINDOW),
            speech_seconds=len(voiced) / WINDOWS_PER_S,
            quiet_s=onset * WINDOW / SAMPLE_RATE,
            cursor=cursor,
        )

    def _quiet(self, cursor: Cursor) -> Cut:
        """Everything up to the cursor was silence."""
        start, end = self._position / SAMPLE_RATE, cursor.position / SAMPLE_RATE
        return Cut(None, start, end, start, start, 0.0, end - start, cursor)

    def _seconds(self, offset: int) -> float:
        return (self._position + offset) / SAMPLE_RATE


def _level(chunk: Chunk, samples: Samples | None, voiced: float) -> ChunkLevel:
    if samples is None or not samples.size:
        return ChunkLevel(chunk.seq, -120.0, -120.0, 0.0, 0.0, decodable=chunk.payload is None)
    magnitude = np.abs(samples)
    return ChunkLevel(
        seq=chunk.seq,
        rms_dbfs=_dbfs(float(np.sqrt(np.mean(magnitude.astype(np.float64) ** 2)))),
        peak_dbfs=_dbfs(float(magnitude.max())),
        clipping=float(np.mean(magnitude >= _CLIPPED)),
        voiced=voiced,
    )


def _dbfs(amplitude: float) -> float:
    return 20.0 * float(np.log10(max(amplitude, 1e-6)))
