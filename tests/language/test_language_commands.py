import json

import pytest
from typer.testing import CliRunner

from classweave.language.commands import app

LINE = '{"speaker": "%s", "start": %d, "end": %d, "text": "%s"}'


@pytest.fixture
def run(tmp_path):
    def call(content: str | bytes, *options: str):
        path = tmp_path / "talk.jsonl"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return CliRunner().invoke(app, ["measure", str(path), *options])

    return call


def talk(n: int = 12) -> str:
    return "\n".join(
        LINE % ("Ana" if i % 2 else "בו", 10 * i, 10 * i + 8, f"I think plants need light 🌱 {i}")
        for i in range(n)
    )


def test_json_has_every_measure_with_its_evidence(run):
    result = run(
        "\ufeff" + talk() + "\n\n", "--json", "--concepts", "light, plants", "--members", "Cy"
    )
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["utterances"] == 12
    assert set(found["members"]) == {"Cy", "Ana", "בו"}
    measures = {m["name"]: m for m in found["measures"]}
    assert measures["silent_members"]["value"] == 1.0
    assert measures["on_topic"]["value"] == 1.0
    assert measures["participation_equality"]["evidence"][0]["quote"].startswith("I think")


def test_a_table_for_people(run):
    result = run(talk(), "--no-sentiment")
    assert result.exit_code == 0
    assert "Equal participation" in result.stdout
    assert "Tone of the group" not in result.stdout


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("{", "line 3: Invalid JSON"),
        ("[1]", "line 3: Input should be an object"),
        ('{"start": 1, "end": 2}', "line 3: text: Field required"),
        ('{"start": 2, "end": 1, "text": ""}', "line 3: end is before start"),
        ('{"start": "x", "end": 1, "text": ""}', "line 3: start: "),
        ('{"start": NaN, "end": 1, "text": ""}', "line 3: start: "),
        ('{"start": 1, "end": 2, "text": "a", "confidence": 7}', "line 3: confidence: "),
        ('{"start": 1, "end": 2, "text": "a", "words": [{}]}', "line 3: words.0.text: "),
        ('{"id": "u1", "start": 1, "end": 2, "text": "a"}', "line 3: the id 'u1' was used before"),
        (b"\xff\xfe", "line 3: "),
    ],
)
def test_bad_input_is_one_clear_line_with_its_number(run, bad, problem):
    raw = bad if isinstance(bad, bytes) else bad.encode()
    result = run(talk(2).encode() + b"\n" + raw)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_missing_and_empty_files(run, tmp_path):
    assert "no utterances" in run("\n").stderr
    missing = CliRunner().invoke(app, ["measure", str(tmp_path / "none.jsonl")])
    assert missing.exit_code == 2
    assert "no such file" in missing.stderr
