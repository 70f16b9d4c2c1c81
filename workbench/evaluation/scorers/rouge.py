"""ROUGE: how much of the expected text's words, pairs of words or order the answer has, as rouge-score counts.

Knows nothing of meaning.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, Literal

from workbench.evaluation.scorers.scorer import Comparing, Score, Traits, begin


class _Rouge(Comparing, frozen=True, kw_only=True):
    traits: ClassVar[Traits] = Traits(heavy=True)
    kind: ClassVar[str]
    name: str
    measure: Literal["fmeasure", "precision", "recall"] = "fmeasure"
    stemmer: bool = False

    def compare(self, text: str, expected: str) -> Score:
        found = _make(self.kind, self.stemmer).score(expected, text)[self.kind]
        explanation = f"Precision {found.precision:.2f}, recall {found.recall:.2f}, F {found.fmeasure:.2f}."
        return Score(self.name, float(getattr(found, self.measure)), begin(text.strip()), explanation)


class Rouge1(_Rouge, frozen=True, kw_only=True):
    """ROUGE-1 of the answer against the expected one: the words they share (rouge-score)

    measure: fmeasure, precision or recall. stemmer: words by their stem.
    """

    kind: ClassVar[str] = "rouge1"
    name: str = "rouge1"


class Rouge2(_Rouge, frozen=True, kw_only=True):
    """ROUGE-2 of the answer against the expected one: the pairs of words they share (rouge-score)

    measure: fmeasure, precision or recall. stemmer: words by their stem.
    """

    kind: ClassVar[str] = "rouge2"
    name: str = "rouge2"


class RougeL(_Rouge, frozen=True, kw_only=True):
    """ROUGE-L of the answer against the expected one: the longest run of words in common order (rouge-score)

    measure: fmeasure, precision or recall. stemmer: words by their stem.
    """

    kind: ClassVar[str] = "rougeL"
    name: str = "rougeL"


@cache
def _make(kind: str, stemmer: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([kind], use_stemmer=stemmer)
