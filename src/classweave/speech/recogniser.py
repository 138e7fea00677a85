"""The port: words from one utterance. Whatever engine stands behind it, this is what we ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from classweave.speech.decode import Samples


@dataclass(frozen=True, slots=True)
class Word:
    """One word with its times (seconds from the first sample) and its probability (0-1)."""

    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True, slots=True)
class Recognition:
    """What was heard in one utterance.

    ``text`` is empty when nothing was said, or when what the engine wrote cannot be trusted; then
    ``rejected`` names the guard that refused it. ``average_log_probability`` is per token,
    ``compression_ratio`` is characters over their zlib size (high means loops).
    """

    text: str
    words: tuple[Word, ...]
    language: str
    language_probability: float
    no_speech_probability: float
    average_log_probability: float
    compression_ratio: float
    rejected: str = ""

    @property
    def confidence(self) -> float | None:
        """Mean probability of the words, or ``None`` without words."""
        if not self.words:
            return None
        return sum(word.probability for word in self.words) / len(self.words)


class Recogniser(Protocol):
    """An engine. One per process and thread: implementations need not be thread-safe."""

    def recognise(
        self, samples: Samples, language: str | None = None, prompt: str | None = None
    ) -> Recognition:
        """Words in at most 28 s of 16 kHz sound.

        ``language`` is an ISO 639-1 code; ``None`` asks the engine to detect it, which wants about
        3 s of speech. ``prompt`` is text that came just before, or words to expect.
        """
        ...
