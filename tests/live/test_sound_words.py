"""The speech worker on real speech: the right words, at the right time, each once."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import av
import numpy as np
import psycopg
import pytest
from fastapi import FastAPI
from sound_wire import Room, open_room, serving, until, value
from structlog.testing import capture_logs

from classweave.core.runtime import Runtime
from classweave.core.tenancy import Actor, Role, system_actor
from classweave.live.commit_words import LeaseLost, TrackFacts, commit_cut
from classweave.live.frames import Frame
from classweave.live.join_session import Joined
from classweave.live.models.sound import Codec
from classweave.live.read_tracks import SpeechWorker
from classweave.live.receive_sound import open_track, store_chunks
from classweave.live.replay import ReplayDevice, frames_of
from classweave.live.run_session import move_student
from classweave.live.store_recording import store_track
from classweave.speech.decode import SAMPLE_RATE, Samples, decode_file
from classweave.speech.recogniser import Recognition, Word
from classweave.speech.segmenter import Cursor, Cut
from classweave.speech.whisper import WhisperRecogniser
from school_fixtures import School

pytestmark = [pytest.mark.anyio, pytest.mark.speech, pytest.mark.xdist_group("speech")]

# Short, clear utterances of two readers.
CLIPS = ("367-130732-0009", "1688-142285-0002")


@dataclass(frozen=True)
class Clip:
    """A recorded utterance: what is said in it, and when the voice begins and ends."""

    samples: Samples
    words: frozenset[str]
    start: float
    end: float


@pytest.fixture(scope="module")
def clips(shared_data: Path) -> list[Clip]:
    folder = shared_data / "librispeech_test_other" / "dev"
    with (folder / "references.csv").open() as lines:
        reference = {row["id"]: row["reference"] for row in csv.DictReader(lines)}
    made: list[Clip] = []
    for name in CLIPS:
        samples = decode_file(folder / f"{name}.flac")
        levels = np.sqrt((samples[: samples.size // 320 * 320].reshape(-1, 320) ** 2).mean(axis=1))
        loud = np.flatnonzero(levels > 0.15 * levels.max()) / 50
        words = frozenset(reference[name].split())
        made.append(Clip(samples, words, float(loud[0]), float(loud[-1])))
    return made


@pytest.fixture(scope="module")
def recogniser() -> WhisperRecogniser:
    """The real model, loaded once."""
    return WhisperRecogniser()


@pytest.fixture(autouse=True)
def nothing_else_to_read(owner: psycopg.Connection) -> None:
    """What other tests left open on this database is not to be read here."""
    owner.execute("UPDATE live.tracks SET finished_at = now() WHERE finished_at IS NULL")


@asynccontextmanager
async def working(
    runtime: Runtime, recogniser: WhisperRecogniser, name: str = "test"
) -> AsyncGenerator[SpeechWorker]:
    """A speech worker, until the block ends."""
    worker = SpeechWorker(runtime, name, recogniser)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await task


def layout(*parts: float | Samples) -> Samples:
    """Speech and pauses (seconds of a quiet room) after one another."""
    generator = np.random.default_rng(1)
    pieces = [
        generator.normal(0, 0.0006, int(part * SAMPLE_RATE)).astype(np.float32)
        if isinstance(part, float)
        else part
        for part in parts
    ]
    return np.concatenate(pieces)


async def open_on(room: Room, joined: Joined) -> UUID:
    organization = room.school.organization_id
    actor = Actor(
        role=Role.PARTICIPANT, id=joined.participant.id, organization=organization,
        organizations=(organization,),
    )  # fmt: skip
    async with room.school.database.transaction(actor) as session:
        opened = await open_track(
            session, actor, track_id=None, codec=Codec.OPUS, sample_rate=48_000, elapsed_ms=0
        )
        return opened.id


async def arrive(room: Room, track: UUID, frames: Sequence[Frame]) -> None:
    """Chunks as the socket commits them."""
    organization = room.school.organization_id
    loop = asyncio.get_running_loop()
    async with room.school.database.transaction(system_actor(organization)) as session:
        batch = [(track, frame, loop.create_future()) for frame in frames]
        awaited = await store_chunks(session, organization, batch)
    assert awaited[track] == frames[-1].seq + 1


async def speak(room: Room, joined: Joined, samples: Samples) -> UUID:
    """A whole track at once."""
    track = await open_on(room, joined)
    await arrive(room, track, frames_of(samples))
    return track


@dataclass(frozen=True)
class Said:
    track: UUID
    group: UUID
    cut: int
    content: str
    start: float
    end: float
    words: list[dict]

    def says(self, clip: Clip) -> bool:
        heard = {word.strip(".,?!").lower() for word in self.content.split()}
        return len(heard & clip.words) >= 0.7 * len(clip.words)


def transcript(owner: psycopg.Connection, room: Room) -> list[Said]:
    rows = owner.execute(
        "SELECT track_id, group_id, cut, content, start_seconds, end_seconds, words"
        " FROM live.transcriptions WHERE session_id = %s ORDER BY start_time",
        (room.id,),
    ).fetchall()
    return [Said(r[0], r[1], r[2], r[3], float(r[4]), float(r[5]), r[6]) for r in rows]


async def read_to_the_end(owner: psycopg.Connection, *tracks: UUID) -> None:
    await until(
        lambda: value(
            owner,
            "SELECT count(*) = 0 FROM live.tracks WHERE id = ANY (%s) AND finished_at IS NULL",
            list(tracks),
        ),
        "the end of the tracks",
    )


@pytest.fixture
async def room(school: School) -> Room:
    made = await open_room(school)
    await made.start()
    return made


def track_offset(owner: psycopg.Connection, track: UUID) -> float:
    """When the track began, in seconds of the session."""
    return float(
        value(
            owner,
            "SELECT extract(epoch FROM t.started_at - s.actual_start) FROM live.tracks t"
            " JOIN live.classroom_sessions s ON s.id = t.session_id WHERE t.id = %s",
            track,
        )
    )


async def test_words_stand_where_they_were_said(
    room: Room, runtime: Runtime, recogniser: WhisperRecogniser, clips: list[Clip],
    owner: psycopg.Connection,
) -> None:  # fmt: skip
    first, second = clips
    samples = layout(2.0, first.samples, 1.5, second.samples, 1.0)
    joined = await room.student(0)
    async with working(runtime, recogniser):
        track = await speak(room, joined, samples)
        await read_to_the_end(owner, track)
    said = transcript(owner, room)
    assert len(said) == 2
    began = track_offset(owner, track)
    places = (2.0, 2.0 + first.samples.size / SAMPLE_RATE + 1.5)
    for found, clip, place in zip(said, clips, places, strict=True):
        assert found.says(clip), found.content
        assert found.start == pytest.approx(began + place + clip.start, abs=0.5)
        assert found.end == pytest.approx(began + place + clip.end, abs=0.5)
        assert [w["start"] for w in found.words] == sorted(w["start"] for w in found.words)
        assert found.words[0]["start"] == pytest.approx(found.start, abs=0.02)
        assert all(w["end"] >= w["start"] and 0 <= w["probability"] <= 1 for w in found.words)
    row = owner.execute(
        "SELECT array_agg(DISTINCT language_code), min(speaker_name), bool_and(speaker_id = %s),"
        " min(confidence_score) FROM live.transcriptions WHERE session_id = %s",
        (joined.participant.id, room.id),
    ).fetchone()
    assert row is not None
    assert row[:3] == (["en"], "Ada", True)
    assert row[3] > 0.5
    # Counted by the database, in the same transaction.
    spoken, turns, of_group = owner.execute(
        "SELECT p.total_speaking_time_seconds, p.interaction_count, g.total_speaking_time_seconds"
        " FROM live.participants p JOIN live.student_groups g ON g.id = p.group_id WHERE p.id = %s",
        (joined.participant.id,),
    ).fetchone() or (0, 0, 0)
    assert float(spoken) == pytest.approx(sum(s.end - s.start for s in said), abs=0.01)
    assert (turns, of_group) == (2, spoken)
    # Recording is off: nothing of the sound is left.
    assert not value(owner, "SELECT count(*) FROM live.audio_chunks WHERE track_id = %s", track)
    captions = owner.execute(
        "SELECT payload->>'text' FROM ops.events WHERE type = 'caption'"
        " AND topic = 'live.session:' || %s ORDER BY sequence",
        (str(room.id),),
    ).fetchall()
    assert [text for (text,) in captions] == [s.content for s in said]


async def test_a_device_that_waited_for_the_start_is_placed_after_it(
    school: School, app: FastAPI, runtime: Runtime, recogniser: WhisperRecogniser,
    clips: list[Clip], owner: psycopg.Connection,
) -> None:  # fmt: skip
    """Through the socket; its track is older than the session's start, and leased before it."""
    room = await open_room(school)
    joined = await room.student(0)
    samples = layout(0.4, clips[0].samples, 0.8)
    async with serving(app) as address, working(runtime, recogniser):
        device = ReplayDevice(address, joined.token, frames_of(samples), speed=2.0)
        running = asyncio.create_task(device.run())
        await until(
            lambda: value(
                owner,
                "SELECT count(*) FROM live.tracks WHERE session_id = %s AND leased_by IS NOT NULL"
                " AND started_at < now() - interval '1 s'",
                room.id,
            ),
            "a leased track of a waiting device",
        )
        await room.start()
        await running
        track = await until(
            lambda: value(
                owner,
                "SELECT min(id::text)::uuid FROM live.tracks WHERE session_id = %s"
                " AND finished_at IS NOT NULL",
                room.id,
            ),
            "the end of the track",
        )
    (said,) = transcript(owner, room)
    assert said.says(clips[0]), said.content
    assert said.start == pytest.approx(track_offset(owner, track) + 0.4 + clips[0].start, abs=0.5)
    assert 0.0 < said.start < 3.5
    assert value(owner, "SELECT count(*) FROM live.tracks WHERE session_id = %s", room.id) == 1


