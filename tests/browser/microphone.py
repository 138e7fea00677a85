"""What Chromium's fake microphone hears: a person who reads, then silence, over and over."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE = 48_000
READER = Path(__file__).parents[2] / "src/classweave/live/demo/sound/reference-reader_2609.ogg"


def read_speech(seconds: int, silence: int) -> NDArray[np.float32]:
    """The reader's first ``seconds``, from the first word on, then ``silence`` seconds."""
    with av.open(str(READER)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        parts = [
            out.to_ndarray()[0]
            for frame in container.decode(audio=0)
            for out in resampler.resample(frame)
        ]
    track = np.concatenate(parts)
    begins = int(np.argmax(np.abs(track) > 0.05))
    read = track[begins : begins + seconds * RATE]
    return np.concatenate([read, np.zeros(silence * RATE)]).astype(np.float32)


def fake_microphone(sound: NDArray[np.float32], folder: Path) -> tuple[str, ...]:
    """Arguments that make Chromium hear ``sound``."""
    path = folder / "microphone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={path}",
    )
