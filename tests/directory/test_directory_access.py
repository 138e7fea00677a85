"""Who may see and change which class, student and person."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import httpx
import psycopg
import pytest

from classweave.core.database import Database
from classweave.core.identifiers import encode
from classweave.core.personal_data import Subject, register
from classweave.core.problems import Conflict, Forbidden, Invalid, NotFound
from classweave.core.runtime import Runtime, connect
from classweave.core.tenancy import ANONYMOUS, Actor, Role, system_actor
from classweave.directory.bootstrap import first_administrator_link
from classweave.directory.manage_classes import add_co_teacher, remove_co_teacher
from classweave.directory.manage_people import list_settings
from classweave.directory.manage_students import end_enrollment, update_student
from classweave.directory.models import OrganizationKind, PersonRole, Student, User
from classweave.directory.roster import NewStudent
from classweave.directory.service import (
    access_class,
    access_student,
    add_students,
    class_roster,
    create_class,
    create_organization,
    create_user,
)
from classweave.directory.sign_in import start_session, use_sign_in_link
from database_server import Server
from school_fixtures import School

pytestmark = pytest.mark.anyio


async def colleague(school: School, role: PersonRole = PersonRole.TEACHER) -> Actor:
    """One more member of staff of the same school."""
    system = system_actor(school.organization_id)
    async with school.database.transaction(system) as session:
        user = await create_user(
            session,
            system,
            role=role,
            name="Colleague",
            email=f"{secrets.token_hex(6)}@test.invalid",
        )
    return Actor(
        role=Role(role.value),
        id=user.id,
        organization=school.organization_id,
        organizations=(school.organization_id,),
    )


async def may_see(database: Database, actor: Actor, school: School) -> tuple[bool, bool]:
    """Whether ``actor`` reaches the school's class, and its first student."""
    reached: list[bool] = []
    for attempt in (
        lambda s: access_class(s, actor, school.class_id),
        lambda s: access_student(s, actor, school.student_ids[0]),
    ):
        async with database.transaction(actor) as session:
            try:
                await attempt(session)
                reached.append(True)
            except NotFound:
                reached.append(False)
    return reached[0], reached[1]


async def test_teachers_reach_their_own_classes_and_admins_their_school(
    school: School, other_school: School, database: Database
) -> None:
    assert await may_see(database, school.teacher, school) == (True, True)
    assert await may_see(database, school.admin, school) == (True, True)
    assert await may_see(database, await colleague(school), school) == (False, False)
    curriculum = await colleague(school, PersonRole.CURRICULUM)
    assert await may_see(database, curriculum, school) == (False, False)
    assert await may_see(database, other_school.teacher, school) == (False, False)
    assert await may_see(database, other_school.admin, school) == (False, False)


async def test_a_student_who_left_the_class_is_no_longer_the_teachers(
    school: School, database: Database
) -> None:
    student = school.student_ids[0]
    async with database.transaction(school.teacher) as session:
        await end_enrollment(session, school.teacher, school.class_id, student)
        assert student not in {
            s.id for s in await class_roster(session, school.teacher, school.class_id)
        }
    assert await may_see(database, school.teacher, school) == (True, False)
    assert await may_see(database, school.admin, school) == (True, True)


@dataclass(frozen=True)
class District:
    """A district with one school, and an administrator of the district."""

    organization_id: str
    school_id: str
    program: httpx.AsyncClient


@pytest.fixture
async def district(school: School, database: Database) -> District:
    async with database.transaction(system_actor()) as session:
        root = await create_organization(session, name="District", kind=OrganizationKind.DISTRICT)
        below = await create_organization(
            session, name="Below", kind=OrganizationKind.SCHOOL, parent_id=root.id
        )
        system = system_actor(root.id, below.id)
        user = await create_user(
            session,
            system,
            organization_id=root.id,
            role=PersonRole.DISTRICT_ADMIN,
            name="D",
            email=f"{root.id}@test.invalid",
        )
    async with database.transaction() as session:
        token = (await start_session(session, ANONYMOUS, user.id, root.id)).token
    return District(encode("org", root.id), encode("org", below.id), school.program(token))


