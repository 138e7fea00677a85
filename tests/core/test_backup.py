"""A backup is whole or not there, and says in one line what stands in its way."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from classweave.backup import back_up
from classweave.core.database import dsn
from classweave.core.postgres import DatabaseUrls
from classweave.core.settings import Settings


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
