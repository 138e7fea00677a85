"""The tables of Attend, one file a subject."""

from classweave.attend.models.checking_in import (
    CheckIn,
    CheckInWindow,
)
from classweave.attend.models.syncing import (
    Correction,
    Device,
    DirectoryChange,
    Revision,
    SyncClock,
    SyncLog,
    SyncMetadata,
    Tombstone,
    Visibility,
)
from classweave.attend.models.taking import (
    STATUS_NUMBERS,
    AttendanceRecord,
    AttendanceSession,
    Meeting,
    Place,
    RecordHistory,
    RiskRule,
    Status,
    Tally,
    Term,
)

__all__ = [
    "STATUS_NUMBERS",
    "AttendanceRecord",
    "AttendanceSession",
    "CheckIn",
    "CheckInWindow",
    "Correction",
    "Device",
    "DirectoryChange",
    "Meeting",
    "Place",
    "RecordHistory",
    "Revision",
    "RiskRule",
    "Status",
    "SyncClock",
    "SyncLog",
    "SyncMetadata",
    "Tally",
    "Term",
    "Tombstone",
    "Visibility",
]