async def test_a_district_administers_the_schools_below_it(
    district: District, school: School
) -> None:
    program = district.program
    path = f"/api/directory/organizations/{district.school_id}"
    assert (await program.get(path)).json()["name"] == "Below"
    person = {"role": "teacher", "name": "T", "email": f"{secrets.token_hex(6)}@test.invalid"}
    invited = await program.post(f"{path}/people", json=person)
    assert invited.status_code == 201
    assert invited.json()["status"] == "invited"
    # The same address again, whatever its case, is one account.
    again = await program.post(f"{path}/people", json={**person, "email": person["email"].upper()})
    assert again.status_code == 422
    made = await program.post(
        "/api/directory/classes", json={"name": "7A", "teacher_id": invited.json()["id"]}
    )
    assert made.json()["organization_id"] == district.school_id
    root = await program.get(f"/api/directory/organizations/{district.organization_id}")
    assert (root.json()["school_count"], root.json()["teacher_count"]) == (1, 1)
    elsewhere = encode("org", school.organization_id)
    assert (await program.get(f"/api/directory/organizations/{elsewhere}")).status_code == 404
    added = await program.post(
        "/api/directory/organizations", json={"name": "Second school", "kind": "school"}
    )
    assert added.json()["parent_id"] == district.organization_id
    wrong = await program.post(
        "/api/directory/organizations", json={"name": "Faculty", "kind": "faculty"}
    )
    assert wrong.status_code == 409
    await program.aclose()


async def test_nobody_gives_a_role_above_their_own(school: School, database: Database) -> None:
    admin = await school.sign_in(Role.SCHOOL_ADMIN)
    people = f"/api/directory/organizations/{encode('org', school.organization_id)}/people"
    for role in ("district_admin", "platform_admin", "ops"):
        person = {"role": role, "name": "X", "email": f"{secrets.token_hex(6)}@test.invalid"}
        assert (await admin.post(people, json=person)).status_code == 403
    me = encode("user", school.admin_id)
    assert (
        await admin.patch(f"/api/directory/people/{me}", json={"active": False})
    ).status_code == 409
    assert (
        await admin.patch(f"/api/directory/people/{me}", json={"role": "teacher"})
    ).status_code == 409
    # A teacher with classes cannot silently lose them.
    teacher = encode("user", school.teacher_id)
    change = await admin.patch(f"/api/directory/people/{teacher}", json={"role": "school_admin"})
    assert change.status_code == 409
    program = await school.sign_in()
    assert (await program.get(people)).status_code == 403
    assert (
        await program.patch(f"/api/directory/people/{me}", json={"active": False})
    ).status_code == 403
    with pytest.raises(Forbidden):
        async with database.transaction(school.teacher) as session:
            await create_user(session, school.teacher, role=PersonRole.TEACHER, name="X")
    await admin.aclose()
    await program.aclose()


async def test_the_subscription_limits_teachers(
    school: School, database: Database, owner: psycopg.Connection
) -> None:
    owner.execute(
        "UPDATE directory.organizations SET max_teachers = 1 WHERE id = %s",
        [school.organization_id],
    )
    with pytest.raises(Conflict):
        await colleague(school)
    await colleague(school, PersonRole.CURRICULUM)


async def test_of_children_only_what_may_be_kept_is_kept(
    school: School, database: Database
) -> None:
    rows = [
        NewStudent("Ana", "Ruiz", None, "ana@test.invalid", None, 2020),
        NewStudent("Bo", "Li", None, "bo@test.invalid", None, 2005),
        NewStudent("Cy", "Oz", None, "cy@test.invalid"),
    ]
    async with database.transaction(school.teacher) as session:
        made = await add_students(session, school.teacher, school.class_id, rows)
        kept = [(s.display_name, s.family_name, s.email, s.is_under_13) for s in made]
        assert kept == [
            ("Ana R.", None, None, True),
            ("Bo L.", "Li", "bo@test.invalid", False),
            ("Cy O.", None, None, True),
        ]
        twin, grown = await add_students(
            session, school.teacher, school.class_id, [rows[0], rows[2]], ages_verified=True
        )
        assert (twin.display_name, twin.family_name) == ("Ana R. (2)", None)
        assert (grown.display_name, grown.family_name) == ("Cy O. (2)", "Oz")
    with pytest.raises(Invalid):
        async with database.transaction(school.teacher) as session:
            await update_student(session, school.teacher, made[0].id, {"family_name": "Ruiz"})
    async with database.transaction(school.teacher) as session:
        young = await update_student(session, school.teacher, made[1].id, {"birth_year": 2020})
        assert (young.is_under_13, young.family_name, young.email) == (True, None, None)


