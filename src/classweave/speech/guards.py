"""Guards against words that nobody said.

Whisper writes text into noise, repeats itself, and likes the closing phrases of videos. Each
guard is a rule on figures the engine gives anyway; the list of phrases is the last resort, and
acts only on a whole utterance about which the engine itself was in doubt.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

MAX_COMPRESSION_RATIO = 2.4
"""Above this the text repeats itself (the threshold of Whisper's own decoder)."""

MIN_LOG_PROBABILITY = -1.0
"""Mean log probability per token below which the result is a guess (Whisper's own threshold)."""

MAX_NO_SPEECH_PROBABILITY = 0.6
MAX_WORDS_PER_SECOND = 8.0
"""Fast conversation reaches five or six words a second."""

_PHANTOMS = frozenset(
    {
        "you",
        "bye",
        "bye bye",
        "thank you",
        "thank you very much",
        "thanks for watching",
        "thank you for watching",
        "please subscribe",
        "subtitles by the amara org community",
        "so",
        "the end",
        "music",
    }
)


def compression_ratio(text: str) -> float:
    """Bytes of UTF-8 over their zlib size; plain speech stays below 2, loops exceed 2.4."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def repeats(text: str) -> bool:
    """Whether the text loops: it compresses too well, or a phrase comes four times in a row."""
    if compression_ratio(text) > MAX_COMPRESSION_RATIO:
        return True
    words = plain_words(text)
    for size in range(1, 6):
        run = 1
        for at in range(size, len(words) - size + 1, size):
            run = run + 1 if words[at : at + size] == words[at - size : at] else 1
            if run >= (6 if size == 1 else 4):
                return True
    return False


def too_fast(text: str, seconds: float) -> bool:
    """Whether more words were written than can be said in ``seconds``."""
    return len(plain_words(text)) > 2 + MAX_WORDS_PER_SECOND * seconds


def doubtful(text: str, seconds: float, *, ended: bool = True) -> str:
    """Why a quick decoding should be tried again with more care; empty when it should not.

    ``ended`` says whether the decoder reached its end of text. A low probability is no reason: on
    meetings it more than doubled the cost of a track and changed one word in sixty.
    """
    if not ended:
        return "no end of text"
    if repeats(text):
        return "repetition"
    if too_fast(text, seconds):
        return "impossible word rate"
    return ""


def rejection(
    text: str,
    seconds: float,
    no_speech_probability: float,
    average_log_probability: float,
    word_probabilities: Sequence[float],
) -> str:
    """Why a final result must not become a caption; empty when it may."""
    if not text:
        return ""
    if not plain_words(text):
        return "no words"
    if repeats(text):
        return "repetition"
    if too_fast(text, seconds):
        return "impossible word rate"
    if (
        no_speech_probability > MAX_NO_SPEECH_PROBABILITY
        and average_log_probability < MIN_LOG_PROBABILITY
    ):
        return "no speech"
    mean = sum(word_probabilities) / len(word_probabilities) if word_probabilities else 0.0
    if mean < 0.15:
        return "low probability"
    if " ".join(plain_words(text)) in _PHANTOMS and (mean < 0.5 or no_speech_probability > 0.4):
        return "phantom phrase"
    return ""


def plain_words(text: str) -> list[str]:
    """Lower-case words without punctuation, in any script."""
    return re.findall(r"[\w']+", text.lower())
