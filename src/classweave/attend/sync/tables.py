"""What devices see of each table: columns, who sees a row, and when it counts as changed.

Parameters: ``user``, ``org``; ``classes`` are the classes that the teacher teaches, ``fresh`` those
of them given since ``last``, the revision that the device has; ``terms`` are not archived.
"""

from __future__ import annotations

from dataclasses import dataclass


def ms(column: str) -> str:
    """A moment as milliseconds since 1970."""
    return f"(date_part('epoch', {column}) * 1000)::bigint"


def _midnight(column: str) -> str:
    return f"(({column} - DATE '1970-01-01')::bigint * 86400000)"


def _ids(table: str) -> str:
    return (
        "SELECT d.id FROM attend.directory_changes d WHERE d.organization_id = %(org)s"
        f" AND d.table_name = '{table}' AND d.rev > %(last)s"
    )


def _feed(table: str, key: str) -> str:
    return f"{key} IN ({_ids(table)})"


_FACULTY = "(SELECT o.id FROM directory.organizations o WHERE o.id = {0} AND o.kind = 'faculty')"
_TOP = "coalesce((SELECT a.id FROM attend.organization_above({0}) a), {0})"
_ORGANIZATION = _TOP.format("%(org)s")
_OWN_FACULTY = _FACULTY.format("%(org)s")


# The ids that were refused to this teacher's devices.
WRONG = "SELECT w.id FROM attend.corrections w WHERE w.user_id = %(user)s AND w.rev > %(last)s"


@dataclass(frozen=True, slots=True)
class Feed:
    """One table: ``columns`` by their names on the wire, ``source`` and ``visible`` as SQL.

    ``changed`` is what makes a visible row part of an incremental answer.
    """

    columns: dict[str, str]
    source: str
    visible: str
    changed: str

    def rows(self, *, everything: bool) -> str:
        """A query of one JSON array."""
        columns = ", ".join(f'{sql} AS "{name}"' for name, sql in self.columns.items())
        where = self.visible
        if not everything:
            refused = f"({self.columns['id']})::text IN ({WRONG})"
            where += f" AND ({self.changed} OR {refused})"
        return (
            f"(SELECT coalesce(json_agg(x), '[]') FROM"
            f" (SELECT {columns} FROM {self.source} WHERE {where}) x)"
        )


