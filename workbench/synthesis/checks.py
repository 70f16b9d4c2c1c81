"""RowChecks: what of a model's rows is dropped before a person sees it: repetitions, rows that are there, leaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from workbench.datasets import Case
from workbench.datasets.duplicates import find_duplicates
from workbench.synthesis.records import DropReason


class RefusedRow(NamedTuple):
    """Why a row is dropped, and what it is like."""

    reason: DropReason
    detail: str


class RowChecks:
    """Compares new rows with those of evaluations, with those that are there and with one another."""

    def __init__(self, known: Sequence[Case], tests: Sequence[Case], inputs: Sequence[str], similarity: float) -> None:
        self._known, self._tests = known, tests
        self._inputs, self._similarity = tuple(inputs), similarity
        self._kept: list[Case] = []

    def keep(self, call: int, variables: dict[str, str]) -> None:
        """Note a row that later ones may not repeat."""
        self._kept.append(Case(call, variables))

    def check(self, call: int, variables: dict[str, str]) -> RefusedRow | None:
        """Why the row is to be dropped; None where it may be reviewed. A row of an evaluation comes first."""
        row = [Case(call, variables)]
        compared: tuple[tuple[DropReason, Sequence[Case], str], ...] = (
            ("test", self._tests, "a row of an evaluation"),
            ("existing", self._known, "a row that is there"),
            ("repeated", self._kept, "another new row"),
        )
        for reason, others, words in compared:
            for found in find_duplicates(row, others, self._similarity, self._inputs):
                how = f"{found.similarity:.0%} like" if found.kind == "near" else "the same as"
                return RefusedRow(reason, f"{how} {words}: {' '.join(found.case_text.split())[:200]}")
        return None
