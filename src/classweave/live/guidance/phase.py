"""Where a discussion is in its arc, from the time that was planned and the time that has passed."""

from __future__ import annotations

from classweave.live.states import Phase

_OPENING_SHARE = 0.1
_LONGEST_OPENING_MINUTES = 5.0
_SYNTHESIS_FROM = 0.7
_CLOSURE_FROM = 0.9


def phase_of(planned_minutes: float, elapsed_seconds: float) -> Phase:
    """The phase after ``elapsed_seconds`` of a discussion planned for ``planned_minutes``.

    The first tenth is the opening (five minutes at most), the last tenth and whatever runs over is
    the closure, the fifth before it the synthesis. Pauses do not count as elapsed.
    """
    minutes = max(0.0, elapsed_seconds) / 60.0
    if minutes < min(_LONGEST_OPENING_MINUTES, _OPENING_SHARE * planned_minutes):
        return Phase.OPENING
    if minutes < _SYNTHESIS_FROM * planned_minutes:
        return Phase.DEVELOPMENT
    if minutes < _CLOSURE_FROM * planned_minutes:
        return Phase.SYNTHESIS
    return Phase.CLOSURE