async def test_every_reading_and_change_of_a_student_is_audited(
    school: School, owner: psycopg.Connection
) -> None:
    program = await school.sign_in()
    student = school.student_ids[0]
    path = f"/api/directory/students/{encode('student', student)}"
    assert (await program.get(path)).status_code == 200
    assert (await program.patch(path, json={"grade_level": "9"})).status_code == 200
    listing = f"/api/directory/classes/{encode('class', school.class_id)}/students"
    assert (await program.get(listing)).status_code == 200
    assert (await program.delete(f"{listing}/{encode('student', student)}")).status_code == 204
    lines = owner.execute(
        "SELECT event_type, resource_type FROM compliance.audit_log"
        " WHERE %s = ANY (affected_student_ids) AND actor_id = %s ORDER BY sequence",
        [student, school.teacher_id],
    ).fetchall()
    assert lines[-4:] == [
        ("student.read", "student"),
        ("student.updated", "student"),
        ("student.read", "class"),
        ("student.withdrawn", "student"),
    ]
    await program.aclose()


async def test_moving_a_student_keeps_the_days_before(school: School) -> None:
    program = await school.sign_in()
    second = (await program.post("/api/directory/classes", json={"name": "8C"})).json()["id"]
    student, first = school.student(0), encode("class", school.class_id)
    path = f"/api/directory/students/{student}"
    body = {"from_class": first, "to_class": second}
    assert (await program.post(f"{path}/move", json=body)).status_code == 200
    assert (await program.post(f"{path}/move", json=body)).status_code == 404
    record = (await program.get(path)).json()
    assert [(e["class_id"], e["ends_on"] is None) for e in record["enrollments"]] == [
        (second, True),
        (first, False),
    ]
    await program.aclose()


async def test_routes_refuse_what_is_not_theirs(school: School, other_school: School) -> None:
    stranger = await other_school.sign_in()
    admin = await other_school.sign_in(Role.SCHOOL_ADMIN)
    one_class, student = encode("class", school.class_id), school.student(0)
    person, organization = encode("user", school.teacher_id), encode("org", school.organization_id)
    base = "/api/directory"
    added = {"students": [{"given_name": "X"}]}
    for program in (stranger, admin):
        answers = [
            await program.get(f"{base}/classes/{one_class}"),
            await program.patch(f"{base}/classes/{one_class}", json={"name": "Mine"}),
            await program.get(f"{base}/classes/{one_class}/students"),
            await program.post(f"{base}/classes/{one_class}/students", json=added),
            await program.delete(f"{base}/classes/{one_class}/students/{student}"),
            await program.get(f"{base}/students/{student}"),
            await program.patch(f"{base}/students/{student}", json={"grade_level": "1"}),
            await program.get(f"{base}/organizations/{organization}"),
        ]
        assert [answer.status_code for answer in answers] == [404] * len(answers)
    foreign = await admin.patch(f"{base}/people/{person}", json={"active": False})
    assert foreign.status_code == 404
    taken = await admin.post(f"{base}/classes", json={"name": "Mine", "teacher_id": person})
    assert taken.status_code == 422
    await stranger.aclose()
    await admin.aclose()


async def test_unknown_fields_and_wrong_identifiers_are_refused(school: School) -> None:
    program = await school.sign_in()
    base = "/api/directory"
    assert (
        await program.post(f"{base}/classes", json={"name": "X", "nmae": "Y"})
    ).status_code == 422
    assert (await program.get(f"{base}/classes/{school.student(0)}")).status_code == 422
    own = f"{base}/classes/{encode('class', school.class_id)}"
    assert (await program.patch(own, json={"name": None})).status_code == 422
    assert (await program.patch(own, json={"subject": None})).status_code == 200
    too_many = {"students": [{"given_name": "X"}] * 501}
    assert (await program.post(f"{own}/students", json=too_many)).status_code == 422
    await program.aclose()


async def test_an_archived_class_takes_no_students(school: School, database: Database) -> None:
    program = await school.sign_in()
    own = f"/api/directory/classes/{encode('class', school.class_id)}"
    assert (await program.patch(own, json={"archived": True})).json()["archived_at"]
    added = {"students": [{"given_name": "X"}]}
    assert (await program.post(f"{own}/students", json=added)).status_code == 409
    assert (await program.patch(own, json={"archived": False})).json()["archived_at"] is None
    assert (await program.post(f"{own}/students", json=added)).status_code == 201
    await program.aclose()


