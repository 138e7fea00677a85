"""The wire format: what is sent comes back, and what is no chunk is refused by name."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classweave.live.frames import (
    HEADER,
    LAST,
    MAX_CHUNK_MS,
    MAX_PAYLOAD,
    MAX_TRACK_MS,
    MUTED,
    SILENT,
    BadFrame,
    Frame,
    decode_frame,
    encode_frame,
)
from classweave.live.models.sound import Codec
from classweave.speech.decode import frame_opus
from classweave.speech.encode import OpusEncoder

RATE = 16_000


def pcm(ms: int) -> bytes:
    return bytes(2 * RATE * ms // 1000)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    duration = draw(st.integers(1, MAX_CHUNK_MS))
    muted = draw(st.booleans())
    silent = muted or draw(st.booleans())
    return Frame(
        seq=draw(st.integers(0, 2**32 - 1)),
        start_ms=draw(st.integers(0, MAX_TRACK_MS)),
        duration_ms=duration,
        peak=-draw(st.integers(0, 127)),
        rms=-draw(st.integers(0, 127)),
        silent=silent,
        muted=muted,
        last=draw(st.booleans()),
        payload=None if silent else pcm(duration),
    )


@given(frames())
def test_what_is_encoded_is_decoded(frame: Frame) -> None:
    assert decode_frame(encode_frame(frame), Codec.PCM16, RATE) == frame


@given(st.binary(max_size=200))
def test_whatever_comes_is_a_chunk_or_refused(message: bytes) -> None:
    found: Frame | str
    try:
        found = decode_frame(message, Codec.OPUS, 48_000)
    except BadFrame as refused:
        found = refused.code
    if isinstance(found, Frame):
        assert found.silent == (found.payload is None)
    else:
        assert found in {"too-short", "not-a-chunk", "bad-times", "not-audio"}


def message(
    *, magic: int = 0x43, version: int = 1, flags: int = 0, seq: int = 0, start: int = 0,
    duration: int = 100, payload: bytes = b"",
) -> bytes:  # fmt: skip
    return HEADER.pack(magic, version, flags, seq, start, duration, 20, 30) + payload


OPUS = frame_opus(OpusEncoder().encode(np.zeros(RATE // 10, np.float32)))


@pytest.mark.parametrize(
    ("codec", "sent", "code"),
    [
        (Codec.OPUS, b"", "too-short"),
        (Codec.OPUS, message()[:-1], "too-short"),
        (Codec.OPUS, message(magic=0x44), "not-a-chunk"),
        (Codec.OPUS, message(version=2), "not-a-chunk"),
        (Codec.OPUS, message(payload=bytes(MAX_PAYLOAD + 1)), "chunk-too-large"),
        (Codec.OPUS, message(flags=SILENT, payload=bytes(MAX_PAYLOAD + 1)), "chunk-too-large"),
        (Codec.OPUS, message(duration=MAX_CHUNK_MS + 1), "bad-times"),
        (Codec.OPUS, message(start=MAX_TRACK_MS + 1), "bad-times"),
        (Codec.OPUS, message(start=2**64 - 1), "bad-times"),
        (Codec.OPUS, message(payload=b"RIFF$\x00\x00\x00WAVEfmt "), "not-audio"),
        (Codec.OPUS, message(payload=OPUS[:-1]), "not-audio"),
        (Codec.OPUS, message(payload=struct.pack("<H", 0)), "not-audio"),
        (Codec.OPUS, message(duration=400, payload=OPUS), "not-audio"),
        (Codec.PCM16, message(payload=b"\x00"), "not-audio"),
        (Codec.PCM16, message(duration=2000, payload=pcm(100)), "not-audio"),
        (Codec.PCM16, message(duration=0, payload=pcm(400)), "not-audio"),
    ],
)
def test_what_is_no_chunk_is_refused_by_name(codec: Codec, sent: bytes, code: str) -> None:
    with pytest.raises(BadFrame) as refused:
        decode_frame(sent, codec, RATE)
    assert refused.value.code == code
    assert str(refused.value)


def test_flags_say_what_a_chunk_is() -> None:
    muted = decode_frame(message(flags=MUTED | LAST, payload=b"ignored"), Codec.OPUS, 48_000)
    assert (muted.muted, muted.silent, muted.last, muted.payload) == (True, True, True, None)
    assert not muted.alive
    heard = decode_frame(message(payload=OPUS), Codec.OPUS, 48_000)
    assert (heard.payload, heard.alive, heard.clipping) == (OPUS, True, False)
    assert decode_frame(message(), Codec.OPUS, 48_000).silent
