"""How long a group has been quiet: the one measure that needs a clock besides the words."""

from __future__ import annotations

from classweave.language.coverage import HEALTHY_SHARE, seconds_coverage
from classweave.language.messages import gettext
from classweave.language.transcript import Discussion, Evidence, Measure, not_enough

NAME = "quiet_seconds"


def quiet_seconds(discussion: Discussion) -> Measure:
    """Seconds from the last word to the end of the window, counted only where devices were heard.

    ``n`` is the same number of whole seconds. Without a device that was heard for four fifths of
    the window nothing is said: not heard is not silent. A group that has not spoken in the whole
    window is quiet for at least its length.
    """
    cover = seconds_coverage(discussion) if discussion.tracks else 0.0
    if cover <= HEALTHY_SHARE:
        why = gettext("The devices were not heard well enough to tell quiet from not heard.")
        return not_enough(NAME, 0, "seconds", cover, why, "seconds")
    last = max(discussion.utterances, key=lambda u: u.end, default=None)
    since = discussion.start if last is None else max(discussion.start, last.end)
    value = max(0.0, discussion.end - since)
    evidence = ()
    if last is not None:
        evidence = (
            Evidence(last.id, last.start, last.end, last.text, gettext("the last that was said")),
        )
    return Measure(
        name=NAME,
        value=value,
        n=int(value),
        n_unit="seconds",
        coverage=cover,
        unit="seconds",
        evidence=evidence,
    )
