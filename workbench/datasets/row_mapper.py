"""Maps rows to cases, by the columns that a bench names or by the layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches

from workbench.datasets.case import Case
from workbench.datasets.layouts import (
    NAMES,
    PLAIN,
    Cells,
    ConversationLayout,
    DatasetLayout,
    MappedRow,
    named,
    recognize,
)
from workbench.datasets.source import DatasetRow
from workbench.datasets.spec import Dataset
from workbench.datasets.synthetic_rows import ORIGIN, SYNTHETIC, is_synthetic
from workbench.errors import DatasetError
from workbench.retrieval.passage import read_references
from workbench.units import format_plural

_USUAL = Dataset("").expected


class MissingColumnError(ValueError):
    """A row has no value in a column that it needs."""

    def __init__(self, column: str) -> None:
        super().__init__(f"no value in column {column}")
        self.column = column


class RowMapper:
    """Turns rows into cases.

    layout: what was chosen or recognised, `columns` where the columns mean nothing but themselves.
    """

    def __init__(self, dataset: Dataset, layout: DatasetLayout | None, blank_is_answer: bool) -> None:
        self.layout = layout.name if layout else PLAIN
        self._layout = layout
        self._columns = dataset.columns
        self._expected = dataset.expected
        self._checks = dataset.checks
        self._relevant = dataset.relevant
        self._blank_is_answer = blank_is_answer
        self.offered: dict[str, None] = {}  # variables that the layout makes and that are no columns of the file
        self._remarks: Counter[str] = Counter()

    @property
    def checks(self) -> bool:
        """Whether a row that its file can hold may still be no case."""
        return bool(self._columns or self._relevant) or self._layout is not None

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the rows read so far hold that no case uses, and in how many of them."""
        return tuple(f"{remark} ({format_plural(rows, 'row')})" for remark, rows in self._remarks.items())

    @property
    def mapped(self) -> tuple[str, ...]:
        """The variables that the bench maps to columns; none where every column is a variable."""
        return tuple(self._columns)

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns that a person named."""
        named = self._columns.values()
        own = (self._expected if self._expected != _USUAL else "", self._checks, self._relevant)
        return (*named, *filter(None, own))

    def write(self, variables: Mapping[str, str], expected: str | None, cells: Cells) -> dict[str, str]:
        """The cells that say this, by column; expected: None where it stays. cells: the row as it is, or one like it.

        Raises DatasetError for what a row of this layout cannot hold.
        """
        own = {self._columns.get(name, name): text for name, text in variables.items()}
        if self._layout is None or self._expected != _USUAL:
            answer = {} if expected is None else {self._expected: expected}
            return {**(self._layout.write(own, None, cells) if self._layout else own), **answer}
        return self._layout.write(own, expected, cells)

    def origin(self, variable: str) -> str:
        """Where a variable comes from, in words; the expected answer where `variable` is empty."""
        column = self._columns.get(variable, variable) if variable else self._expected
        if self._layout is None or (not variable and self._expected != _USUAL):
            return column
        return self._layout.origin(column if variable else "")

    def check(self, row: DatasetRow) -> None:
        """Read a row for the first time, counting what no case uses of it. Raises as `read` does."""
        self.read(1, row)
        if self._layout is not None:
            self._remarks.update(self._layout.read(row.cells).remarks)

    def read(self, number: int, row: DatasetRow) -> Case:
        """The case of that number. Raises ValueError for a row that is none, MissingColumnError for a missing value."""
        if self._layout is None:
            mapped_row = MappedRow(row.cells, row.cells.get(self._expected))
        else:
            mapped_row = self._layout.read(row.cells)
            self.offered.update(dict.fromkeys(mapped_row.variables))
        variables, expected, also = mapped_row.variables, mapped_row.expected, mapped_row.also
        cells = {**row.cells, **variables}
        if self._layout is None or self._expected != _USUAL:
            expected, also = cells.get(self._expected), ()
            variables = {name: text for name, text in variables.items() if name != self._expected}
        relevant = read_references(cells.get(self._relevant, "")) if self._relevant else ()
        variables = {name: text for name, text in variables.items() if name != self._relevant}
        if self._columns:
            variables = {name: _get(cells, column) for name, column in self._columns.items()}
        if is_synthetic(row.cells):
            variables = {**variables, ORIGIN: SYNTHETIC}  # so that scores on such rows can be told apart
        answer = expected if expected or self._blank_is_answer else None
        checks = cells.get(self._checks, "") if self._checks else ""
        if self._checks:
            variables = {name: text for name, text in variables.items() if name != self._checks}
        typed = self._find_typed(row, mapped_row, variables)
        return Case(number, variables, answer, row.line, also, typed, checks, relevant)

    def _find_typed(self, row: DatasetRow, mapped_row: MappedRow, variables: Mapping[str, str]) -> tuple[str, ...]:
        """The variables that are no text: of a typed column, or made so by the layout."""
        if not row.typed and not mapped_row.typed:
            return ()
        if self._layout is None and not self._columns:
            return tuple(name for name in variables if name in row.typed)
        made = {name for name, text in mapped_row.variables.items() if row.cells.get(name) != text}
        typed = (row.typed - made) | set(mapped_row.typed)
        return tuple(name for name in variables if self._columns.get(name, name) in typed)


def _get(cells: Cells, column: str) -> str:
    if column not in cells:
        raise MissingColumnError(column)
    return cells[column]


def choose_layout(
    dataset: Dataset, columns: Collection[str], rows: Sequence[Cells], where: str
) -> DatasetLayout | None:
    """What the columns mean: as the bench says, else as they look; None for nothing but themselves.

    A column with the expected answer's name keeps flat columns as they are. Raises DatasetError for a layout that is
    unknown, or that the columns do not have; `where` names the file.
    """
    if dataset.layout == PLAIN or not rows:
        return None
    if not dataset.layout:
        found = recognize(columns, rows)
        plain = dataset.expected in columns or dataset.expected != _USUAL
        return None if plain and not isinstance(found, ConversationLayout) else found
    if dataset.layout not in NAMES:
        raise DatasetError(f"No such dataset layout: {dataset.layout}.", f"Expected {', '.join(NAMES)}.")
    chosen = named(dataset.layout, columns, rows)
    if chosen is None:
        raise DatasetError(
            f"{where} does not have the layout {dataset.layout}: its columns are {', '.join(columns)}.",
            "Remove `layout` from the bench, or name another one.",
        )
    return chosen


def describe_missing(column: str, known: Collection[str]) -> str:
    """That there is no such column, with the nearest that there is."""
    near = get_close_matches(column, known, 1)
    guess = f"; did you mean {near[0]}?" if near else "."
    return f"no column {column}{guess} The columns are: {', '.join(sorted(known))}."
