import numpy as np
import pytest

from classweave.speech.speak import Voice, resample

pytestmark = pytest.mark.speech

TEXT = "The leaf makes sugar. The root drinks water."


@pytest.fixture(scope="module")
def voice() -> Voice:
    return Voice()


def test_sentences_come_one_by_one(voice: Voice) -> None:
    first, second = voice.sentences(TEXT)
    whole = voice.say(TEXT, pause_s=0.5)
    assert whole.sample_rate == first.sample_rate == voice.sample_rate
    # Piper varies its timing a little each time it speaks.
    assert whole.seconds == pytest.approx(first.seconds + second.seconds + 0.5, rel=0.25)
    assert np.abs(whole.samples).max() <= 1.01


def test_rate_changes_the_length_and_pitch_does_not(voice: Voice) -> None:
    usual = voice.say(TEXT).seconds
    assert voice.say(TEXT, rate=1.5).seconds == pytest.approx(usual / 1.5, rel=0.25)
    assert voice.say(TEXT, pitch=1.2).seconds == pytest.approx(usual, rel=0.25)


def test_pitch_moves_the_spectrum(voice: Voice) -> None:
    def centre(samples: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(samples)) ** 2
        return float((power * np.arange(power.size)).sum() / power.sum() / samples.size)

    low, high = (voice.say(TEXT, pitch=pitch).samples for pitch in (0.85, 1.25))
    assert centre(high) > 1.15 * centre(low)


def test_nothing_to_say_is_silence(voice: Voice) -> None:
    assert voice.say("").samples.size == 0


@pytest.mark.parametrize("bad", [{"rate": 0.1}, {"pitch": 3.0}])
def test_extremes_are_refused(voice: Voice, bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"0\.5 to 2"):
        voice.say(TEXT, **bad)


def test_resampling_keeps_the_tune() -> None:
    time = np.arange(22_050) / 22_050
    tone = np.sin(2 * np.pi * 500 * time).astype(np.float32)
    there = resample(tone, 22_050, 16_000)
    assert there.size == pytest.approx(16_000, abs=2)
    assert np.abs(np.fft.rfft(there)).argmax() == pytest.approx(500, abs=2)