async def test_leaving_and_coming_back_loses_no_word_and_a_move_divides_them(
    room: Room, runtime: Runtime, recogniser: WhisperRecogniser, clips: list[Clip],
    owner: psycopg.Connection,
) -> None:  # fmt: skip
    joined = await room.student(0)
    teacher = room.school.teacher
    first = frames_of(layout(0.4, clips[0].samples, 0.8))
    async with working(runtime, recogniser):
        # Cut off in the middle of a sentence; what follows comes when the device is back.
        before = await open_on(room, joined)
        await arrive(room, before, first[:4])
        await until(
            lambda: value(owner, "SELECT leased_by FROM live.tracks WHERE id = %s", before),
            "a worker",
        )
        assert transcript(owner, room) == []
        await arrive(room, before, first[4:-1])
        await until(lambda: len(transcript(owner, room)) == 1, "the first words")
        async with room.school.database.transaction(teacher) as session:
            await move_student(session, teacher, room.id, joined.participant.id, room.groups[1])
        after = await speak(room, joined, layout(0.4, clips[1].samples, 0.8))
        await read_to_the_end(owner, before, after)
    said = {row.track: row for row in transcript(owner, room)}
    assert said[before].says(clips[0])
    assert said[after].says(clips[1])
    assert (said[before].group, said[after].group) == tuple(room.groups)


