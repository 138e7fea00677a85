"""How well a recogniser heard a microphone that plays the same words over and over."""

from __future__ import annotations

from classweave.speech.wer import normalise


def heard_wrong(looped: str, heard: str) -> float:
    """Word errors per word heard, against the stretch of the loop that fits best.

    Nobody knows where in the loop a stretch begins or ends, so that what lies before and after it
    costs nothing (an alignment with free ends on the side of the loop).
    """
    words = normalise(looped).split() * 3
    spoken = normalise(heard).split()
    before = [0] * (len(words) + 1)
    for number, word in enumerate(spoken, start=1):
        row = [number]
        for at, other in enumerate(words, start=1):
            row.append(min(before[at - 1] + (word != other), before[at] + 1, row[at - 1] + 1))
        before = row
    return min(before) / len(spoken)
