"""Opening: which file a dataset means, in which format and split, as a source of rows.

Knows nothing of what columns mean. A split is a part of one file (a sheet, a list under a key), a folder that the
`datasets` library wrote, or a file whose name begins with the name of a split, such as `test-00000.parquet`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench import paths
from workbench.errors import DatasetError, FileError
from workbench.evaluation.bench import Dataset
from workbench.evaluation.datasets import hf_folder
from workbench.evaluation.datasets.chain import Chain
from workbench.evaluation.datasets.content import Content
from workbench.evaluation.datasets.delimited import Delimited
from workbench.evaluation.datasets.json_array import JsonArray, Part, find_parts
from workbench.evaluation.datasets.json_lines import JsonLines
from workbench.evaluation.datasets.source import Source
from workbench.evaluation.datasets.spreadsheet import Spreadsheet
from workbench.evaluation.datasets.squad import Squad, is_squad
from workbench.evaluation.datasets.tables import Table

SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".xlsx": "xlsx",
    ".parquet": "parquet",
}
FORMATS = (*dict.fromkeys(SUFFIXES.values()), "hf")
_DELIMITERS = {"csv": ",", "tsv": "\t"}
_SPLIT = re.compile(r"(train|training|validation|valid|val|dev|test|testing|eval)(?![a-z0-9])", re.IGNORECASE)
_PEEKED = 1 << 20


class Opened(NamedTuple):
    """splits: all that there are to choose from; split: the one that was opened, "" where there is no choice."""

    source: Source
    splits: tuple[str, ...] = ()
    split: str = ""


class SplitError(DatasetError):
    """There are several splits and none is chosen, or one that there is not; splits: those there are."""

    def __init__(self, message: str, hint: str, splits: tuple[str, ...]) -> None:
        super().__init__(message, hint)
        self.splits = splits


def open_source(dataset: Dataset, folder: Path) -> Opened:
    """The rows that a bench's dataset means, not scanned yet.

    Raises FileError when there is no such file, DatasetError when it is none of the known formats, or when it has
    several splits and none of them is chosen.
    """
    path = _find(dataset.path, folder)
    if dataset.format and dataset.format not in FORMATS:
        raise DatasetError(f"{dataset.format} is no format of a dataset.", f"Expected {', '.join(FORMATS)}.")
    if path.is_dir():
        return _open_folder(path, dataset)
    kind = dataset.format or _format_of(path)
    if kind == "hf":
        raise DatasetError(f"{path} is a file, not a folder of the datasets library.", "Name its folder.")
    if kind in ("xlsx", "json"):
        return _open_parts(path, kind, dataset.split)
    siblings = _find_siblings(path)
    if not dataset.split:
        return Opened(_open_file(path, kind), tuple(siblings), _split_of(path))
    chosen = _choose(dataset.split, siblings, path)
    return Opened(_open_file(siblings[chosen], kind), tuple(siblings), chosen)


def _find(name: str, folder: Path) -> Path:
    try:
        return paths.find_input(name, folder)
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, a user who is not there
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise FileError(f"{name[:80]!r} cannot be the path of a dataset: {reason}.", "Correct the path.") from error


def _open_folder(path: Path, dataset: Dataset) -> Opened:
    if (path / hf_folder.SPLITS).is_file():
        splits = hf_folder.list_parts(path)
        chosen = _choose(dataset.split, splits, path)
        return Opened(hf_folder.open_folder(path / chosen), splits, chosen)
    if (path / hf_folder.STATE).is_file():
        return Opened(hf_folder.open_folder(path))
    files = [file for place in (path, path / "data") for file in _list(place) if file.suffix.lower() in SUFFIXES]
    groups: dict[str, list[Path]] = {}
    for file in files:
        if _split_of(file):
            groups.setdefault(_split_of(file), []).append(file)
    if not groups and len(files) == 1:
        return open_source(msgspec.structs.replace(dataset, path=str(files[0].resolve())), path)
    if not groups:
        known = ", ".join(SUFFIXES)
        raise DatasetError(f"{path} holds no split of a dataset.", f"Name one of its files; they end in {known}.")
    chosen = _choose(dataset.split, groups, path)
    return Opened(_open_shards(path, chosen, groups[chosen], dataset.format), tuple(groups), chosen)


def _open_shards(folder: Path, split: str, shards: list[Path], format: str) -> Source:
    kinds = {format or _format_of(shard) for shard in shards}
    if len(shards) == 1:
        return _open_file(shards[0], kinds.pop())
    if kinds != {"parquet"}:
        names = ", ".join(shard.name for shard in shards)
        raise DatasetError(f"{folder} has several files for {split}: {names}.", "Name the one that is meant.")
    return Chain(folder, [_open_file(shard, "parquet") for shard in shards])


def _open_parts(path: Path, kind: str, split: str) -> Opened:
    """A file that may hold several splits."""
    if kind == "xlsx":
        book = Spreadsheet(path)
        sheets = book.sheets
        chosen = _choose(split, sheets, path) if split or not sheets else sheets[0]
        book.choose(chosen)
        return Opened(book, sheets if len(sheets) > 1 else (), chosen if len(sheets) > 1 else "")
    content = Content(path)
    if _is_json_lines(content):
        return Opened(JsonLines(content))
    parts = {part.key: part for part in find_parts(content)}
    if "" not in parts:
        chosen = _choose(split, parts, path)
        return Opened(_open_list(content, parts[chosen]), tuple(parts), chosen)
    siblings = _find_siblings(path)
    if not split:
        return Opened(_open_list(content, parts[""]), tuple(siblings), _split_of(path))
    chosen = _choose(split, siblings, path)
    if siblings[chosen] == path:
        return Opened(_open_list(content, parts[""]), tuple(siblings), chosen)
    return Opened(_open_parts(siblings[chosen], kind, "").source, tuple(siblings), chosen)


def _open_list(content: Content, part: Part) -> Source:
    array = JsonArray(content, part)
    return Squad(array) if is_squad(array) else array


def _open_file(path: Path, kind: str) -> Source:
    if kind == "parquet":
        return Table(path, "parquet", "parquet", [path])
    if kind in ("json", "xlsx"):
        return _open_parts(path, kind, "").source
    content = Content(path)
    if kind in _DELIMITERS:
        return Delimited(content, kind, _DELIMITERS[kind])
    return JsonLines(content)


def _format_of(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DatasetError(
            f"{path} is not a dataset: its name ends in {suffix or 'nothing'}.", f"Expected {', '.join(SUFFIXES)}."
        )
    return SUFFIXES[suffix]


def _is_json_lines(content: Content) -> bool:
    """Whether a .json file holds an object a line, as many do."""
    first = content.read(content.begin, _PEEKED).lstrip().split(b"\n", 1)[0].rstrip()
    if not (first.startswith(b"{") and first.endswith(b"}")):
        return False
    try:
        values = msgspec.json.decode(first, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return not any(re.match(rb"\[\s*\{", value) for value in values.values()) or content.size > len(first) + 4


def _split_of(path: Path) -> str:
    found = _SPLIT.match(path.stem)
    return found[1].lower() if found else ""


def _find_siblings(path: Path) -> dict[str, Path]:
    """The files beside this one that differ from it in the name of the split alone."""
    own = _SPLIT.match(path.stem)
    if not own:
        return {}
    rest = path.name[own.end() :]
    near = [file for file in _list(path.parent) if _split_of(file) and file.name[len(_split_of(file)) :] == rest]
    return {_split_of(file): file for file in near}


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
        told = f"{path} has no split {wanted}: it is one whole." if wanted else f"{path} holds no list of objects."
        raise DatasetError(told, "Leave `split` out." if wanted else 'Expected [{"column": "value"}, ...].')
    said = f"has no split {wanted}" if wanted else "has several splits"
    raise SplitError(f"{path} {said}.", f"Say which, by `split:`: {', '.join(names)}.", tuple(names))
