"""The wire format of sound, version 1: one binary message is one chunk of a track.

20 bytes, little-endian: magic ``0x43``, version, flags (u16), seq (u32), start (u64, ms since the
track's first sample on the device's own monotonic clock), duration (u16, ms), peak and rms (u8
each, decibels below full scale). Then the payload: repeated (u16 length, Opus packet), or raw
16-bit mono samples.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from classweave.live.models.sound import Codec
from classweave.speech.decode import UndecodableAudio, check_payload

PROTOCOL = 1
HEADER = struct.Struct("<BBHIQHBB")
MAGIC = 0x43
SILENT, MUTED, LAST = 1, 2, 4
MAX_PAYLOAD = 65_536
MAX_CHUNK_MS = 2_000
MAX_TRACK_MS = 8 * 3_600_000


class BadFrame(ValueError):
    """The message is not a chunk. ``code`` says which rule it breaks."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Frame:
    """One chunk as the device sent it. ``peak`` and ``rms`` are dBFS, 0 down to -127."""

    seq: int
    start_ms: int
    duration_ms: int
    peak: int
    rms: int
    silent: bool
    muted: bool
    last: bool
    payload: bytes | None

    @property
    def end_ms(self) -> int:
        """Where the chunk ends on the track's clock."""
        return self.start_ms + self.duration_ms

    @property
    def alive(self) -> bool:
        """Whether the microphone delivers anything: a dead one is below any real room."""
        return not self.muted and self.rms > -90

    @property
    def clipping(self) -> bool:
        """Whether the loudest sample is at full scale."""
        return not self.muted and self.peak >= 0


def decode_frame(message: bytes, codec: Codec, sample_rate: int) -> Frame:
    """Parse and check one message; raises :class:`BadFrame`."""
    if len(message) < HEADER.size:
        raise BadFrame("too-short", "The message is shorter than a chunk's header.")
    magic, version, flags, seq, start, duration, peak, rms = HEADER.unpack_from(message)
    if magic != MAGIC or version != PROTOCOL:
        raise BadFrame("not-a-chunk", "The message is not a chunk of sound, version 1.")
    payload = message[HEADER.size :]
    if len(payload) > MAX_PAYLOAD:
        raise BadFrame("chunk-too-large", "A chunk holds at most 64 KiB of sound.")
    if not 0 <= duration <= MAX_CHUNK_MS or start > MAX_TRACK_MS:
        raise BadFrame("bad-times", "The chunk's times are not possible.")
    silent = bool(flags & (SILENT | MUTED)) or not payload
    if not silent:
        _check_payload(payload, codec, duration, sample_rate)
    return Frame(
        seq=seq,
        start_ms=start,
        duration_ms=duration,
        peak=-peak,
        rms=-rms,
        silent=silent,
        muted=bool(flags & MUTED),
        last=bool(flags & LAST),
        payload=None if silent else payload,
    )


def encode_frame(frame: Frame) -> bytes:
    """The message of ``frame``; the inverse of :func:`decode_frame`."""
    flags = SILENT * frame.silent | MUTED * frame.muted | LAST * frame.last
    header = HEADER.pack(
        MAGIC, PROTOCOL, flags, frame.seq, frame.start_ms, frame.duration_ms,
        -frame.peak, -frame.rms,
    )  # fmt: skip
    return header + (frame.payload or b"")


def _check_payload(payload: bytes, codec: Codec, duration_ms: int, sample_rate: int) -> None:
    try:
        milliseconds = check_payload(codec.value, payload, sample_rate)
    except UndecodableAudio as error:
        raise BadFrame("not-audio", str(error)) from error
    if abs(milliseconds - duration_ms) > 150:
        raise BadFrame("not-audio", "The chunk does not hold as much sound as it says.")
