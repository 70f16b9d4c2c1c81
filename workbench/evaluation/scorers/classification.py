"""Classification: how answers of classes went wrong, from the expected and the found ones of a dataset.

Knows nothing of scorers. The figures are scikit-learn's; an answer that names no class counts against the
expected one and for none.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from workbench.evaluation.scorers.normalization import normalize

OTHER = "(other)"
"""Stands for every answer that is none of the classes."""


class Label(msgspec.Struct, frozen=True):
    """One class's figures. support: how many cases expect it."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


class Classification(msgspec.Struct, frozen=True):
    """counts: a row an expected class, a column a found one, in the order of `labels`; a last column for OTHER."""

    labels: tuple[Label, ...]
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
            Label(name, float(precision[at]), float(recall[at]), float(f1[at]), int(support[at]))
            for at, name in enumerate(classes)
        ),
        tuple(tuple(map(int, row)) for row in confusion_matrix(truth, answers, labels=[*classes, OTHER])[:-1]),
        float(accuracy_score(truth, answers)),
        float(f1.mean()),
        float(micro[2]),
    )
