"""``classweave language``: measure a transcript from the command line, without a database."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from classweave.language.jsonl import TranscriptError, parse_transcript
from classweave.language.measure import MEASURES, measure_discussion
from classweave.language.transcript import Discussion, Measure

app = typer.Typer(no_args_is_help=True, help="Measure discussions from their words and times.")


@app.callback()
def _group() -> None:  # pyright: ignore[reportUnusedFunction]
    """Keep ``measure`` a command of its own while it is the only one."""


@app.command()
def measure(
    transcript: Annotated[
        Path,
        typer.Argument(help="JSON Lines: an utterance a line with start, end, text and speaker."),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with evidence and details.")
    ] = False,
    concepts: Annotated[
        str, typer.Option(help="The lesson's concepts, parted by commas.", metavar="A,B,C")
    ] = "",
    goal: Annotated[str, typer.Option(help="What the lesson is for, in a sentence.")] = "",
    title: Annotated[str, typer.Option(help="The lesson's title.")] = "",
    members: Annotated[
        str,
        typer.Option(
            help="All members of the group, the silent included; by default those who spoke.",
            metavar="A,B,C",
        ),
    ] = "",
    language: Annotated[str, typer.Option(help="Language of the talk, as in 'en'.")] = "en",
    sentiment: Annotated[
        bool, typer.Option(help="Include the tone of the group, from its words.")
    ] = True,
) -> None:
    """Measure one group's discussion.

    Each line of TRANSCRIPT is an object like
    {"speaker": "Ana", "start": 1.2, "end": 3.4, "text": "I think it melts because it gets warm."}
    Optional: id, track, confidence (0-1), role (student or teacher), and words, a list of
    {"text", "start", "end", "probability"}. A speaker of null is a device that several share.
    """
    try:
        utterances = parse_transcript(transcript.read_bytes().splitlines())
    except OSError as error:
        _refuse(f"{transcript}: {(error.strerror or 'cannot be read').lower()}")
    except TranscriptError as error:
        _refuse(f"{transcript}, {error}")
    if not utterances:
        _refuse(f"{transcript}: no utterances in it")
    spoke = dict.fromkeys(u.speaker for u in utterances if u.speaker and u.role == "student")
    discussion = Discussion(
        utterances=utterances,
        members=tuple(dict.fromkeys((*_listed(members), *(s for s in spoke if s)))),
        start=utterances[0].start,
        end=max(u.end for u in utterances),
        concepts=_listed(concepts),
        goal=goal,
        title=title,
        language=language.casefold().partition("-")[0],
    )
    measures = measure_discussion(discussion, sentiment=sentiment)
    if as_json:
        print(
            json.dumps(
                {
                    "seconds": discussion.seconds,
                    "utterances": len(utterances),
                    "members": discussion.members,
                    "measures": [dataclasses.asdict(m) for m in measures],
                },
                ensure_ascii=False,
            )
        )
        return
    for found in measures:
        print(_line(found))


def _line(found: Measure) -> str:
    title = MEASURES[found.name].title
    if found.value is None:
        return f"{title:26} not enough   {found.reason}"
    basis = f"from {found.n} {found.n_unit}, {found.coverage:.0%} heard"
    doubt = f"; uncertain: {found.reason}" if found.status == "uncertain" else ""
    return f"{title:26} {found.value:10.2f}   {found.unit}{' ' * bool(found.unit)}({basis}{doubt})"


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _refuse(problem: str) -> NoReturn:
    typer.echo(problem, err=True)
    raise typer.Exit(2)
