"""Opens what a dataset means: a file or folder, its format and its split, as a source of rows.

A split is a part of one file (a sheet, a list under a key), a folder that the `datasets` library wrote, or a file whose
name begins with the name of a split, such as `test-00000.parquet`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench import paths
from workbench.datasets.registry import FileSplits, ReaderKind, kinds_by_suffix, reader_kinds
from workbench.datasets.source import ConcatenatedSource, RowSource
from workbench.datasets.spec import Dataset
from workbench.datasets.split_names import SPLIT_NAME, split_of
from workbench.errors import DatasetError, FileError


class OpenedSource(NamedTuple):
    """splits: all that there are to choose from; split: the one that was opened, "" where there is no choice."""

    source: RowSource
    splits: tuple[str, ...] = ()
    split: str = ""


class SplitError(DatasetError):
    """There are several splits and none is chosen, or one that there is not; splits: those there are."""

    def __init__(self, message: str, hint: str, splits: tuple[str, ...]) -> None:
        super().__init__(message, hint)
        self.splits = splits


def open_source(dataset: Dataset, folder: Path) -> OpenedSource:
    """The rows that a bench's dataset means, not scanned yet.

    Raises FileError when there is no such file, DatasetError when it is none of the known formats, or when it has
    several splits and none of them is chosen.
    """
    path = _find(dataset.path, folder)
    kinds = reader_kinds()
    if dataset.format and dataset.format not in kinds:
        raise DatasetError(f"No such dataset format: {dataset.format}.", f"Expected {', '.join(kinds)}.")
    if path.is_dir():
        return _open_folder(path, dataset)
    kind = _kind_of(path, dataset.format)
    found = _open(kind, path)
    if found.names:
        return _open_split(found, dataset.split, path)
    siblings = _find_siblings(path)
    if not dataset.split:
        return OpenedSource(found.open(""), tuple(siblings), split_of(path))
    chosen = _choose(dataset.split, siblings, path)
    source = found.open("") if siblings[chosen] == path else _open_file(kind, siblings[chosen])
    return OpenedSource(source, tuple(siblings), chosen)


def _find(name: str, folder: Path) -> Path:
    try:
        return paths.find_input(name, folder)
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, a user who is not there
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise FileError(f"{name[:80]!r} cannot be the path of a dataset: {reason}.", "Correct the path.") from error


def _open_folder(path: Path, dataset: Dataset) -> OpenedSource:
    for kind in reader_kinds().values():
        if not kind.suffixes and (found := kind.open(path)) is not None:
            return _open_split(found, dataset.split, path)
    suffixes = kinds_by_suffix()
    files = [file for index in (path, path / "data") for file in _list(index) if file.suffix.lower() in suffixes]
    groups: dict[str, list[Path]] = {}
    for file in files:
        if split_of(file):
            groups.setdefault(split_of(file), []).append(file)
    if not groups and len(files) == 1:
        return open_source(msgspec.structs.replace(dataset, path=str(files[0].resolve())), path)
    if not groups:
        raise DatasetError(f"{path} has no split of a dataset.", f"Name a file: {', '.join(suffixes)}.")
    chosen = _choose(dataset.split, groups, path)
    return OpenedSource(_open_shards(path, chosen, groups[chosen], dataset.format), tuple(groups), chosen)


def _open_shards(folder: Path, split: str, shards: list[Path], format: str) -> RowSource:
    kinds = {kind.name: kind for shard in shards for kind in [_kind_of(shard, format)]}
    kind = next(iter(kinds.values()))
    if len(shards) == 1:
        return _open_file(kind, shards[0])
    if len(kinds) > 1 or not kind.sharded:
        names = ", ".join(shard.name for shard in shards)
        raise DatasetError(f"{folder} has several files for {split}: {names}.", "Name the one that is meant.")
    return ConcatenatedSource(folder, [_open_file(kind, shard) for shard in shards])


def _open_split(found: FileSplits, wanted: str, path: Path) -> OpenedSource:
    """One of the splits that a file or a folder has of its own."""
    if not found.names and wanted:  # not ignored: "validation" would be the rows of "test"
        raise _no_splits(path, wanted)
    if not found.names:
        return OpenedSource(found.open(""))
    chosen = wanted if wanted in found.names else found.default if not wanted else ""
    chosen = chosen or _choose(wanted, found.names, path)
    shown = found.names if len(found.names) > 1 or not found.default else ()
    return OpenedSource(found.open(chosen), shown, chosen if shown else "")


def _open_file(kind: ReaderKind, path: Path) -> RowSource:
    found = _open(kind, path)
    return found.open("") if not found.names else _open_split(found, "", path).source


def _open(kind: ReaderKind, path: Path) -> FileSplits:
    found = kind.open(path)
    if found is None:
        raise DatasetError(f"{path} is a file, not a folder of the datasets library.", "Name its folder.")
    return found


def _kind_of(path: Path, format: str) -> ReaderKind:
    if format:
        return reader_kinds()[format]
    kinds = kinds_by_suffix()
    if found := kinds.get(path.suffix.lower()):
        return found
    raise DatasetError(
        f"{path} is not a dataset: its name ends in {path.suffix or 'nothing'}.", f"Expected {', '.join(kinds)}."
    )


def _find_siblings(path: Path) -> dict[str, Path]:
    """The files beside this one that differ from it in the name of the split alone."""
    own = SPLIT_NAME.match(path.stem)
    if not own:
        return {}
    rest = path.name[own.end() :]
    near = [file for file in _list(path.parent) if split_of(file) and file.name[len(split_of(file)) :] == rest]
    return {split_of(file): file for file in near}


def _list(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    except OSError:
        return []


def _choose(wanted: str, splits: Iterable[str] | Mapping[str, object], path: Path) -> str:
    names = list(splits)
    if wanted in names:
        return wanted
    if not wanted and len(names) == 1:
        return names[0]
    if not names:
        raise _no_splits(path, wanted)
    problem = f"has no split {wanted}" if wanted else "has several splits"
    raise SplitError(f"{path} {problem}.", f"Choose one with `split:`: {', '.join(names)}.", tuple(names))


def _no_splits(path: Path, wanted: str) -> DatasetError:
    return DatasetError(f"{path} has no split {wanted}: it is one whole.", "Leave out `split`.")
