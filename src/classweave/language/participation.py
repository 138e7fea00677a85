"""Who takes part: equality, dominance and silence, from seconds of talk by device.

A member is only called silent when their own device was heard well; otherwise they are "not
heard" and left out of the sums. A shared device tells nothing about members.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from classweave.language.coverage import is_shared_device, not_heard, seconds_coverage
from classweave.language.messages import gettext, ngettext
from classweave.language.transcript import Discussion, Evidence, Measure, Utterance, not_enough

MINIMUM_SECONDS = 20.0
UNCERTAIN_SECONDS = 60.0
SILENT_SECONDS = 5.0
SILENT_SHARE = 0.05

SHARED_DEVICE = gettext("One device heard the whole group, so talk cannot be told apart by member.")


def union_seconds(spans: Sequence[tuple[float, float]]) -> float:
    """Length in seconds of the union of intervals, so that overlaps count once."""
    total, reached = 0.0, -math.inf
    for start, end in sorted(spans):
        if end > reached:
            total += end - max(start, reached)
            reached = end
    return total


def speaking_seconds(discussion: Discussion) -> dict[str, float]:
    """Seconds each member talked within the window, 0 for those who did not.

    Every member of the group is listed, and whoever talked without being listed. Teachers and
    shared devices are left out.
    """
    spans: dict[str, list[tuple[float, float]]] = {member: [] for member in discussion.members}
    for u in discussion.utterances:
        if u.role == "student" and u.speaker is not None:
            start, end = max(u.start, discussion.start), min(u.end, discussion.end)
            spans.setdefault(u.speaker, []).append((start, max(start, end)))
    return {member: union_seconds(talk) for member, talk in spans.items()}


def equality(amounts: Sequence[float]) -> float:
    """One minus the Gini coefficient, scaled so that 1 is equal and 0 is one voice alone.

    ``E = 1 - G * n / (n - 1)`` with ``G = sum_ij |x_i - x_j| / (2 n S)``; the largest Gini of n
    members is ``(n - 1) / n``. Needs at least two members and a positive sum, else ``ValueError``.
    Source: Gini as symmetry of activity, Martinez-Maldonado et al. (UMAP 2011).
    """
    n, total = len(amounts), sum(amounts)
    if n < 2 or total <= 0:
        raise ValueError("equality needs two members and some talk")
    # Over sorted values the double sum of differences is 2 * sum_k (2k - n + 1) x_k.
    ranked = sum((2 * k - n + 1) * x for k, x in enumerate(sorted(amounts)))
    gini = ranked / (n * total)
    return min(1.0, max(0.0, 1.0 - gini * n / (n - 1)))


def entropy(amounts: Sequence[float]) -> float:
    """Shannon entropy of the shares over its maximum, 0-1; needs two members and some talk."""
    n, total = len(amounts), sum(amounts)
    if n < 2 or total <= 0:
        raise ValueError("entropy needs two members and some talk")
    shares = (x / total for x in amounts)
    return min(1.0, max(0.0, -sum(p * math.log(p) for p in shares if p > 0) / math.log(n)))


def participation_equality(discussion: Discussion) -> Measure:
    """How evenly the members talk, 0 (one voice) to 1 (all the same); entropy in ``details``."""
    found = _talk(discussion, "participation_equality")
    if isinstance(found, Measure):
        return found
    values = list(found.values())
    return _measure(
        discussion,
        "participation_equality",
        equality(values),
        found,
        _one_of_each(discussion, found),
        {"entropy": entropy(values)},
    )


def dominance(discussion: Discussion) -> Measure:
    """Share of the talk (0-1) that belongs to the member who talks most.

    ``details["alarm_share"]`` is halfway between an equal share and a monologue, and
    ``details["alarm"]`` is 1 when the value has reached it.
    """
    found = _talk(discussion, "dominance")
    if isinstance(found, Measure):
        return found
    loudest = max(found, key=lambda member: found[member])
    share = found[loudest] / sum(found.values())
    alarm_share = (1.0 + 1.0 / len(found)) / 2.0
    longest = sorted(
        (u for u in discussion.utterances if u.speaker == loudest and u.role == "student"),
        key=lambda u: -u.duration,
    )
    return _measure(
        discussion,
        "dominance",
        share,
        found,
        [_quote(u) for u in longest[:3]],
        {"alarm_share": alarm_share, "alarm": float(share >= alarm_share)},
    )


def silent_members(discussion: Discussion) -> Measure:
    """How many members were heard well and yet hardly talked.

    Silent is less than 5 s or 5 % of an equal share, whichever is more. A member whose device was
    away, muted or dead, or whose sound that still waits to be read could hold that much talk, is
    "not heard", counted in ``details["not_heard"]``.
    """
    name, cover = "silent_members", seconds_coverage(discussion)
    if is_shared_device(discussion):
        return not_enough(name, 0, "members", cover, SHARED_DEVICE, "members")
    seconds = speaking_seconds(discussion)
    limit = max(SILENT_SECONDS, SILENT_SHARE * sum(seconds.values()) / max(1, len(seconds)))
    unheard = not_heard(discussion) | _unread(discussion, seconds, limit)
    heard = {m: x for m, x in seconds.items() if m not in unheard}
    if not heard:
        why = gettext(
            "No member's device was heard well enough to tell silence from a quiet microphone."
        )
        return not_enough(name, 0, "members", cover, why, "members")
    if discussion.seconds < UNCERTAIN_SECONDS:
        why = gettext("Less than a minute has passed; too early to call anyone silent.")
        return not_enough(name, len(heard), "members", cover, why, "members")
    silent = [member for member, x in heard.items() if x < limit]
    details = {f"seconds:{m}": x for m, x in seconds.items()}
    details |= {f"silent:{m}": 1.0 for m in silent}
    details |= {f"not_heard:{m}": 1.0 for m in unheard}
    details |= {"not_heard": float(len(unheard)), "limit_seconds": limit}
    quiet = [
        _quote(u, gettext("all they said")) for u in discussion.utterances if u.speaker in silent
    ]
    return Measure(
        name=name,
        value=float(len(silent)),
        n=len(heard),
        n_unit="members",
        coverage=cover,
        status="uncertain" if unheard else "ok",
        reason=_unheard_reason(unheard),
        unit="members",
        evidence=tuple(quiet[:6]),
        details=details,
    )


def _unread(discussion: Discussion, seconds: dict[str, float], limit: float) -> frozenset[str]:
    """Members who may have said more than ``limit`` seconds in sound that nobody has read yet."""
    waiting = dict.fromkeys(seconds, 0.0)
    for track in discussion.tracks:
        if track.speaker in waiting:
            waiting[track.speaker] += track.unread_seconds
    return frozenset(m for m, x in seconds.items() if x < limit <= x + waiting[m])


def _talk(discussion: Discussion, name: str) -> dict[str, float] | Measure:
    """Seconds of talk by member heard, or why they cannot be compared."""
    cover = seconds_coverage(discussion)
    if is_shared_device(discussion):
        return not_enough(name, 0, "seconds", cover, SHARED_DEVICE, "share")
    unheard = not_heard(discussion)
    seconds = speaking_seconds(discussion)
    # Whoever was badly heard but talked stays: their part is known to be at least that much.
    heard = {m: x for m, x in seconds.items() if m not in unheard or x > 0}
    total = sum(heard.values())
    if len(heard) < 2:
        why = gettext("Fewer than two members were heard, so there is nothing to compare.")
        return not_enough(name, int(total), "seconds", cover, why, "share")
    if total < MINIMUM_SECONDS:
        why = ngettext(
            "Only %(n)s second of talk so far; %(needed)s are needed.",
            "Only %(n)s seconds of talk so far; %(needed)s are needed.",
            int(total),
            needed=round(MINIMUM_SECONDS),
        )
        return not_enough(name, int(total), "seconds", cover, why, "share")
    return heard


def _measure(
    discussion: Discussion,
    name: str,
    value: float,
    seconds: dict[str, float],
    evidence: Sequence[Evidence],
    details: dict[str, float],
) -> Measure:
    total = sum(seconds.values())
    unheard = not_heard(discussion)
    early = total < UNCERTAIN_SECONDS
    return Measure(
        name=name,
        value=value,
        n=int(total),
        n_unit="seconds",
        coverage=seconds_coverage(discussion),
        status="uncertain" if early or unheard else "ok",
        reason=_unheard_reason(unheard)
        or (gettext("Less than a minute of talk so far.") if early else ""),
        unit="share",
        evidence=tuple(evidence),
        details={
            **details,
            **{f"share:{m}": x / total for m, x in seconds.items()},
            **{f"seconds:{m}": x for m, x in seconds.items()},
            **{f"not_heard:{m}": 1.0 for m in sorted(unheard)},
            "not_heard": float(len(unheard)),
        },
    )


def _unheard_reason(unheard: frozenset[str]) -> str:
    if not unheard:
        return ""
    return ngettext(
        "%(n)s member was not heard well, so this may change.",
        "%(n)s members were not heard well, so this may change.",
        len(unheard),
    )


def _one_of_each(discussion: Discussion, members: dict[str, float]) -> list[Evidence]:
    """Each member's longest utterance, most talkative member first, with their share."""
    total = sum(members.values())
    longest: dict[str, Utterance] = {}
    for u in discussion.utterances:
        if u.speaker in members and u.role == "student":
            best = longest.get(u.speaker)
            if best is None or u.duration > best.duration:
                longest[u.speaker] = u
    ranked = sorted(longest, key=lambda member: -members[member])
    return [
        _quote(
            longest[member],
            gettext("%(share)s %% of the talk", share=round(100 * members[member] / total)),
        )
        for member in ranked
    ]


def _quote(utterance: Utterance, note: str = "") -> Evidence:
    return Evidence(utterance.id, utterance.start, utterance.end, utterance.text, note)
