"""RowPassages: what a variant retrieves, for the rows that it is trained on."""

from __future__ import annotations

from types import TracebackType

import msgspec

from workbench.datasets import Case
from workbench.errors import TrainingError, WorkbenchError
from workbench.retrieval.corpus import Corpus
from workbench.runs.passage_finder import PassageFinder
from workbench.runs.passage_source import PassageSource

PASSED_OVER = "Passages that hold the row's own question are left out, and the next ones are shown"

NOTHING = "No passage is found for the row"


class RowPassages:
    """Rows are shown what a case of a run is shown, by the same search of the same corpus, but never their own text: of
    a passage that holds the question itself, a model would learn to look for what later cases do not have."""

    def __init__(self, source: PassageSource | None) -> None:
        """source: None where rows are shown no passages."""
        self._source = source
        self._finder = PassageFinder() if source else None

    def __enter__(self) -> RowPassages:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._finder:
            self._finder.close()

    def fill(self, case: Case) -> tuple[Case, tuple[str, ...]]:
        """The row with its passages, and what there is to know of them. Raises TrainingError."""
        if self._source is None or self._finder is None:
            return case, ()
        try:
            filled, passed_over = self._finder.fill_row(self._source, case)
        except WorkbenchError as error:
            raise TrainingError(
                f"No passages for case {case.number}: {error.message}", error.hint, error.details
            ) from error
        lacks = not self._source.is_empty and not all(filled.turn_passages or (filled.passages,))
        return filled, (*([PASSED_OVER] if passed_over else []), *([NOTHING] if lacks else []))


def read_corpus(source: PassageSource) -> Corpus | None:
    """What passages come from; None where nothing is retrieved. Raises DatasetError."""
    return None if source.is_empty else PassageFinder().read(source)


def digest_passages(source: PassageSource | None) -> str:
    """Of all that determines which passages a row is shown but the row itself; "" where it is shown none."""
    corpus = read_corpus(source) if source else None
    return f"{corpus.digest} {msgspec.json.encode(source.retrieve).decode()}" if corpus and source else ""
