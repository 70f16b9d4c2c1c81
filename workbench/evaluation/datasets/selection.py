"""Selection: which rows of a dataset are wanted, by their values, by lot and by number.

Knows nothing of files.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Sequence

from workbench.evaluation.bench import Dataset, Wanted
from workbench.evaluation.datasets.layouts import Cells


def make_filter(dataset: Dataset) -> Callable[[Cells], bool] | None:
    """Whether a row is wanted, by its columns; None where every row is."""
    tests = [(column, _make_test(wanted)) for column, wanted in dataset.where.items()]
    if not tests:
        return None
    return lambda cells: all(test(cells.get(column)) for column, test in tests)


def draw(dataset: Dataset, rows: Sequence[int]) -> Sequence[int]:
    """Those of the rows that the sample and the limit leave, in their order."""
    if dataset.sample is not None and dataset.sample < len(rows):
        places = sorted(random.Random(dataset.seed).sample(range(len(rows)), dataset.sample))
        rows = array("Q", (rows[place] for place in places))
    return rows if dataset.limit is None else rows[: dataset.limit]


def _make_test(wanted: Wanted | tuple[Wanted, ...]) -> Callable[[str | None], bool]:
    choices = wanted if isinstance(wanted, tuple) else (wanted,)
    texts = {_to_text(choice) for choice in choices}
    numbers = {float(choice) for choice in choices if isinstance(choice, (int, float)) and not isinstance(choice, bool)}
    if not numbers:
        return lambda text: text in texts
    return lambda text: text in texts or _number(text) in numbers


def _to_text(choice: Wanted) -> str | None:
    if isinstance(choice, bool):
        return "true" if choice else "false"
    return None if choice is None else str(choice)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