async def test_a_class_is_shared_with_colleagues_of_the_school_only(
    school: School, other_school: School, database: Database
) -> None:
    second = await colleague(school)
    async with database.transaction(school.teacher) as session:
        address = (await session.get_one(User, second.id)).email or ""
        await add_co_teacher(session, school.teacher, school.class_id, address.upper())
    assert await may_see(database, second, school) == (True, True)
    with pytest.raises(Forbidden):
        async with database.transaction(second) as session:
            await add_co_teacher(session, second, school.class_id, address)
    with pytest.raises(Conflict):
        async with database.transaction(school.teacher) as session:
            await remove_co_teacher(session, school.teacher, school.class_id, school.teacher_id)
    async with database.transaction(other_school.teacher) as session:
        stranger = (await session.get_one(User, other_school.teacher_id)).email or ""
    with pytest.raises(Invalid):
        async with database.transaction(school.teacher) as session:
            await add_co_teacher(session, school.teacher, school.class_id, stranger)
    async with database.transaction(school.teacher) as session:
        assert second.id is not None
        await remove_co_teacher(session, school.teacher, school.class_id, second.id)
    assert await may_see(database, second, school) == (False, False)


async def test_sentiment_is_off_at_first_in_the_european_economic_area(
    database: Database,
) -> None:
    for region, expected in (("DE", "false"), ("US-CA", "true"), (None, "true")):
        async with database.transaction(system_actor()) as session:
            made = await create_organization(
                session, name="S", kind=OrganizationKind.SCHOOL, region=region
            )
            found = await list_settings(session, system_actor(made.id), made.id)
            assert [(s.setting_key, s.setting_value) for s in found] == [
                ("sentiment_allowed", expected)
            ]


async def test_the_first_administrator_gets_a_link_until_somebody_signed_in(
    server: Server, runtime: Runtime
) -> None:
    urls = server.clone("test_bootstrap")
    async with connect(runtime.settings, urls) as fresh:
        key = b"k" * 32
        first = await first_administrator_link(fresh.database, key, "http://here")
        second = await first_administrator_link(fresh.database, key, "http://here")
        assert first is not None
        assert second is not None
        async with fresh.database.transaction() as session:
            token = first.rpartition("/")[2]
            signed = await use_sign_in_link(session, key, ANONYMOUS, token)
            assert signed.user.role is PersonRole.PLATFORM_ADMIN
        assert await first_administrator_link(fresh.database, key, "http://here") is None


async def test_erasing_a_student_takes_the_account_along(
    school: School, database: Database, owner: psycopg.Connection
) -> None:
    system = system_actor(school.organization_id)
    student = school.student_ids[0]
    async with database.transaction(system) as session:
        user = await create_user(session, system, role=PersonRole.STUDENT, name="Ada L.")
        row = await session.get_one(Student, student)
        row.user_id = user.id
    await school.token(user.id)
    async with database.transaction(system) as session:
        exported = await register.export(session, Subject.STUDENT, student)
        assert exported["directory.students"][0]["display_name"] == "Ada"
        assert exported["directory.users"][0]["name"] == "Ada L."
        assert len(exported["directory.enrollments"]) == 1
        await register.erase(session, Subject.STUDENT, student)
    left = owner.execute(
        "SELECT (SELECT count(*) FROM directory.students WHERE id = %(s)s),"
        " (SELECT count(*) FROM directory.enrollments WHERE student_id = %(s)s),"
        " (SELECT count(*) FROM directory.sign_in_sessions WHERE user_id = %(u)s),"
        " (SELECT name FROM directory.users WHERE id = %(u)s)",
        {"s": student, "u": user.id},
    ).fetchone()
    assert left == (0, 0, 0, "Former student")


async def test_creating_a_class_needs_a_teacher(school: School, database: Database) -> None:
    with pytest.raises(Invalid):
        async with database.transaction(school.admin) as session:
            await create_class(session, school.admin, name="7A")
    with pytest.raises(Invalid):
        async with database.transaction(school.teacher) as session:
            await create_class(session, school.teacher, name=" \u202e ")
