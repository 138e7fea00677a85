import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from classweave.speech import weights
from classweave.speech.weights import WeightsUnavailable, cache_dir, whisper_weights


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLASSWEAVE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_two_at_once_join_the_same_weights(cache: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: whisper_weights(), range(2))
    assert first == second == whisper_weights("base")
    assert first.parent == cache == cache_dir()
    digest = hashlib.sha256((first / "model.bin").read_bytes()).hexdigest()
    assert digest.startswith(first.name.rsplit("-", 1)[1])
    assert [path.name for path in cache.iterdir()] == [first.name]


def test_damaged_parts_are_refused_and_leave_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = {**weights._SHA256, "config.json": "0" * 64}
    monkeypatch.setattr(weights, "_SHA256", digests)
    with pytest.raises(WeightsUnavailable, match=r"config\.json has a wrong SHA-256"):
        whisper_weights()
    assert list(cache.iterdir()) == []


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"")
    assert whisper_weights(str(tmp_path)) == tmp_path


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match=r"no model\.bin"):
        whisper_weights(str(tmp_path))


def test_an_unknown_name_is_one_clear_line(cache: Path) -> None:
    with pytest.raises(WeightsUnavailable) as refused:
        whisper_weights("no-such-weights")
    assert "no-such-weights" in str(refused.value)
    assert "\n" not in str(refused.value)
