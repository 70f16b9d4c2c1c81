"""The splits of a bench's data that a verdict needs: train or validation to select a prompt on, test to compare on."""

from __future__ import annotations

from pathlib import Path

import msgspec

from workbench.datasets import Case, Cases, load_cases
from workbench.datasets.spec import AutoSplit, Dataset, Part
from workbench.errors import TrainingError, WorkbenchError
from workbench.runs.bench import Bench
from workbench.runs.data_splits import DataSplits, find_data_splits
from workbench.store.store import Store
from workbench.training.manifest import Manifest
from workbench.training.recipe_file import parse_stored_recipe

_MAX_SELECTION_CASES = 500
"""Cases on which the best prompt is selected."""


class BenchSplits:
    """path: the bench's. store: keeps the automatic split of data without splits. limit: the first so many cases of
    every split, 0 for all. auto: the automatic split that the adapter was trained by, where that is known."""

    def __init__(
        self, bench: Bench, path: Path, store: Store | None = None, limit: int = 0, auto: AutoSplit | None = None
    ) -> None:
        self._bench = bench
        self._path = path
        self._limit = limit
        self._store = store
        self._auto = auto
        self._parts: DataSplits | None = None

    @property
    def how(self) -> str:
        """How the data were divided that have no test split, in words; "" where they have one."""
        auto = self._find().auto
        return self._find().how if auto is not None and auto.test else ""

    def dataset(self, split: Part) -> Dataset:
        """The dataset of a split; the bench's own where the data have no such split. Raises TrainingError."""
        own = self._bench.dataset
        if own is None:
            raise TrainingError(f"{self._path} has no dataset.", "Add one, with the splits train, validation and test.")
        limit = self._limit or (_MAX_SELECTION_CASES if split != "test" else None)
        part = self._find().parts[split] if self._is_made(split) else None
        if part is not None:
            return msgspec.structs.replace(part, limit=limit, sample=None)
        plain = msgspec.structs.replace(own, split=split, limit=limit, sample=None)
        return plain if self._is_there(split) else msgspec.structs.replace(plain, split=own.split)

    def cases(self, split: Part) -> Cases:
        return load_cases(self.dataset(split), self._path.parent)

    def has(self, split: Part) -> bool:
        """Whether the bench's data have such a split, or one was made of them."""
        return self._is_there(split) or self._is_made(split)

    def _is_there(self, split: Part) -> bool:
        if self._bench.dataset is None:
            return False
        one = msgspec.structs.replace(self._bench.dataset, split=split, limit=1, sample=None)
        try:
            load_cases(one, self._path.parent)
        except WorkbenchError:
            return False
        return True

    def _is_made(self, split: Part) -> bool:
        """Whether the split is one that an automatic split made, for a training or a search."""
        if self._bench.dataset is None:
            return False
        auto = self._find().auto
        return auto is not None and split in self._find().parts and (auto.test > 0 or not self._is_there(split))

    def _find(self) -> DataSplits:
        if self._parts is None:
            assert self._bench.dataset is not None
            self._parts = find_data_splits(
                self._bench.dataset, self._path.parent, self._store, self._auto, only_kept=True
            )
        return self._parts

    def check_validation(self) -> None:
        """Raise TrainingError without a validation split whose cases are mostly not test cases."""
        if not self.has("validation"):
            raise TrainingError(
                f"A learning curve needs a validation split, and the data of {self._path.name} have none.",
                "Add validation.jsonl beside the test split, or leave the curve out.",
            )
        test = {_identify(case) for case in self.cases("test")}
        shared = [_identify(case) in test for case in self.cases("validation")]
        if 2 * sum(shared) > len(shared):
            raise TrainingError(
                f"{sum(shared):,} of the {len(shared):,} validation cases are also test cases, so a learning curve"
                " would be drawn on the test split.",
                "Use other cases for validation, or leave the curve out.",
            )


def _identify(case: Case) -> tuple[object, ...]:
    return (*sorted(case.variables.items()), case.expected)


def find_auto_split(manifest: Manifest | None, bench: Path) -> AutoSplit | None:
    """The automatic split that an adapter was trained by, where that was on the data of this bench; else None."""
    if manifest is None:
        return None
    try:
        recipe = parse_stored_recipe(manifest.recipe, manifest.name)
    except TrainingError:
        return None
    has_test = recipe.auto_split is not None and recipe.auto_split.test > 0
    return recipe.auto_split if has_test and Path(recipe.bench).name == bench.name else None
