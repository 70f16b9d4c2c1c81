"""A file of cases of which nothing is known yet: its split to test on, its answers' column, its variables."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench import paths
from workbench.datasets.cases import Cases, load_cases
from workbench.datasets.opening import SplitError
from workbench.datasets.spec import Dataset
from workbench.errors import DatasetError, FileError
from workbench.runs.task_kind import choose_inputs, find_expected_column
from workbench.units import format_plural

LOOKED_AT = 1000
"""Cases by which the file is judged."""

_TESTS = ("test", "testing", "validation", "valid", "val", "dev", "eval")
TRAINS = ("train", "training")
_RESERVED = {
    "and", "answer", "caller", "cycler", "dict", "else", "examples", "expected", "false", "False", "for", "id", "if",
    "in", "is", "joiner", "kwargs", "lipsum", "loop", "namespace", "none", "None", "not", "or", "range", "self",
    "super", "true", "True", "varargs",
}  # fmt: skip


class CaseFile(NamedTuple):
    """The opened cases with what was decided about them."""

    folder: Path
    dataset: Dataset
    cases: Cases
    notes: tuple[str, ...]


def open_case_file(data: Path, split: str, expected: str) -> CaseFile:
    """The cases of a data file. Raises FileError or DatasetError.

    split, expected: as a person named them; empty: found out.
    """
    if not paths.exists(data):
        raise FileError(f"No such file: {data}.", "Name a file or folder of cases, such as reviews.csv.")
    # all but the last reading look at the first rows only: the file may have millions
    peek = Dataset(data.name, split=split, limit=LOOKED_AT)
    first, split_note = _choose_split(peek, data, bool(split))
    cases, skipping = _load(first, data.parent)
    column = expected or _find_expected(cases)
    named = msgspec.structs.replace(skipping, expected=column) if column else skipping
    named = _divide(named, cases, data.parent)
    if expected and expected not in cases.columns:
        near = get_close_matches(expected, cases.columns, 1)
        hint = f"Did you mean {near[0]}?" if near else f"The columns are: {', '.join(cases.columns)}."
        raise DatasetError(f"{data} has no column {expected!r}.", hint)
    dataset = _map_columns(named, load_cases(named, data.parent))
    chosen, dataset = _load(msgspec.structs.replace(dataset, limit=None), data.parent)
    return CaseFile(
        data.parent, dataset, chosen, tuple(filter(None, (split_note, *_describe_data(data, dataset, chosen))))
    )


def _choose_split(dataset: Dataset, data: Path, named: bool) -> tuple[Dataset, str]:
    """The split to test on: the one a person names, else one that is not for training."""
    try:
        splits, split = (opened := load_cases(dataset, data.parent)).splits, opened.split
    except SplitError as error:
        splits, split = error.splits, ""
    except DatasetError:
        return dataset, ""  # `_load` says what it is, or reads the rest
    test = next((name for name in _TESTS if name in splits), "")
    if named or not splits or (split and (split not in TRAINS or not test)):
        return dataset, ""
    chosen = test or splits[0]
    return msgspec.structs.replace(dataset, split=chosen), f"Cases: the split {chosen} of {', '.join(splits)}."


def _load(dataset: Dataset, folder: Path) -> tuple[Cases, Dataset]:
    """The cases, without rows that cannot be read where there are some."""
    try:
        return load_cases(dataset, folder), dataset
    except DatasetError:
        skipping = msgspec.structs.replace(dataset, on_error="skip")
        return load_cases(skipping, folder), skipping


def _find_expected(cases: Cases) -> str:
    """The column of the answers where they are not where a dataset usually has them; "" where nothing is to be said."""
    if any(case.expected is not None for case in cases[:LOOKED_AT]):
        return ""
    return find_expected_column([column for column in cases.columns if column != "expected"])


def _divide(dataset: Dataset, cases: Cases, folder: Path) -> Dataset:
    """The dataset without the training rows of a file whose column `split` marks them."""
    column = next((name for name in ("split", "subset", "fold") if name in cases.columns), "")
    if not column or dataset.split:
        return dataset
    values = {case.variables.get(column, "") for case in cases[:LOOKED_AT]}
    test = next((name for name in _TESTS if name in values), "")
    if not test or not values & set(TRAINS):
        return dataset
    return msgspec.structs.replace(dataset, where={column: test})


def _map_columns(dataset: Dataset, cases: Cases) -> Dataset:
    """The dataset with a variable for each column whose name no template can say."""
    inputs = choose_inputs(list(cases[:LOOKED_AT]))
    if all(name.isidentifier() and name not in _RESERVED for name in inputs):
        return dataset
    columns: dict[str, str] = {}
    for name in inputs:
        columns[_make_variable(name, columns)] = name
    return msgspec.structs.replace(dataset, columns=columns)


def _make_variable(column: str, taken: Collection[str]) -> str:
    name = re.sub(r"\W+", "_", column).strip("_").lower()[:60] or "column"
    if not name.isidentifier() or name in _RESERVED:
        name = f"column_{name}"
    if not name.isidentifier():  # a character that is of a word and of no identifier
        name = "column"
    number = next(n for n in range(1, len(taken) + 2) if (name if n == 1 else f"{name}_{n}") not in taken)
    return name if number == 1 else f"{name}_{number}"


def _describe_data(data: Path, dataset: Dataset, cases: Cases) -> list[str]:
    rows = format_plural(len(cases), "row")
    notes = [f"Data: {data.name}, {rows}, columns {', '.join(cases.columns)}.", *cases.source.remarks]
    if any(case.expected is not None for case in cases[:LOOKED_AT]):
        notes.append(f"Expected answers: {cases.mapper.origin('') or dataset.expected}.")
    else:
        notes.append("Expected answers: none found; --expected COLUMN names their column.")
    if dataset.where:
        notes.append(
            "Cases: " + ", ".join(f"rows whose {key} is {value}" for key, value in dataset.where.items()) + "."
        )
    if cases.skipped:
        notes.append(f"{format_plural(cases.skipped, 'row')} cannot be read, and left out (on_error: skip).")
    return notes
