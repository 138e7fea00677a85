"""The demo's sound files: read, resampled, written, and played to a browser as a microphone."""

# PyAV leaves its packets' type parameter open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from classweave.live.demo.lesson import DemoMember

Samples = npt.NDArray[np.float32]
"""Mono samples in -1..1."""

RATE = 48_000
"""Samples per second of every demo track: the rate Opus decodes to and browsers capture at."""

OPUS_BITS_PER_SECOND = 24_000


def read_sound(path: Path, rate: int = RATE) -> Samples:
    """Decode a sound file of any format to mono samples at ``rate``.

    Raises ``av.error.FFmpegError`` when the file is missing or is no sound.
    """
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    with av.open(path) as container:
        frames = [
            resampled
            for frame in container.decode(audio=0)
            for resampled in resampler.resample(frame)
        ]
    return _joined(frames + resampler.resample(None))


def resample(samples: Samples, source_rate: int, rate: int = RATE) -> Samples:
    """Bring samples from one rate to another.

    A ``source_rate`` above the true one plays the sound faster and higher by that factor.
    """
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    return _joined(resampler.resample(_frame(samples, source_rate)) + resampler.resample(None))


def write_opus(path: Path, samples: Samples) -> None:
    """Write 48 kHz mono samples as Ogg Opus at about 24 kbit/s, the same bytes every time."""
    options = {"fflags": "+bitexact"}
    with av.open(path, "w", format="ogg", options=options) as container:
        stream = container.add_stream("libopus", rate=RATE, layout="mono")
        stream.bit_rate = OPUS_BITS_PER_SECOND
        stream.codec_context.options = {"application": "voip", "vbr": "on"}
        container.mux(stream.encode(_frame(samples, RATE)))
        container.mux(stream.encode(None))


def write_fake_microphone(path: Path, member: DemoMember) -> None:
    """Write a member's track as a 48 kHz mono 16-bit WAV, which Chromium takes as a microphone.

    Raises ``ValueError`` for a member whose device sends no sound.
    """
    if member.sound is None:
        raise ValueError(f"{member.given_name} sends no sound: there is no track to play")
    pcm = np.round(np.clip(read_sound(member.sound), -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.tobytes())


def _frame(samples: Samples, rate: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples, np.float32)[np.newaxis], format="flt", layout="mono"
    )
    frame.sample_rate = rate
    frame.pts = 0
    frame.time_base = Fraction(1, rate)
    return frame


def _joined(frames: list[av.AudioFrame]) -> Samples:
    parts = [frame.to_ndarray().reshape(-1) for frame in frames]
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)
