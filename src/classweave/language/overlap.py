"""Talking at once: interruptions and overlap, only where every speaker has a track of their own."""

from __future__ import annotations

from collections.abc import Iterator

from classweave.language.coverage import is_shared_device, seconds_coverage
from classweave.language.messages import gettext
from classweave.language.participation import SHARED_DEVICE, union_seconds
from classweave.language.spoken import few_turns
from classweave.language.transcript import Discussion, Evidence, Measure, Utterance, not_enough
from classweave.language.turn_taking import is_backchannel, turns
from classweave.language.words import tokens

EARLIEST_SECONDS = 0.3
"""An interruption starts at least this long before the other's end."""
OVERLAP_SECONDS = 0.5
"""Both talk at once for at least this long."""
STOP_SECONDS = 1.0
"""The other falls silent within this time after the overlap has lasted long enough."""
BACKCHANNEL_WORDS = 2
CROSS_TALK_WORDS = 4
CROSS_TALK_SHARE = 0.6
"""Overlapping utterances that share this much of their words are one voice in two microphones."""

MINIMUM_TURNS = 10
UNCERTAIN_TURNS = 30


def overlaps(discussion: Discussion) -> Iterator[tuple[Utterance, Utterance]]:
    """Pairs of utterances of two members that overlap in time, the earlier one first."""
    active: list[Utterance] = []
    students = (u for u in discussion.utterances if u.role == "student")
    for later in sorted(students, key=lambda u: (u.start, u.end)):
        active = [u for u in active if u.end > later.start]
        yield from ((earlier, later) for earlier in active if earlier.speaker != later.speaker)
        active.append(later)


def is_cross_talk(first: Utterance, second: Utterance) -> bool:
    """Whether two overlapping utterances are the same words, caught by two microphones."""
    a, b = set(tokens(first.text)), set(tokens(second.text))
    return min(len(a), len(b)) >= CROSS_TALK_WORDS and len(a & b) >= CROSS_TALK_SHARE * min(
        len(a), len(b)
    )


def is_interruption(first: Utterance, second: Utterance) -> bool:
    """Whether ``second`` cuts ``first`` off.

    It starts at least 0.3 s before the other's end, the two overlap for at least 0.5 s, the other
    stops within 1 s of that while the second goes on, and it is no backchannel (two words or
    fewer, or mere assent).
    """
    begin = second.start
    return (
        first.start < begin
        and first.end - begin >= EARLIEST_SECONDS
        and min(first.end, second.end) - begin >= OVERLAP_SECONDS
        and first.end <= begin + OVERLAP_SECONDS + STOP_SECONDS
        and second.end > first.end
        and len(tokens(second.text)) > BACKCHANNEL_WORDS
        and not is_backchannel(second.text)
    )


def interruptions(discussion: Discussion) -> Measure:
    """Interruptions per 100 turns; ``details["overlap_share"]`` is the share of talk in overlap.

    Needs one track per speaker: a mixed microphone cannot tell who spoke over whom.
    """
    name, unit, cover = "interruptions", "per 100 turns", seconds_coverage(discussion)
    if is_shared_device(discussion):
        return not_enough(name, 0, "turns", cover, SHARED_DEVICE, unit)
    students = [u for u in discussion.utterances if u.role == "student"]
    owners: dict[str, set[str | None]] = {}
    for u in students:
        owners.setdefault(u.track, set()).add(u.speaker)
    if any(len(speakers) > 1 for speakers in owners.values()):
        why = gettext("Several members share a microphone, so who spoke over whom cannot be told.")
        return not_enough(name, 0, "turns", cover, why, unit)
    n = sum(not turn.is_teacher for turn in turns(discussion))
    if n < MINIMUM_TURNS:
        why = few_turns(n, MINIMUM_TURNS)
        return not_enough(name, n, "turns", cover, why, unit)

    found: list[tuple[Utterance, Utterance]] = []
    shared: list[tuple[float, float]] = []
    cross_talk = 0
    for first, second in overlaps(discussion):
        if is_cross_talk(first, second):
            cross_talk += 1
            continue
        shared.append((second.start, min(first.end, second.end)))
        if is_interruption(first, second):
            found.append((first, second))
    talk = union_seconds([(u.start, max(u.start, u.end)) for u in students])
    return Measure(
        name=name,
        value=100.0 * len(found) / n,
        n=n,
        n_unit="turns",
        coverage=cover,
        status="uncertain" if n < UNCERTAIN_TURNS else "ok",
        reason=gettext("Few turns so far.") if n < UNCERTAIN_TURNS else "",
        unit=unit,
        evidence=tuple(
            Evidence(
                second.id,
                second.start,
                second.end,
                second.text,
                gettext("over “%(words)s”", words=first.text),
            )
            for first, second in found[-5:]
        ),
        details={
            "interruptions": float(len(found)),
            "overlap_share": min(1.0, union_seconds(shared) / talk) if talk else 0.0,
            "cross_talk": float(cross_talk),
        },
    )
