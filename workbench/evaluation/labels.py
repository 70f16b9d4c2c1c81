"""Labels: which of a few expected answers each answer was.

Knows nothing of how an answer was judged beyond whether it counted as right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from workbench.store.answers import AnswerCount

MOST_LABELS = 50
_CASES_A_LABEL = 2  # fewer, and the expected answers are texts rather than labels


class LabelCounts(NamedTuple):
    """counts[variant's place][expected][answered]; the last column is any other answer."""

    labels: tuple[str, ...]
    counts: dict[int, list[list[int]]]

    def place(self, one: AnswerCount, key: Callable[[str], str | None]) -> tuple[int, int]:
        """The row and the column of an answer."""
        row, said = self.labels.index(one.expected), key(one.extracted)
        other = len(self.labels)
        column = next((at for at, label in enumerate(self.labels) if key(label) == said), other)
        return row, _find_column(one, row, column, other)


def count_labels(answers: Iterable[AnswerCount], key: Callable[[str], str | None]) -> LabelCounts | None:
    """The answers as labels, most frequent label first; None where the expected answers are no labels.

    key: the form in which the scorer compares labels; see Scorer.label_key.
    """
    answers = list(answers)
    variants = sorted({one.variant for one in answers})
    expected: Counter[str] = Counter()
    for one in answers:
        expected[one.expected] += one.cells
    cases = expected.total() / max(1, len(variants))
    if not 2 <= len(expected) <= MOST_LABELS or cases < _CASES_A_LABEL * len(expected):
        return None
    labels = tuple(sorted(expected, key=lambda label: (-expected[label], label)))
    place = {label: at for at, label in enumerate(labels)}
    known = {key(label): at for label, at in place.items()}
    counts = {variant: [[0] * (len(labels) + 1) for _ in labels] for variant in variants}
    for one in answers:
        row = place[one.expected]
        counts[one.variant][row][_find_column(one, row, known.get(key(one.extracted), len(labels)), len(labels))] += (
            one.cells
        )
    return LabelCounts(labels, counts)


def _find_column(one: AnswerCount, right: int, said: int, other: int) -> int:
    """An answer that looks right to the eye and was judged wrong is another answer, so that the sums agree."""
    if one.right:
        return right
    return other if said == right else said
