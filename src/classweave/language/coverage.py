"""How much of the talk was heard well enough to count: the honesty behind every measure."""

from __future__ import annotations

from classweave.language.transcript import Discussion, Track
from classweave.language.words import HEARD_PROBABILITY, tokens

HEALTHY_SHARE = 0.8
"""A track is healthy when connected and live for more than this share of the window."""


def is_healthy(tracks: list[Track], seconds: float) -> bool:
    """Whether a member's tracks together were heard well enough for silence to mean silence.

    A member may have several tracks in one window (a device that reconnected); their times add.
    """
    return (
        not all(track.muted for track in tracks)
        and sum(track.connected_seconds for track in tracks) > HEALTHY_SHARE * seconds
        and sum(track.heard_seconds for track in tracks) > HEALTHY_SHARE * seconds
    )


def not_heard(discussion: Discussion) -> frozenset[str]:
    """Members whose track was unhealthy or missing, so that nothing can be said of their silence.

    Without any track (a transcript from elsewhere) every member counts as heard.
    """
    if not discussion.tracks:
        return frozenset()
    by_member: dict[str, list[Track]] = {member: [] for member in discussion.members}
    for track in discussion.tracks:
        if track.speaker in by_member:
            by_member[track.speaker].append(track)
    return frozenset(
        member for member, tracks in by_member.items() if not is_healthy(tracks, discussion.seconds)
    )


def is_shared_device(discussion: Discussion) -> bool:
    """Whether any student's talk came from a device that several share (no speaker known)."""
    return any(u.speaker is None and u.role == "student" for u in discussion.utterances) or any(
        track.speaker is None for track in discussion.tracks
    )


def seconds_coverage(discussion: Discussion) -> float:
    """Share of the tracks' window time (0-1) in which the microphone delivered a live signal."""
    if not discussion.tracks or discussion.seconds == 0:
        return 1.0
    if is_shared_device(discussion):
        expected = len({track.id for track in discussion.tracks})
    else:
        expected = max(1, len(discussion.members))
    heard = sum(min(track.heard_seconds, discussion.seconds) for track in discussion.tracks)
    return min(1.0, heard / (expected * discussion.seconds))


def word_coverage(discussion: Discussion) -> float:
    """Share of the words (0-1) that were recognised with a probability above one half.

    Utterances without word probabilities count by their own confidence, or in full where nothing
    is known. A window without words is fully covered: there was nothing to mishear.
    """
    heard = total = 0
    for utterance in discussion.utterances:
        if utterance.words:
            total += len(utterance.words)
            heard += sum(word.probability > HEARD_PROBABILITY for word in utterance.words)
        else:
            n = len(tokens(utterance.text))
            total += n
            if utterance.confidence is None or utterance.confidence > HEARD_PROBABILITY:
                heard += n
    return heard / total if total else 1.0


def coverage(discussion: Discussion) -> float:
    """Share of the window's talk (0-1) heard well enough to count: live time times heard words."""
    return seconds_coverage(discussion) * word_coverage(discussion)
