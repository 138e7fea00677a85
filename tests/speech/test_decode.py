import io
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classweave.speech.decode import (
    SAMPLE_RATE,
    Chunk,
    PayloadDecoder,
    UndecodableAudio,
    check_payload,
    decode_blocks,
    decode_file,
    frame_opus,
    opus_packets,
)
from classweave.speech.encode import encode_opus, write_ogg_opus


def tone(seconds: float, frequency: float = 440.0) -> np.ndarray:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.3 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def pitch(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(spectrum.argmax() * SAMPLE_RATE / samples.size)


def test_opus_comes_back_in_time_and_in_tune() -> None:
    packets = encode_opus(tone(1.0))
    assert len(packets) == 50
    decoder = PayloadDecoder()
    parts = [decoder.decode("opus", frame_opus(packets[i : i + 25])) for i in (0, 25)]
    samples = np.concatenate([*parts, decoder.drain()])
    assert samples.size == SAMPLE_RATE == decoder.duration
    assert pitch(samples) == pytest.approx(440, abs=2)
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_pcm_of_any_rate_becomes_16_khz(rate: int) -> None:
    time = np.arange(rate) / rate
    payload = (8_000 * np.sin(2 * np.pi * 440 * time)).astype("<i2").tobytes()
    assert check_payload("pcm16", payload, rate) == pytest.approx(1000)
    decoder = PayloadDecoder()
    samples = np.concatenate([decoder.decode("pcm16", payload, rate), decoder.drain()])
    assert samples.size == SAMPLE_RATE
    assert pitch(samples) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(
    ("codec", "payload", "rate"),
    [
        ("opus", b"", 0),
        ("opus", b"\x05", 0),
        ("opus", b"\x05\x00ab", 0),
        ("opus", b"\x00\x00", 0),
        ("opus", b"GIF89a and so on, not sound at all", 0),
        ("opus", frame_opus([b"\x00\x01\x02"]), 0),  # a 10 ms SILK frame
        ("pcm16", b"", 16_000),
        ("pcm16", b"abc", 16_000),
        ("pcm16", b"ab", 3),
        ("mp3", b"abcd", 16_000),
    ],
)
def test_garbage_is_one_typed_error(codec: str, payload: bytes, rate: int) -> None:
    with pytest.raises(UndecodableAudio):
        check_payload(codec, payload, rate)
    with pytest.raises(UndecodableAudio):
        PayloadDecoder().decode(codec, payload, rate)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_else(payload: bytes) -> None:
    for codec in ("opus", "pcm16"):
        decoder = PayloadDecoder()
        try:
            samples = decoder.decode(codec, payload, 48_000)
        except UndecodableAudio:
            continue
        assert np.isfinite(samples).all()


def test_packets_survive_framing() -> None:
    packets = encode_opus(tone(0.1))
    assert opus_packets(frame_opus(packets)) == packets


def test_a_decoder_recovers_after_a_broken_payload() -> None:
    payload = frame_opus(encode_opus(tone(0.5)))
    decoder = PayloadDecoder()
    with pytest.raises(UndecodableAudio):
        decoder.decode("opus", payload[:-1])
    decoder.decode("opus", payload)
    decoder.drain()
    assert decoder.duration == SAMPLE_RATE // 2


def test_files_are_decoded_in_bounded_blocks(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=44_100, layout="stereo")
        sound = np.repeat((tone(3.0) * 32767).astype(np.int16), 2)
        frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), "s16", "stereo")
        frame.sample_rate = 44_100
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    blocks = list(decode_blocks(path, seconds=0.25))
    assert {block.size for block in blocks[:-1]} == {4_000}
    assert np.array_equal(np.concatenate(blocks), decode_file(path))
    assert decode_file(path).size == pytest.approx(48_000 / 44_100 * SAMPLE_RATE, abs=2)


def test_what_is_not_sound_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp3"
    text.write_bytes(b"these are notes, not music\n" * 50)
    with pytest.raises(UndecodableAudio):
        decode_file(text)
    with pytest.raises(UndecodableAudio):
        decode_file(tmp_path)
    empty = tmp_path / "empty.wav"
    empty.write_bytes(b"")
    with pytest.raises(UndecodableAudio):
        decode_file(empty)
    with pytest.raises(FileNotFoundError):
        decode_file(tmp_path / "nowhere.wav")


def test_a_recording_keeps_the_clock_of_its_track(tmp_path: Path) -> None:
    low, high = encode_opus(tone(0.5, 300)), encode_opus(tone(0.5, 900))
    pcm = (tone(0.5, 600) * 32767).astype("<i2").tobytes()
    chunks = [
        Chunk(0, 2_000, 500, "opus", frame_opus(low)),
        Chunk(1, 2_500, 1_000, "opus", None),  # flagged silent
        Chunk(5, 5_000, 500, "opus", frame_opus(high)),  # after 1.5 lost seconds
        Chunk(6, 5_500, 500, "pcm16", pcm),
    ]
    path = tmp_path / "track.ogg"
    assert write_ogg_opus(path, chunks) == pytest.approx(4.0)
    samples = decode_file(path)
    assert samples.size / SAMPLE_RATE == pytest.approx(4.0, abs=0.02)
    assert pitch(samples[1_600:6_400]) == pytest.approx(300, abs=5)
    assert np.abs(samples[10_000:46_000]).max() < 0.02
    assert pitch(samples[49_600:54_400]) == pytest.approx(900, abs=5)
    assert pitch(samples[57_600:62_400]) == pytest.approx(600, abs=5)
    with av.open(io.BytesIO(path.read_bytes())) as container:
        assert container.streams.audio[0].codec_context.name in {"opus", "libopus"}