FEEDS: dict[str, Feed] = {
    "organizations": Feed(
        columns={
            "id": "coalesce(a.id, o.id)",
            "name": "coalesce(a.name, o.name)",
            "code": "coalesce(a.code, o.code)",
            "timezone": "coalesce(a.timezone, o.timezone)",
            "settings": "'{}'::text",
            "created_at": ms("coalesce(a.created_at, o.created_at)"),
            "updated_at": ms("coalesce(a.updated_at, o.updated_at)"),
        },
        source="directory.organizations o"
        " LEFT JOIN LATERAL attend.organization_above(o.id) a ON true",
        visible="o.id = %(org)s",
        changed=_feed("organizations", "o.id"),
    ),
    "faculties": Feed(
        columns={
            "id": "o.id",
            "organization_id": _ORGANIZATION,
            "name": "o.name",
            "code": "o.code",
            "created_at": ms("o.created_at"),
            "updated_at": ms("o.updated_at"),
        },
        source="directory.organizations o",
        visible="o.id = %(org)s AND o.kind = 'faculty'",
        changed=_feed("organizations", "o.id"),
    ),
    "users": Feed(
        columns={
            "id": "u.id",
            "organization_id": _ORGANIZATION,
            "faculty_id": _OWN_FACULTY,
            "email": "u.email",
            "name": "u.name",
            "role": "CASE u.role WHEN 'teacher' THEN 'teacher' WHEN 'platform_admin'"
            " THEN 'super_admin' ELSE 'admin' END",
            "is_active": "u.status = 'active'",
            "created_at": ms("u.created_at"),
            # When what devices see was changed: a sign-in is no change to them.
            "updated_at": ms(
                "coalesce((SELECT v.made_at FROM attend.directory_changes d"
                " JOIN attend.revisions v ON v.organization_id = d.organization_id"
                " AND v.rev = d.rev WHERE d.organization_id = u.organization_id"
                " AND d.table_name = 'users' AND d.id = u.id), u.created_at)"
            ),
        },
        source="directory.users u",
        visible="(u.id = %(user)s OR u.id IN (SELECT t.user_id FROM directory.class_teachers t"
        " WHERE t.class_id = ANY (%(classes)s)))",
        changed=_feed("users", "u.id")
        + " OR u.id IN (SELECT t.user_id FROM directory.class_teachers t"
        " WHERE t.class_id = ANY (%(fresh)s))"
        " OR u.id IN (SELECT v.user_id FROM attend.visibility v"
        " WHERE v.class_id = ANY (%(classes)s) AND v.rev > %(last)s)",
    ),
    "classes": Feed(
        columns={
            "id": "c.id",
            "organization_id": _ORGANIZATION,
            "faculty_id": _OWN_FACULTY,
            "teacher_id": "c.teacher_id",
            "name": "c.name",
            "code": "c.code",
            "semester": "c.academic_term",
            "year": "c.year",
            "is_active": "c.archived_at IS NULL",
            "is_deleted": "c.deleted_at IS NOT NULL",
            "deleted_at": ms("c.deleted_at"),
            "created_at": ms("c.created_at"),
            "updated_at": ms("c.updated_at"),
            "created_by": "c.created_by",
            "updated_by": "c.updated_by",
        },
        source="directory.classes c",
        visible="c.id = ANY (%(classes)s)",
        changed="c.id = ANY (%(fresh)s) OR " + _feed("classes", "c.id"),
    ),
    "students": Feed(
        columns={
            "id": "s.id",
            "organization_id": _ORGANIZATION,
            "faculty_id": _OWN_FACULTY,
            "student_id": "s.student_number",
            "name": "coalesce(nullif(concat_ws(' ', s.given_name, s.family_name), ''),"
            " s.display_name)",
            "email": "s.email",
            "enrollment_year": "s.enrollment_year",
            "is_active": "s.status = 'active' AND s.deleted_at IS NULL",
            "created_at": ms("s.created_at"),
            "updated_at": ms("s.updated_at"),
        },
        source="directory.students s",
        visible="s.id IN (SELECT e.student_id FROM directory.enrollments e"
        " WHERE e.class_id = ANY (%(classes)s))",
        # One list of ids, so that the planner begins with it and not with all students.
        changed=f"s.id IN ({_ids('students')} UNION ALL SELECT e.student_id"
        " FROM directory.enrollments e WHERE e.class_id = ANY (%(fresh)s)"
        " UNION ALL SELECT e.student_id FROM directory.enrollments e"
        f" WHERE e.id IN ({_ids('enrollments')}))",
    ),
    "enrollments": Feed(
        columns={
            "id": "e.id",
            "class_id": "e.class_id",
            "student_id": "e.student_id",
            "enrolled_at": _midnight("e.starts_on"),
            "dropped_at": _midnight("e.ends_on"),
            "is_active": "e.ends_on IS NULL",
        },
        source="directory.enrollments e",
        visible="e.class_id = ANY (%(classes)s)",
        changed="e.class_id = ANY (%(fresh)s) OR " + _feed("enrollments", "e.id"),
    ),
    "meetings": Feed(
        columns={
            "id": "m.id",
            "class_id": "m.class_id",
            "date": "m.date",
            "start_time": "to_char(m.start_time, 'HH24:MI')",
            "end_time": "to_char(m.end_time, 'HH24:MI')",
            "room": "m.room",
            "title": "m.title",
        },
        source="attend.meetings m",
        visible="m.class_id = ANY (%(classes)s)",
        changed="m.class_id = ANY (%(fresh)s) OR m.rev > %(last)s",
    ),
    "attendance_sessions": Feed(
        columns={
            "id": "s.id",
            "class_id": "s.class_id",
            "date": "s.date",
            "start_time": "s.start_time",
            "end_time": "s.end_time",
            "total_enrolled": "s.total_enrolled",
            "total_present": "s.total_present",
            "total_absent": "s.total_absent",
            "marked_by": "s.marked_by",
            "marked_at": ms("s.marked_at"),
            "note": "s.note",
            "digest": "s.digest",
            "created_at": ms("s.created_at"),
            "updated_at": ms("s.updated_at"),
        },
        source="attend.attendance_sessions s",
        visible="s.class_id = ANY (%(classes)s) AND s.deleted_at IS NULL"
        " AND s.term = ANY (%(terms)s)",
        changed="s.class_id = ANY (%(fresh)s) OR s.rev > %(last)s",
    ),
}


