"""Sound in: any media file, or the live chunks of a device, as 16 kHz mono float32 samples."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import av
import av.error
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Codec = Literal["opus", "pcm16"]

SAMPLE_RATE = 16_000
"""Samples per second everywhere inside this package."""

OPUS_RATE = 48_000
"""Opus counts time at 48 kHz whatever was encoded (RFC 6716)."""

OPUS_PACKET_MS = 20

_MIN_PCM_RATE, _MAX_PCM_RATE = 8_000, 96_000


class UndecodableAudio(ValueError):
    """The bytes are not the audio they claim to be."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One numbered piece of a device's track, as it was committed.

    ``start_ms`` is the position on the track's own clock. ``payload`` is ``None`` for a chunk
    that the device flagged as silent: it has a duration and no sound. ``sample_rate`` (Hz)
    matters for ``pcm16`` only.
    """

    seq: int
    start_ms: int
    duration_ms: int
    codec: Codec
    payload: bytes | None
    sample_rate: int = SAMPLE_RATE


def opus_packets(payload: bytes) -> list[bytes]:
    """Split ``[u16 little-endian length][packet]…`` into raw Opus packets of 20 ms.

    Raises :class:`UndecodableAudio` when the lengths do not add up, or when a packet's table of
    contents (RFC 6716, section 3.1) does not announce 20 ms of sound.
    """
    packets: list[bytes] = []
    at = 0
    while at < len(payload):
        if at + 2 > len(payload):
            raise UndecodableAudio("an Opus chunk ends inside a packet length")
        (size,) = struct.unpack_from("<H", payload, at)
        at += 2
        packet = payload[at : at + size]
        if size == 0 or len(packet) < size:
            raise UndecodableAudio("an Opus chunk holds an empty or truncated packet")
        if _opus_duration_ms(packet) != OPUS_PACKET_MS:
            raise UndecodableAudio(f"an Opus packet does not hold {OPUS_PACKET_MS} ms of sound")
        packets.append(packet)
        at += size
    if not packets:
        raise UndecodableAudio("an Opus chunk holds no packet")
    return packets


def frame_opus(packets: list[bytes]) -> bytes:
    """The inverse of :func:`opus_packets`: length-prefixed packets as one payload."""
    return b"".join(struct.pack("<H", len(packet)) + packet for packet in packets)


def check_payload(codec: str, payload: bytes, sample_rate: int = SAMPLE_RATE) -> float:
    """Check a payload's shape without decoding it, and return its duration in milliseconds.

    Cheap enough for the door of a server. Raises :class:`UndecodableAudio`.
    """
    if codec == "opus":
        return float(len(opus_packets(payload)) * OPUS_PACKET_MS)
    if codec != "pcm16":
        raise UndecodableAudio(f"unknown codec {codec!r}: expected opus or pcm16")
    if not payload or len(payload) % 2:
        raise UndecodableAudio("PCM of 16 bits has an even, non-zero number of bytes")
    if not _MIN_PCM_RATE <= sample_rate <= _MAX_PCM_RATE:
        raise UndecodableAudio(f"a sample rate of {sample_rate} Hz is out of range")
    return len(payload) / 2 / sample_rate * 1000


class PayloadDecoder:
    """Decodes the consecutive payloads of one track to 16 kHz.

    Both Opus and the resampler carry a little state from packet to packet, so one decoder serves
    one track. The resampler holds back its filter's last samples until it sees more: the
    ``decode`` of one payload may return a few samples less than its duration, the next a few
    more. :meth:`drain` returns what is held back and leaves a fresh decoder.
    """

    def __init__(self) -> None:
        self._codec: Any = None
        self._resampler: Any = None
        self._rate = 0
        self._taken = 0
        self._given = 0
        self._drained = 0

    @property
    def duration(self) -> int:
        """How many samples at 16 kHz all payloads so far make, the held-back ones included."""
        return self._drained + (self._taken * SAMPLE_RATE // self._rate if self._rate else 0)

    def decode(self, codec: str, payload: bytes, sample_rate: int = SAMPLE_RATE) -> Samples:
        """Samples of this payload as far as they are ready. Raises :class:`UndecodableAudio`."""
        check_payload(codec, payload, sample_rate)
        rate = OPUS_RATE if codec == "opus" else sample_rate
        held = self.drain() if self._rate not in (0, rate) else _EMPTY
        self._rate = rate
        native = self._opus(payload) if codec == "opus" else np.frombuffer(payload, "<i2")
        self._taken += native.size
        samples = self._resample(native)
        self._given += samples.size
        return np.concatenate([held, samples]) if held.size else samples

    def drain(self) -> Samples:
        """Return the held-back samples, so that exactly the duration taken has been given."""
        if not self._rate:
            return _EMPTY
        owed = self._taken * SAMPLE_RATE // self._rate - self._given
        tail = _joined(self._resampler.resample(None)) if self._resampler else _EMPTY
        tail = np.pad(tail, (0, max(0, owed - tail.size)))[: max(0, owed)]
        self._drained = self.duration
        self._codec = self._resampler = None
        self._rate = self._taken = self._given = 0
        return tail

    def _opus(self, payload: bytes) -> NDArray[np.int16]:
        if self._codec is None:
            self._codec = cast(Any, av.CodecContext.create("libopus", "r"))
            self._codec.sample_rate = OPUS_RATE
            self._codec.layout = "mono"
        frames: list[NDArray[np.int16]] = []
        try:
            for packet in opus_packets(payload):
                frames += [frame.to_ndarray()[0] for frame in self._codec.decode(av.Packet(packet))]
        except av.error.FFmpegError as error:
            self._codec = None
            raise UndecodableAudio("the Opus decoder refused a packet") from error
        if not frames:
            raise UndecodableAudio("the Opus decoder found no sound in the payload")
        return np.concatenate(frames)

    def _resample(self, native: NDArray[np.int16]) -> Samples:
        if self._rate == SAMPLE_RATE:
            return native.astype(np.float32) / 32768.0
        if self._resampler is None:
            self._resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
        frame: Any = av.AudioFrame.from_ndarray(native.reshape(1, -1), "s16", "mono")
        frame.sample_rate = self._rate
        return _joined(self._resampler.resample(frame))


def decode_blocks(path: str | Path, seconds: float = 0.5) -> Iterator[Samples]:
    """Decode the first audio stream of any file in blocks of ``seconds``; the last is shorter.

    Memory stays bounded whatever the length of the file. Raises :class:`UndecodableAudio` for
    anything that holds no decodable sound, :class:`FileNotFoundError` for a missing file.
    """
    size = int(seconds * SAMPLE_RATE)
    held = _EMPTY
    found = False
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise UndecodableAudio(f"{path} holds no sound")
            stream: Any = container.streams.audio[0]
            resampler: Any = av.AudioResampler("flt", "mono", SAMPLE_RATE)
            frames = cast(Iterator[Any], container.decode(stream))
            for resampled in _resampled(frames, resampler):
                found = found or resampled.size > 0
                held = np.concatenate([held, resampled])
                while held.size >= size:
                    yield held[:size]
                    held = held[size:]
    except FileNotFoundError:
        raise
    except (av.error.FFmpegError, OSError) as error:
        raise UndecodableAudio(f"{path} is not audio that can be decoded") from error
    if not found:
        raise UndecodableAudio(f"{path} holds no sound")
    if held.size:
        yield held


def decode_file(path: str | Path) -> Samples:
    """The first audio stream of any file as one array. Errors as for :func:`decode_blocks`."""
    return np.concatenate(list(decode_blocks(path, seconds=30.0)))


_EMPTY: Samples = np.zeros(0, np.float32)


def _resampled(frames: Iterator[Any], resampler: Any) -> Iterator[Samples]:
    for frame in frames:
        yield _joined(resampler.resample(frame))
    yield _joined(resampler.resample(None))


def _joined(frames: list[Any]) -> Samples:
    if not frames:
        return _EMPTY
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32)


def _opus_duration_ms(packet: bytes) -> float:
    configuration, count_code = packet[0] >> 3, packet[0] & 3
    if configuration < 12:  # SILK
        frame_ms = (10.0, 20.0, 40.0, 60.0)[configuration % 4]
    elif configuration < 16:  # hybrid
        frame_ms = (10.0, 20.0)[configuration % 2]
    else:  # CELT
        frame_ms = (2.5, 5.0, 10.0, 20.0)[configuration % 4]
    if count_code == 3:
        frames = packet[1] & 0x3F if len(packet) > 1 else 0
    else:
        frames = (1, 2, 2)[count_code]
    return frame_ms * frames
