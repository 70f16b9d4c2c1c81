"""Data splits: which dataset each of train, validation and test is, for training, verdicts and prompt searches.

Splits that the data have are used; what is missing is made by an automatic split, whose seed and shares are kept in the
store, so that they stay the same when rows are appended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench.datasets import Cases, load_cases
from workbench.datasets.auto_split import PARTS, count_parts, make_auto_split
from workbench.datasets.case_parts import read_units
from workbench.datasets.spec import AutoSplit, Dataset, Part
from workbench.errors import DatasetError, FileError, StoreError
from workbench.store.splits import find_splits, keep_splits
from workbench.store.store import Store
from workbench.units import format_plural

_NAMES: Mapping[Part, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval"),
}
MOST_ROWS = 20_000
"""of a dataset with more, a sample is searched on"""


class FoundPart(NamedTuple):
    """A part that the data have: the split's name, and how it is selected."""

    name: str
    dataset: Dataset
    cases: Cases


class DataSplits(NamedTuple):
    """parts: the dataset of each part there is. auto: of what was missing, None where nothing was. how: in words, with
    the rows of each part that was made."""

    parts: dict[Part, Dataset]
    auto: AutoSplit | None
    how: str


def open_parts(dataset: Dataset, folder: Path, most: int | None = None) -> dict[Part, FoundPart]:
    """The splits that the data have, or those values of a column `split` by which the bench selects its rows.

    most: rows of each, a sample where there are more; None: all. Raises DatasetError and FileError.
    """
    own = _find_own_split(dataset, folder)
    found: dict[Part, FoundPart] = {}
    for part in PARTS:
        for name in _NAMES[part]:
            chosen = select_split(dataset, name, own, most)
            try:
                found[part] = FoundPart(name, chosen, load_cases(chosen, folder))
                break
            except (DatasetError, FileError):
                continue
    return found


def select_split(dataset: Dataset, name: str, own: str = "", most: int | None = None) -> Dataset:
    """The dataset of a split, all its rows; "" for the dataset as the bench has it. own: the split whose row numbers
    `exclude` holds."""
    whole = msgspec.structs.replace(dataset, limit=None, sample=most, seed=0)
    if not name:
        return whole
    column = next((column for column in dataset.where if column.casefold() == "split"), None)
    if column is not None:
        return msgspec.structs.replace(whole, where={**dataset.where, column: name})
    exclude = dataset.exclude if name == own or dataset.auto_split else ()
    return msgspec.structs.replace(whole, split=name, exclude=exclude)


def find_data_splits(
    dataset: Dataset,
    folder: Path,
    store: Store | None,
    auto: AutoSplit | None = None,
    has_test: bool = False,
    only_kept: bool = False,
) -> DataSplits:
    """The dataset of each part.

    auto: the automatic split to make where one is needed; else the one that the store keeps, else a new one. store:
    None keeps nothing. has_test: whether test cases stand elsewhere. only_kept: make none where the store keeps none;
    there are only the splits of the data then. Raises DatasetError and FileError.
    """
    if dataset.auto_split is not None:
        whole = msgspec.structs.replace(dataset, limit=None, sample=None)
        return _divide(whole, folder, dataset.auto_split, {}, has_test or not dataset.auto_split.test)
    found = open_parts(dataset, folder)
    own = parts = {part: one.dataset for part, one in found.items()}
    if "train" in found and "validation" in found:
        return DataSplits(parts, None, _name_splits(found))
    if len(found) > 1:
        given = found["train" if "train" in found else "validation"]
        source, test = given.dataset, "test" in found or has_test
    else:
        source, test = select_split(dataset, ""), has_test
        own, parts, found = parts, {}, {}
    if auto is None and only_kept and not _is_kept(source, folder, store, test):
        return DataSplits(own, None, _name_splits(found))
    made = auto or recall_auto_split(source, folder, store, has_test=test)
    return _divide(source, folder, made, found, test)


