import itertools
import json
import random
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classweave.speech.decode import SAMPLE_RATE, Chunk, Samples, decode_file, frame_opus
from classweave.speech.encode import encode_opus
from classweave.speech.segmenter import Cursor, Cut, Cutting, Segmenter

CLIP = decode_file(str(files("classweave.speech").joinpath("padding_clip.ogg")))


def room(seconds: float, level: float = 0.001) -> Samples:
    noise = np.random.default_rng(7).normal(0, level, int(seconds * SAMPLE_RATE))
    return noise.astype(np.float32)


def talk(*pauses: float) -> Samples:
    parts = [room(0.5)]
    for pause in pauses:
        parts += [CLIP, room(pause)]
    return np.concatenate(parts)


def opus_chunks(sound: Samples, packets: int = 25) -> list[Chunk]:
    encoded = encode_opus(sound)
    groups = [encoded[i : i + packets] for i in range(0, len(encoded), packets)]
    return [
        Chunk(seq, seq * packets * 20, len(group) * 20, "opus", frame_opus(group))
        for seq, group in enumerate(groups)
    ]


def pcm_chunks(sound: Samples, seconds: float = 0.5) -> list[Chunk]:
    size = int(seconds * SAMPLE_RATE)
    return [
        Chunk(
            seq,
            at * 1000 // SAMPLE_RATE,
            len(sound[at : at + size]) * 1000 // SAMPLE_RATE,
            "pcm16",
            (sound[at : at + size] * 32767).astype("<i2").tobytes(),
        )
        for seq, at in enumerate(range(0, sound.size, size))
    ]


def cuts_of(chunks: list[Chunk], cutting: Cutting | None = None) -> list[Cut]:
    segmenter = Segmenter(cutting=cutting)
    return [cut for chunk in chunks for cut in segmenter.push(chunk)] + segmenter.flush()


def fingerprint(cut: Cut) -> tuple[object, ...]:
    sound = None if cut.samples is None else cut.samples.tobytes()
    return (
        cut.start_s,
        cut.end_s,
        cut.speech_start_s,
        cut.speech_end_s,
        cut.speech_seconds,
        cut.quiet_s,
        sound,
    )


def run_with_kills(chunks: list[Chunk], dice: random.Random, likely: float) -> list[object]:
    """Process a track, dying at random places, remembering only what was committed."""
    yielded: list[object] = []
    committed = json.dumps(Cursor().to_dict())

    def one_life() -> bool:
        nonlocal committed
        cursor = Cursor.from_dict(json.loads(committed))
        segmenter = Segmenter(cursor)
        for chunk in [chunk for chunk in chunks if chunk.seq >= cursor.seq] + [None]:
            for cut in segmenter.push(chunk) if chunk else segmenter.flush():
                if dice.random() < likely:
                    return False
                yielded.append(fingerprint(cut))
                committed = json.dumps(cut.cursor.to_dict())
            if dice.random() < likely:
                return False
        return True

    while not one_life():
        pass
    return yielded


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["opus", "pcm16"]))
def test_a_process_killed_anywhere_yields_the_same_utterances(seed: int, codec: str) -> None:
    dice = random.Random(seed)
    sound = talk(*(dice.choice([0.2, 0.6, 1.0, 2.5]) for _ in range(5)), 10.5, 0.8)
    chunks = opus_chunks(sound) if codec == "opus" else pcm_chunks(sound)
    moved = 0
    for at, chunk in enumerate(chunks):
        if dice.random() < 0.05:
            moved += dice.choice([15, 700, 4_300])
        silent = dice.random() < 0.08
        chunks[at] = replace(
            chunk, start_ms=chunk.start_ms + moved, payload=None if silent else chunk.payload
        )
    chunks = [chunk for chunk in chunks if dice.random() > 0.03]
    undisturbed = [fingerprint(cut) for cut in cuts_of(chunks)]
    assert any(cut[-1] for cut in undisturbed)
    assert run_with_kills(chunks, dice, 0.06) == undisturbed


def test_two_sentences_become_two_utterances_with_their_times() -> None:
    spoken = [cut for cut in cuts_of(opus_chunks(talk(1.5, 1.5))) if cut.samples is not None]
    first, second = spoken
    length = CLIP.size / SAMPLE_RATE
    assert first.speech_start_s == pytest.approx(0.5, abs=0.15)
    assert first.speech_end_s == pytest.approx(0.5 + length, abs=0.25)
    assert second.speech_start_s == pytest.approx(2.0 + length, abs=0.15)
    for cut in spoken:
        assert cut.samples is not None
        assert cut.samples.size == round((cut.end_s - cut.start_s) * SAMPLE_RATE)
        assert cut.start_s <= cut.speech_start_s < cut.speech_end_s <= cut.end_s
        assert 0.3 < cut.speech_seconds <= cut.speech_end_s - cut.speech_start_s + 0.05


def test_the_cut_comes_soon_after_the_last_sound() -> None:
    segmenter = Segmenter()
    for chunk in pcm_chunks(talk(2.0), seconds=0.1):
        for cut in segmenter.push(chunk):
            arrived = (chunk.start_ms + chunk.duration_ms) / 1000
            assert arrived - cut.speech_end_s < Cutting().short_pause_s + 0.2
            return
    pytest.fail("no cut")


