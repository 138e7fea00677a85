"""Figures of the measures of discussion on real talk, one table a section.

    python bench/measures.py            all sections
    python bench/measures.py topic      one of: shares, noise, topic, lexis, sentiment, speed

Data: the AMI meeting corpus (CC BY 4.0), NCTE exchanges (MIT), and, only to measure with, texts
rated for sentiment, levelled articles and an academic word list. Found through
``CLASSWEAVE_SHARED_DATA``, by default ``../shared/data`` beside the project.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import random
import sys
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from classweave.language import topic
from classweave.language.lexis import academic_vocabulary, is_academic
from classweave.language.measure import MEASURES, measure_discussion
from classweave.language.overlap import interruptions
from classweave.language.participation import speaking_seconds
from classweave.language.sentiment import polarity
from classweave.language.transcript import Discussion, Track, Utterance
from classweave.language.turn_taking import turns
from classweave.language.words import lemma, tokens, word_list

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("CLASSWEAVE_SHARED_DATA", ROOT.parent / "shared" / "data"))
WINDOW = 180.0
REMOTE_CONTROL = ("remote control", "buttons", "speech recognition", "LCD screen", "battery")


def _rows(path: str) -> list[dict[str, str]]:
    file = DATA / path
    raw = file.read_bytes()
    text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))


@cache
def meetings() -> dict[str, Discussion]:
    """AMI meetings as discussions, a dialogue act an utterance, a headset a track."""
    acts: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in _rows("ami_meetings_text/dev/dialogue_acts.csv.gz"):
        acts[row["meeting"]].append(row)
    found: dict[str, Discussion] = {}
    for name, rows in acts.items():
        said = sorted(
            (
                Utterance(
                    f"{name}-{i}",
                    row["speaker"],
                    row["speaker"],
                    float(row["start"]),
                    float(row["end"]),
                    row["text"],
                )
                for i, row in enumerate(rows)
            ),
            key=lambda u: u.start,
        )
        members = tuple(sorted({row["speaker"] for row in rows}))
        end = max(u.end for u in said)
        found[name] = Discussion(
            tuple(said),
            members,
            0.0,
            end,
            tuple(Track(m, m, end, end) for m in members),
            REMOTE_CONTROL,
            "Design a new television remote control that people like and that sells",
            "Remote control design",
        )
    return found


def windows(discussion: Discussion, seconds: float = WINDOW) -> list[Discussion]:
    """The whole windows of a discussion, one after another."""
    return [
        replace(
            discussion,
            utterances=tuple(
                u for u in discussion.utterances if start <= u.start and u.end <= start + seconds
            ),
            start=start,
            end=start + seconds,
            tracks=tuple(Track(m, m, seconds, seconds) for m in discussion.members),
        )
        for start in np.arange(0.0, discussion.end - seconds, seconds)
    ]


def _exchanges() -> list[list[str]]:
    """NCTE exchanges by lesson, student then teacher, in order of the lesson."""
    lessons: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in _rows("ncte_exchanges/dev/uptake.csv"):
        lessons[row["obs_id"]].append(row)
    return [
        [
            text
            for row in sorted(rows, key=lambda r: int(r["exchange_idx"]))
            for text in (row["student_text"], row["teacher_text"])
        ]
        for rows in lessons.values()
    ]


def shares() -> None:
    """Talk time, turns and overlap of whole meetings against plain sums over the annotation."""
    worst, gini_gap, turn_ratio, overlap_rate, interrupted = 0.0, 0.0, [], [], []
    for discussion in meetings().values():
        ours = speaking_seconds(discussion)
        plain: dict[str, float] = defaultdict(float)
        changes = 0
        for before, after in zip(discussion.utterances, discussion.utterances[1:], strict=False):
            changes += before.speaker != after.speaker
        for u in discussion.utterances:
            plain[str(u.speaker)] += u.duration
        total, plain_total = sum(ours.values()), sum(plain.values())
        worst = max(worst, *(abs(ours[m] / total - plain[m] / plain_total) for m in ours))
        turn_ratio.append(len(turns(discussion)) / (changes + 1))
        measured = interruptions(discussion)
        overlap_rate.append(measured.details["overlap_share"])
        interrupted.append(measured.value)
        grid = np.zeros((len(discussion.members), int(10 * discussion.end) + 2), dtype=bool)
        for u in discussion.utterances:
            row = discussion.members.index(str(u.speaker))
            grid[row, round(10 * u.start) : round(10 * u.end)] = True
        talkers = grid.sum(axis=0)
        gini_gap = max(gini_gap, abs(overlap_rate[-1] - (talkers > 1).sum() / (talkers > 0).sum()))
    print(f"AMI, {len(meetings())} meetings, annotated times")
    print(f"  largest error of a member's talk-time share    {worst:.4f}")
    print(f"  largest error of the overlap share (0.1 s grid) {gini_gap:.4f}")
    print(f"  turns per change of speaker in the annotation   {np.mean(turn_ratio):.2f}")
    print(f"  overlap share, mean                             {np.mean(overlap_rate):.3f}")
    print(f"  interruptions per 100 turns, mean               {np.mean(interrupted):.1f}")


def noise() -> None:
    """How measures of 3-minute windows survive half of the words misheard."""
    rng = random.Random(20)
    chosen = [w for d in list(meetings().values())[::6] for w in windows(d)]
    vocabulary = [t for lesson in _exchanges() for text in lesson for t in tokens(text)]

    def mishear(text: str) -> str:
        said = (w if rng.random() >= 0.5 else rng.choice(vocabulary) for w in tokens(text))
        return " ".join(said)

    pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for d in chosen:
        noisy = replace(d, utterances=tuple(replace(u, text=mishear(u.text)) for u in d.utterances))
        for clean, heard in zip(measure_discussion(d), measure_discussion(noisy), strict=True):
            if clean.value is not None and heard.value is not None:
                pairs[clean.name].append((clean.value, heard.value))
    print(f"AMI, {len(chosen)} windows of 3 minutes, half of the words replaced by others' words")
    print(f"  {'measure':26s} {'n':>4s} {'r':>6s} {'clean':>8s} {'noisy':>8s}")
    for name in MEASURES:
        values = np.array(pairs.get(name, []))
        if len(values) >= 20 and values.std(axis=0).min() > 0:
            r = np.corrcoef(values.T)[0, 1]
            clean, heard = values.mean(axis=0)
            print(f"  {name:26s} {len(values):4d} {r:6.2f} {clean:8.3f} {heard:8.3f}")


def _topic_scores(lesson: Discussion, talks: Iterable[list[str]]) -> np.ndarray:
    target = topic.vector(topic.lesson_text(lesson))
    scores: list[float] = []
    for texts in talks:
        content = [t for t in texts if len(topic.vector(t)) >= 2]
        scores += topic.with_context([topic.closeness(t, target, lesson.concepts) for t in content])
    return np.array(scores)


def on_topic() -> None:
    """How many turns of other lessons pass as on topic, and how many of the right lesson."""
    lessons = tomllib.loads((ROOT / "bench/lessons.toml").read_text("utf-8"))["lesson"]
    scenario = [
        [u.text for u in d.utterances]
        for name, d in meetings().items()
        if not name.startswith("IB")
    ]
    fitted, unseen = scenario[:8], scenario[-8:]
    exchanges = _exchanges()
    half = len(exchanges) // 2
    parts = {
        "calibration (12 lessons)": (False, fitted + exchanges[:half]),
        "held out (6 lessons, other talk)": (True, unseen + exchanges[half:]),
    }
    print("On topic: share of turns that pass")
    for title, (held_out, talk) in parts.items():
        rates: list[float] = []
        scores: list[np.ndarray] = []
        for raw in lessons:
            if raw.get("held_out", False) == held_out:
                lesson = Discussion(
                    (), (), 0, 1, concepts=tuple(raw["concepts"]), goal=raw["goal"],
                    title=raw["title"],
                )  # fmt: skip
                scores.append(_topic_scores(lesson, talk))
                rates.append(float((scores[-1] > topic.ON_TOPIC_SCORE).mean()))
        joined = np.concatenate(scores)
        print(
            f"  other lessons, {title:34s} {np.mean(rates):.3f} (worst lesson {max(rates):.3f}; "
            f"95 % threshold {np.quantile(joined, 0.95):.3f})"
        )
    remote = meetings()["ES2004a"]
    own = _topic_scores(remote, scenario[8:])
    other = _topic_scores(remote, exchanges)
    print(f"  own lesson, AMI scenario meetings {(own > topic.ON_TOPIC_SCORE).mean():.3f}")
    print(f"  same lesson text, NCTE mathematics {(other > topic.ON_TOPIC_SCORE).mean():.3f}")
    gains = np.array([topic.topical_cohesion(d).value for d in meetings().values()])
    print(f"  cohesion, AMI meetings: mean {gains.mean():.3f}, above 0 in {(gains > 0).mean():.0%}")


def lexis() -> None:
    """The academic word list against a published one (measured only), and by kind of text."""
    published = [row["word"] for row in _rows("cefr/dev/awl_headwords.csv")]
    found = sum(is_academic(lemma(word.casefold())) for word in published)
    print(f"Academic vocabulary: {len(word_list('academic_words'))} headwords of our own")
    print(f"  covers {found}/{len(published)} = {found / len(published):.2f} of AWL headwords")

    def rate(texts: Iterable[str]) -> float:
        words = [t for text in texts for t in tokens(text)]
        return sum(map(is_academic, words)) / len(words)

    articles = _rows("cefr/dev/onestopenglish.csv")
    for level in sorted({row["level"] for row in articles}):
        print(f"  {level:24s} {rate(r['text'] for r in articles if r['level'] == level):.3f}")
    ncte = _rows("ncte_exchanges/dev/uptake.csv")
    print(f"  {'NCTE students':24s} {rate(r['student_text'] for r in ncte):.3f}")
    print(f"  {'NCTE teachers':24s} {rate(r['teacher_text'] for r in ncte):.3f}")
    values = [m.value for d in meetings().values() if (m := academic_vocabulary(d)).value]
    print(f"  {'AMI meetings':24s} {np.mean(values):.3f}")


def sentiment() -> None:
    """Polarity of words against the mean of twenty human ratings, text by text."""
    print("Sentiment: correlation with human means")
    rated = _rows("sentiment/dev/vader_ground_truth.csv")
    for genre in sorted({row["genre"] for row in rated}):
        rows = [row for row in rated if row["genre"] == genre]
        human = [float(row["human_mean"]) for row in rows]
        r = np.corrcoef([polarity(row["text"]) for row in rows], human)[0, 1]
        print(f"  {genre:24s} n {len(rows):5d}  r {r:.2f}")


def speed() -> None:
    """Time of all measures on fresh 3-minute windows of about 600 words, and on an hour."""
    measure_discussion(windows(next(iter(meetings().values())))[0])
    chosen = [w for d in list(meetings().values())[1::9] for w in windows(d)]
    chosen = [w for w in chosen if 500 <= sum(len(tokens(u.text)) for u in w.utterances) <= 700]
    times: list[float] = []
    for window in chosen:
        begun = time.perf_counter()
        measure_discussion(window)
        times.append(1000 * (time.perf_counter() - begun))
    print(f"Speed, {len(chosen)} windows of 3 minutes and 500-700 words, each seen once")
    print(
        f"  all measures, median {np.median(times):.1f} ms, 95 % {np.quantile(times, 0.95):.1f} ms"
    )
    long = max(meetings().values(), key=lambda d: len(d.utterances))
    begun = time.perf_counter()
    measure_discussion(long)
    print(f"  {long.seconds / 60:.0f} minutes, {len(long.utterances)} utterances: "
          f"{1000 * (time.perf_counter() - begun):.0f} ms")  # fmt: skip


SECTIONS = {
    "shares": shares,
    "noise": noise,
    "topic": on_topic,
    "lexis": lexis,
    "sentiment": sentiment,
    "speed": speed,
}


def main(names: list[str]) -> int:
    """Run the named sections, or all."""
    if not DATA.is_dir():
        print(f"no data at {DATA}; set CLASSWEAVE_SHARED_DATA", file=sys.stderr)
        return 2
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        print(f"unknown section {unknown[0]}; one of {', '.join(SECTIONS)}", file=sys.stderr)
        return 2
    for name in names or SECTIONS:
        SECTIONS[name]()
        print()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
