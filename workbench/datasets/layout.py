"""DatasetLayout: what the columns of a dataset mean, and how a row becomes variables and an expected answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

Cells = Mapping[str, str]


class MappedRow(NamedTuple):
    """What a row says: its variables, its answer, and further answers that are just as right.

    typed: variables that the layout makes and that are JSON. remarks: what of the row no case uses.
    """

    variables: dict[str, str]
    expected: str | None
    also: tuple[str, ...] = ()
    typed: frozenset[str] = frozenset()
    remarks: tuple[str, ...] = ()


class DatasetLayout(Protocol):
    """name: as a bench names it."""

    @property
    def name(self) -> str: ...

    def fits(self, columns: Collection[str], rows: Sequence[Cells]) -> bool:
        """Whether these columns and first rows look like it."""

    def read(self, cells: Cells) -> MappedRow:
        """What a row says. Raises ValueError that says what is wrong with it."""

    def write(self, variables: Cells, expected: str | None, cells: Cells) -> dict[str, str]:
        """The cells that say this; expected: None where it stays. cells: the row as it is, or one like it.

        Raises DatasetError for what a row cannot hold.
        """

    def origin(self, variable: str) -> str:
        """Where a variable comes from, or the answer where `variable` is empty: a column, or a phrase about one."""
