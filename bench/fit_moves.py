"""Fit the two small logistic regressions that the measures of talk moves ship.

Questions: AMI meeting corpus dialogue acts (CC BY 4.0). Uptake: student-teacher exchanges of
Demszky et al. 2021 (MIT). Both by Newton's method with an L2 penalty, in numpy alone.

    python bench/fit_moves.py            cross-validate, print, write the weights
    python bench/fit_moves.py --dry-run  the same without writing
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import os
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classweave.language import questions, uptake
from classweave.language.spoken import read

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("CLASSWEAVE_SHARED_DATA", ROOT.parent / "shared" / "data"))
TARGET = ROOT / "src/classweave/language/data/moves"
FOLDS = 5
FIT_PART = "dev"
"""The part of the data sets that the weights are fitted on."""

PENALTY = 10.0
"""L2 penalty of the uptake weights."""

Floats = NDArray[np.float64]


def logistic(x: Floats, y: Floats, penalty: float) -> Floats:
    """Weights minimising cross-entropy plus ``penalty / 2 * |w|^2``; ``y`` may be soft (0-1)."""
    weights = np.zeros(x.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-x @ weights))
        gradient = x.T @ (p - y) + penalty * weights
        curvature = (x * (p * (1 - p))[:, None]).T @ x + penalty * np.eye(len(weights))
        weights -= np.linalg.solve(curvature, gradient)
    return weights


def fold_of(group: str) -> int:
    """A fold that depends on the group's name alone, so that nothing shuffles between runs."""
    return int(hashlib.sha256(group.encode()).hexdigest(), 16) % FOLDS


def out_of_fold(x: Floats, y: Floats, groups: list[str], penalty: float) -> Floats:
    """Probability of every row by weights that saw no row of its group."""
    folds = np.array([fold_of(group) for group in groups])
    p = np.zeros(len(y))
    for fold in range(FOLDS):
        held = folds == fold
        weights = logistic(x[~held], y[~held], penalty)
        p[held] = 1 / (1 + np.exp(-x[held] @ weights))
    return p


def bare(text: str) -> str:
    """The text as a recogniser without punctuation would write it."""
    return re.sub(r"[^\w\s'’]", " ", text).lower()


def matrix(rows: list[dict[str, float]]) -> Floats:
    """Feature dictionaries of one shape as a matrix."""
    return np.array([list(row.values()) for row in rows])


def f1(predicted: NDArray[np.bool_], gold: NDArray[np.bool_]) -> float:
    """F1 of the positive class."""
    return float(2 * (predicted & gold).sum() / max(1, predicted.sum() + gold.sum()))


def ranks(values: Floats) -> Floats:
    """Average ranks, ties shared."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts + 1 + ends) / 2)[inverse]


def spearman(a: Floats, b: Floats) -> float:
    """Rank correlation."""
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def fit_questions() -> dict[str, object]:
    """Fit on every dialogue act twice, as written and bare, so that both kinds of text work."""
    path = DATA / f"ami_meetings_text/{FIT_PART}/dialogue_acts.csv.gz"
    with gzip.open(path, "rt", newline="", encoding="utf-8") as handle:
        acts = [act for act in csv.DictReader(handle) if read(act["text"]).tokens]
    gold = np.array([act["is_elicit"] == "1" for act in acts])
    texts = [act["text"] for act in acts] + [bare(act["text"]) for act in acts]
    # a series of meetings (ES2004a, b, ...) has the same people: it stays in one fold
    groups = [act["meeting"][:-1] for act in acts] * 2
    rows = [questions.hints(read(text)) for text in texts]
    x, y = matrix(rows), np.concatenate([gold, gold]).astype(float)
    p = out_of_fold(x, y, groups, 1.0)
    for threshold in (0.25, 0.3, 0.33, 0.36, 0.4, 0.5):
        written = f1(p[: len(gold)] >= threshold, gold)
        stripped = f1(p[len(gold) :] >= threshold, gold)
        print(
            f"questions  threshold {threshold:.2f}  written F1 {written:.3f}  bare {stripped:.3f}"
        )
    weights = logistic(x, y, 1.0)
    return {
        "what": "logistic regression: probability that a sentence is a question",
        "fitted_on": "AMI Meeting Corpus (www.amiproject.org), manual annotations 1.6.2, "
        "CC BY 4.0: dialogue acts, elicitations against the rest",
        "n": len(gold),
        "weights": dict(zip(rows[0], np.round(weights, 4).tolist(), strict=True)),
    }


def fit_uptake() -> dict[str, object]:
    """Fit on the mean rating (0-2, halved) of the exchanges that the raters found on task."""
    path = DATA / f"ncte_exchanges/{FIT_PART}/uptake.csv"
    with path.open(newline="", encoding="utf-8") as handle:
        pairs = [row for row in csv.DictReader(handle) if row["uptake_zscore"]]
    rows = [uptake.features(row["student_text"], row["teacher_text"]) for row in pairs]
    x = matrix(rows)
    z = np.array([float(row["uptake_zscore"]) for row in pairs])
    # the z-score takes out how strict each rater is; the logistic of it is a soft label
    y = 1 / (1 + np.exp(-1.5 * z))
    groups = [row["obs_id"] for row in pairs]
    for penalty in (1.0, 3.0, 10.0, 30.0):
        rho = spearman(out_of_fold(x, y, groups, penalty), z)
        print(f"uptake     penalty {penalty:4.0f}  Spearman {rho:.3f}")
    base = spearman(x[:, list(rows[0]).index("reused")], z)
    print(f"uptake     baseline (share of words reused) Spearman {base:.3f}")
    weights = logistic(x, y, PENALTY)
    return {
        "what": "logistic regression: degree to which a turn takes up the previous one",
        "fitted_on": "uptake ratings of Demszky et al. 2021 on NCTE classroom transcripts, "
        "github.com/ddemszky/conversational-uptake, MIT",
        "n": len(pairs),
        "weights": dict(zip(rows[0], np.round(weights, 4).tolist(), strict=True)),
    }


def main() -> None:
    """Cross-validate both, and write the weights unless told not to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry-run", action="store_true")
    dry_run = parser.parse_args().dry_run
    # uptake looks at question probabilities, so the questions come first
    for name, fit in (("questions", fit_questions), ("uptake", fit_uptake)):
        weights = fit()
        if not dry_run:
            text = json.dumps(weights, indent=2, ensure_ascii=False)
            (TARGET / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