def _not_there(table: str, feed: Feed) -> str:
    there = (
        f"SELECT FROM {feed.source} WHERE {feed.visible} AND ({feed.columns['id']})::text = w.id"
    )
    return f"w.table_name = '{table}' AND NOT EXISTS ({there})"


REFUSED_AND_NOT_THERE = " OR ".join(
    f"({condition})"
    for condition in (
        *(_not_there(table, feed) for table, feed in FEEDS.items()),
        "w.table_name = 'attendance_records' AND NOT EXISTS ("
        "SELECT FROM attend.attendance_records r JOIN attend.attendance_sessions s"
        " ON s.no = r.session_no AND s.term = r.term WHERE r.term = ANY (%(terms)s)"
        " AND r.id = w.id AND s.deleted_at IS NULL AND s.class_id = ANY (%(classes)s) OFFSET 0)",
    )
)
"""Whether what a correction ``w`` names is nothing that the teacher sees."""

OWN_TABLES = frozenset({"meetings", "attendance_sessions"})
"""Those of FEEDS that are not the directory's."""

# The hot path: concatenated text is three times as fast as json_agg, and each part is safe in JSON
# as it is (an id has no character to escape; a note is quoted by to_json).
RECORD = (
    """'{"id":"' || r.id || '","session_id":"' || s.id || '","student_id":"' || p.student_id"""
    """ || '","class_id":"' || s.class_id || '","status":"'"""
    " || (ARRAY['present','late','excused','left_early'])[r.status]"
    """ || '","minutes":' || coalesce(r.minutes::text, 'null') || ',"marked_at":' || """
    + ms("r.marked_at")
    + """ || ',"notes":' || coalesce(to_json(r.notes)::text, 'null') || ',"created_at":' || """
    + ms("r.created_at")
    + " || '}'"
)


def _records(sessions_and_records: str) -> str:
    return (
        f"SELECT string_agg({RECORD}, ',') AS text, count(*) AS rows"
        f" FROM {sessions_and_records}"
        " JOIN attend.places p ON p.class_id = s.class_id AND p.number = r.place"
        " WHERE s.deleted_at IS NULL AND s.term = ANY (%(terms)s) AND r.term = ANY (%(terms)s)"
    )


# From the sessions to their records, whatever the planner believes of a table that grows: OFFSET
# keeps it from joining them another way (here and below).
_RECORDS = _records(
    "attend.attendance_sessions s CROSS JOIN LATERAL (SELECT * FROM attend.attendance_records r"
    " WHERE r.term = s.term AND r.session_no = s.no OFFSET 0) r"
)
RECORDS_ALL = _RECORDS + " AND s.class_id = ANY (%(fresh)s)"
RECORDS_CHANGED = (
    _RECORDS + " AND s.class_id = ANY (%(known)s) AND s.records_rev > %(last)s AND r.rev > %(last)s"
)
RECORDS_WRONG = (
    _records(
        f"({WRONG}) w CROSS JOIN LATERAL (SELECT * FROM attend.attendance_records r"
        " WHERE r.term = ANY (%(terms)s) AND r.id = w.id OFFSET 0) r"
        " JOIN attend.attendance_sessions s ON s.term = r.term AND s.no = r.session_no"
    )
    + " AND s.class_id = ANY (%(known)s) AND r.rev <= %(last)s"
)
RECORDS_OF_SESSION = _RECORDS + " AND s.class_id = ANY (%(classes)s) AND s.id = %(session)s"
