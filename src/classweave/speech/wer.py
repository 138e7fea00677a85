"""Word error rate, and the normalisation that decides what counts as the same word.

Normalisation is kept minimal, so that figures stay comparable: Unicode NFKC, lower case,
typographic apostrophes made plain, hyphens read as spaces, all other punctuation dropped, white
space folded. Numbers are not spelt out, fillers are not removed, and British and American
spellings stay different; where a reference has them, they count as errors.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import jiwer


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Counts over all references; ``rate`` is (S + D + I) / N, from 0 to above 1."""

    substitutions: int
    deletions: int
    insertions: int
    reference_words: int

    @property
    def rate(self) -> float:
        """Word error rate; 0 for no reference words and no insertions, else by one word."""
        errors = self.substitutions + self.deletions + self.insertions
        return errors / max(1, self.reference_words)


def normalise(text: str) -> str:
    """Lower-case words with single spaces between them, as described above."""
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'").replace("‘", "'")
    text = re.sub(r"[-–—_]", " ", text)
    text = re.sub(r"(?<!\w)'|'(?!\w)", " ", text)
    return " ".join(re.sub(r"[^\w\s']", "", text).split())


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> WordErrors:
    """Count word errors of texts against their references, both normalised first."""
    pairs = [
        (normalise(reference), normalise(hypothesis))
        for reference, hypothesis in zip(references, hypotheses, strict=True)
    ]
    stray = sum(len(hypothesis.split()) for reference, hypothesis in pairs if not reference)
    spoken = [pair for pair in pairs if pair[0]]
    if not spoken:
        return WordErrors(0, 0, stray, 0)
    output = jiwer.process_words([r for r, _ in spoken], [h for _, h in spoken])
    return WordErrors(
        output.substitutions,
        output.deletions,
        output.insertions + stray,
        sum(len(reference.split()) for reference, _ in spoken),
    )
