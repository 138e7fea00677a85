"""How well a device is heard. *Not heard* is never called silent. No database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

RECONNECTING_AFTER = timedelta(seconds=6)
OFFLINE_AFTER = timedelta(seconds=30)
# A working microphone hears a room: less than this share of live signal is a dead one.
LEAST_HEARD = 0.05
NOTICED_SECONDS = 10.0
CLIPPING_SHARE = 0.02
GAP_SHARE = 0.02
QUIET_DBFS = -55.0
LATE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Capture:
    """The newest track of a device. Times in seconds, levels in dBFS of the latest sound."""

    last_chunk_at: datetime | None
    connected_seconds: float
    heard_seconds: float
    muted_seconds: float
    clipping_seconds: float
    gap_seconds: float
    rms_dbfs: float | None

    @property
    def heard_share(self) -> float | None:
        """How much of the unmuted time gave a live signal (0-1); ``None`` when there was none."""
        unmuted = self.connected_seconds - self.muted_seconds
        return min(1.0, self.heard_seconds / unmuted) if unmuted > 0 else None


def judge(
    *, left: bool, may_send: bool, muted: bool, capture: Capture | None, over: bool, now: datetime
) -> str:
    """One of the words that the console knows: heard, quiet, muted, clipping, gaps, reconnecting,
    offline, no_consent, not_heard, waiting. The most pressing trouble wins."""
    if left:
        return "offline"
    if not may_send:
        return "no_consent"
    if capture is None or capture.last_chunk_at is None:
        return "waiting"
    if not over:
        silent_for = now - capture.last_chunk_at
        if silent_for > OFFLINE_AFTER:
            return "offline"
        if silent_for > RECONNECTING_AFTER:
            return "reconnecting"
        if muted:
            return "muted"
    known = capture.connected_seconds >= NOTICED_SECONDS
    if known and (capture.heard_share or 0.0) < LEAST_HEARD:
        return "muted" if capture.heard_share is None else "not_heard"
    if known and capture.clipping_seconds > CLIPPING_SHARE * capture.connected_seconds:
        return "clipping"
    if known and capture.gap_seconds > GAP_SHARE * capture.connected_seconds:
        return "gaps"
    if not over and capture.rms_dbfs is not None and capture.rms_dbfs < QUIET_DBFS:
        return "quiet"
    return "heard"


def is_trouble(health: str) -> bool:
    """Whether a person should do something about it."""
    return health in ("muted", "clipping", "gaps", "reconnecting", "offline", "not_heard")
