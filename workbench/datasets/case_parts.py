"""The parts of an automatic split among the cases of a dataset."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from workbench.datasets.auto_split import PARTS, SplitUnit, make_unit, select_part
from workbench.datasets.case import Case
from workbench.datasets.source import DatasetRow
from workbench.datasets.spec import Dataset, Part
from workbench.datasets.synthetic_rows import is_synthetic
from workbench.errors import DatasetError


class DivisibleCases(Protocol):
    """Cases with the rows they were made of, in the same order. indices: where those stand in their source."""

    @property
    def path(self) -> Path: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def indices(self) -> Sequence[int]: ...
    def rows(self) -> Iterator[DatasetRow]: ...
    def __iter__(self) -> Iterator[Case]: ...


def find_auto_part(dataset: Dataset) -> Part | None:
    """The part that an automatic split is asked for; None where the dataset is read as it is.

    Raises DatasetError for shares or a name that cannot be.
    """
    auto = dataset.auto_split
    if auto is None or not dataset.split:
        return None
    if not (0 <= auto.validation < 1 and 0 <= auto.test < 1 and auto.validation + auto.test < 1):
        raise DatasetError(
            f"auto_split: expected shares from 0 that leave rows to train on, found validation {auto.validation:g} and"
            f" test {auto.test:g}.",
            "Lower them.",
        )
    for part in PARTS:
        if dataset.split == part:
            return part
    raise DatasetError(f"auto_split has no split {dataset.split}.", f"Expected {', '.join(PARTS)}.")


def read_units(cases: DivisibleCases, group: str) -> list[SplitUnit]:
    """What each row is assigned to a part by. Raises DatasetError where there is no such column."""
    units, named = [], False
    for case, row in zip(cases, cases.rows(), strict=True):
        own = row.cells.get(group) if group else None
        named = named or own is not None
        inputs = {name: text for name, text in (case.variables or row.cells).items() if name != group}
        units.append(make_unit(inputs, own, is_synthetic(row.cells)))
    if group and not named:
        raise DatasetError(
            f"{cases.path} has no column {group}, by which its rows are grouped.",
            f"It has: {', '.join(cases.columns) or 'none'}.",
        )
    return units


def undivided(dataset: Dataset) -> Dataset:
    """The dataset whose rows an automatic split assigns: which of them are wanted is decided after it."""
    assert dataset.auto_split is not None
    return msgspec.structs.replace(dataset, split=dataset.auto_split.from_split, limit=None, sample=None)


def select_rows(cases: DivisibleCases, dataset: Dataset, part: Part) -> tuple[Sequence[int], int]:
    """Where the rows of a part stand in their source, and how many more are left out because a later part holds their
    input too. Raises DatasetError where there are none."""
    assert dataset.auto_split is not None
    kept, doubled = select_part(read_units(cases, dataset.auto_split.group or dataset.group), dataset.auto_split, part)
    if not kept:
        raise DatasetError(
            f"The automatic split of {cases.path} leaves no rows for {part}.",
            "Add rows, or give it a larger share under `auto_split`.",
        )
    return array("Q", (cases.indices[index] for index in kept)), doubled
