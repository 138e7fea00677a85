"""The demo's data, sound and known values agree with one another."""

import functools
import tomllib
import wave
from itertools import combinations, pairwise

import numpy as np
import pytest

from classweave.live.demo.audio import RATE, read_sound, write_fake_microphone
from classweave.live.demo.known import equality, known_values, silent_members
from classweave.live.demo.lesson import FOLDER, DemoGroup, DemoTurn, load_demo

DEMO = load_demo()
GROUPS = {group.key: group for group in DEMO.groups}
DISCUSSIONS = [group for group in DEMO.groups if group.turns]


_track = functools.cache(read_sound)


def _decibels(samples: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(np.square(samples))) + 1e-9))


def _between_turns(group: DemoGroup, member: str, samples: np.ndarray) -> np.ndarray:
    """A track without its own member's turns (50 ms to spare, where Opus rings)."""
    keep = np.ones(len(samples), bool)
    for turn in group.turns:
        if turn.speaker == member:
            keep[round((turn.start - 0.05) * RATE) : round((turn.end + 0.05) * RATE)] = False
    return samples[keep]


@pytest.mark.parametrize("group", DEMO.groups, ids=lambda group: group.key)
def test_every_track_has_the_length_of_the_discussion(group: DemoGroup) -> None:
    for path in group.tracks().values():
        assert len(_track(path)) / RATE == pytest.approx(group.seconds, abs=0.05)


@pytest.mark.parametrize("group", DISCUSSIONS, ids=lambda group: group.key)
def test_a_track_is_loud_in_its_members_turns_and_quiet_but_alive_elsewhere(
    group: DemoGroup,
) -> None:
    for member, path in group.tracks().items():
        assert member is not None
        samples = _track(path)
        for turn in (turn for turn in group.turns if turn.speaker == member):
            voice = samples[round(turn.start * RATE) : round(turn.end * RATE)]
            assert -32 < _decibels(voice) < -18, turn.text
        assert -66 < _decibels(_between_turns(group, member, samples)) < -54


def test_the_sound_says_what_the_scripts_say() -> None:
    for group in DISCUSSIONS:
        script = tomllib.loads((FOLDER / f"{group.key}.toml").read_text("utf-8"))
        assert [turn.speaker for turn in group.turns] == [t["speaker"] for t in script["turns"]]
        if group.kind == "scripted":
            rendered = [(turn.text, list(turn.labels)) for turn in group.turns]
            assert rendered == [(t["text"], t["labels"]) for t in script["turns"]], (
                "a script was edited: run python -m classweave.live.demo.make_tracks"
            )


def test_nobody_talks_over_themself() -> None:
    for group in DISCUSSIONS:
        for one, other in combinations(group.turns, 2):
            if one.speaker == other.speaker:
                assert one.end <= other.start or other.end <= one.start


def test_group_a_is_balanced_but_for_one_silent_member() -> None:
    known = GROUPS["group_a"].known
    assert known["silent_members"] == 1
    assert known["dominance"] < 0.45
    assert known["open_questions"] > known["closed_questions"]
    assert known["share:owen"] < 0.05


def test_group_b_has_a_dominant_voice_a_drift_a_silence_and_interruptions() -> None:
    group = GROUPS["group_b"]
    assert group.known["dominance"] > 0.6
    off_topic = [i for i, turn in enumerate(group.turns) if "off_topic" in turn.labels]
    assert off_topic == list(range(off_topic[0], off_topic[-1] + 1))
    assert 0 < off_topic[0] < off_topic[-1] < len(group.turns) - 1
    gaps = [after.start - turn.end for turn, after in pairwise(group.turns)]
    assert max(gaps) == pytest.approx(15, abs=0.01)
    assert sum(gap <= -0.5 for gap in gaps) >= 2


