"""How well the measures of moves agree with people, beside what a simple rule would reach.

    python bench/talk_moves.py                 table
    python bench/talk_moves.py --json          the same as an object
    python bench/talk_moves.py --part test     another part of the data sets than ``dev``

Talk moves: TalkMoves lessons (CC BY-NC-SA 4.0, measured on, never fitted or shipped); F1 of each
move and its mean, label 0 left out and context rows unlabelled, as the authors do. The rules were
tuned by hand on two thirds of the ``dev`` lessons ("tuned"); "held back" is the other third and
"official test" the authors' own test lessons, where the part has them.
Questions: AMI dialogue acts. Uptake and follow-up: NCTE exchanges. What was fitted on ``dev`` is
measured there out of fold, by meeting series or by observed lesson.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from classweave.language import questions, uptake
from classweave.language.spoken import read, sentences
from classweave.language.talk_moves import Said, classify_turn
from fit_moves import DATA, FIT_PART, PENALTY, bare, f1, matrix, out_of_fold, spearman

LABELS = {
    "student": ("none", "relate", "ask", "claim", "evidence"),
    "teacher": (
        "none",
        "together",
        "get_to_relate",
        "restate",
        "revoice",
        "press_accuracy",
        "press_reasoning",
    ),
}
Judged = list[tuple[str, str, bool]]


def table(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file, gzipped or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def lessons(part: str) -> dict[str, dict[str, list[dict[str, str]]]]:
    """TalkMoves rows by split and lesson, in order.

    A row noted as context is a student's sentence kept beside the teacher's move that takes it
    up: it is read as a student's and has no label to be measured.
    """
    folder = DATA / "talkmoves" / part
    about = {row["lesson"]: row for row in table(folder / "lessons.csv")}
    split: dict[str, dict[str, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for row in table(folder / "sentences.csv.gz"):
        lesson = about[row["lesson"]]
        third = int(hashlib.sha256(lesson["group"].encode()).hexdigest(), 16) % 3
        held = "held back" if third == 0 or part != FIT_PART else "tuned"
        name = "official test" if lesson["official_test"] == "1" else held
        if row["role"] not in LABELS:
            continue
        row["label"] = row[f"{row['role']}_move"]
        if row["teacher_tag_note"] == "context":
            row["role"], row["label"] = "student", ""
        split[name][row["lesson"]].append(row)
    return split


def keyword(text: str, role: str) -> str:
    """The baseline: one plain word for each move."""
    words = set(read(text).tokens)
    asks = "?" in text
    if role == "student":
        if words & {"because", "so"}:
            return "evidence"
        if "agree" in words or "disagree" in words:
            return "relate"
        return "ask" if asks else "claim" if len(words) >= 3 else "none"
    if "why" in words:
        return "press_reasoning"
    if words & {"agree", "disagree"}:
        return "get_to_relate"
    if asks:
        return "press_accuracy" if words & {"what", "how", "which"} else "together"
    return "none"


def judge(split: dict[str, list[dict[str, str]]], write: Callable[[str], str]) -> dict[str, Judged]:
    """Gold, predicted and certain of every labelled sentence, by role; and the baseline's."""
    judged: dict[str, Judged] = defaultdict(list)
    for rows in split.values():
        previous: list[Said] = []
        for row in rows:
            role: Any = row["role"]
            # S, SN and SS are students whom the transcriber could not tell apart
            speaker = None if row["speaker"].upper() in ("", "S", "SN", "SS") else row["speaker"]
            text = write(row["sentence"])
            if row["label"]:
                gold = LABELS[role][int(row["label"])]
                move = classify_turn(text, previous[-8:], role, speaker)
                judged[role].append((gold, move.label, move.certain))
                judged[f"{role} baseline"].append((gold, keyword(text, role), True))
            previous.append(Said(text, role, speaker))
    return judged


def scores(judged: Judged, labels: tuple[str, ...]) -> dict[str, float]:
    """F1 of each move and their mean."""
    gold = np.array([g for g, _, _ in judged])
    predicted = np.array([p for _, p, _ in judged])
    each = {label: f1(predicted == label, gold == label) for label in labels[1:]}
    return {"macro": float(np.mean(list(each.values()))), **each}


def bench_moves(part: str) -> dict[str, Any]:
    """F1 of talk moves for each split, role and way of writing, with baselines."""
    result: dict[str, Any] = {}
    for split, rows in lessons(part).items():
        for writing, write in (("written", str), ("bare", bare)):
            judged = judge(rows, write)
            for role, labels in LABELS.items():
                found = judged[role]
                counts = Counter(gold for gold, _, _ in found)
                certain = [row for row in found if row[2]]
                # a guess drawn by the labels' frequencies has precision = recall = frequency
                chance = float(np.mean([counts[label] / len(found) for label in labels[1:]]))
                result[f"{split}, {role}, {writing}"] = {
                    "lessons": len(rows),
                    "sentences": len(found),
                    "f1": scores(found, labels),
                    "coverage_when_abstaining": len(certain) / len(found),
                    "f1_when_abstaining": scores(certain, labels),
                    "baseline_chance_macro": chance,
                    "baseline_keyword_macro": scores(judged[f"{role} baseline"], labels)["macro"],
                }
    return result


