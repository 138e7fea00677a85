"""Whisper through CTranslate2, without paying for thirty seconds of padding.

Whisper's encoder always sees 30 s. On classroom turns of a few seconds, most of the work goes
into silence. Giving the encoder less is cheap but the decoder, which was trained on 1,500 encoder
positions of which the last are silence, then loses its sense of an ending: it loops. So the
encoder gets the utterance plus :data:`PADDING_S`, and the positions after it are filled from the
encoding of a short padded clip, made once when the model is loaded. The decoder sees what it
expects; the encoder does a fifth of the work. The clip is our own sentence in a CC0 voice.
``bench/words.py`` holds the error rates.

What still goes wrong is caught by the guards and done again with full padding.
"""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper import transcribe as whisper_internals
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from classweave.speech import guards
from classweave.speech.decode import SAMPLE_RATE, Samples, decode_file
from classweave.speech.recogniser import Recognition, Word
from classweave.speech.weights import whisper_weights

PADDING_S = 1.0
"""Silence after the utterance that the encoder really sees, in seconds."""

TAIL_STRIDE = 2
"""Every second position of the tail is enough silence for the decoder, at half the cost."""

BEAM = 3
"""Three costs a tenth more than one, and takes back half a point of word errors."""

CAREFUL_BEAM = 5

MAX_SECONDS = 28.0
_WINDOW_S = 30.0
_FRAMES_PER_S = 100
_WINDOW_FRAMES = 3_000
_MIN_SAMPLES = SAMPLE_RATE // 10
_MAX_LENGTH = 448
_MAX_PROMPT_TOKENS = 64
_TOKENS_PER_S = 12.0

_PREPENDED = "\"'“¿([{-"
_APPENDED = "\"'.。,，!！?？:：”)]}、"


class UnknownLanguage(ValueError):
    """Whisper does not know a language of this code."""


_Encoded = NDArray[np.float32]
_internals: Any = whisper_internals


@dataclass(frozen=True, slots=True)
class _Attempt:
    text: str
    tokens: list[int]
    no_speech: float
    log_probability: float
    ended: bool


