"""Accuracy: the answer names the right class; for a whole dataset also F1, precision and recall of each class.

Knows nothing of how the classes' figures are computed (see classification.py), nor of how a class is found in a
sentence (see labels_within.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from workbench.errors import ScorerError
from workbench.evaluation.scorers.classification import Classification, classify
from workbench.evaluation.scorers.labels_within import find_labels
from workbench.evaluation.scorers.normalization import normalize
from workbench.evaluation.scorers.scorer import Comparing, Judged, Score, Traits, begin, quote


class Accuracy(Comparing, frozen=True, kw_only=True):
    """the answer is the expected class; the dataset also gets macro and micro F1, precision and recall of each
    class, and a confusion matrix

    Case, spaces and sentence punctuation around a class do not count.

    labels: the classes; left out, they are the expected answers of the dataset.
    within: take the class that is named somewhere in the answer, where it is the only one; needs labels.
    """

    traits: ClassVar[Traits] = Traits(binary=True)
    name: str = "accuracy"
    labels: tuple[str, ...] = ()
    within: bool = False

    def __post_init__(self) -> None:
        if self.within and not self.labels:
            raise ScorerError("within needs the option labels, to know what to look for")
        keys = [normalize(label) for label in self.labels]
        if "" in keys:
            raise ScorerError("labels: one of them is empty")
        twice = sorted({label for label, key in zip(self.labels, keys, strict=True) if keys.count(key) > 1})
        if twice:
            raise ScorerError(f"labels: {', '.join(twice)} are the same once case and punctuation are put aside")

    def compare(self, text: str, expected: str) -> Score:
        if self.labels and normalize(expected) not in map(normalize, self.labels):
            explanation = f"The expected answer {quote(expected)} is none of the labels: {', '.join(self.labels)}."
            return Score(self.name, 0.0, begin(text.strip()), explanation, applies=False)
        found, named = self._find(text)
        same = normalize(found) == normalize(expected)
        explanation = "The right class." if same else f"Expected {quote(expected)}, got {quote(found)}."
        if len(named) > 1:
            explanation = f"The answer names more than one class: {', '.join(named)}."
        return Score(self.name, float(same), expected if same else begin(found), explanation)

    def find_label(self, text: str) -> str:
        """The class an answer names, as the labels spell it; the whole answer where it names none, or several."""
        return self._find(text)[0]

    def label_key(self, text: str) -> str:
        return normalize(text)

    def classify(self, judged: Sequence[Judged]) -> Classification:
        """The confusion matrix and all that follows from it."""
        pairs = [(one.expected, one.score.extracted) for one in judged if one.expected is not None]
        return classify([expected for expected, _ in pairs], [found for _, found in pairs], self.labels)

    def summarize(self, judged: Sequence[Judged]) -> dict[str, float]:
        return self.classify(judged).values() if judged else {}

    def _find(self, text: str) -> tuple[str, tuple[str, ...]]:
        """The class an answer names, and all that stand in it."""
        whole = {normalize(label): label for label in self.labels}.get(normalize(text))
        if whole is not None or not self.within:
            return (whole if whole is not None else text.strip()), ()
        named = find_labels(text, self.labels)
        return (named[0] if len(named) == 1 else text.strip()), named