def test_cuts_follow_each_other_without_gap_or_overlap() -> None:
    cuts = cuts_of(opus_chunks(talk(0.3, 1.0, 12.0, 0.5)))
    for before, after in itertools.pairwise(cuts):
        assert before.end_s <= after.start_s
        assert before.cursor.position < after.cursor.position
        assert before.cursor.seq <= after.cursor.seq


@pytest.mark.parametrize(("pause", "continues"), [(0.8, True), (2.0, False)])
def test_a_cut_says_whether_it_goes_on_where_the_last_left_off(
    pause: float, continues: bool
) -> None:
    _first, second = (c for c in cuts_of(pcm_chunks(talk(pause, 1.5))) if c.speech_seconds)
    assert second.continues is continues


def test_talk_without_pause_is_cut_before_it_grows_too_long() -> None:
    cutting = Cutting(max_s=4.0, search_s=2.0)
    sound = np.concatenate([CLIP] * 12)
    spoken = [cut for cut in cuts_of(pcm_chunks(sound), cutting) if cut.samples is not None]
    assert len(spoken) >= 3
    assert all(cut.end_s - cut.start_s < 5.0 for cut in spoken)
    total = sum(cut.samples.size for cut in spoken if cut.samples is not None)
    assert total == pytest.approx(sound.size, abs=SAMPLE_RATE)


def test_the_cursor_moves_on_through_silence() -> None:
    segmenter = Segmenter()
    cuts = [cut for chunk in opus_chunks(room(31.0)) for cut in segmenter.push(chunk)]
    assert len(cuts) == 3
    assert all(cut.samples is None for cut in cuts)
    assert segmenter.cursor.seq > 50


def test_hours_lost_or_flagged_silent_cost_nothing() -> None:
    day = 24 * 3600 * 1000
    chunks = pcm_chunks(talk(1.0))
    last = chunks[-1]
    chunks.append(Chunk(last.seq + 1, last.start_ms + day, 500, "pcm16", chunks[1].payload))
    chunks.append(Chunk(last.seq + 2, last.start_ms + day + 500, day, "pcm16", None))
    cuts = cuts_of(chunks)
    assert sum(cut.samples is not None for cut in cuts) >= 1
    assert cuts[-1].cursor.position / SAMPLE_RATE == pytest.approx(
        (last.start_ms + 2 * day + 500) / 1000, abs=1
    )
    assert len(cuts) < 8


def test_a_broken_chunk_is_silence_and_says_so() -> None:
    chunks = opus_chunks(talk(1.0, 1.0))
    segmenter = Segmenter()
    segmenter.push(replace(chunks[0], payload=b"\x01"))
    assert segmenter.level is not None
    assert not segmenter.level.decodable
    segmenter.push(chunks[1])
    assert segmenter.level.decodable


def test_chunks_must_come_in_order() -> None:
    chunks = pcm_chunks(room(2.0))
    segmenter = Segmenter()
    segmenter.push(chunks[1])
    with pytest.raises(ValueError, match="done with"):
        segmenter.push(chunks[0])


def test_levels_tell_clipping_from_talk_from_silence() -> None:
    segmenter = Segmenter()
    segmenter.push(pcm_chunks(room(0.5))[0])
    quiet = segmenter.level
    assert quiet is not None
    assert quiet.rms_dbfs == pytest.approx(-60, abs=1)
    assert quiet.clipping == 0
    loud = np.clip(np.concatenate([CLIP, CLIP]) * 20, -1, 1)
    for chunk in pcm_chunks(loud)[:3]:
        segmenter.push(replace(chunk, seq=chunk.seq + 1, start_ms=chunk.start_ms + 500))
    level = segmenter.level
    assert level is not None
    assert level.clipping > 0.05
    assert level.peak_dbfs == pytest.approx(0, abs=0.1)
    assert level.voiced > 0.3
    segmenter.push(Chunk(9, 2_000, 500, "pcm16", None))
    assert segmenter.level is not None
    assert segmenter.level.rms_dbfs == -120


@pytest.mark.parametrize("kind", ["silence", "white", "hum", "clicks"])
def test_nobody_speaks_in_noise(kind: str) -> None:
    dice = np.random.default_rng(3)
    size = 30 * SAMPLE_RATE
    time = np.arange(size) / SAMPLE_RATE
    sound = np.zeros(size)
    if kind == "white":
        sound = dice.normal(0, 0.02, size)
    elif kind == "hum":
        sound = 0.05 * sum(np.sin(2 * np.pi * 50 * k * time) / k for k in (1, 2, 3, 5))
    elif kind == "clicks":
        for at in dice.integers(0, size - 200, 60):
            sound[at : at + 200] += 0.6 * dice.normal(0, 1, 200) * np.exp(-np.arange(200) / 30)
    cuts = cuts_of(pcm_chunks(np.clip(sound, -1, 1).astype(np.float32)))
    assert all(cut.samples is None for cut in cuts)