async def test_two_workers_write_every_utterance_once(
    room: Room, runtime: Runtime, recogniser: WhisperRecogniser, clips: list[Clip],
    owner: psycopg.Connection,
) -> None:  # fmt: skip
    samples = layout(0.4, clips[0].samples, 0.8, clips[1].samples, 0.8)
    joined = [await room.student(index) for index in range(3)]
    async with working(runtime, recogniser, "one"), working(runtime, recogniser, "two"):
        tracks = [await speak(room, device, samples) for device in joined]
        await read_to_the_end(owner, *tracks)
    said = transcript(owner, room)
    for track in tracks:
        mine = [row for row in said if row.track == track]
        assert [row.says(clip) for row, clip in zip(mine, clips, strict=True)] == [True, True]
    assert len({(row.track, row.cut) for row in said}) == 6


class Listening(WhisperRecogniser):
    """The real model, which remembers what it was told came just before."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str | None] = []

    def recognise(
        self, samples: Samples, language: str | None = None, prompt: str | None = None
    ) -> Recognition:
        self.told.append(prompt)
        return super().recognise(samples, language, prompt)


async def test_a_new_owner_of_a_track_knows_what_was_said_before(
    room: Room, runtime: Runtime, clips: list[Clip], owner: psycopg.Connection
) -> None:
    """What helps to hear the next words is in the database, so that a crash changes none."""
    first, second = clips
    quick = layout(0.5, first.samples[: int((first.end + 0.1) * SAMPLE_RATE)], 0.75, second.samples)
    track = await open_on(room, await room.student(0))
    frames = frames_of(quick)
    recogniser = Listening()
    half = next(i for i, f in enumerate(frames) if f.start_ms > (first.end + 1.2) * 1000)
    await arrive(room, track, frames[:half])
    async with working(runtime, recogniser, "first"):
        await until(lambda: len(transcript(owner, room)) == 1, "the first words")
    await arrive(room, track, frames[half:])
    async with working(runtime, recogniser, "second"):
        await read_to_the_end(owner, track)
    said = transcript(owner, room)
    assert len(said) == 2
    assert recogniser.told == [None, said[0].content]


async def test_who_lost_the_lease_writes_nothing(room: Room, owner: psycopg.Connection) -> None:
    joined = await room.student(0)
    track = await open_on(room, joined)
    row = owner.execute(
        "UPDATE live.tracks t SET leased_by = 'two' FROM live.classroom_sessions s,"
        " live.participants p WHERE t.id = %s AND s.id = t.session_id AND p.id = t.participant_id"
        " RETURNING t.id, t.organization_id, t.session_id, t.group_id, t.participant_id,"
        " t.codec::text, t.sample_rate, t.started_at, t.cuts, t.language_code, s.actual_start,"
        " s.language, s.recording_enabled, s.transcription_enabled, p.display_name, p.is_shared,"
        " NULL AS said",
        (track,),
    )
    names = [column.name for column in row.description or ()]
    facts = TrackFacts.of(dict(zip(names, row.fetchone() or (), strict=True)), "test")
    words = Recognition("Corks.", (Word("Corks.", 0.0, 0.5, 0.9),), "en", 1.0, 0.0, -0.1, 1.0)
    cut = Cut(
        np.zeros(1600, np.float32), 0.0, 1.0, 0.1, 0.6, 0.5, 0.1, Cursor(seq=3, position=16_000)
    )
    with pytest.raises(LeaseLost):
        await commit_cut(room.school.database, facts, "one", cut, words)
    assert (transcript(owner, room), facts.cuts) == ([], 0)
    await commit_cut(room.school.database, facts, "two", cut, words)
    # The same cut again, by a twin that knows of no commit: refused by its number.
    facts.cuts = 0
    with pytest.raises(LeaseLost):
        await commit_cut(room.school.database, facts, "two", cut, words)
    assert [row.content for row in transcript(owner, room)] == ["Corks."]
    assert value(owner, "SELECT cursor->>'position' FROM live.tracks WHERE id = %s", track)


async def test_one_track_in_trouble_is_set_aside_and_read_later(
    room: Room, runtime: Runtime, recogniser: WhisperRecogniser, clips: list[Clip],
    owner: psycopg.Connection,
) -> None:  # fmt: skip
    samples = layout(0.4, clips[0].samples, 0.8)
    ill, odd, well = [await room.student(index) for index in range(3)]
    troubled, unreadable = await open_on(room, ill), await open_on(room, odd)
    owner.execute("UPDATE live.tracks SET cursor = '{\"old\": 1}' WHERE id = %s", (unreadable,))
    owner.execute(
        "CREATE FUNCTION live.test_refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'; END$$"
    )
    owner.execute(
        "CREATE TRIGGER test_refuse BEFORE INSERT ON live.transcriptions FOR EACH ROW"
        f" WHEN (NEW.track_id = '{troubled}') EXECUTE FUNCTION live.test_refuse()"
    )
    try:
        with capture_logs() as logged:
            async with working(runtime, recogniser):
                for track in (troubled, unreadable):
                    await arrive(room, track, frames_of(samples))
                healthy = await speak(room, well, samples)
                await read_to_the_end(owner, healthy)
                await until(
                    lambda: value(
                        owner,
                        "SELECT count(*) = 2 FROM live.tracks WHERE id = ANY (%s) AND failures > 0"
                        " AND last_error IN ('IntegrityError', 'TypeError')",
                        [troubled, unreadable],
                    ),
                    "two tracks set aside",
                )
                assert [row.track for row in transcript(owner, room)] == [healthy]
                owner.execute("DROP TRIGGER test_refuse ON live.transcriptions")
                owner.execute(
                    "UPDATE live.tracks SET leased_until = now() - interval '1 s',"
                    " cursor = CASE WHEN id = %s THEN NULL ELSE cursor END WHERE id = ANY (%s)",
                    (unreadable, [troubled, unreadable]),
                )
                await read_to_the_end(owner, troubled, unreadable)
    finally:
        owner.execute("DROP FUNCTION live.test_refuse() CASCADE")
    assert {line["track"] for line in logged if line["event"] == "track_set_aside"} == {
        str(troubled), str(unreadable),
    }  # fmt: skip
    said = transcript(owner, room)
    assert sorted(row.track for row in said) == sorted([troubled, unreadable, healthy])
    assert all(row.says(clips[0]) for row in said)


async def test_without_transcription_the_sound_is_read_and_no_word_is_written(
    school: School, runtime: Runtime, recogniser: WhisperRecogniser, clips: list[Clip],
    owner: psycopg.Connection,
) -> None:  # fmt: skip
    room = await open_room(school, transcription_enabled=False)
    await room.start()
    joined = await room.student(0)
    async with working(runtime, recogniser):
        track = await speak(room, joined, layout(0.4, clips[0].samples, 0.8))
        await read_to_the_end(owner, track)
    assert transcript(owner, room) == []
    position = value(
        owner, "SELECT (cursor->>'position')::int FROM live.tracks WHERE id = %s", track
    )
    assert position > clips[0].samples.size
    assert not value(owner, "SELECT count(*) FROM live.audio_chunks WHERE track_id = %s", track)


@pytest.mark.parametrize("analysed", [True, False])
async def test_measures_are_asked_for_only_where_analysis_is_on(
    school: School, owner: psycopg.Connection, analysed: bool
) -> None:
    room = await open_room(school, ai_analysis_enabled=analysed)
    await room.start()
    joined = await room.student(0)
    track = await open_on(room, joined)
    owner.execute("UPDATE live.tracks SET leased_by = 'one' WHERE id = %s", (track,))
    facts = TrackFacts(
        id=track, organization_id=school.organization_id, session_id=room.id,
        group_id=room.groups[0], participant_id=joined.participant.id, codec="opus",
        sample_rate=48_000,
        started_at=value(
            owner, "SELECT actual_start FROM live.classroom_sessions WHERE id = %s", room.id
        ),
        session_start=None, language="en", known_language=None, speaker_name="Ada", shared=False,
        record=False, transcribe=True, cuts=0, said=None, model="test",
    )  # fmt: skip
    words = Recognition("Corks.", (Word("Corks.", 0.0, 0.5, 0.9),), "en", 1.0, 0.0, -0.1, 1.0)
    cut = Cut(np.zeros(1600, np.float32), 40.0, 41.0, 40.1, 40.6, 0.5, 40.1, Cursor(seq=1))
    await commit_cut(school.database, facts, "one", cut, words)
    waiting = value(
        owner,
        "SELECT count(*) FROM procrastinate_jobs WHERE queueing_lock = %s",
        f"measure:{room.groups[0]}",
    )
    assert waiting == int(analysed)


async def test_what_is_recorded_can_be_played_and_has_its_length(
    school: School, runtime: Runtime, recogniser: WhisperRecogniser, clips: list[Clip],
    owner: psycopg.Connection,
) -> None:  # fmt: skip
    room = await open_room(school, recording_enabled=True)
    await room.start()
    joined = await room.student(0)
    samples = layout(1.0, clips[0].samples, 3.0, clips[1].samples, 1.0)
    async with working(runtime, recogniser):
        track = await speak(room, joined, samples)
        await read_to_the_end(owner, track)
    jobs = value(
        owner,
        "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'live.store_recording'"
        " AND args->>'track_id' = %s",
        str(track),
    )
    assert jobs == 1
    await store_track(school.database, runtime.files, school.organization_id, track)
    path, seconds, size = owner.execute(
        "SELECT file_path, duration_seconds, file_size_bytes FROM live.recordings"
        " WHERE track_id = %s",
        (track,),
    ).fetchone() or ("", 0, 0)
    content = await runtime.files.get(path)
    assert len(content) == size
    with av.open(io.BytesIO(content)) as opened:
        played = sum(frame.samples / frame.sample_rate for frame in opened.decode(audio=0))
    length = samples.size / SAMPLE_RATE
    assert played == pytest.approx(length, abs=0.5)
    assert seconds == pytest.approx(length, abs=1)
    assert not value(owner, "SELECT count(*) FROM live.audio_chunks WHERE track_id = %s", track)
    # Again, as after a crash: nothing is doubled.
    await store_track(school.database, runtime.files, school.organization_id, track)
    assert value(owner, "SELECT count(*) FROM live.recordings WHERE session_id = %s", room.id) == 1
