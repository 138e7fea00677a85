"""Where Attend keeps what belongs to a person, and what an erasure does with it.

A record names its student by the place in a class's roll, so places are declared first and erased
last: what is declared last is erased first. Deleting records fires the triggers of any deletion:
totals, digests and counters follow, and tombstones take the records from every device.
"""

from __future__ import annotations

from collections.abc import Sequence

from classweave.compliance.models import PolicyType
from classweave.compliance.retention import RetentionRule
from classweave.compliance.retention import declare as declare_retention
from classweave.core.personal_data import PersonalData, Subject, register

_OWN_ACCOUNT = "(SELECT user_id FROM directory.students WHERE id = :subject)"
_OWN_PLACES = (
    "attend.places p JOIN attend.attendance_sessions s ON s.class_id = p.class_id"
    " WHERE p.student_id = :subject"
)
# The revisions that made or changed a record of the student.
_OWN_CHANGES = (
    "SELECT h.organization_id, unnest(ARRAY[h.rev, h.until_rev]) FROM attend.record_history h"
    f" WHERE (h.session_no, h.place) IN (SELECT s.no, p.number FROM {_OWN_PLACES})"
    " UNION SELECT s.organization_id, r.rev FROM attend.attendance_records r"
    " JOIN attend.attendance_sessions s ON s.term = r.term AND s.no = r.session_no"
    " JOIN attend.places p ON p.class_id = s.class_id AND p.number = r.place"
    " WHERE p.student_id = :subject"
)

register.declare(
    PersonalData(
        table="attend.places",
        subject=Subject.STUDENT,
        where="student_id = :subject",
        purpose="the student's place in a class's roll",
        on_erasure="delete",
        on_export=("class_id", "number"),
    ),
    # Deleting records writes history, which therefore goes after them.
    PersonalData(
        table="attend.record_history",
        subject=Subject.STUDENT,
        where=f"(session_no, place) IN (SELECT s.no, p.number FROM {_OWN_PLACES})",
        purpose="what records of attendance said before they were changed",
        on_erasure="delete",
        on_export=("session_no", "id", "status", "minutes", "marked_at", "notes"),
    ),
    PersonalData(
        table="attend.attendance_records",
        subject=Subject.STUDENT,
        where=f"(term, session_no, place) IN (SELECT s.term, s.no, p.number FROM {_OWN_PLACES})",
        purpose="that the student was there, late, excused or left early",
        on_erasure="delete",
        on_export=("session_no", "id", "status", "minutes", "marked_at", "notes", "created_at"),
    ),
    PersonalData(
        table="attend.check_ins",
        subject=Subject.STUDENT,
        where="student_id = :subject",
        purpose="that the student checked in, from one device",
        on_erasure="delete",
        on_export=("session_no", "created_at", "challenged_at", "withdrawn_at"),
    ),
    # Told by the records, and therefore before them.
    PersonalData(
        table="attend.revisions",
        subject=Subject.STUDENT,
        where=f"actor_id = {_OWN_ACCOUNT}"
        f" OR reason IS NOT NULL AND (organization_id, rev) IN ({_OWN_CHANGES})",
        purpose="which changes the student made (checking in), and why records were corrected",
        on_erasure="anonymise",
        anonymise=f"actor_id = nullif(actor_id, {_OWN_ACCOUNT}), reason = NULL",
        on_export=("rev", "made_at", "reason"),
    ),
)

_KEEP_ROLL = "the university's record of its meetings; it names the account, which is emptied"
_OWN_DEVICES = "device_id IN (SELECT id FROM attend.devices WHERE user_id = :subject)"


def _of_user(table: str, where: str, purpose: str, columns: Sequence[str]) -> PersonalData:
    return PersonalData(
        table=table, subject=Subject.USER, where=where, purpose=purpose,
        on_erasure="keep", reason=_KEEP_ROLL, on_export=columns,
    )  # fmt: skip


register.declare(
    PersonalData(
        table="attend.devices",
        subject=Subject.USER,
        where="user_id = :subject",
        purpose="the devices on which the person takes attendance",
        on_erasure="anonymise",
        anonymise="name = 'Former device', platform = NULL,"
        " revoked_at = coalesce(revoked_at, now())",
        on_export=("id", "name", "platform", "created_at", "revoked_at"),
    ),
    PersonalData(
        table="attend.sync_metadata",
        subject=Subject.USER,
        where=_OWN_DEVICES,
        purpose="where the synchronisation of the person's devices stands",
        on_erasure="delete",
        on_export=("device_id", "last_pulled_at", "last_pushed_at", "pulls", "pushes"),
    ),
    PersonalData(
        table="attend.sync_log",
        subject=Subject.USER,
        where=_OWN_DEVICES,
        purpose="which records a device was given, and when",
        on_erasure="keep",
        reason="the proof of which records left for a device; it names the device, emptied",
        on_export=("device_id", "created_at", "kind", "from_rev", "to_rev"),
    ),
    PersonalData(
        table="attend.corrections",
        subject=Subject.USER,
        where="user_id = :subject",
        purpose="what the person's devices sent and was not taken",
        on_erasure="delete",
        on_export=("table_name", "id", "reason", "made_at"),
    ),
    PersonalData(
        table="attend.visibility",
        subject=Subject.USER,
        where="user_id = :subject",
        purpose="since when the person's devices see a class",
        on_erasure="delete",
        on_export=("class_id", "granted"),
    ),
    _of_user(
        "attend.revisions", "actor_id = :subject", "who made a change, and when",
        ["rev", "made_at", "device_id"],
    ),
    _of_user(
        "attend.attendance_sessions", ":subject IN (marked_by, created_by, updated_by)",
        "who held a meeting and took its roll",
        ["id", "class_id", "date", "start_time", "end_time", "note", "marked_at", "created_at"],
    ),
    _of_user(
        "attend.check_in_windows", "opened_by = :subject", "who let students check in",
        ["class_id", "opens_at", "closes_at", "late_after"],
    ),
)  # fmt: skip

# Records and their history last as long as their term: docs/privacy.md.
declare_retention(
    RetentionRule(PolicyType.EVENTS, "attend.check_in_windows", "closes_at"),
    RetentionRule(PolicyType.EVENTS, "attend.check_ins", "created_at"),
)
