"""Accuracy: the answer names the expected class; for the dataset also F1, precision and recall of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import msgspec

from workbench.errors import ScorerError
from workbench.scoring.registry import option, register
from workbench.scoring.scorer import ReferenceScorer, Score, ScoredSample, ScorerSpec, quote, truncate
from workbench.scoring.text.labels import find_labels
from workbench.scoring.text.normalization import normalize

OTHER = "(other)"
"""Stands for every answer that is none of the classes."""


class LabelMetrics(msgspec.Struct, frozen=True):
    """One class's figures. support: how many cases expect it."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


class Classification(msgspec.Struct, frozen=True):
    """counts: a row an expected class, a column a found one, in the order of `labels`; a last column for OTHER."""

    labels: tuple[LabelMetrics, ...]
    counts: tuple[tuple[int, ...], ...]
    accuracy: float
    macro_f1: float
    micro_f1: float

    def values(self) -> dict[str, float]:
        """The figures that are no mean of right and wrong, by name: `macro_f1`, `precision[Lantern]`."""
        values = {"macro_f1": self.macro_f1, "micro_f1": self.micro_f1}
        for label in self.labels:
            values[f"precision[{label.name}]"] = label.precision
            values[f"recall[{label.name}]"] = label.recall
            values[f"f1[{label.name}]"] = label.f1
        return values


def classify(expected: Sequence[str], found: Sequence[str], labels: Sequence[str] = ()) -> Classification:
    """Compare answers with the expected ones, case and punctuation aside.

    labels: the classes, in order; left out, all expected ones by name. An expected answer that is no label is a
    class of its own after them. Raises ValueError for no answers at all.
    """
    if not expected:
        raise ValueError("there is nothing to classify")
    from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

    names: dict[str, str] = {}
    for label in (*labels, *sorted(set(expected))):
        names.setdefault(normalize(label), label)
    truth = [names[normalize(each)] for each in expected]
    answers = [names.get(normalize(each), OTHER) for each in found]
    classes = list(names.values())
    precision, recall, f1, support = precision_recall_fscore_support(truth, answers, labels=classes, zero_division=0)
    micro = precision_recall_fscore_support(truth, answers, labels=classes, average="micro", zero_division=0)
    return Classification(
        tuple(
            LabelMetrics(name, float(precision[at]), float(recall[at]), float(f1[at]), int(support[at]))
            for at, name in enumerate(classes)
        ),
        tuple(tuple(map(int, row)) for row in confusion_matrix(truth, answers, labels=[*classes, OTHER])[:-1]),
        float(accuracy_score(truth, answers)),
        float(f1.mean()),
        float(micro[2]),
    )


@register(
    "accuracy",
    group="match",
    help=(
        "1 if the answer is the expected class; the dataset also gets macro and micro F1, precision and recall per"
        " class, and a confusion matrix"
    ),
    notes="Case, spaces and sentence punctuation around a class are ignored.",
    example="accuracy: {labels: [Lantern, Abacus, Harbour], within: true}",
)
class Accuracy(ReferenceScorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(binary=True)
    name: str = "accuracy"
    labels: Annotated[tuple[str, ...], option("The classes; by default the expected answers of the dataset")] = ()
    within: Annotated[
        bool,
        option("Accept a class named anywhere in the answer if it is the only one; needs `labels`"),
    ] = False

    def __post_init__(self) -> None:
        if self.within and not self.labels:
            raise ScorerError("within needs the option labels, to know what to look for")
        keys = [normalize(label) for label in self.labels]
        if "" in keys:
            raise ScorerError("labels: one of them is empty")
        twice = sorted({label for label, key in zip(self.labels, keys, strict=True) if keys.count(key) > 1})
        if twice:
            raise ScorerError(f"labels: {', '.join(twice)} are the same apart from case and punctuation")

    def compare(self, text: str, expected: str) -> Score:
        if self.labels and normalize(expected) not in map(normalize, self.labels):
            explanation = f"The expected answer {quote(expected)} is not one of the labels: {', '.join(self.labels)}."
            return Score(self.name, 0.0, truncate(text.strip()), explanation, applies=False)
        found, named = self._find(text)
        same = normalize(found) == normalize(expected)
        explanation = "The right class." if same else f"Expected {quote(expected)}, got {quote(found)}."
        if len(named) > 1:
            explanation = f"The answer names more than one class: {', '.join(named)}."
        return Score(self.name, float(same), expected if same else truncate(found), explanation)

    def find_label(self, text: str) -> str:
        """The class an answer names, as the labels spell it; the whole answer where it names none, or several."""
        return self._find(text)[0]

    def label_key(self, text: str) -> str:
        return normalize(text)

    def classify(self, samples: Sequence[ScoredSample]) -> Classification:
        """The confusion matrix and all that follows from it."""
        pairs = [(one.expected, one.score.extracted) for one in samples if one.expected is not None]
        return classify([expected for expected, _ in pairs], [found for _, found in pairs], self.labels)

    def summarize(self, samples: Sequence[ScoredSample]) -> dict[str, float]:
        return self.classify(samples).values() if samples else {}

    def _find(self, text: str) -> tuple[str, tuple[str, ...]]:
        """The class an answer names, and all that stand in it."""
        whole = {normalize(label): label for label in self.labels}.get(normalize(text))
        if whole is not None or not self.within:
            return (whole if whole is not None else text.strip()), ()
        named = find_labels(text, self.labels)
        return (named[0] if len(named) == 1 else text.strip()), named
