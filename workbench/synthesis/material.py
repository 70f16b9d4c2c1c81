"""The material of a synthesis: the rows that a model is shown, those it may not repeat, and the columns it fills."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench.datasets import Case, Cases, load_cases
from workbench.datasets.spec import Dataset
from workbench.datasets.synthetic_rows import ORIGIN, is_synthetic
from workbench.errors import DatasetError, FileError
from workbench.runs.bench import ModelChoice, load_bench
from workbench.runs.case_file import TRAINS, open_case_file
from workbench.runs.new_bench import is_data
from workbench.runs.task_kind import DetectedTask, choose_inputs, detect_task
from workbench.units import format_plural

_MOST_SHOWN = 500
"""Rows of which the ones shown to the model are drawn."""
_MOST_COMPARED = 20_000
"""Rows of each split that new ones are compared with, at most."""
_TESTS = ("test", "testing", "eval", "validation", "valid", "val", "dev")


class SynthesisMaterial(NamedTuple):
    """seeds: rows that the model is shown, drawn from the training split where there is one. known: the rows of that
    split, and tests: those of evaluations, none of which a new row may repeat. inputs: the variables to fill.
    cases: of the seeds, whose columns the new rows get. default_model: the bench's first. notes: what
    a person should know."""

    folder: Path
    seeds: tuple[Case, ...]
    known: tuple[Case, ...]
    tests: tuple[Case, ...]
    inputs: tuple[str, ...]
    task: DetectedTask
    cases: Cases
    models: Mapping[str, ModelChoice]
    default_model: str = ""
    notes: tuple[str, ...] = ()

    def to_cells(self, variables: Mapping[str, str], expected: str | None) -> dict[str, str]:
        """The row by the columns of its dataset. Raises DatasetError for a layout whose rows cannot be written."""
        return self.cases.mapper.write(variables, expected, {})


def open_material(source: Path, seed: int = 0) -> SynthesisMaterial:
    """What a bench, or a file of cases, has to go by. Raises WorkbenchError."""
    if source.is_dir() or is_data(source):
        opened = open_case_file(source.absolute(), "", "")
        folder, dataset, models, model = opened.folder, opened.dataset, {}, ""
    else:
        bench = load_bench(source)
        if bench.dataset is None:
            raise DatasetError(f"{source} has no dataset, so there are no rows to go by.", "Add one, or name a file.")
        folder, dataset, models = source.absolute().parent, bench.dataset, dict(bench.models)
        model = bench.variants[0].model if bench.variants else ""
    return _make(folder, msgspec.structs.replace(dataset, sample=None, limit=None), models, model, seed)


def _make(
    folder: Path, dataset: Dataset, models: Mapping[str, ModelChoice], model: str, seed: int
) -> SynthesisMaterial:
    own = load_cases(dataset, folder)
    train = _find_split(dataset, folder, own, TRAINS)
    source = train if train is not None else own
    known = tuple(source[:_MOST_COMPARED])
    tests = [case for name in _TESTS for case in _find_rows(dataset, folder, own, name)]
    if train is not None and own.split not in (*TRAINS, *_TESTS):
        tests += own[:_MOST_COMPARED]
    seeds = [case for case in known if not is_synthetic(case.variables)] or list(known)
    if any(ORIGIN in case.variables for case in seeds if not is_synthetic(case.variables)):
        raise DatasetError(
            f"{source.path} has a column {ORIGIN} of its own, by which new rows are marked as synthetic.",
            "Rename that column.",
        )
    if len(seeds) > _MOST_SHOWN:
        seeds = random.Random(seed).sample(seeds, _MOST_SHOWN)
    material = SynthesisMaterial(
        folder, tuple(seeds), known, tuple(tests), choose_inputs(seeds), detect_task(seeds), source, models, model,
        tuple(_describe(source, own, train is not None, len(tests))),
    )  # fmt: skip
    first = seeds[0]
    material.to_cells({name: first.variables.get(name, "") for name in material.inputs}, first.expected)
    return material


def _describe(source: Cases, own: Cases, has_train: bool, tests: int) -> list[str]:
    where = f"the split {source.split}" if source.split else source.path.name
    notes = [f"Rows to go by: {len(source):,} of {where}."]
    if not has_train:
        notes.append(
            "There is no training split: the model is shown rows that evaluations use, so train on what it writes only"
            " where those are not tested on."
        )
    if tests:
        notes.append(
            f"Compared with {format_plural(tests, 'row')} of evaluations too, none of which a new row may repeat."
        )
    compared = [cases for cases in (source, own) if len(cases) > _MOST_COMPARED]
    if compared:
        notes.append(f"Only the first {_MOST_COMPARED:,} rows of a split are compared.")
    return notes


def _find_split(dataset: Dataset, folder: Path, own: Cases, names: Sequence[str]) -> Cases | None:
    """The rows of the first of these splits that there is; the dataset's own where it is one of them."""
    if own.split in names:
        return own
    for name in names:
        found = _open(dataset, folder, own, name)
        if found is not None:
            return found
    return None


def _find_rows(dataset: Dataset, folder: Path, own: Cases, name: str) -> Sequence[Case]:
    found = own if own.split == name else _open(dataset, folder, own, name)
    return found[:_MOST_COMPARED] if found is not None else ()


def _open(dataset: Dataset, folder: Path, own: Cases, name: str) -> Cases | None:
    """A split by its own name, or by the column `split` that the dataset selects its rows with."""
    column = next((column for column in dataset.where if column.casefold() == "split"), None)
    if column is not None:
        wanted = msgspec.structs.replace(dataset, where={**dataset.where, column: name})
    elif name in own.splits:
        wanted = msgspec.structs.replace(dataset, split=name, exclude=())
    else:
        return None
    try:
        return load_cases(wanted, folder)
    except (DatasetError, FileError):
        return None
