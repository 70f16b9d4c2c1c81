"""Synthetic rows: written by a model, marked in the column `origin`, and kept out of every evaluation that nobody told
to count them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from workbench.datasets.source import DatasetRow
from workbench.units import format_subject

ORIGIN = "origin"
"""The column with the mark."""
SYNTHETIC = "synthetic"
"""What it says of a row that a model wrote."""

SyntheticUse = Literal["", "include", "exclude", "only"]

_TRAINING_SPLITS = ("train", "training")


def is_synthetic(cells: Mapping[str, str]) -> bool:
    """Whether a model wrote the row, by its mark."""
    return cells.get(ORIGIN) == SYNTHETIC


def may_hold_synthetic(use: SyntheticUse, split: str) -> bool:
    """Whether synthetic rows can be among the cases of a dataset that says this."""
    return use in ("include", "only") or (not use and split.casefold() in _TRAINING_SPLITS)


class SyntheticFilter:
    """Whether a row may be a case by who wrote it. left_out: synthetic rows that may not, so far."""

    def __init__(self, use: SyntheticUse, split: str, columns: Collection[str]) -> None:
        """use: as the dataset says; empty: synthetic rows are cases in a training split alone. columns: of a file
        whose columns are all known; empty: they are not."""
        self.use: SyntheticUse = use or ("include" if split.casefold() in _TRAINING_SPLITS else "exclude")
        self.left_out = 0
        self._marked = not columns or ORIGIN in columns

    @property
    def checks(self) -> bool:
        """Whether rows have to be looked at."""
        return self.use == "only" or (self.use == "exclude" and self._marked)

    def wants(self, row: DatasetRow) -> bool:
        """Whether the row may be a case; one that is synthetic and may not is counted."""
        synthetic = is_synthetic(row.cells)
        if self.use == "only":
            return synthetic
        if synthetic and self.use == "exclude":
            self.left_out += 1
            return False
        return True

    @property
    def remark(self) -> str:
        """A sentence on the rows left out; "" where there is none."""
        if not self.left_out:
            return ""
        rows = format_subject(self.left_out, "synthetic row")
        return f"{rows} left out (`{ORIGIN}: {SYNTHETIC}`); `synthetic: include` in the dataset counts them in."
