"""A backup is whole or not there, and says in one line what stands in its way."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from classweave.app import create_app
from classweave.backup import back_up, restore
from classweave.core.database import dsn
from classweave.core.postgres import DatabaseUrls
from classweave.core.runtime import connect
from classweave.core.settings import Settings
from database_server import Server
from school_fixtures import make_school


def test_a_backup_that_fails_leaves_nothing(urls: DatabaseUrls, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "installation")
    stored = settings.data_dir / "files" / "sound.ogg"
    stored.parent.mkdir(parents=True)
    stored.write_bytes(bytes(40_000_000))
    out = tmp_path / "backups"
    out.mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As on a full disk: there is room for the dump of the database, and not for the files.
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            back_up(settings, urls, out / "whole.tar")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(out.iterdir()) == []
    assert back_up(settings, urls, out / "whole.tar") > 10_000
    assert os.listdir(out) == ["whole.tar"]


def test_a_login_that_row_security_binds_is_told_in_one_line(
    urls: DatabaseUrls, owner: psycopg.Connection, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, database_url=SecretStr(dsn(urls.owner)))
    target = tmp_path / "whole.tar"
    with pytest.raises(RuntimeError, match="BYPASSRLS") as refused:
        back_up(settings, urls, target)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []
    above = DatabaseUrls(urls.owner.set(username="postgres"), urls.app)
    assert back_up(settings, above, target) > 10_000


@pytest.mark.anyio
async def test_after_a_restore_devices_replace_what_they_have(
    server: Server, tmp_path: Path
) -> None:
    source, target = (Settings(data_dir=tmp_path / name) for name in ("before", "after"))
    target.data_dir.mkdir()
    # A database of its own: a backup is restored whole, and with every constraint.
    urls = server.clone("backed_up")
    async with connect(source, urls) as runtime:
        school = await make_school(runtime.database, create_app(runtime))
        async with await school.sign_in() as teacher:
            made = await teacher.post("/api/attend/devices", json={"name": "Phone"})
        token = made.json()["token"]
        roll = {"id": "kept", "class_id": str(school.class_id), "date": "2099-11-25"}
        lost = roll | {"id": "lost", "start_time": "11:00"}
        async with school.program(token) as device:
            first = (await device.get("/api/attend/sync")).json()["timestamp"]
            for row in (roll, lost):
                kept = await device.post(
                    "/api/attend/sync", params={"last_pulled_at": first},
                    json={"changes": {"attendance_sessions": {"created": [row]}}},
                )  # fmt: skip
                assert kept.status_code == 200, kept.text
                if row is roll:
                    back_up(source, urls, tmp_path / "whole.tar")
            newest = (await device.get("/api/attend/sync")).json()["timestamp"]
    fresh = server.clone(f"{urls.owner.database}_restored")
    restore(target, fresh, tmp_path / "whole.tar")
    async with connect(target, fresh) as runtime:
        transport = httpx.ASGITransport(create_app(runtime))
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver", headers=headers
        ) as device:
            # Of before the backup, and of after it: neither says what this database holds.
            for cursor in (first, newest):
                stale = {"last_pulled_at": cursor}
                pulled = (await device.get("/api/attend/sync", params=stale)).json()
                assert pulled["experimentalStrategy"] == "replacement"
                rows = pulled["changes"]["attendance_sessions"]["updated"]
                assert [row["id"] for row in rows] == ["kept"]
                push = {"changes": {"attendance_sessions": {"created": [lost]}}}
                refused = await device.post("/api/attend/sync", params=stale, json=push)
                assert refused.status_code == 409
            now = {"last_pulled_at": pulled["timestamp"]}
            assert (await device.get("/api/attend/sync", params=now)).json()["changes"] == {}
            assert (await device.post("/api/attend/sync", params=now, json=push)).status_code == 200