def test_known_values_of_a_small_discussion() -> None:
    turns = [
        DemoTurn("a", 0, 6, "why is it so", ("open_question",)),
        DemoTurn("a", 7, 9, "or is it not", ("closed_question",)),
        DemoTurn("b", 8.5, 10.5, "yes"),
    ]
    known = known_values(turns, [], ["a", "b", "c"], labelled=True)
    assert known["dominance"] == 0.8
    assert known["share:c"] == 0
    assert known["silent_members"] == 2  # b talks 2 s, c not at all
    assert (known["turns"], known["switches"]) == (2, 1)
    assert (known["open_questions"], known["closed_questions"]) == (1, 1)
    assert known["speaking_seconds"] == 9.5
    assert known["words"] == 9
    # The Gini coefficient of 8, 2, 0 is 16/30; times 3/2 it is 0.8.
    assert known["participation_equality"] == pytest.approx(0.2)


def test_equality_and_silence_at_their_ends() -> None:
    assert equality([3, 3, 3]) == pytest.approx(1)
    assert equality([9, 0, 0]) == pytest.approx(0)
    assert silent_members([400, 300, 200, 9]) == 1  # under a twentieth of an equal share
    assert silent_members([400, 300, 200, 12]) == 0


def test_reference_readers_have_words_without_question_labels() -> None:
    group = GROUPS["reference"]
    assert "open_questions" not in group.known
    assert group.known["words"] == len(group.reference_text().split())
    shares = sorted((v for k, v in group.known.items() if k.startswith("share:")), reverse=True)
    assert shares == pytest.approx([0.44, 0.29, 0.19, 0.08], abs=0.01)
    assert (
        min(
            sum(turn.end - turn.start for turn in group.turns if turn.speaker == member.key)
            for member in group.members
        )
        > 6
    ), "a reader near five seconds would make the count of silent members a coin's throw"


def test_the_shared_device_is_two_labelled_recordings_attributed_to_nobody() -> None:
    group = GROUPS["group_c"]
    assert list(group.tracks()) == [None]
    assert all(member.sound is None for member in group.members)
    assert [excerpt.label[12:19] for excerpt in group.excerpts] == ["EN2006a", "EN2006b"]
    assert "CC BY 4.0" in group.attribution
    assert not any(name.startswith("share:") for name in group.known)
    for word in group.words:
        assert any(e.start <= word.start <= word.end <= e.end for e in group.excerpts)


def test_one_student_refuses_recording_takes_part_and_sends_no_sound() -> None:
    refusing = [s for s in DEMO.school.students if s.consent["recording"] != "given"]
    assert [student.key for student in refusing] == ["jonah"]
    assert refusing[0].consent["participation"] == "given"
    members = {member.key: member for member in GROUPS["group_b"].members}
    assert members["jonah"].sound is None


def test_members_are_in_the_class_list_once() -> None:
    students = [student.key for student in DEMO.school.students]
    assert len(students) == len(set(students)) == 14
    members = [m.key for g in DEMO.groups if g.kind != "reference" for m in g.members]
    assert len(members) == len(set(members))
    assert set(members) < set(students)
    assert all(g.leader in {m.key for m in g.members} for g in DEMO.groups if g.leader)


def test_the_folder_stays_small_and_holds_no_stray_sound() -> None:
    stored = set((FOLDER / "sound").iterdir())
    assert stored == {path for group in DEMO.groups for path in group.tracks().values()}
    assert sum(path.stat().st_size for path in stored) < 6e6


def test_a_fake_microphone_plays_the_members_track(tmp_path) -> None:
    owen = next(member for member in GROUPS["group_a"].members if member.key == "owen")
    write_fake_microphone(tmp_path / "owen.wav", owen)
    with wave.open(str(tmp_path / "owen.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert owen.sound is not None
    np.testing.assert_allclose(pcm / 32767, _track(owen.sound), atol=1e-4)


def test_a_member_without_sound_has_no_microphone(tmp_path) -> None:
    jonah = next(member for member in GROUPS["group_b"].members if member.key == "jonah")
    with pytest.raises(ValueError, match="Jonah sends no sound"):
        write_fake_microphone(tmp_path / "jonah.wav", jonah)
