"""Labels: which of a few expected answers each answer was.

Knows nothing of how an answer was judged beyond whether it counted as right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from workbench.evaluation.scorers.normalization import normalize

_MOST = 50
_CASES_A_LABEL = 2  # fewer, and the expected answers are texts rather than labels


class Answer(NamedTuple):
    """One judged answer: what it was taken to say, and whether that counted as right."""

    variant: str
    expected: str
    extracted: str
    right: bool


class LabelCounts(NamedTuple):
    """counts[variant][expected][answered]; the last column is any other answer."""

    labels: tuple[str, ...]
    counts: dict[str, list[list[int]]]


def count_labels(answers: Iterable[Answer]) -> LabelCounts | None:
    """The answers as labels, most frequent label first; None where the expected answers are no labels."""
    tally = Counter((one.variant, one.expected, one.right, one.extracted) for one in answers)
    expected: Counter[str] = Counter()
    for (_, wanted, _, _), count in tally.items():
        expected[wanted] += count
    variants = list(dict.fromkeys(key[0] for key in tally))
    cases = sum(expected.values()) / max(1, len(variants))
    if not 2 <= len(expected) <= _MOST or cases < _CASES_A_LABEL * len(expected):
        return None
    labels = tuple(sorted(expected, key=lambda label: (-expected[label], label)))
    place = {label: at for at, label in enumerate(labels)}
    known = {normalize(label): at for label, at in place.items()}
    counts = {name: [[0] * (len(labels) + 1) for _ in labels] for name in variants}
    for (variant, wanted, right, extracted), count in tally.items():
        row = place[wanted]
        said = row if right else known.get(normalize(extracted), len(labels))
        counts[variant][row][len(labels) if said == row and not right else said] += count
    return LabelCounts(labels, counts)
