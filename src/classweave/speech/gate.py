"""Is somebody speaking? Energy first, because it is free; then Silero, because energy is fooled."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from classweave.speech.decode import SAMPLE_RATE, Samples

WINDOW = 512
"""Samples (32 ms at 16 kHz) that Silero judges at a time."""

WINDOWS_PER_S = SAMPLE_RATE / WINDOW
_CONTEXT = 64

QUIET_DBFS = -70.0
"""Below this nothing is worth a look, however quiet the room."""

_MARGIN_DB = 3.0
_FLOOR_RISE_DB = 0.5 / WINDOWS_PER_S
_FLOOR_FALL = 0.3
_HIGHEST_FIRST_FLOOR = -50.0


def window_levels(samples: Samples) -> NDArray[np.float64]:
    """Level in dBFS (of the mean square) of each whole window; digital silence is -120."""
    windows = samples.reshape(-1, WINDOW).astype(np.float64)
    return 10.0 * np.log10(np.maximum(np.mean(windows * windows, axis=1), 1e-12))


def follow_floor(floor: float | None, levels: NDArray[np.float64]) -> float | None:
    """Track the level (dBFS) of the room's noise through the given windows.

    It falls quickly to quieter windows and rises by half a decibel a second, so that a sentence
    does not lift it. Digital silence says nothing about the room and is left out.
    """
    for level in levels:
        if level <= -110.0:
            continue
        if floor is None:
            floor = min(float(level), _HIGHEST_FIRST_FLOOR)
        elif level < floor:
            floor += _FLOOR_FALL * (float(level) - floor)
        else:
            floor += _FLOOR_RISE_DB
    return floor


def worth_a_look(levels: NDArray[np.float64], floor: float | None) -> bool:
    """Whether any window rises above the noise floor."""
    threshold = QUIET_DBFS if floor is None else max(QUIET_DBFS, floor + _MARGIN_DB)
    return bool((levels > threshold).any())


class SpeechDetector:
    """Silero's streaming voice activity detector: one probability per window.

    The recurrent state belongs to one stretch of sound; :meth:`reset` forgets it.
    """

    def __init__(self) -> None:
        self._session = _session()
        self.reset()

    def reset(self) -> None:
        """Forget what came before."""
        self._h = self._c = np.zeros((1, 1, 128), np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)

    def probabilities(self, samples: Samples) -> NDArray[np.float32]:
        """Probability of speech (0-1) in each consecutive window of ``samples``."""
        windows = samples.reshape(-1, WINDOW)
        before = np.concatenate([self._context[None], windows[:-1, -_CONTEXT:]])
        self._context = windows[-1, -_CONTEXT:].copy()
        out, self._h, self._c = self._session.run(
            None, {"input": np.hstack([before, windows]), "h": self._h, "c": self._c}
        )
        return cast(NDArray[np.float32], out)


@cache
def _session() -> Any:
    runtime = cast(Any, onnxruntime)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    model = files("faster_whisper").joinpath("assets", "silero_vad_v6.onnx").read_bytes()
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
