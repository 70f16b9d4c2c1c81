"""SessionCases: the cases of an open bench, and what a person typed over them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from workbench import paths
from workbench.datasets import Case, Cases, with_inputs
from workbench.datasets.spec import Dataset
from workbench.errors import WorkbenchError
from workbench.runs.bench_cases import BenchCases
from workbench.runs.session_state import SessionState
from workbench.settings import Settings


class SessionCases(SessionState):
    """The chosen rows of the dataset; one of them is the current case."""

    def __init__(self, path: Path, settings: Settings) -> None:
        super().__init__(path, settings)
        self._cases = BenchCases()
        self._open_cases()

    @property
    def case(self) -> Case:
        """The current case, with what a person typed over it; an empty one when there is no dataset."""
        base = self._cases.find(self.number) or Case(number=1, variables={}, expected=None, line=0)
        if not self.cases:
            base = msgspec.structs.replace(base, variables=dict.fromkeys(self._wanted_variables(), ""))
        return with_inputs(base, self._inputs.of(self.number))

    @property
    def cases(self) -> Cases | tuple[()]:
        """The chosen rows of the dataset; () where there is none, or it cannot be read."""
        return self._cases.cases

    @property
    def number(self) -> int:
        """The number of the current case: the bench's own, or the next there is among the chosen rows."""
        return self._cases.nearest(self.bench.case)

    def shown_variables(self) -> dict[str, str]:
        """Those variables of the current case that a prompt of this bench asks for; all of them when none does."""
        variables = self.case.variables
        wanted = self._wanted_variables()
        return {name: variables[name] for name in wanted if name in variables} or dict(variables)

    @property
    def case_is_typed(self) -> bool:
        """Whether the current case differs from its row in the dataset."""
        return bool(self._inputs.of(self.number))

    @property
    def is_expected_outdated(self) -> bool:
        """Whether the current case's input was edited and its expected answer was not: its scores say little then."""
        row = self._cases.find(self.number)
        checked = "expected" in self._inputs.of(self.number)
        return row is not None and row.expected is not None and bool(self.typed_variables()) and not checked

    @property
    def position(self) -> int:
        """Where the current case stands among the chosen rows, from 1."""
        return self._cases.position(self.number)

    def go_to_case(self, number: int) -> bool:
        """Stand on another case, by its number, or the next there is in that direction; whether that moved."""
        number = self._cases.nearest(number, number > self.number) if self.cases else 1
        if number == self.bench.case:
            return False
        self._set(case=number, inputs=self._inputs.of(number))
        return True

    def type_input(self, variable: str, text: str, number: int | None = None) -> bool:
        """Overwrite a variable (or `expected`) of a case, the current one by default; the dataset stays as it is.

        Returns whether that changed anything.
        """
        number = self.number if number is None else number
        row = self._cases.find(number)
        original = (row.expected if variable == "expected" else row.variables.get(variable)) if row else None
        if not self._inputs.type(number, variable, text, original or ""):
            return False
        if number == self.number:
            self._set(case=number, inputs=self._inputs.of(number))
        else:
            self._keep_draft()
        return True

    def typed_variables(self) -> dict[str, str]:
        """What was typed over the current case, without its expected answer."""
        return {name: text for name, text in self._inputs.of(self.number).items() if name != "expected"}

    def forget_typed(self, number: int) -> None:
        """Show a case as it stands in the dataset."""
        self._inputs.forget(number)
        if number == self.number:
            self._set(inputs={})
        else:
            self._keep_draft()

    def current_cases(self) -> Sequence[Case]:
        """The rows as their file is now: read anew where another program has changed it."""
        return self._cases.current()

    def take_news(self) -> tuple[str, ...]:
        """What happened to the dataset since this was last asked, in words: its file was changed, or cannot be read."""
        return self._cases.take_news()

    def reload_cases(self) -> None:
        """Read the dataset anew, after its file changed. Raises DatasetError or FileError; the old cases stay."""
        self._cases.reload()

    def choose_dataset(self, dataset: Dataset, cases: Cases) -> None:
        """Take the cases from elsewhere, or read them otherwise. cases: what `load_cases` made of the dataset."""
        dataset = msgspec.structs.replace(dataset, path=paths.write_relative(dataset.path, self.path.parent))
        self._cases.accept(dataset, self.path.parent, cases)
        self._inputs.restore({})
        self._set(dataset=dataset, case=1, inputs={})

    def _open_cases(self) -> None:
        try:
            self._cases.open(self.bench.dataset, self.path.parent)
        except WorkbenchError as error:
            self.problems.append(error)
