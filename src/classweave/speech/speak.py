"""Words in, sound out, by Piper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from piper import PiperVoice
from piper.config import SynthesisConfig

from classweave.speech.decode import Samples
from classweave.speech.weights import piper_voice


@dataclass(frozen=True, slots=True)
class Speech:
    """Mono float32 samples in [-1, 1] at ``sample_rate`` (Hz)."""

    samples: Samples
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.samples.size / self.sample_rate


class Voice:
    """A Piper voice, loaded once (some seconds). Not thread-safe: one per worker.

    ``model`` is a path to a Piper ``.onnx`` with its ``.onnx.json`` beside it; the installed
    English voice when left out.
    """

    def __init__(self, model: Path | None = None) -> None:
        path, config = piper_voice() if model is None else (model, Path(f"{model}.json"))
        self._voice: Any = cast(Any, PiperVoice).load(path, config)
        self.sample_rate: int = self._voice.config.sample_rate

    def sentences(self, text: str, rate: float = 1.0, pitch: float = 1.0) -> Iterator[Speech]:
        """Speak sentence by sentence, each as soon as it is ready.

        ``rate`` is speed (1.2 is a fifth faster), ``pitch`` multiplies the fundamental frequency
        and the formants with it, as a larger or smaller speaker would, without changing the speed.
        Both from 0.5 to 2, else :class:`ValueError`.
        """
        if not (0.5 <= rate <= 2.0 and 0.5 <= pitch <= 2.0):
            raise ValueError("rate and pitch go from 0.5 to 2")
        # Resampling by the pitch shortens the sound by it: speak that much slower first.
        config = SynthesisConfig(length_scale=pitch / rate)
        for chunk in self._voice.synthesize(text, config):
            yield Speech(
                resample(
                    chunk.audio_float_array, round(self.sample_rate * pitch), self.sample_rate
                ),
                self.sample_rate,
            )

    def say(
        self, text: str, rate: float = 1.0, pitch: float = 1.0, pause_s: float = 0.25
    ) -> Speech:
        """Speak the whole text, with ``pause_s`` seconds between sentences."""
        gap = np.zeros(int(pause_s * self.sample_rate), np.float32)
        parts: list[Samples] = []
        for sentence in self.sentences(text, rate, pitch):
            parts += [gap, sentence.samples] if parts else [sentence.samples]
        return Speech(np.concatenate([np.zeros(0, np.float32), *parts]), self.sample_rate)


def resample(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """Band-limited change of the sampling rate (Hz) of mono samples."""
    if from_rate == to_rate or not samples.size:
        return samples.astype(np.float32)
    resampler: Any = av.AudioResampler("flt", "mono", to_rate)
    frame: Any = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples, np.float32).reshape(1, -1), "flt", "mono"
    )
    frame.sample_rate = from_rate
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([part.to_ndarray()[0] for part in frames]).astype(np.float32)