class WhisperRecogniser:
    """A :class:`~classweave.speech.recogniser.Recogniser`. Not thread-safe: one per worker.

    ``weights`` as in :func:`~classweave.speech.weights.whisper_weights`; ``threads`` is the number
    of CPU threads of one recognition.
    """

    def __init__(self, weights: str | None = None, threads: int = 1) -> None:
        self._whisper: Any = WhisperModel(
            str(whisper_weights(weights)),
            device="cpu",
            compute_type="int8",
            cpu_threads=threads,
        )
        self._tokenizers: dict[str, Any] = {}
        self._suppressed = list(_internals.get_suppressed_tokens(self._tokenizer("en"), [-1]))
        clip = decode_file(str(files("classweave.speech").joinpath("padding_clip.ogg")))
        self._clip_s = clip.size / SAMPLE_RATE
        self._tail = self.encode(clip, _WINDOW_S)

    def recognise(
        self, samples: Samples, language: str | None = None, prompt: str | None = None
    ) -> Recognition:
        """Words of one utterance of at most 28 s; raises :class:`ValueError` if it is longer."""
        seconds = samples.size / SAMPLE_RATE
        if seconds > MAX_SECONDS:
            raise ValueError(f"an utterance of {seconds:.1f} s: at most {MAX_SECONDS:.0f} s")
        # Never splice where the clip itself still speaks.
        encoded = self.encode(samples, max(seconds, self._clip_s) + PADDING_S)
        tail = self._tail[:, encoded.shape[1] :: TAIL_STRIDE]
        whole = np.concatenate([encoded, tail], axis=1)
        probability = 1.0
        if language is None:
            language, probability = self._detect(whole)
        tokenizer = self._tokenizer(language)
        attempt = self._decode(whole, tokenizer, seconds, prompt, BEAM)
        if guards.doubtful(attempt.text, seconds, ended=attempt.ended):
            encoded = self.encode(samples, _WINDOW_S)
            attempt = self._decode(encoded, tokenizer, seconds, None, CAREFUL_BEAM)
        words = self._words(encoded, tokenizer, attempt.tokens, seconds)
        reason = guards.rejection(
            attempt.text,
            seconds,
            attempt.no_speech,
            attempt.log_probability,
            [word.probability for word in words],
        )
        return Recognition(
            text="" if reason else attempt.text,
            words=() if reason else words,
            language=language,
            language_probability=probability,
            no_speech_probability=attempt.no_speech,
            average_log_probability=attempt.log_probability,
            compression_ratio=guards.compression_ratio(attempt.text),
            rejected=reason,
        )

    def _tokenizer(self, language: str) -> Any:
        if language not in self._tokenizers:
            if language not in self._whisper.supported_languages:
                raise UnknownLanguage(
                    f"Whisper knows no language {language!r}: give a code like en"
                )
            self._tokenizers[language] = Tokenizer(
                self._whisper.hf_tokenizer,
                self._whisper.model.is_multilingual,
                task="transcribe",
                language=language,
            )
        return self._tokenizers[language]

    def encode(self, samples: Samples, seconds: float) -> _Encoded:
        """Encoder positions (1, 50 per second, width) of the samples padded to ``seconds``."""
        frames = min(_WINDOW_FRAMES, 2 * math.ceil(seconds * _FRAMES_PER_S / 2))
        short = max(0, _MIN_SAMPLES - samples.size)
        heard = self._whisper.feature_extractor(np.pad(samples, (0, short)), padding=0)[:, :frames]
        # Zero in the log-mel domain is how faster-whisper pads.
        features = np.zeros((heard.shape[0], frames), np.float32)
        features[:, : heard.shape[1]] = heard
        return np.array(self._whisper.encode(features))

    def _detect(self, encoded: _Encoded) -> tuple[str, float]:
        token, probability = self._whisper.model.detect_language(_view(encoded))[0][0]
        return str(token).strip("<|>"), float(probability)

    def _decode(
        self, encoded: _Encoded, tokenizer: Any, seconds: float, prompt: str | None, beam_size: int
    ) -> _Attempt:
        before: list[int] = []
        if prompt:
            tokens = tokenizer.encode(" " + prompt.strip())[-_MAX_PROMPT_TOKENS:]
            before = [tokenizer.sot_prev, *tokens]
        start = [*before, *tokenizer.sot_sequence, tokenizer.no_timestamps]
        budget = math.ceil(_TOKENS_PER_S * seconds) + 16
        result = self._whisper.model.generate(
            _view(encoded),
            [start],
            beam_size=beam_size,
            max_length=min(_MAX_LENGTH, len(start) + budget),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
        )[0]
        tokens = [token for token in result.sequences_ids[0] if token < tokenizer.eot]
        return _Attempt(
            text=tokenizer.decode(tokens).strip(),
            tokens=tokens,
            no_speech=float(result.no_speech_prob),
            log_probability=float(result.scores[0]) * len(tokens) / (len(tokens) + 1),
            ended=len(tokens) < budget,
        )

    def _words(
        self, encoded: _Encoded, tokenizer: Any, tokens: list[int], seconds: float
    ) -> tuple[Word, ...]:
        """Word times from the decoder's cross-attention, kept within the utterance."""
        if not tokens:
            return ()
        frames = max(2, min(encoded.shape[1] * 2, int(seconds * _FRAMES_PER_S)))
        aligned = self._whisper.find_alignment(tokenizer, [tokens], _view(encoded), frames)[0]
        _internals.merge_punctuations(aligned, _PREPENDED, _APPENDED)
        spoken = [entry for entry in aligned if entry["word"].strip()]
        times = tidy_times([(float(e["start"]), float(e["end"])) for e in spoken], seconds)
        return tuple(
            Word(entry["word"].strip(), start, end, float(entry["probability"]))
            for entry, (start, end) in zip(spoken, times, strict=True)
        )


def tidy_times(times: list[tuple[float, float]], seconds: float) -> list[tuple[float, float]]:
    """Keep word times (seconds) in order, within the utterance, and not absurdly long.

    Attention stretches the first word back over the silence before it, and the last one over the
    silence after it. Both are cut to twice the median length of the words, as faster-whisper does.
    """
    if not times:
        return []
    lengths = sorted(end - start for start, end in times if end > start)
    median = min(0.7, lengths[len(lengths) // 2]) if lengths else 0.2
    longest = max(0.2, 2 * median)
    tidy: list[tuple[float, float]] = []
    previous = 0.0
    for at, (raw_start, raw_end) in enumerate(times):
        start = min(max(raw_start, previous), seconds)
        end = min(max(raw_end, start), seconds)
        if end - start > longest:
            if at == 0:
                start = end - longest
            elif at == len(times) - 1:
                end = start + longest
        tidy.append((round(start, 3), round(end, 3)))
        previous = end
    return tidy


def _view(encoded: _Encoded) -> Any:
    return cast(Any, ctranslate2).StorageView.from_array(np.ascontiguousarray(encoded))
