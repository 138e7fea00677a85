"""Words of a whole file, by the same path as a live track."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from classweave.speech.decode import SAMPLE_RATE, Chunk, Samples, decode_blocks
from classweave.speech.recogniser import Recogniser, Recognition, Word
from classweave.speech.segmenter import Cut, Cutting, Segmenter

_LANGUAGE_SECONDS = 3.0
_OPENING_SECONDS = 6.0
_CLEARLY = 0.7


@dataclass(frozen=True, slots=True)
class Segment:
    """One utterance with its times (seconds in the file) and mean word probability (0-1)."""

    start: float
    end: float
    text: str
    language: str
    confidence: float
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Transcript:
    """All utterances of a recording. ``language`` is the most frequent, ``None`` if unheard."""

    duration_s: float
    language: str | None
    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        """The words in one line."""
        return " ".join(segment.text for segment in self.segments)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: ``duration_s``, ``language``, ``segments`` with ``words``."""
        return {
            "duration_s": round(self.duration_s, 3),
            "language": self.language,
            "segments": [
                {
                    "start": round(segment.start, 3),
                    "end": round(segment.end, 3),
                    "text": segment.text,
                    "language": segment.language,
                    "confidence": round(segment.confidence, 4),
                    "words": [
                        {
                            "text": word.text,
                            "start": round(word.start, 3),
                            "end": round(word.end, 3),
                            "probability": round(word.probability, 4),
                        }
                        for word in segment.words
                    ],
                }
                for segment in self.segments
            ],
        }


def transcribe_file(
    path: str | Path,
    recogniser: Recogniser,
    language: str | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Transcript:
    """Transcribe the first audio stream of any file; memory does not grow with its length.

    ``language`` is an ISO 639-1 code; ``None`` detects it. ``on_progress`` is told the seconds
    done. Raises :class:`~classweave.speech.decode.UndecodableAudio`, :class:`FileNotFoundError`.
    """
    segments: list[Segment] = []
    duration = 0.0
    known = language
    said: str | None = None
    waiting: list[Cut] = []
    for cut in chain(cuts_of(decode_blocks(path)), [None]):
        # The first words alone are too short to tell a language by: wait for some seconds of them.
        if cut is not None:
            waiting.append(cut)
            if known is None and sum(c.speech_seconds for c in waiting) < _OPENING_SECONDS:
                continue
        known = known or _opening_language(waiting, recogniser)
        for ready in waiting:
            heard = _hear(ready, recogniser, known, said, fixed=language is not None)
            said = heard.text if heard is not None else None
            if heard is not None and heard.text:
                known = heard.language
                segments.append(segment_of(ready, heard))
            duration = ready.end_s
            if on_progress:
                on_progress(duration)
        waiting.clear()
    spoken = Counter[str]()
    for segment in segments:
        spoken[segment.language] += len(segment.text)
    main = spoken.most_common(1)
    return Transcript(duration, main[0][0] if main else None, tuple(segments))


def _opening_language(cuts: Sequence[Cut], recogniser: Recogniser) -> str | None:
    spoken = [cut.samples for cut in cuts if cut.samples is not None]
    if not spoken:
        return None
    return recogniser.recognise(np.concatenate(spoken)[: 25 * SAMPLE_RATE]).language


def _hear(
    cut: Cut, recogniser: Recogniser, known: str | None, said: str | None, fixed: bool
) -> Recognition | None:
    """Recognise a cut in the known language, unless a longer one clearly speaks another.

    ``said`` are the words of the cut before, which help when this one goes on where it left off.
    """
    if cut.samples is None:
        return None
    before = said if cut.continues else None
    if fixed or cut.speech_seconds < _LANGUAGE_SECONDS:
        return recogniser.recognise(cut.samples, known, before)
    heard = recogniser.recognise(cut.samples, None, before)
    if heard.language != known and heard.language_probability < _CLEARLY:
        return recogniser.recognise(cut.samples, known, before)
    return heard


def cuts_of(blocks: Iterator[Samples], cutting: Cutting | None = None) -> Iterator[Cut]:
    """Cut 16 kHz samples, given in blocks, as a live track would be."""
    segmenter = Segmenter(cutting=cutting)
    taken = 0
    for seq, block in enumerate(blocks):
        payload = np.clip(np.round(block * 32768.0), -32768, 32767).astype("<i2").tobytes()
        start, taken = taken, taken + block.size
        yield from segmenter.push(
            Chunk(
                seq,
                start * 1000 // SAMPLE_RATE,
                block.size * 1000 // SAMPLE_RATE,
                "pcm16",
                payload,
            )
        )
    yield from segmenter.flush()


def segment_of(cut: Cut, heard: Recognition) -> Segment:
    """Place the words of a recognised cut on its track (seconds)."""
    words = tuple(
        Word(word.text, cut.start_s + word.start, cut.start_s + word.end, word.probability)
        for word in heard.words
    )
    return Segment(
        start=words[0].start if words else cut.speech_start_s,
        end=words[-1].end if words else cut.speech_end_s,
        text=heard.text,
        language=heard.language,
        confidence=heard.confidence or 0.0,
        words=words,
    )
