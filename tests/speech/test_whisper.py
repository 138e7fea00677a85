import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from classweave.speech.commands import app
from classweave.speech.decode import SAMPLE_RATE, Samples, decode_file
from classweave.speech.recogniser import Recogniser
from classweave.speech.transcribe import transcribe_file
from classweave.speech.wer import normalise, word_errors
from classweave.speech.whisper import UnknownLanguage, WhisperRecogniser, tidy_times

pytestmark = pytest.mark.speech

LIBRI = "librispeech_test_other/dev/1688-142285-0003.flac"


@pytest.fixture(scope="module")
def engine() -> Recogniser:
    return WhisperRecogniser()


@pytest.fixture(scope="module")
def sentence(shared_data: Path) -> Samples:
    return decode_file(shared_data / LIBRI)


def test_words_come_in_order_and_within_the_sound(engine: Recogniser, sentence: Samples) -> None:
    heard = engine.recognise(sentence, language="en")
    assert normalise(" ".join(word.text for word in heard.words)) == normalise(heard.text)
    assert len(heard.words) > 5
    edges = [edge for word in heard.words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert edges[-1] <= sentence.size / SAMPLE_RATE
    assert heard.confidence is not None
    assert heard.confidence > 0.6


def test_the_same_sound_gives_the_same_words(engine: Recogniser, sentence: Samples) -> None:
    first = engine.recognise(sentence, language="en")
    engine.recognise(sentence[: SAMPLE_RATE * 2], language="en")
    assert engine.recognise(sentence, language="en") == first


def test_real_speech_is_recognised(engine: Recogniser, shared_data: Path) -> None:
    folder = shared_data / "librispeech_test_other" / "dev"
    lines = (folder / "references.csv").read_text().splitlines()[1:9]
    listed = [line.split(",", 4) for line in lines]
    heard = [engine.recognise(decode_file(folder / row[2]), "en").text for row in listed]
    assert word_errors([row[4] for row in listed], heard).rate < 0.2


def test_the_packaged_clip_alone_is_its_own_words(engine: Recogniser) -> None:
    clip = decode_file(str(files("classweave.speech").joinpath("padding_clip.ogg")))
    assert normalise(engine.recognise(clip, "en").text) in {"yes i see", "yes i see you"}


@pytest.mark.parametrize("seconds", [0.0, 0.05, 1.0, 5.0])
def test_silence_and_noise_have_no_words(engine: Recogniser, seconds: float) -> None:
    size = int(seconds * SAMPLE_RATE)
    noise = np.random.default_rng(5).normal(0, 0.01, size).astype(np.float32)
    assert engine.recognise(np.zeros(size, np.float32)).text == ""
    assert engine.recognise(noise).text == ""


def test_language_is_detected(engine: Recogniser, shared_data: Path, sentence: Samples) -> None:
    spanish = decode_file(shared_data / "speech_multilingual" / "dev" / "pv_test_es.flac")
    heard = engine.recognise(spanish[: 10 * SAMPLE_RATE])
    assert heard.language == "es"
    assert heard.language_probability > 0.5
    assert engine.recognise(sentence).language == "en"


def test_what_cannot_be_done_is_said(engine: Recogniser) -> None:
    with pytest.raises(ValueError, match="at most 28 s"):
        engine.recognise(np.zeros(29 * SAMPLE_RATE, np.float32))
    with pytest.raises(UnknownLanguage, match="tlh"):
        engine.recognise(np.zeros(SAMPLE_RATE, np.float32), language="tlh")


def test_a_file_becomes_a_transcript(engine: Recogniser, shared_data: Path) -> None:
    path = shared_data / "meeting_ami_audio" / "dev" / "EN2006b_0-30.flac"
    seen: list[float] = []
    transcript = transcribe_file(path, engine, on_progress=seen.append)
    assert transcript.duration_s == pytest.approx(30.0, abs=0.1)
    assert transcript.language == "en"
    assert len(transcript.text.split()) > 15
    assert seen == sorted(seen)
    starts = [segment.start for segment in transcript.segments]
    assert starts == sorted(starts)
    for segment in transcript.segments:
        assert 0 <= segment.start < segment.end <= 30.1
        assert segment.words[0].start == segment.start


def test_the_command_prints_the_documented_json(shared_data: Path) -> None:
    result = CliRunner().invoke(app, ["transcribe", str(shared_data / LIBRI), "--json"])
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert set(printed) == {"duration_s", "language", "segments"}
    assert set(printed["segments"][0]) == {
        "start", "end", "text", "language", "confidence", "words",
    }  # fmt: skip
    assert set(printed["segments"][0]["words"][0]) == {"text", "start", "end", "probability"}


def test_the_command_refuses_bad_input_in_one_line(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("no sound here")
    for arguments in ([str(notes)], [str(tmp_path / "nowhere.wav")]):
        result = CliRunner().invoke(app, ["transcribe", *arguments, "--json"])
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1


def test_word_times_are_tidied() -> None:
    raw = [(0.0, 2.0), (2.0, 2.3), (2.2, 2.6), (2.6, 2.9), (2.9, 6.0)]
    tidy = tidy_times(raw, seconds=5.0)
    assert tidy[0][0] > 1.0
    assert tidy[-1][1] < 4.0
    assert all(start <= end for start, end in tidy)
    assert [edge for pair in tidy for edge in pair] == sorted(e for pair in tidy for e in pair)
    assert tidy_times([], 1.0) == []
