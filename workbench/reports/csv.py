"""CSV report: every cell of a run as a line, as RFC 4180 has it."""

from __future__ import annotations

import csv
import re
from typing import TextIO

from workbench.analysis.summary import Summary
from workbench.reports.cell_rows import Value, find_columns, read_rows
from workbench.reports.registry import report
from workbench.runs.view import RunView

_ACTIVE = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # full-width signs are taken for the same ones
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?%?", re.ASCII)


@report(".csv", "CSV", "every cell, for a spreadsheet")
def write_csv(view: RunView, _: Summary, stream: TextIO) -> None:
    """Write a header and a line a cell. A missing value is an empty field; true and false are 1 and 0.

    A text that a spreadsheet would take for a formula begins with an apostrophe, which is how spreadsheets mark text.
    stream: opened with newline="", so that the line ends are those of the format.
    """
    columns = find_columns(view)
    writer = csv.writer(stream)
    writer.writerow(map(_neutralise, columns.names))
    for row in read_rows(view, columns):
        writer.writerow([_neutralise(value) for value in row])


def _neutralise(value: Value) -> Value:
    """A value that no spreadsheet carries out: numbers stay, also those that are text."""
    if isinstance(value, bool):
        return int(value)
    if not isinstance(value, str) or not value.lstrip(" \t\r\n\0").startswith(_ACTIVE) or _NUMBER.fullmatch(value):
        return value
    return f"'{value}"
