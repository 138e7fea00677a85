"""What the database guarantees, whatever the application does."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.core.database import Database
from classweave.core.model import Base
from classweave.core.tenancy import ANONYMOUS, Actor, Role, system_actor
from classweave.directory.ages import under_13
from classweave.directory.jobs import refresh_all_ages
from classweave.directory.models import OrganizationKind, PersonRole
from classweave.directory.service import create_organization, create_user
from school_fixtures import School

pytestmark = pytest.mark.anyio

TENANT_TABLES = sorted(
    table.name
    for table in Base.metadata.tables.values()
    if table.schema == "directory" and "organization_id" in table.columns
)


async def run(session: AsyncSession, sql: str, **values: Any) -> Any:
    return await session.execute(text(sql), values)


async def refused(database: Database, actor: Actor, sql: str, **values: Any) -> str:
    """The SQLSTATE with which the database refuses ``sql``."""
    with pytest.raises(DBAPIError) as caught:
        async with database.transaction(actor) as session:
            await run(session, sql, **values)
    assert isinstance(caught.value.orig, psycopg.Error)
    return caught.value.orig.sqlstate or ""


async def set_up_every_table(school: School) -> None:
    """One row at least in every table of the directory."""
    await school.token(school.teacher_id)
    async with school.database.transaction(system_actor(school.organization_id)) as session:
        await run(
            session,
            "INSERT INTO directory.password_resets"
            " (organization_id, user_id, token_hash, expires_at)"
            " VALUES (:o, :u, sha256(CAST(:u AS text)::bytea), now())",
            o=school.organization_id,
            u=school.teacher_id,
        )


def test_every_table_of_a_school_is_checked_below() -> None:
    assert {"users", "students", "classes", "enrollments", "sign_in_sessions"} <= set(TENANT_TABLES)


@pytest.mark.parametrize("table", TENANT_TABLES)
async def test_no_row_of_another_school_can_be_seen_or_changed(
    table: str, school: School, other_school: School, database: Database, owner: psycopg.Connection
) -> None:
    await set_up_every_table(school)
    count = owner.execute(
        f"SELECT count(*) FROM directory.{table} WHERE organization_id = %s",
        [school.organization_id],
    ).fetchone()
    assert count is not None
    assert count[0] > 0, "nothing to hide"
    for stranger in (other_school.teacher, other_school.admin, system_actor(), ANONYMOUS):
        async with database.transaction(stranger) as session:
            seen = await run(
                session,
                f"SELECT count(*) FROM directory.{table} WHERE organization_id = :o",
                o=school.organization_id,
            )
            assert seen.scalar_one() == 0
            deleted = await run(
                session,
                f"DELETE FROM directory.{table} WHERE organization_id = :o",
                o=school.organization_id,
            )
            assert deleted.rowcount == 0
    # A row of one's own cannot be pushed into another school either.
    state = await refused(
        database,
        school.admin,
        f"UPDATE directory.{table} SET organization_id = :o",
        o=other_school.organization_id,
    )
    assert state == "42501"


async def test_organizations_show_only_those_in_sight(
    school: School, other_school: School, database: Database
) -> None:
    async with database.transaction(school.admin) as session:
        rows = await run(session, "SELECT id FROM directory.organizations")
        assert [row.id for row in rows] == [school.organization_id]
    state = await refused(
        database,
        school.admin,
        "INSERT INTO directory.organizations (kind, name) VALUES ('school', 'Elsewhere')",
    )
    assert state == "42501"


async def test_rows_of_two_schools_cannot_be_joined(
    school: School, other_school: School, database: Database
) -> None:
    both = system_actor(school.organization_id, other_school.organization_id)
    state = await refused(
        database,
        both,
        "INSERT INTO directory.enrollments (organization_id, class_id, student_id)"
        " VALUES (:o, :c, :s)",
        o=school.organization_id,
        c=school.class_id,
        s=other_school.student_ids[0],
    )
    assert state == "23503"


async def new_student(session: AsyncSession, school: School, columns: str, values: str) -> UUID:
    found = await run(
        session,
        f"INSERT INTO directory.students (organization_id, display_name{columns})"
        f" VALUES (:o, 'Kim'{values}) RETURNING id",
        o=school.organization_id,
    )
    return found.scalar_one()


@pytest.mark.parametrize("column", ["email", "family_name", "google_id", "parent_email"])
@pytest.mark.parametrize("birth", ["NULL", "extract(year FROM now())::int - 13"])
async def test_a_child_without_consent_has_nothing_that_names_it(
    column: str, birth: str, school: School, database: Database
) -> None:
    with pytest.raises(DBAPIError, match="under_13_without_consent"):
        async with database.transaction(school.teacher) as session:
            await new_student(session, school, f", birth_year, {column}", f", {birth}, 'x@y'")
    with pytest.raises(DBAPIError, match="under_13_without_consent"):
        async with database.transaction(school.teacher) as session:
            # Saying otherwise does not help: the database works it out.
            await new_student(session, school, f", is_under_13, {column}", ", false, 'x@y'")
    async with database.transaction(school.teacher) as session:
        await new_student(
            session, school, f", teacher_verified_age, {column}", f", true, '{column}'"
        )


async def test_consent_columns_change_only_by_recording_a_consent(
    school: School, database: Database
) -> None:
    for column in ("has_parental_consent", "audio_recording_consent", "coppa_compliant"):
        state = await refused(
            database,
            school.teacher,
            f"UPDATE directory.students SET {column} = NOT {column} WHERE id = :id",
            id=school.student_ids[0],
        )
        assert state == "42501"


async def test_a_students_account_holds_no_more_than_the_record(
    school: School, database: Database
) -> None:
    system = system_actor(school.organization_id)
    async with database.transaction(system) as session:
        user = await create_user(session, system, role=PersonRole.STUDENT, name="Kim")
        child = await new_student(session, school, ", birth_year", ", 2020")
        await run(
            session,
            "UPDATE directory.students SET user_id = :u WHERE id = :s",
            u=user.id,
            s=child,
        )
    sql = "UPDATE directory.users SET email = :e WHERE id = :u"
    address = f"{user.id}@test.invalid"
    assert await refused(database, system, sql, e=address, u=user.id) == "23514"
    async with database.transaction(system) as session:
        await run(session, "UPDATE directory.students SET birth_year = 2005 WHERE id = :s", s=child)
        await run(session, sql, e=address, u=user.id)
    async with database.transaction(system) as session:
        # A corrected year of birth takes the address away again.
        await run(session, "UPDATE directory.students SET birth_year = 2020 WHERE id = :s", s=child)
        kept = await run(session, "SELECT email FROM directory.users WHERE id = :u", u=user.id)
        assert kept.scalar_one() is None


@pytest.mark.parametrize("birth_year", [None, 2012, 2013, 2014, 1990])
@pytest.mark.parametrize("verified", [True, False])
async def test_the_database_and_the_application_agree_on_ages(
    birth_year: int | None, verified: bool, database: Database
) -> None:
    async with database.transaction() as session:
        found = await run(
            session,
            "SELECT directory.under_13(CAST(:b AS int), :v, 2026)",
            b=birth_year,
            v=verified,
        )
        assert found.scalar_one() == under_13(birth_year, verified, 2026)


def test_a_teachers_word_never_contradicts_the_year_of_birth() -> None:
    assert under_13(2014, True, 2026)
    assert under_13(2013, False, 2026)
    assert not under_13(2013, True, 2026)
    assert not under_13(2012, False, 2026)
    assert under_13(None, False, 2026)


async def test_a_birthday_is_noticed_by_the_nightly_job(
    school: School, database: Database, owner: psycopg.Connection
) -> None:
    student = school.student_ids[0]
    owner.execute("ALTER TABLE directory.students DISABLE TRIGGER guard")
    try:
        owner.execute("UPDATE directory.students SET is_under_13 = true WHERE id = %s", [student])
    finally:
        owner.execute("ALTER TABLE directory.students ENABLE TRIGGER guard")
    assert await refresh_all_ages(database) >= 1
    row = owner.execute(
        "SELECT is_under_13 FROM directory.students WHERE id = %s", [student]
    ).fetchone()
    assert row == (False,)
    assert await refresh_all_ages(database) == 0


async def test_counts_follow_people_up_the_tree(database: Database) -> None:
    async with database.transaction(system_actor()) as session:
        district = await create_organization(
            session, name="District", kind=OrganizationKind.DISTRICT
        )
        schools = [
            await create_organization(
                session, name=f"School {n}", kind=OrganizationKind.SCHOOL, parent_id=district.id
            )
            for n in range(2)
        ]
    ids = (district.id, *(one.id for one in schools))
    everyone = system_actor(*ids)

    async def counts(session: AsyncSession) -> dict[UUID, tuple[int, int, int]]:
        rows = await run(
            session,
            "SELECT id, student_count, teacher_count, school_count"
            " FROM directory.organizations ORDER BY id",
        )
        return {row.id: (row[1], row[2], row[3]) for row in rows}

    async with database.transaction(everyone) as session:
        for one in schools:
            await create_user(
                session,
                everyone,
                organization_id=one.id,
                role=PersonRole.TEACHER,
                name="T",
                email=f"{one.id}@test.invalid",
            )
            await run(
                session,
                "INSERT INTO directory.students (organization_id, display_name)"
                " SELECT :o, 'S' || n FROM generate_series(1, 3) AS n",
                o=one.id,
            )
        assert await counts(session) == {
            district.id: (6, 2, 2),
            schools[0].id: (3, 1, 0),
            schools[1].id: (3, 1, 0),
        }
        await run(
            session,
            "UPDATE directory.students SET deleted_at = now()"
            " WHERE organization_id = :o AND display_name = 'S1'",
            o=schools[0].id,
        )
        await run(
            session,
            "UPDATE directory.users SET status = 'inactive' WHERE organization_id = :o",
            o=schools[0].id,
        )
        assert (await counts(session))[district.id] == (5, 1, 2)
        await run(
            session, "DELETE FROM directory.students WHERE organization_id = :o", o=schools[1].id
        )
        assert (await counts(session))[district.id] == (2, 1, 2)
        # A school's audit trail outlives it, so a school is marked as deleted and not removed.
        sql = "UPDATE directory.organizations SET deleted_at = {} WHERE id = :o"
        await run(session, sql.format("now()"), o=schools[0].id)
        assert (await counts(session))[district.id] == (0, 1, 1)
        await run(session, sql.format("NULL"), o=schools[0].id)
        assert (await counts(session))[district.id] == (2, 1, 2)


async def test_the_tree_has_rules_and_no_circles(school: School, database: Database) -> None:
    system = system_actor(school.organization_id)
    state = await refused(
        database,
        system,
        "UPDATE directory.organizations SET parent_id = id WHERE id = :o",
        o=school.organization_id,
    )
    assert state == "23514"


async def test_one_open_enrolment_per_class_and_owner_per_class(
    school: School, database: Database
) -> None:
    state = await refused(
        database,
        school.teacher,
        "INSERT INTO directory.enrollments (organization_id, class_id, student_id)"
        " VALUES (:o, :c, :s)",
        o=school.organization_id,
        c=school.class_id,
        s=school.student_ids[0],
    )
    assert state == "23505"
    async with database.transaction(school.teacher) as session:
        owners = await run(
            session,
            "SELECT user_id FROM directory.class_teachers WHERE class_id = :c AND role = 'owner'",
            c=school.class_id,
        )
        assert [row.user_id for row in owners] == [school.teacher_id]


async def test_lookups_find_one_row_and_never_a_list(school: School, database: Database) -> None:
    async with database.transaction(ANONYMOUS) as session:
        code = await run(session, "SELECT count(*) FROM directory.find_class_by_invite('')")
        assert code.scalar_one() == 0
        everyone = await run(session, "SELECT count(*) FROM directory.find_credentials('%')")
        assert everyone.scalar_one() == 0
        with_role = await run(session, "SELECT count(*) FROM directory.users")
        assert with_role.scalar_one() == 0


async def test_an_actor_of_no_organisation_sees_nothing(school: School, database: Database) -> None:
    async with database.transaction(Actor(role=Role.PLATFORM_ADMIN)) as session:
        for table in ("organizations", *TENANT_TABLES):
            seen = await run(session, f"SELECT count(*) FROM directory.{table}")
            assert seen.scalar_one() == 0
