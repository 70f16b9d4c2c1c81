"""Selects rows by their values, by a seeded sample and by a limit.

Values are compared with their types where a file has any: true is not the text "true" there, and 1 is not "1"; text
that is wanted is compared with what is shown. In a CSV file everything is text, and a number or a truth value is what
reads as one.
"""

from __future__ import annotations

import random
import re
from array import array
from collections.abc import Callable, Sequence
from decimal import Decimal

from workbench.datasets.source import DatasetRow
from workbench.datasets.spec import Dataset, Wanted

_NUMBER = re.compile(r"\s*[-+]?(\d{1,400}(\.\d*)?|\.\d+)([eE][-+]?\d{1,3})?\s*", re.ASCII)
_Test = Callable[[str | None, bool], bool]


def make_filter(dataset: Dataset, has_types: bool) -> Callable[[DatasetRow], bool] | None:
    """Whether a row is wanted, by its columns; None where every row is.

    has_types: whether the file tells 1 from "1".
    """
    tests = [(column, _make_test(wanted, has_types)) for column, wanted in dataset.where.items()]
    if not tests:
        return None
    return lambda row: all(test(row.cells.get(column), column in row.typed or not has_types) for column, test in tests)


def sample_rows(dataset: Dataset, rows: Sequence[int]) -> Sequence[int]:
    """Those of the rows that the sample and the limit leave, in their order."""
    if dataset.sample is not None and dataset.sample < len(rows):
        indices = sorted(random.Random(dataset.seed).sample(range(len(rows)), dataset.sample))
        rows = array("Q", (rows[index] for index in indices))
    return rows if dataset.limit is None else rows[: dataset.limit]


def _make_test(wanted: Wanted | tuple[Wanted, ...], has_types: bool) -> _Test:
    """Whether a cell's text is wanted; the test's second argument: whether it may be a number or a truth value."""
    choices = wanted if isinstance(wanted, tuple) else (wanted,)
    texts = {choice for choice in choices if choice is None or isinstance(choice, str)}
    truths = {"true" if choice else "false" for choice in choices if isinstance(choice, bool)}
    numbers = {Decimal(str(choice)) for choice in choices if _is_number(choice)}

    def test(text: str | None, typed: bool) -> bool:
        if text in texts:
            return True
        if text is None or not typed:
            return False
        shown = text if has_types else text.strip().lower()
        return shown in truths or (bool(numbers) and _NUMBER.fullmatch(text) is not None and Decimal(text) in numbers)

    return test


def _is_number(choice: Wanted) -> bool:
    return isinstance(choice, (int, float)) and not isinstance(choice, bool)
