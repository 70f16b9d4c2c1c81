"""The registry of dataset readers: each registers the suffixes of its files where it is written.

A new format is one module in datasets/readers/: a `RowSource`, and a function decorated with `reader` that opens a
file. Nothing else has to change.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from workbench.datasets.source import RowSource


class FileSplits(NamedTuple):
    """What a file or a folder holds.

    open: the rows of a split, of the whole for "". names: of its splits, none where it is one whole. default: the split
    taken when none is named; "" where one has to be, unless there is only one.
    """

    open: Callable[[str], RowSource]
    names: tuple[str, ...] = ()
    default: str = ""

    @classmethod
    def whole(cls, source: RowSource) -> FileSplits:
        """A file without splits of its own."""
        return cls(lambda _: source)


Opener = Callable[[Path], FileSplits | None]


class ReaderKind(NamedTuple):
    """name: as a bench names the format. open: raises DatasetError; None for a folder that is not of this format.

    suffixes: none for a format of folders. sharded: whether several files may be read as one.
    """

    name: str
    open: Opener
    suffixes: tuple[str, ...]
    sharded: bool


_KINDS: dict[str, ReaderKind] = {}


def reader(name: str, *suffixes: str, sharded: bool = False) -> Callable[[Opener], Opener]:
    """Register what opens a format: files of these suffixes, or folders where there are none."""

    def add(open: Opener) -> Opener:
        _KINDS[name] = ReaderKind(name, open, suffixes, sharded)
        return open

    return add


def reader_kinds() -> dict[str, ReaderKind]:
    """Every reader by the name of its format."""
    _import_readers()
    return dict(_KINDS)


def kinds_by_suffix() -> dict[str, ReaderKind]:
    """The readers of files, by suffix."""
    return {suffix: kind for kind in reader_kinds().values() for suffix in kind.suffixes}


@cache
def _import_readers() -> None:
    from workbench.datasets import readers

    for module in pkgutil.iter_modules(readers.__path__):
        importlib.import_module(f"{readers.__name__}.{module.name}")
