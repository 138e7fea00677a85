"""The statements of :mod:`classweave.attend.simulate_university`, in their order."""

from __future__ import annotations

from typing import LiteralString

TEACHERS: LiteralString = """
INSERT INTO directory.users (organization_id, role, name, given_name, family_name, email, status)
SELECT %(org)s, 'teacher', 'Dr ' || g || ' ' || f, g, f,
  'lecturer' || n || '.' || %(tag)s || '@university.example', 'active'
FROM generate_series(1, %(teachers)s) n,
  LATERAL (SELECT (%(given)s::text[])[1 + n %% cardinality(%(given)s::text[])] AS g,
    (%(family)s::text[])[1 + (n * 7) %% cardinality(%(family)s::text[])] AS f) names
"""
CLASSES: LiteralString = """
INSERT INTO directory.classes
  (organization_id, teacher_id, name, code, subject, academic_term, year, invite_code, created_by)
SELECT %(org)s, t.id, course || ' ' || n || chr(64 + c), upper(left(course, 3)) || n || chr(64 + c),
  course, 'This term', extract(year FROM %(end)s::date)::smallint,
  (SELECT string_agg(substr('23456789ABCDEFGHJKMNPQRSTVWXYZ',
     1 + ((%(codes)s + n * %(classes)s + c) / (30 ^ d)::bigint %% 30)::int, 1), '')
   FROM generate_series(0, 5) d), t.id
FROM (SELECT id, row_number() OVER (ORDER BY email) AS n FROM directory.users
    WHERE organization_id = %(org)s AND role = 'teacher') t,
  generate_series(1, %(classes)s) c,
  LATERAL (SELECT (%(courses)s::text[])[1 + (n + c) %% cardinality(%(courses)s::text[])] AS course)
    k
"""
# The second teacher of each ten also teaches the first one's first class.
SHARED: LiteralString = """
INSERT INTO directory.class_teachers (organization_id, class_id, user_id, role)
SELECT %(org)s, c.id, u.id, 'co'
FROM (SELECT id, row_number() OVER (ORDER BY email) AS n FROM directory.users
    WHERE organization_id = %(org)s AND role = 'teacher') t
  JOIN LATERAL (SELECT id FROM directory.classes WHERE teacher_id = t.id ORDER BY id LIMIT 1) c
    ON true
  JOIN (SELECT id, row_number() OVER (ORDER BY email) AS n FROM directory.users
    WHERE organization_id = %(org)s AND role = 'teacher') u ON u.n = t.n + 1
WHERE t.n %% 10 = 1
"""
STUDENTS: LiteralString = """
INSERT INTO directory.students (organization_id, display_name, given_name, family_name,
  student_number, enrollment_year, birth_year, teacher_verified_age)
SELECT %(org)s, g || ' ' || f, g, f, upper(%(tag)s) || lpad(n::text, 6, '0'),
  extract(year FROM %(begin)s::date)::smallint - n %% 4,
  extract(year FROM %(begin)s::date)::smallint - 19 - n %% 4, true
FROM generate_series(1, %(pool)s) n,
  LATERAL (SELECT (%(given)s::text[])[1 + (n * 31) %% cardinality(%(given)s::text[])] AS g,
    (%(family)s::text[])[1 + (n * 17 + n / 40) %% cardinality(%(family)s::text[])] AS f) names
"""
ENROLLMENTS: LiteralString = """
INSERT INTO directory.enrollments (organization_id, class_id, student_id, starts_on)
SELECT %(org)s, c.id, s.id, %(begin)s
FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM directory.classes
    WHERE organization_id = %(org)s) c
  CROSS JOIN generate_series(0, %(students)s - 1) k
  JOIN (SELECT id, row_number() OVER (ORDER BY student_number) - 1 AS n FROM directory.students
    WHERE organization_id = %(org)s) s ON s.n = (c.n * %(students)s + k) %% %(pool)s
"""
CLOCK: LiteralString = """
INSERT INTO attend.sync_clocks (organization_id, rev) VALUES (%(org)s, 1)
"""
PLACES: LiteralString = """
SELECT attend.seat(ARRAY(SELECT id FROM directory.classes WHERE organization_id = %(org)s))
"""
QUIET: LiteralString = """
ALTER TABLE attend.terms DISABLE TRIGGER partition;
ALTER TABLE attend.attendance_sessions DISABLE TRIGGER USER
"""
LOUD: LiteralString = """
ALTER TABLE attend.terms ENABLE TRIGGER partition;
ALTER TABLE attend.attendance_sessions ENABLE TRIGGER USER
"""
TERM: LiteralString = """
INSERT INTO attend.terms (organization_id, name, starts_on, ends_on)
VALUES (%(org)s, 'This term', %(begin)s, %(end)s) RETURNING number
"""
SESSIONS: LiteralString = """
INSERT INTO attend.attendance_sessions (organization_id, id, class_id, term, date, start_time,
  end_time, marked_by, marked_at, total_enrolled, rev, records_rev, created_by, updated_by,
  created_at)
SELECT %(org)s, substr(md5(random()::text), 1, 16), c.id, %(term)s, day,
  to_char(8 + 2 * (c.n %% 5), 'FM00') || ':00', to_char(9 + 2 * (c.n %% 5), 'FM00') || ':30',
  c.teacher_id, day + interval '10 hours' + c.n %% 5 * interval '2 hours', %(students)s, 1, 1,
  c.teacher_id, c.teacher_id, day + interval '10 hours'
FROM (SELECT id, teacher_id, row_number() OVER (PARTITION BY teacher_id ORDER BY id) - 1 AS n
    FROM directory.classes WHERE organization_id = %(org)s) c
  CROSS JOIN unnest(%(days)s::date[]) day
ORDER BY day, c.id
"""
# Some students come less often than others, as they do.
RECORDS: LiteralString = """
SELECT s.no, 1, s.marked_at, s.marked_at, s.term, p.number,
  CASE WHEN kind < 0.92 THEN 1 WHEN kind < 0.97 THEN 2 WHEN kind < 0.99 THEN 3 ELSE 4 END,
  CASE WHEN kind >= 0.92 AND kind < 0.97 THEN (1 + (kind * 10000)::int %% 15)
    WHEN kind >= 0.99 THEN 20 END,
  substr(md5(random()::text), 1, 16), NULL
FROM (SELECT * FROM attend.attendance_sessions WHERE term = %(term)s ORDER BY no) s
  JOIN attend.places p ON p.class_id = s.class_id
  CROSS JOIN LATERAL (SELECT random() AS kind, random() AS luck
    WHERE s.no > 0 AND p.number > 0) dice
WHERE luck < least(1, greatest(0, %(share)s + (hashtext(p.student_id::text) %% 100) / 800.0))
"""
COUNT_SESSIONS: LiteralString = """
UPDATE attend.attendance_sessions s SET total_present = d.present, total_late = d.late,
  total_excused = d.excused, total_left_early = d.left_early, digest = d.digest,
  total_absent = greatest(0, s.total_enrolled - d.present - d.excused)
FROM (SELECT r.session_no, count(*) FILTER (WHERE r.status <> 3) AS present,
    count(*) FILTER (WHERE r.status = 2) AS late, count(*) FILTER (WHERE r.status = 3) AS excused,
    count(*) FILTER (WHERE r.status = 4) AS left_early,
    sum(attend.record_digest(r.id, p.student_id, r.status, r.minutes, r.notes)) %% 4294967296
      AS digest
  FROM attend.attendance_records r JOIN attend.attendance_sessions k ON k.no = r.session_no
    JOIN attend.places p ON p.class_id = k.class_id AND p.number = r.place
  WHERE r.term = %(term)s GROUP BY 1) d
WHERE s.no = d.session_no
"""
COUNT_STUDENTS: LiteralString = """
INSERT INTO attend.tallies (organization_id, class_id, counts)
SELECT %(org)s, p.class_id, array_agg(c.n ORDER BY p.number, c.cell)
FROM attend.places p
  LEFT JOIN (SELECT k.class_id, r.place, count(*) FILTER (WHERE r.status = 1) AS present,
      count(*) FILTER (WHERE r.status = 2) AS late,
      count(*) FILTER (WHERE r.status = 3) AS excused,
      count(*) FILTER (WHERE r.status = 4) AS left_early
    FROM attend.attendance_records r JOIN attend.attendance_sessions k ON k.no = r.session_no
    WHERE r.term = %(term)s GROUP BY 1, 2) d ON d.class_id = p.class_id AND d.place = p.number
  CROSS JOIN LATERAL unnest(ARRAY[cardinality(%(days)s::date[]), coalesce(d.present, 0),
    coalesce(d.late, 0), coalesce(d.excused, 0), coalesce(d.left_early, 0)]::integer[])
    WITH ORDINALITY AS c (n, cell)
WHERE p.organization_id = %(org)s GROUP BY p.class_id
"""
# The coming weeks' timetable, today included.
MEETINGS: LiteralString = """
INSERT INTO attend.meetings (organization_id, class_id, date, start_time, end_time, room, title)
SELECT %(org)s, c.id, day::date, make_time((8 + 2 * (c.n %% 5))::int, 0, 0),
  make_time((9 + 2 * (c.n %% 5))::int, 30, 0), 'Room ' || 100 + c.n, c.name
FROM (SELECT id, name, row_number() OVER (PARTITION BY teacher_id ORDER BY id) - 1 AS n
    FROM directory.classes WHERE organization_id = %(org)s) c
  CROSS JOIN generate_series(current_date, current_date + 13, interval '1 day') day
WHERE extract(isodow FROM day) < 6 OR day = current_date
"""
