"""The registry of report formats, `{suffix: writer}`, of the command line and the screen.

A new format is one module in reports/ whose writer is decorated with `report`. Nothing else has to change.
"""

from __future__ import annotations

import importlib
import io
import pkgutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

from workbench import files
from workbench.analysis.summary import Summary
from workbench.errors import WorkbenchError
from workbench.runs.view import RunView

Writer = Callable[[RunView, Summary, Any], None]
"""Writes a report into a stream: of bytes for a binary format, else of text, with the line ends of the format."""


class ReportFormat(NamedTuple):
    """title: what people call the format. help: what such a file holds and for whom."""

    suffix: str
    title: str
    help: str
    write: Writer
    binary: bool


_FORMATS: dict[str, ReportFormat] = {}


def report(suffix: str, title: str, help: str, binary: bool = False) -> Callable[[Writer], Writer]:
    """Register a writer for the files of a suffix."""

    def add(write: Writer) -> Writer:
        _FORMATS[suffix] = ReportFormat(suffix, title, help, write, binary)
        return write

    return add


def report_formats() -> dict[str, ReportFormat]:
    """Every format by its suffix."""
    _import_writers()
    return dict(sorted(_FORMATS.items()))


def find_format(path: Path) -> ReportFormat:
    """The format of a file by the end of its name. Raises WorkbenchError for one that no format has."""
    formats = report_formats()
    endings = [suffix for suffix in formats if path.name.lower().endswith(suffix) and path.name.lower() != suffix]
    if endings:
        return formats[max(endings, key=len)]
    raise WorkbenchError(
        f"{path}: no report format has the suffix {path.suffix or '(none)'}.",
        f"Choose one of {', '.join(formats)}.",
    )


def write_report(view: RunView, summary: Summary, path: Path) -> None:
    """Write a run's report in the format of the suffix, in one step: until it is whole, an old file stays.

    Raises FileError.
    """
    chosen = find_format(path)

    def write(stream: BinaryIO) -> None:
        if chosen.binary:
            chosen.write(view, summary, stream)
            return
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
        try:
            chosen.write(view, summary, text)
        finally:
            text.detach()  # the stream below is closed by whoever opened it

    files.write_stream(path, write)


def print_report(view: RunView, summary: Summary, suffix: str, stream: TextIO) -> None:
    """Write a report of a text format into an open stream."""
    report_formats()[suffix].write(view, summary, stream)


@cache
def _import_writers() -> None:
    from workbench import reports

    for module in pkgutil.iter_modules(reports.__path__):
        importlib.import_module(f"{reports.__name__}.{module.name}")
