"""Sound out: raw Opus packets as a browser sends them, and Ogg Opus files to play back."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np

from classweave.speech.decode import (
    OPUS_PACKET_MS,
    OPUS_RATE,
    SAMPLE_RATE,
    Chunk,
    PayloadDecoder,
    Samples,
    opus_packets,
)

BIT_RATE = 24_000
_PACKET_SAMPLES = SAMPLE_RATE * OPUS_PACKET_MS // 1000
_PACKET_TICKS = OPUS_RATE * OPUS_PACKET_MS // 1000


class OpusEncoder:
    """Encodes a stream of 16 kHz samples to raw Opus packets of 20 ms."""

    def __init__(self, bit_rate: int = BIT_RATE) -> None:
        context = cast(Any, av.CodecContext.create("libopus", "w"))
        context.sample_rate = SAMPLE_RATE
        context.layout = "mono"
        context.format = "flt"
        context.bit_rate = bit_rate
        context.options = {"application": "voip", "frame_duration": str(OPUS_PACKET_MS)}
        self._context = context
        self._held: Samples = np.zeros(0, np.float32)

    def encode(self, samples: Samples) -> list[bytes]:
        """Packets for all whole 20 ms received so far."""
        self._held = np.concatenate([self._held, samples.astype(np.float32, copy=False)])
        packets: list[bytes] = []
        while self._held.size >= _PACKET_SAMPLES:
            frame: Any = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(self._held[:_PACKET_SAMPLES]).reshape(1, -1), "flt", "mono"
            )
            frame.sample_rate = SAMPLE_RATE
            packets += [bytes(packet) for packet in self._context.encode(frame)]
            self._held = self._held[_PACKET_SAMPLES:]
        return packets


def encode_opus(samples: Samples, bit_rate: int = BIT_RATE) -> list[bytes]:
    """16 kHz samples in [-1, 1] to raw Opus packets of 20 ms; the last is padded with silence."""
    short = -samples.size % _PACKET_SAMPLES
    return OpusEncoder(bit_rate).encode(np.pad(samples, (0, short)))


def write_ogg_opus(path: str | Path, chunks: Iterable[Chunk]) -> float:
    """Write the chunks of one track as a playable Ogg Opus file; return its length in seconds.

    Stored Opus packets are copied as they are, PCM is encoded. Silent chunks, and time lost
    between chunks, become silence, so that a position in the file is a position on the track
    counted from the first chunk. Raises :class:`UndecodableAudio` for a broken payload.
    """
    silence = encode_opus(np.zeros(_PACKET_SAMPLES * 3, np.float32))[-1]
    written = 0
    origin: int | None = None
    with av.open(str(path), "w", format="ogg") as opened:
        container = cast(Any, opened)
        stream = container.add_stream("libopus", rate=OPUS_RATE, layout="mono")
        stream.bit_rate = BIT_RATE

        def put(packets: Iterable[bytes]) -> None:
            nonlocal written
            for data in packets:
                packet = av.Packet(data)
                packet.stream = stream
                packet.time_base = Fraction(1, OPUS_RATE)
                packet.pts = packet.dts = written * _PACKET_TICKS
                packet.duration = _PACKET_TICKS
                container.mux(packet)
                written += 1

        for chunk in chunks:
            origin = chunk.start_ms if origin is None else origin
            lost = (chunk.start_ms - origin) // OPUS_PACKET_MS - written
            put(silence for _ in range(lost))
            put(_packets(chunk, silence))
    return written * OPUS_PACKET_MS / 1000


def _packets(chunk: Chunk, silence: bytes) -> list[bytes]:
    if chunk.payload is None:
        return [silence] * round(chunk.duration_ms / OPUS_PACKET_MS)
    if chunk.codec == "opus":
        return opus_packets(chunk.payload)
    decoder = PayloadDecoder()
    samples = decoder.decode(chunk.codec, chunk.payload, chunk.sample_rate)
    return encode_opus(np.concatenate([samples, decoder.drain()]))
