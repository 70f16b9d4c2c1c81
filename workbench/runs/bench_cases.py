"""BenchCases: the cases of an open bench as their file is now; read anew where another program has changed it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workbench.datasets import Case, Cases, load_cases
from workbench.datasets.spec import Dataset
from workbench.errors import DatasetChangedError, DatasetError, WorkbenchError
from workbench.runs.inputs import list_columns
from workbench.units import format_plural


class BenchCases:
    """cases: the rows; () where the bench has no dataset, or it cannot be read."""

    def __init__(self) -> None:
        self.cases: Cases | tuple[()] = ()
        self._dataset: Dataset | None = None
        self._folder = Path()
        self._news: list[str] = []
        self._row: tuple[Cases, Case] | None = None
        self._listed: tuple[object, tuple[str, ...]] | None = None

    def open(self, dataset: Dataset | None, folder: Path) -> None:
        """Read another dataset; there are no cases where it cannot be read. Raises DatasetError or FileError."""
        self._dataset, self._folder, self.cases = dataset, folder, ()
        self.reload()

    def accept(self, dataset: Dataset, folder: Path, cases: Cases) -> None:
        """Use another dataset that was read already."""
        self._dataset, self._folder, self.cases = dataset, folder, cases

    def reload(self) -> None:
        """Read the dataset anew, after its file changed. Raises DatasetError or FileError; the old cases stay."""
        if self._dataset is not None:
            self.cases = load_cases(self._dataset, self._folder)

    def current(self) -> Sequence[Case]:
        """The rows as their file is now."""
        try:
            if self.cases:
                self.cases[0]
        except DatasetChangedError:
            self._reopen()
        return self.cases

    def find(self, number: int) -> Case | None:
        """The row of that number, read once; where the file has changed, its row as it is now, or the nearest."""
        if not isinstance(self.cases, Cases):
            return None
        if self._row is not None and self._row[0] is self.cases and self._row[1].number == number:
            return self._row[1]
        try:
            found = self.cases.find(number)
        except DatasetChangedError:
            self._reopen()
            return self.find(self.nearest(number))
        except DatasetError as error:
            self._news.append(str(error))
            found = Case(number, {})
        self._row = (self.cases, found) if found else None
        return found

    def nearest(self, number: int, forward: bool = True) -> int:
        """The number itself, or the next there is among the chosen rows in that direction."""
        return self.cases.nearest(number, forward) if isinstance(self.cases, Cases) else number

    def position(self, number: int) -> int:
        """Where a case stands among the chosen rows, from 1."""
        return self.cases.index_of(number) + 1 if isinstance(self.cases, Cases) else 1

    def columns(self) -> tuple[str, ...]:
        """What the cases have; looked up anew when there are others."""
        if self._listed is None or self._listed[0] is not self.cases:
            self._listed = (self.cases, list_columns(self.cases))
        return self._listed[1]

    def take_news(self) -> tuple[str, ...]:
        """What happened to the dataset since this was last asked, in words: its file was changed, or cannot be read."""
        news, self._news = tuple(self._news), []
        return news

    def _reopen(self) -> None:
        """Read a dataset anew that another program has changed; without one that can be read there are no cases."""
        path = self._dataset.path if self._dataset else ""
        try:
            self.reload()
            self._news.append(
                f"{path} was changed by another program, and was read again: {format_plural(len(self.cases), 'case')}."
            )
        except WorkbenchError as error:
            self.cases = ()
            self._news.append(f"{path} was changed by another program and cannot be read any more. {error}")
