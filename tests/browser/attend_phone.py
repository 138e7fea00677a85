"""A phone with the attendance app on it, for the browser tests."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import time
from pathlib import Path

from chromium import QUIET, needed
from inspection import PHONE
from playwright.async_api import BrowserContext, Page, async_playwright, expect
from sqlalchemy import text

from classweave.attend.models import Meeting
from classweave.attend.open_term import begin_use
from classweave.core import clock
from classweave.core.database import driver_connection
from classweave.core.tenancy import system_actor
from classweave.directory.api.authenticate import COOKIE
from classweave.directory.roster import NewStudent
from classweave.directory.service import add_students
from school_fixtures import School

CLASS = "8B Science"
EVERYBODY = 60
PATIENT = 30_000


@dataclass
class Phone:
    """A browser with a profile on disk, so that it can be killed and come back."""

    context: BrowserContext
    page: Page
    profile: Path

    def kill(self) -> None:
        """What an empty battery does: every process of the browser ends at once."""
        listed = subprocess.run(
            ["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True
        )
        for line in listed.stdout.splitlines():
            if f"--user-data-dir={self.profile}" in line:
                os.kill(int(line.split()[0]), signal.SIGKILL)


@asynccontextmanager
async def opened_phone(
    profile: Path, *, online: bool = True, locale: str = "en-US"
) -> AsyncGenerator[Phone]:
    """A phone with what its profile holds."""
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile, executable_path=needed(), args=[*QUIET], offline=not online,
            viewport={"width": PHONE, "height": 844}, locale=locale,
        )  # fmt: skip
        context.set_default_timeout(PATIENT)
        yield Phone(context, context.pages[0], profile)
        await context.close()


async def sign_in(context: BrowserContext, school: School, address: str) -> None:
    """The school's teacher is signed in, and whoever was before is not."""
    token = await school.token(school.teacher_id)
    await context.add_cookies([{"name": COOKIE, "value": token, "url": address}])


async def enlarge(school: School) -> School:
    """Sixty students in the school's class, which is in today's timetable."""
    more = [
        NewStudent(given_name=f"Student {n:02d}", birth_year=2010)
        for n in range(EVERYBODY - len(school.student_ids))
    ]
    async with school.database.transaction(school.teacher) as session:
        await add_students(session, school.teacher, school.class_id, more)
    system = system_actor(school.organization_id)
    async with school.database.transaction(system) as session:
        await begin_use(await driver_connection(session), school.organization_id)
        session.add(
            Meeting(
                organization_id=school.organization_id, class_id=school.class_id,
                date=clock.now().date(), start_time=time(9), end_time=time(10), room="12",
            )
        )  # fmt: skip
    return school


async def open_app(page: Page, address: str, heading: str = "Today") -> None:
    """The app's first screen."""
    await page.goto(f"{address}/attend/app")
    await expect(page.get_by_role("heading", level=1, name=heading)).to_be_visible()


async def synced(page: Page, said: str = "Synced.") -> None:
    """Wait until the state line says that the server has everything."""
    await expect(page.locator('.attend-state[data-state="synced"]')).to_contain_text(
        said, timeout=PATIENT
    )


async def until(page: Page, condition: str, argument: str | None = None) -> None:
    """Wait for an async function of the page to be true; ``wait_for_function`` takes any promise
    for true."""
    async with asyncio.timeout(PATIENT / 1000):
        await page.evaluate(
            f"async given => {{ while (!(await ({condition})(given)))"
            " await new Promise(done => setTimeout(done, 20)); }",
            argument,
        )


async def installed(page: Page) -> None:
    """The worker is in charge, and everything that it keeps is kept."""
    await until(
        page,
        "async () => (await caches.keys()).some(name => name.startsWith('attend-'))"
        " && navigator.serviceWorker.controller?.state === 'activated'",
    )


async def marks(school: School) -> list[tuple[str, int | None]]:
    """Status and minutes of each record of the class on the server."""
    async with school.database.transaction(school.teacher) as session:
        found = await session.execute(
            text(
                "SELECT r.status, r.minutes FROM attend.attendance_records r"
                " JOIN attend.attendance_sessions s ON s.no = r.session_no"
                " WHERE s.class_id = :class AND s.deleted_at IS NULL"
            ),
            {"class": school.class_id},
        )
        return [(row[0], row[1]) for row in found]
