"""Task data: the training, validation and test rows that a recipe means, and how they were divided.

What lacks a validation split gets one; a bench whose data have no splits at all gets a sealed test split too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench import paths
from workbench.datasets import Case, Cases, load_cases
from workbench.datasets.auto_split import normalise_inputs
from workbench.datasets.spec import AutoSplit, Dataset
from workbench.errors import DatasetError, StoreError, TrainingError, WorkbenchError
from workbench.prompting.prompt import Prompt
from workbench.prompting.render import find_variables
from workbench.runs.bench import Bench
from workbench.runs.data_splits import DataSplits, find_data_splits, recall_auto_split, select_split
from workbench.store.store import Store
from workbench.training.mixed_cases import MixedCases, WeightedCases
from workbench.training.objectives import Objective
from workbench.training.recipe import Recipe, find_objective
from workbench.training.recipe_data import WeightedDataset
from workbench.units import format_subject

_LEAST = 8
"""rows of which some are held out for validation where nobody asks for it"""


def locate_dataset(dataset: Dataset, own: Dataset | None, folder: Path, near: Path) -> tuple[Dataset, Path]:
    """A dataset of a recipe, without its weight, and the folder of its path; one without a path is the bench's, changed
    by what it says.

    own: the bench's. folder, near: the recipe's and the bench's. Raises TrainingError where the bench has none.
    """
    values = {name: getattr(dataset, name) for name in Dataset.__struct_fields__}
    if dataset.path:
        return Dataset(**values), folder
    if own is None:
        raise TrainingError("The bench has no dataset of its own.", "Name a file as `path` of the recipe's data.")
    usual = Dataset("")
    changes = {name: value for name, value in values.items() if value != getattr(usual, name)}
    own = msgspec.structs.replace(own, sample=None, limit=None)
    own = own if "split" in changes or own.auto_split else select_split(own, "")
    return msgspec.structs.replace(own, **changes), near


class OpenedDataset(NamedTuple):
    """Training rows, with the dataset as it was read. layout: that the recipe names; "" for none."""

    cases: Cases
    dataset: Dataset

    @property
    def layout(self) -> str:
        return self.dataset.layout


class TaskData(NamedTuple):
    """train, validation, test: None where there are none. auto_split: what was made of rows without splits, for the
    record. notes: in sentences, how the rows were divided, drawn and left out. opened: the datasets of train.
    """

    train: Cases | MixedCases | None = None
    validation: Cases | MixedCases | None = None
    test: Cases | None = None
    auto_split: AutoSplit | None = None
    notes: tuple[str, ...] = ()
    opened: tuple[OpenedDataset, ...] = ()


class _OpenedRows(NamedTuple):
    """The rows of one dataset of the recipe."""

    train: Cases
    dataset: Dataset
    validation: Cases | None
    auto: AutoSplit | None = None
    notes: tuple[str, ...] = ()


def open_data(recipe: Recipe, bench: Bench | None, folder: Path, near: Path, prompt: Prompt | None) -> TaskData:
    """folder: the recipe's; near: the bench's. Raises WorkbenchError."""
    with _opened_store() as store:
        return _DataSearch(recipe, bench, folder, near, prompt, store).open()


@contextlib.contextmanager
def _opened_store() -> Iterator[Store | None]:
    """The store that keeps automatic splits; None where it cannot be opened: they are worked out again then."""
    try:
        store = Store(paths.data_folder() / "workbench.sqlite")
    except StoreError:
        yield None
        return
    with contextlib.closing(store):
        yield store


class _DataSearch:
    def __init__(
        self, recipe: Recipe, bench: Bench | None, folder: Path, near: Path, prompt: Prompt | None, store: Store | None
    ) -> None:
        self._recipe, self._folder, self._near = recipe, folder, near
        self._prompt, self._store = prompt, store
        self._own = bench.dataset if bench else None
        self._splits: DataSplits | None = None

    def open(self) -> TaskData:
        recipe = self._recipe
        named: Sequence[Dataset] = recipe.datasets or ([recipe.train] if recipe.train else [])
        if named:
            return self._open_named(named)
        if self._own is None:
            return TaskData(validation=self._open_validation(None, self._folder))
        if not _learns_from_rows(find_objective(recipe)):
            own = msgspec.structs.replace(self._own, sample=None, limit=None)
            return TaskData(validation=self._open_validation(own, self._near), test=self._open_test())
        return self._open_bench()

    # --- the bench's own data ------------------------------------------------------------------------------------

    def _open_bench(self) -> TaskData:
        splits = self._find_splits()
        if "train" not in splits.parts:
            raise TrainingError("No rows to train on: the automatic split leaves none.", "Add rows to the dataset.")
        train = _load(splits.parts["train"], self._near, "train on")
        held = splits.parts.get("validation")
        validation = (
            self._open_validation(None, self._folder)
            if self._recipe.validation
            else (load_cases(held, self._near) if held else None)
        )
        test = self._open_test()
        opened = (OpenedDataset(train, splits.parts["train"]),)
        return self._finish(TaskData(train, validation, test, splits.auto, (_sentence(splits.how),), opened))

    def _find_splits(self) -> DataSplits:
        assert self._own is not None
        if self._splits is None:
            with _words("train on"):
                train = self._recipe.train
                own = msgspec.structs.replace(self._own, group=(train.group if train else "") or self._own.group)
                self._splits = find_data_splits(own, self._near, self._store, self._recipe.auto_split)
        return self._splits

    def _open_test(self) -> Cases | None:
        """What the bench compares variants on: a sealed part where its data have no splits, else its own dataset."""
        if self._own is None:
            return None
        made = self._splits
        own = made.parts["test"] if made is not None and made.auto is not None and made.auto.test else self._own
        with contextlib.suppress(WorkbenchError):
            return load_cases(own, self._near)
        return None

    # --- data that the recipe names ------------------------------------------------------------------------------

    def _open_named(self, named: Sequence[Dataset]) -> TaskData:
        pairs = [self._open_pair(one) for one in named]
        auto = next((pair.auto for pair in pairs if pair.auto is not None), None)
        notes = [note for pair in pairs for note in pair.notes]
        held = [pair.validation for pair in pairs if pair.validation is not None]
        validation: Cases | MixedCases | None = held[0] if held else None
        if self._recipe.validation is not None:
            validation = self._open_validation(None, self._folder)
        elif len(held) > 1:
            validation = MixedCases([WeightedCases(one, 1.0) for one in held], 0)
        opened = tuple(OpenedDataset(pair.train, pair.dataset) for pair in pairs)
        if not self._recipe.datasets:
            return self._finish(TaskData(pairs[0].train, validation, self._open_test(), auto, tuple(notes), opened))
        pairs = [one._replace(train=self._without_held(one.train, [*held])) for one in pairs]
        weights = [one.weight if isinstance(one, WeightedDataset) else 1.0 for one in named]
        drawn = [WeightedCases(pair.train, weight) for pair, weight in zip(pairs, weights, strict=True)]
        mixed = MixedCases(drawn, self._recipe.training.seed)
        notes += [f"{line}." for line in mixed.describe()]
        return TaskData(mixed, validation, self._open_test(), auto, tuple(notes), opened)

    def _open_pair(self, dataset: Dataset) -> _OpenedRows:
        """The training rows of a dataset, and its rows for validation, made where it has none."""
        plain, folder = locate_dataset(dataset, self._own, self._folder, self._near)
        if not plain.synthetic:  # a file of synthetic rows may have no name of a split
            plain = msgspec.structs.replace(plain, synthetic="include")
        bench_split = self._find_bench_split(plain, folder)
        if bench_split is not None:
            return self._divide(plain, folder, bench_split)
        train = _load(plain, folder, "train on")
        if self._recipe.validation is not None:
            return _OpenedRows(train, plain, None)
        own = msgspec.structs.replace(plain, split="validation", sample=None, limit=None, synthetic=dataset.synthetic)
        with contextlib.suppress(WorkbenchError):
            return _OpenedRows(train, plain, load_cases(own, folder))
        asked = self._recipe.auto_split
        if (asked is not None and not asked.validation) or (asked is None and len(train) < _LEAST):
            return _OpenedRows(train, plain, None)
        whole = msgspec.structs.replace(plain, split=plain.split or train.split)
        return self._divide(whole, folder, asked or recall_auto_split(whole, folder, self._store, has_test=True))

    def _divide(self, dataset: Dataset, folder: Path, auto: AutoSplit) -> _OpenedRows:
        """Its rows as an automatic split divides them; a sample or a limit is taken of those to train on."""
        found = find_data_splits(
            msgspec.structs.replace(dataset, auto_split=auto), folder, None, has_test=not auto.test
        )
        if "train" not in found.parts:
            raise TrainingError(
                f"No rows to train on: the automatic split of {dataset.path} leaves none.", "Add rows to it."
            )
        chosen = msgspec.structs.replace(
            found.parts["train"], sample=dataset.sample, limit=dataset.limit, seed=dataset.seed
        )
        train = _load(chosen, folder, "train on")
        held = found.parts.get("validation")
        return _OpenedRows(
            train, chosen, load_cases(held, folder) if held else None, found.auto, (_sentence(found.how),)
        )

    def _find_bench_split(self, dataset: Dataset, folder: Path) -> AutoSplit | None:
        """The split of the bench's own file where the dataset is the same file and names no split: its test rows are
        never trained on, whichever way the recipe reads them."""
        if self._own is None or dataset.auto_split is not None:
            return dataset.auto_split
        try:
            same = paths.find_input(dataset.path, folder).samefile(paths.find_input(self._own.path, self._near))
            splits = self._find_splits() if same else None
        except (OSError, WorkbenchError):
            return None
        if splits is None or splits.auto is None:
            return None
        named = dataset.split and dataset.split != splits.auto.from_split
        return None if named and not self._own.auto_split else splits.auto

    # --- what all have in common ---------------------------------------------------------------------------------

    def _open_validation(self, source: Dataset | None, folder: Path) -> Cases | None:
        """The rows that the recipe names for validation, else the split of a dataset, where it has one."""
        if self._recipe.validation is not None:
            try:
                return load_cases(self._recipe.validation, folder)
            except WorkbenchError as error:
                raise TrainingError(f"No rows to evaluate on: {error.message}", error.hint, error.details) from error
        if source is not None:
            with contextlib.suppress(WorkbenchError):
                return load_cases(msgspec.structs.replace(source, split="validation"), folder)
        return None

    def _finish(self, data: TaskData) -> TaskData:
        """Without training rows whose input, as far as the prompt shows it, is held out: only of splits that were made
        here, since those of a person are reported and left as they are."""
        if data.auto_split is None or not isinstance(data.train, Cases):
            return data
        held = [part for part in (data.validation, data.test) if part is not None]
        kept = self._without_held(data.train, held)
        lost = len(data.train) - len(kept) + data.train.doubled
        if not kept:
            raise TrainingError(
                "No rows to train on: the input of every one is held out for validation or test.", "Add other rows."
            )
        rows = format_subject(lost, "training row")
        notes = (f"{rows} left out: validation or test holds the same input.",) if lost else ()
        return data._replace(train=kept, notes=(*data.notes, *notes))

    def _without_held(self, train: Cases, held: Sequence[Sequence[Case]]) -> Cases:
        known = {self._key(case) for part in held for case in part}
        kept = [index for index, case in zip(train.indices, train, strict=True) if self._key(case) not in known]
        return train if len(kept) == len(train) else train.choose(kept)

    def _key(self, case: Case) -> tuple[tuple[str, str], ...]:
        names = find_variables(self._prompt) if self._prompt else ()
        shown = {name: case.variables[name] for name in names if name in case.variables} or case.variables
        return tuple(normalise_inputs(shown).items()) or (("number", str(case.number)),)


def _learns_from_rows(objective: Objective) -> bool:
    return objective.data not in ("pairs", "labelled")


def _load(dataset: Dataset, folder: Path, purpose: str) -> Cases:
    with _words(purpose):
        return load_cases(dataset, folder)


@contextlib.contextmanager
def _words(purpose: str) -> Iterator[None]:
    try:
        yield
    except DatasetError as error:
        raise DatasetError(f"No rows to {purpose}: {error.message}", error.hint, error.details) from error


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