def bench_questions(part: str) -> dict[str, Any]:
    """F1 of question detection on dialogue acts, written and bare, with baselines."""
    acts = [
        act
        for act in table(DATA / "ami_meetings_text" / part / "dialogue_acts.csv.gz")
        if read(act["text"]).tokens
    ]
    gold = np.array([act["is_elicit"] == "1" for act in acts])
    texts = [act["text"] for act in acts] + [bare(act["text"]) for act in acts]
    if part == FIT_PART:
        x = matrix([questions.hints(read(text)) for text in texts])
        groups = [act["meeting"][:-1] for act in acts] * 2
        p = out_of_fold(x, np.concatenate([gold, gold]).astype(float), groups, 1.0)
    else:
        p = np.array([questions.question_probability(text) for text in texts])
    asked = p >= questions.THRESHOLD
    n = len(gold)
    marked = np.array(["?" in text for text in texts[:n]])
    first = re.compile(
        r"(?:what|who|where|when|why|which|how|do|does|did|is|are|was|were|can|could|would|should|"
        r"will|have|has)\b"
    )
    opens = np.array([bool(first.match(text)) for text in texts[n:]])
    return {
        "acts": n,
        "asked": int(gold.sum()),
        "written": {"f1": f1(asked[:n], gold), "baseline_question_mark": f1(marked, gold)},
        "bare": {"f1": f1(asked[n:], gold), "baseline_first_word": f1(opens, gold)},
    }


def bench_uptake(part: str) -> dict[str, Any]:
    """Rank correlation with the raters' mean z-score, and the two decided levels."""
    pairs = [r for r in table(DATA / "ncte_exchanges" / part / "uptake.csv") if r["uptake_zscore"]]
    features = [uptake.features(r["student_text"], r["teacher_text"]) for r in pairs]
    x = matrix(features)
    z = np.array([float(r["uptake_zscore"]) for r in pairs])
    if part == FIT_PART:
        y = 1 / (1 + np.exp(-1.5 * z))
        p = out_of_fold(x, y, [r["obs_id"] for r in pairs], PENALTY)
    else:
        p = np.array(
            [uptake.uptake_probability(r["student_text"], r["teacher_text"]) for r in pairs]
        )
    level = np.array([float(r["uptake_majority"] or -1) for r in pairs])
    rated = level >= 0
    high, low = p >= uptake.HIGH, p < uptake.LOW
    decided = rated & (high | low)
    return {
        "pairs": len(pairs),
        "spearman": spearman(p, z),
        "baseline_words_reused_spearman": spearman(x[:, list(features[0]).index("reused")], z),
        "coverage_when_abstaining": float(decided.sum() / rated.sum()),
        "high_f1_when_abstaining": f1(high[decided], level[decided] == 2),
        "baseline_all_high_f1": f1(np.ones(decided.sum(), bool), level[decided] == 2),
    }


def follow_up(text: str) -> int:
    """0 no question, 1 funnelling (closed questions only), 2 focusing (an open one)."""
    kinds = {questions.classify_question(sentence.text) for sentence in sentences(text)}
    return 2 if "open" in kinds else 1 if "closed" in kinds else 0


def bench_follow_up(part: str) -> dict[str, Any]:
    """Mean F1 of neither/funnelling/focusing by open and closed questions; nothing is fitted."""
    rows = [
        row
        for row in table(DATA / "ncte_exchanges" / part / "funneling_focusing.csv")
        if row["follow_up_unfiltered_majority"]
    ]
    gold = np.array([int(float(row["follow_up_unfiltered_majority"])) for row in rows])
    predicted = np.array([follow_up(row["teacher_text"]) for row in rows])
    common = Counter(gold.tolist()).most_common(1)[0][0]
    return {
        "exchanges": len(rows),
        "macro_f1": float(np.mean([f1(predicted == k, gold == k) for k in range(3)])),
        "baseline_majority_macro_f1": f1(np.full(len(gold), True), gold == common) / 3,
    }


def show(result: dict[str, Any]) -> None:
    """Print the figures as tables."""
    for name, row in result["moves"].items():
        print(f"\nTalk moves, {name}: {row['lessons']} lessons, {row['sentences']} sentences")
        print(f"  {'':17} {'all':>5} {'certain':>8}")
        for label, value in row["f1"].items():
            print(f"  {label:17} {value:5.2f} {row['f1_when_abstaining'][label]:8.2f}")
        print(f"  certain: {row['coverage_when_abstaining']:.0%} of sentences")
        print(
            f"  baselines, macro: chance {row['baseline_chance_macro']:.2f}, "
            f"keywords {row['baseline_keyword_macro']:.2f}"
        )
    for name in ("questions", "uptake", "follow_up"):
        print(f"\n{name}")
        for key, value in result[name].items():
            print(f"  {key}: {value if not isinstance(value, float) else round(value, 3)}")


def main() -> None:
    """Measure everything on one part of the data and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", default=FIT_PART, help="folder of each data set (default: dev)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    result = {
        "moves": bench_moves(options.part),
        "questions": bench_questions(options.part),
        "uptake": bench_uptake(options.part),
        "follow_up": bench_follow_up(options.part),
    }
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)


if __name__ == "__main__":
    main()
