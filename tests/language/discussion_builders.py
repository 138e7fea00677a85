"""Discussions for tests, from short lists of who said what and when."""

from __future__ import annotations

from classweave.language.transcript import Discussion, Track, Utterance


def say(speaker: str | None, start: float, end: float, text: str = "so I think", **more):
    """One utterance on the speaker's own track."""
    more.setdefault("id", f"{speaker}-{start}")
    return Utterance(
        track=more.pop("track", speaker or "shared"),
        speaker=speaker,
        start=start,
        end=end,
        text=text,
        **more,
    )


def discuss(*utterances: Utterance, members="", seconds: float = 180.0, **more) -> Discussion:
    """A window from 0 to ``seconds``; ``members`` as a string of blank-separated names."""
    spoke = dict.fromkeys(u.speaker for u in utterances if u.speaker and u.role == "student")
    return Discussion(
        utterances=tuple(utterances),
        members=tuple(members.split()) or tuple(spoke),
        start=0.0,
        end=seconds,
        **more,
    )


def talk(*lines: str, speakers: str = "ana bo cy", seconds_each: float = 4.0) -> Discussion:
    """Members in turn say one line each, a second apart."""
    names = speakers.split()
    step = seconds_each + 1.0
    said = [
        say(names[i % len(names)], i * step, i * step + seconds_each, line)
        for i, line in enumerate(lines)
    ]
    return discuss(*said, members=speakers, seconds=max(60.0, len(lines) * step))


def live(members: str, seconds: float = 180.0) -> tuple[Track, ...]:
    """A healthy track for each member."""
    return tuple(Track(m, m, seconds, seconds) for m in members.split())
