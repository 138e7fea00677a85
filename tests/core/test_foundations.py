"""Identifiers, settings, secrets, files, the clock, the register: what needs no database."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from typer.testing import CliRunner

from classweave.cli import app as command
from classweave.core import clock
from classweave.core.identifiers import Prefix, TypeIDError, decode, encode, uuid7
from classweave.core.personal_data import PersonalData, PersonalDataRegister, Subject
from classweave.core.secrets import new_token, same, sign, token_hash
from classweave.core.settings import Settings
from classweave.core.storage import open_storage

PREFIXES = st.from_regex(r"[a-z]{1,20}(_[a-z]{1,20})?", fullmatch=True)


@given(PREFIXES, st.uuids())
def test_an_identifier_comes_back(prefix: str, value: UUID) -> None:
    text = encode(prefix, value)
    assert text.startswith(f"{prefix}_")
    assert decode(prefix, text) == value


@given(st.uuids(), st.uuids())
def test_identifiers_sort_as_their_uuids(a: UUID, b: UUID) -> None:
    assert (encode("x", a) < encode("x", b)) == (a.bytes < b.bytes)


@given(st.text())
def test_no_text_but_an_identifier_is_one(text: str) -> None:
    try:
        value = decode("class", text)
    except TypeIDError:
        return
    assert encode("class", value) == text


@given(PREFIXES, PREFIXES, st.uuids())
def test_an_identifier_of_another_kind_is_refused(a: str, b: str, value: UUID) -> None:
    if a != b:
        with pytest.raises(TypeIDError):
            decode(b, encode(a, value))


def test_on_the_wire_an_identifier_has_its_pattern() -> None:
    wire: TypeAdapter[UUID] = TypeAdapter(Annotated[UUID, Prefix("class")])
    value = uuid7()
    assert wire.dump_json(value) == f'"{encode("class", value)}"'.encode()
    assert wire.validate_python(encode("class", value)) == value
    assert wire.json_schema()["pattern"].startswith("^class_")
    for wrong in ("", "class_", encode("user", value), str(value), 7, None):
        with pytest.raises(ValidationError):
            wire.validate_python(wrong)


def test_uuids_follow_time() -> None:
    made = [uuid7() for _ in range(1000)]
    assert made == sorted(made)
    assert made[0].version == 7


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "99999", "less than or equal"),
        ("SECRET_KEY", "short", "at least 32"),
        ("LOG_LEVEL", "loud", "debug"),
        ("SPEECH_WORKERS", "-1", "greater than or equal"),
        ("PUBLIC_URL", "nowhere", "URL"),
        ("FILES_URL", "s3://key:word@bucket", "credentials"),
        ("LLM_URL", "https://key:word@host/v1", "credentials"),
    ],
)
def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(f"CLASSWEAVE_{name}", value)
    with pytest.raises(ValidationError, match=message) as caught:
        Settings()
    assert caught.value.errors()[0]["loc"] == (name.lower(),)


def test_the_command_prints_settings_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = "a-password-nobody-may-read-on-a-screen"
    for name, value in {
        "DATABASE_URL": f"postgresql://owner:{hidden}@db/x",
        "APP_DATABASE_URL": f"postgresql://app:{hidden}@db/x",
        "SECRET_KEY": hidden,
        "SMTP_URL": f"smtp://me:{hidden}@mail",
        "LLM_KEY": hidden,
        "PORT": "8123",
    }.items():
        monkeypatch.setenv(f"CLASSWEAVE_{name}", value)
    printed = CliRunner().invoke(command, ["config"])
    assert printed.exit_code == 0
    assert "CLASSWEAVE_PORT=8123" in printed.output
    assert "CLASSWEAVE_SECRET_KEY=(set)" in printed.output
    assert hidden not in printed.output
    assert hidden not in repr(Settings())


def test_a_wrong_setting_is_one_line_for_the_operator() -> None:
    program = (
        "import sys; sys.argv = ['classweave', 'config']; import classweave.cli as c; c.main()"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"CLASSWEAVE_PORT": "x", "PATH": ""},
    )
    assert run.returncode == 2
    assert run.stderr.startswith("classweave: setting CLASSWEAVE_PORT: ")
    assert run.stderr.count("\n") == 1


def test_processes_that_start_together_agree_on_the_key(tmp_path: Path) -> None:
    program = (
        "from classweave.core.secrets import signing_key; from classweave.core.settings import"
        " Settings; print(signing_key(Settings()).decode())"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env={"CLASSWEAVE_DATA_DIR": str(tmp_path / "new"), "PATH": ""},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    keys = {process.communicate()[0] for process in started}
    assert len(keys) == 1
    assert len(keys.pop().strip()) == 64
    kept = list((tmp_path / "new").iterdir())
    assert [path.name for path in kept] == ["secret.key"]
    assert kept[0].stat().st_mode & 0o777 == 0o600


def test_tokens_and_signatures() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert len(token_hash("a")) == 32
    assert sign(b"k", "a", "b") != sign(b"k", "ab")
    assert sign(b"k", "a") != sign(b"l", "a")
    assert same("é", "é")
    assert not same("a", "b")


@pytest.mark.anyio
async def test_files_are_whole_and_stay_inside(tmp_path: Path) -> None:
    files = open_storage(Settings(data_dir=tmp_path))
    await files.put("school/a/one.bin", b"0123456789")
    await files.put("school/a/one.bin", b"abcdefghij")
    await files.put("school/two.bin", b"")
    assert await files.get("school/a/one.bin") == b"abcdefghij"
    assert await files.get_range("school/a/one.bin", 2, 5) == b"cde"
    assert await files.size("school/a/one.bin") == 10
    await files.delete("school/a/one.bin")
    await files.delete("school/a/one.bin")
    for read in (files.get, files.size):
        with pytest.raises(FileNotFoundError):
            await read("school/a/one.bin")
    (tmp_path / "secret.key").write_text("key")
    for outside in ("../secret.key", "school/../../secret.key", "/secret.key"):
        with pytest.raises((FileNotFoundError, ValueError, OSError)):
            await files.get(outside)


def test_the_clock_can_be_moved_and_comes_back() -> None:
    with clock.shifted(timedelta(days=1)):
        assert clock.now() - datetime.now(UTC) > timedelta(hours=23)
        with clock.shifted(timedelta(days=-2)):
            assert datetime.now(UTC) - clock.now() > timedelta(hours=23)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_declaration_must_say_how_and_why() -> None:
    def declare(**how: str) -> PersonalData:
        return PersonalData("a.b", Subject.STUDENT, "id = :subject", "why", on_export=["id"], **how)  # type: ignore[arg-type]

    with pytest.raises(ValueError, match="anonymise"):
        declare(on_erasure="anonymise")
    with pytest.raises(ValueError, match="why it is kept"):
        declare(on_erasure="keep")
    kept = declare(on_erasure="delete")
    register = PersonalDataRegister()
    register.declare(kept)
    register.declare(kept)
    assert register.of(Subject.STUDENT) == [kept]
    assert register.of(Subject.USER) == []