def recall_auto_split(source: Dataset, folder: Path, store: Store | None, has_test: bool) -> AutoSplit:
    """The automatic split of a dataset: the one that the store keeps under its path or its content, else a new one."""
    cases = load_cases(source, folder)
    known = _make_keys(source, cases, has_test)
    for key in known if store else ():
        body = find_splits(store, key) if store else None
        if body:
            return _keep(store, known, _decode(body))
    made = make_auto_split(read_units(cases, source.group), has_test, source.split)
    return _keep(store, known, msgspec.structs.replace(made, group=source.group))


def _is_kept(source: Dataset, folder: Path, store: Store | None, has_test: bool) -> bool:
    keys = _make_keys(source, load_cases(source, folder), has_test)
    return store is not None and any(find_splits(store, key) for key in keys)


def _keep(store: Store | None, keys: tuple[bytes, ...], split: AutoSplit) -> AutoSplit:
    """Keep it under both keys, unless another process was quicker; the one that is kept."""
    if store is None:
        return split
    bodies = [keep_splits(store, key, msgspec.json.encode(split).decode()) for key in keys]
    return _decode(bodies[0])


def _decode(body: str) -> AutoSplit:
    try:
        return msgspec.json.decode(body, type=AutoSplit)
    except (msgspec.DecodeError, RecursionError) as error:
        raise StoreError(f"The stored split of the data cannot be read: {error}.", "Restore the store.") from error


def _make_keys(source: Dataset, cases: Cases, has_test: bool) -> tuple[bytes, bytes]:
    """By the path, for a file that grows; and by its content, for one that was moved."""
    selection = (source.split, sorted(source.where.items(), key=str), source.group, has_test)
    names = (("path", str(cases.path.absolute())), ("content", cases.digest))
    path, content = (
        hashlib.blake2b(msgspec.json.encode(("auto_split", name, selection)), digest_size=16).digest() for name in names
    )
    return path, content


def _divide(
    source: Dataset, folder: Path, auto: AutoSplit, found: Mapping[Part, FoundPart], has_test: bool
) -> DataSplits:
    """The parts that an automatic split makes of a dataset, beside those that the data have."""
    made = msgspec.structs.replace(auto, from_split=auto.from_split or source.split)
    if has_test:
        made = msgspec.structs.replace(made, test=0.0)
    base = msgspec.structs.replace(source, auto_split=made)
    whole = load_cases(msgspec.structs.replace(source, split=made.from_split, auto_split=None), folder)
    group = made.group or source.group
    counted = {part: (rows, units) for part, rows, units in count_parts(read_units(whole, group), made)}
    parts = {part: one.dataset for part, one in found.items()}
    parts |= {part: msgspec.structs.replace(base, split=part) for part, (rows, _) in counted.items() if rows}
    return DataSplits(parts, made, _describe(whole, group, made, counted, found))


def _describe(
    whole: Cases,
    group: str,
    auto: AutoSplit,
    counted: Mapping[Part, tuple[int, int]],
    found: Mapping[Part, FoundPart],
) -> str:
    rule = f"by {group}" if group else "by input"
    made = ", ".join(
        f"{rows:,} {part}" + (f" ({units:,} groups)" if group else "")
        for part, (rows, units) in counted.items()
        if rows or not found
    )
    name = f" ({auto.from_split})" if auto.from_split else ""
    kept = [f"{part} is the split {one.name}" for part, one in found.items() if part not in counted or part == "test"]
    return "; ".join(
        [
            f"automatic split of the {format_plural(len(whole), 'row')}"
            f" of {whole.path.name}{name} {rule}, seed {auto.seed}: {made}",
            *kept,
        ]
    )


def _name_splits(found: Mapping[Part, FoundPart]) -> str:
    return "; ".join(f"{part}: split {one.name}, {format_plural(len(one.cases), 'row')}" for part, one in found.items())


def _find_own_split(dataset: Dataset, folder: Path) -> str:
    """The split that the bench itself is run on, where it leaves rows out by their numbers there."""
    if dataset.split or not dataset.exclude:
        return dataset.split
    return load_cases(msgspec.structs.replace(dataset, limit=1, sample=None), folder).split
