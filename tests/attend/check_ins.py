"""Students who check in, as tests drive them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import select

from classweave.attend.check_in_code import STEP
from classweave.core import clock
from classweave.core.identifiers import encode
from classweave.core.tenancy import system_actor
from classweave.directory.models import PersonRole, Student
from classweave.directory.service import create_user
from school_fixtures import School

URL = "/api/attend/check-ins"


async def student_token(school: School, index: int) -> str:
    """A sign-in of the student with that number, who has an account from now on."""
    system = system_actor(school.organization_id)
    async with school.database.transaction(system) as session:
        student = await session.get_one(Student, school.student_ids[index])
        if student.user_id is None:
            user = await create_user(
                session, system, role=PersonRole.STUDENT, name=student.display_name, email=None
            )
            student.user_id = user.id
        user_id = student.user_id
    return await school.token(user_id)


@dataclass
class Phone:
    """A device: it keeps its cookies, whoever is signed in on it."""

    client: httpx.AsyncClient

    async def check_in(self, school: School, index: int, code: str) -> httpx.Response:
        """Sign in as a student and send the code."""
        token = await student_token(school, index)
        headers = {"authorization": f"Bearer {token}"}
        return await self.client.post(f"{URL}/own", json={"code": code}, headers=headers)


def phone(school: School) -> Phone:
    """A device that nobody has used yet."""
    return Phone(school.program())


async def open_window(school: School, **more: Any) -> dict[str, Any]:
    """A check-in of the school's class, opened by its teacher."""
    body = {"class_id": encode("class", school.class_id), "start_time": "09:00"} | more
    async with await school.sign_in() as teacher:
        answer = await teacher.post(URL, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def teacher_sends(school: School, window: str, action: str, **body: Any) -> httpx.Response:
    """One of the lecturer's buttons."""
    async with await school.sign_in() as teacher:
        return await teacher.post(f"{URL}/{window}/{action}", json=body or None)


async def board(school: School, window: str) -> dict[str, Any]:
    """What the lecturer sees."""
    async with await school.sign_in() as teacher:
        answer = await teacher.get(f"{URL}/{window}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def steps(number: float) -> Any:
    """That many steps of the code later."""
    return clock.shifted(number * STEP)


def minutes(number: float) -> Any:
    """That many minutes later."""
    return clock.shifted(timedelta(minutes=number))


async def count(school: School, model: Any, *conditions: Any) -> int:
    """Rows of a table that meet the conditions, as the school's staff see them."""
    async with school.database.transaction(school.admin) as session:
        return len((await session.scalars(select(model).where(*conditions))).all())
