"""``classweave speech …``: words from a recording, without a database."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

app = typer.Typer(help="Words from sound. Needs no database.", no_args_is_help=True)


@app.callback()
def _group() -> None:  # pyright: ignore[reportUnusedFunction]
    """Words from sound. Needs no database."""


@app.command()
def transcribe(
    file: Annotated[Path, typer.Argument(help="Any audio or video file.")],
    language: Annotated[
        str | None, typer.Option(help="ISO 639-1 code such as en or es; detected when left out.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Whisper weights: base (installed), a CTranslate2 folder, or a hub name."
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of lines.")
    ] = False,
) -> None:
    """Transcribe FILE with times and probabilities.

    Prints one line per utterance ("start end text", in seconds), or with --json an object:
    {"duration_s", "language", "segments": [{"start", "end", "text", "language", "confidence",
    "words": [{"text", "start", "end", "probability"}]}]}. Silence and noise give no segments.
    Progress goes to stderr. Exit code 2 means that the input cannot be used.

    Examples: classweave speech transcribe lesson.m4a; classweave speech transcribe a.ogg --json
    """
    from classweave.speech.decode import UndecodableAudio, decode_blocks
    from classweave.speech.transcribe import transcribe_file
    from classweave.speech.weights import WeightsUnavailable
    from classweave.speech.whisper import UnknownLanguage, WhisperRecogniser

    def show_progress(seconds: float) -> None:
        if sys.stderr.isatty():
            typer.echo(f"\r{seconds:8.1f} s", nl=False, err=True)

    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        next(decode_blocks(file))  # tell bad input before loading a model
        recogniser = WhisperRecogniser(weights, threads)
        transcript = transcribe_file(file, recogniser, language, show_progress)
    except FileNotFoundError:
        _refuse(f"there is no file {file}")
    except (UndecodableAudio, WeightsUnavailable, UnknownLanguage) as error:
        _refuse(str(error))
    if sys.stderr.isatty():
        typer.echo("\r" + " " * 12 + "\r", nl=False, err=True)
    if as_json:
        typer.echo(json.dumps(transcript.to_dict(), ensure_ascii=False))
        return
    for segment in transcript.segments:
        typer.echo(f"{segment.start:8.2f} {segment.end:8.2f}  {segment.text}")


def _refuse(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2)
