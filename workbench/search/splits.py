"""SearchSplits: train for material, dev for the search, test sealed for the end; made once and kept in the store."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from workbench.datasets import Case, Cases, load_cases
from workbench.datasets.auto_split import locate, middle_of, normalise_inputs
from workbench.datasets.case_parts import read_units
from workbench.datasets.spec import Dataset, Part
from workbench.errors import DatasetError, SearchError
from workbench.prompting.prompt import Example
from workbench.runs.data_splits import MOST_ROWS, open_parts, recall_auto_split, select_split
from workbench.search.request import SearchPart
from workbench.store.splits import change_splits, find_splits, keep_splits
from workbench.store.store import Store
from workbench.units import format_plural, format_subject

_PARTS: tuple[SearchPart, ...] = ("train", "dev", "test")
_NAMES: Mapping[Part, SearchPart] = {"train": "train", "validation": "dev", "test": "test"}
_LEAST = 4
"""cases that dev and test need at the very least"""
_FEW = 20
"""cases of test below which hardly any difference can be shown"""


class TestOpening(msgspec.Struct, frozen=True, omit_defaults=True):
    """The sealed part was opened: when, by which search, for which candidate."""

    __test__ = False  # no test, whatever pytest thinks of the name

    at: float
    search: str
    candidate: str


class StoredSplits(msgspec.Struct, frozen=True, omit_defaults=True):
    """numbers: the cases of each part, by number. sources: the split of the dataset that each part is read from, ""
    for the dataset as the bench has it. how: in words."""

    numbers: dict[SearchPart, tuple[int, ...]]
    sources: dict[SearchPart, str]
    how: str
    notes: tuple[str, ...] = ()
    openings: tuple[TestOpening, ...] = ()


class SearchSplits(NamedTuple):
    """The cases of each part. key: by which the store knows the division. openings: of the test part so far.
    group: the column whose rows belong together, "" for none."""

    train: tuple[Case, ...]
    dev: tuple[Case, ...]
    test: tuple[Case, ...]
    key: bytes
    how: str
    notes: tuple[str, ...] = ()
    openings: int = 0
    group: str = ""

    def cases(self, part: SearchPart) -> tuple[Case, ...]:
        return self.train if part == "train" else self.dev if part == "dev" else self.test


def find_search_splits(
    dataset: Dataset | None, folder: Path, store: Store, limits: Mapping[SearchPart, int], group: str = ""
) -> SearchSplits:
    """The division of a bench's data, made the first time and the same ever after.

    Splits that the data have are used; what is missing is divided off, rows of a group or with the same input staying
    together. Rows of train that are also in dev or test are left out, and so are rows of dev that are in test.
    limits: cases of each part that are used at most. group: a column; else the dataset's own `group`.
    Raises SearchError where there are too few cases, DatasetError and FileError.
    """
    if dataset is None:
        raise SearchError(
            "The bench has no dataset, so there is nothing to search on.", "Add one with `dataset: {path: …}`."
        )
    group = group or dataset.group
    opened = _open_parts(dataset, folder)
    key = _make_key(dataset, opened, group)
    body = find_splits(store, key)
    stored = _decode(body) if body else None
    if stored is None:
        made = msgspec.json.encode(_Division(dataset, folder, store, group).divide(opened)).decode()
        stored = _decode(keep_splits(store, key, made))
    parts = {part: _read_cases(dataset, folder, opened, stored, part, limits.get(part, 0)) for part in _PARTS}
    for part in ("dev", "test"):
        if len(parts[part]) < _LEAST:
            raise SearchError(
                f"The {part} part of {dataset.path} has {format_plural(len(parts[part]), 'case')}.",
                f"A search needs at least {_LEAST} to search on and {_LEAST} to test on. Add cases.",
            )
    notes = list(stored.notes)
    if len(parts["test"]) < _FEW:
        notes.append(
            f"The test part has {format_plural(len(parts['test']), 'case')}:"
            f" too few to show any but a large difference."
        )
    return SearchSplits(
        parts["train"], parts["dev"], parts["test"], key, stored.how, tuple(notes), len(stored.openings), group
    )


def open_test(store: Store, key: bytes, search: str, candidate: str) -> int:
    """Note that the test part is opened; how often it has been, this time included."""

    def add(body: str) -> str:
        stored = _decode(body)
        opening = TestOpening(time.time(), search, candidate)
        return msgspec.json.encode(msgspec.structs.replace(stored, openings=(*stored.openings, opening))).decode()

    return len(_decode(change_splits(store, key, add)).openings)


def shuffle_numbers(cases: Sequence[Case], seed: int) -> tuple[int, ...]:
    """The numbers of cases in the order in which a search takes them in, where it does not take all."""
    numbers = [case.number for case in cases]
    random.Random(seed).shuffle(numbers)
    return tuple(numbers)


def identify(one: Case | Example) -> tuple[tuple[str, str], ...]:
    """What makes two inputs the same, whatever their case and white space."""
    return tuple(normalise_inputs(one.variables).items())


def _decode(body: str) -> StoredSplits:
    try:
        return msgspec.json.decode(body, type=StoredSplits)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SearchError(f"The stored division of the data cannot be read: {error}.", "Restore the store.") from error


# --- what there is ---------------------------------------------------------------------------------------------------


class _OpenedParts(NamedTuple):
    """found: the parts that the data have as splits, with how each is selected. whole: the dataset as the bench has it,
    where there is no test split."""

    found: dict[SearchPart, tuple[str, Cases]]
    whole: Cases | None


def _open_parts(dataset: Dataset, folder: Path) -> _OpenedParts:
    opened = open_parts(dataset, folder, MOST_ROWS)
    found = {_NAMES[part]: (one.name, one.cases) for part, one in opened.items()}
    if "test" in found and len(found) > 1:
        return _OpenedParts(found, None)
    return _OpenedParts({}, load_cases(_select(dataset, ""), folder))


def _select(dataset: Dataset, name: str) -> Dataset:
    return select_split(dataset, name, most=MOST_ROWS)


def _make_key(dataset: Dataset, opened: _OpenedParts, group: str) -> bytes:
    """By content, not by path: a dataset that was moved is divided as before."""
    bare = msgspec.structs.replace(dataset, path="", limit=None, sample=None, seed=0, group=group)
    digests = [(part, name, cases.digest) for part, (name, cases) in sorted(opened.found.items())]
    whole = opened.whole.digest if opened.whole is not None else ""
    return hashlib.blake2b(msgspec.json.encode((bare, digests, whole)), digest_size=16).digest()


# --- dividing --------------------------------------------------------------------------------------------------------


class _Division(NamedTuple):
    """How the rows of a dataset are divided that lack a split: as training and verdicts divide them, so that they all
    share one sealed test split."""

    dataset: Dataset
    folder: Path
    store: Store
    group: str

    def divide(self, opened: _OpenedParts) -> StoredSplits:
        sources: dict[SearchPart, str] = {}
        rows: dict[SearchPart, list[Case]] = {}
        if opened.whole is not None:
            rows = self._share_out(opened.whole, "", has_test=False)
            sources = dict.fromkeys(_PARTS, "")
            total = len(opened.whole)
            shares = ", ".join(f"{len(rows[part]) / total:.0%} {part}" for part in _PARTS)
            return _clean(
                rows, sources, f"{format_plural(total, 'case')} divided {_name_rule(self.group)}: {shares}", {}
            )
        found = opened.found
        groups: dict[tuple[str, int], str | None] = {}
        for part, (name, cases) in found.items():
            rows[part], sources[part] = list(cases), name
            own = zip(rows[part], _read_groups(cases, self.group), strict=True)
            groups.update(((name, case.number), of_case) for case, of_case in own)
        how = ", ".join(f"{part} is the split {name}" for part, (name, _) in found.items())
        needed: tuple[SearchPart, ...] = ("train", "dev")
        lacking = next((part for part in needed if part not in found), None)
        if lacking:
            given: SearchPart = "dev" if lacking == "train" else "train"
            name, cases = found[given]
            rows.update(self._share_out(cases, name, has_test=True))
            sources[lacking] = name
            rule = _name_rule(self.group)
            how = f"test is the split {found['test'][0]}; {name} is divided {rule}: half train, half dev"
        return _clean(rows, sources, how, groups)

    def _share_out(self, cases: Cases, split: str, has_test: bool) -> dict[SearchPart, list[Case]]:
        """The cases by part: test as in an automatic split, and halves of what is left for train and dev."""
        source = msgspec.structs.replace(_select(self.dataset, split), group=self.group)
        auto = recall_auto_split(source, self.folder, self.store, has_test)
        parts: dict[SearchPart, list[Case]] = {part: [] for part in _PARTS if part != "test" or not has_test}
        for case, unit in zip(cases, read_units(cases, self.group), strict=True):
            at = locate(unit.key, auto.seed)
            parts["test" if at < auto.test else "dev" if at < middle_of(auto) else "train"].append(case)
        return parts


def _name_rule(group: str) -> str:
    return f"by {group}" if group else "at random"


def _read_groups(cases: Cases, group: str) -> Sequence[str | None]:
    if not group:
        return [None] * len(cases)
    names = [row.cells.get(group) for row in cases.rows()]
    if not any(name is not None for name in names):
        raise DatasetError(
            f"{cases.path} has no column {group}, by which its rows are grouped.",
            f"It has: {', '.join(cases.columns) or 'none'}.",
        )
    return names


def _clean(
    rows: dict[SearchPart, list[Case]],
    sources: dict[SearchPart, str],
    how: str,
    groups: Mapping[tuple[str, int], str | None],
) -> StoredSplits:
    """Without rows that a part shares with a later one, or whose group it shares. groups: by source and number."""
    notes = []
    taken: set[Any] = set()
    kept: dict[SearchPart, tuple[int, ...]] = {}
    for part in reversed(_PARTS):
        own = rows.get(part, [])
        marks = {case.number: _mark(case, groups.get((sources[part], case.number))) for case in own}
        fresh = [case for case in own if not marks[case.number] & taken]
        if lost := len(own) - len(fresh):
            later = "dev or test" if part == "train" else "test"
            what = "the row or its group is" if any(groups.values()) else "the row is"
            notes.append(f"{format_subject(lost, f'{part} row')} left out: {what} also in {later}.")
        taken.update(mark for case in fresh for mark in marks[case.number])
        kept[part] = tuple(sorted(case.number for case in fresh))
    return StoredSplits(kept, sources, how, tuple(reversed(notes)))


def _mark(case: Case, group: str | None) -> set[Any]:
    """What no two parts may share."""
    return {identify(case), *([("group", group)] if group is not None else [])}


def _read_cases(
    dataset: Dataset, folder: Path, opened: _OpenedParts, stored: StoredSplits, part: SearchPart, limit: int
) -> tuple[Case, ...]:
    """The cases of a part; a seeded sample of them where there are more than the limit."""
    numbers = list(stored.numbers.get(part, ()))
    if limit and len(numbers) > limit:
        numbers = sorted(random.Random(0).sample(numbers, limit))
    source = stored.sources.get(part)
    if source is None:
        return ()
    found = next((cases for name, cases in opened.found.values() if name == source), opened.whole)
    cases = found if found is not None else load_cases(_select(dataset, source), folder)
    picked = (cases.find(number) for number in numbers)
    return tuple(case for case in picked if case is not None)
