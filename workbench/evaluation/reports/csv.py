"""CSV: every cell of a run as a line, as RFC 4180 has it.

Knows nothing of what the columns mean (rows.py).
"""

from __future__ import annotations

import csv
from typing import TextIO

from workbench.evaluation.reports.rows import find_columns, read_rows
from workbench.evaluation.view import RunView


def write_csv(view: RunView, stream: TextIO) -> None:
    """Write a header and a line a cell. A missing value is an empty field; true and false are 1 and 0.

    stream: opened with newline="", so that the line ends are those of the format.
    """
    columns = find_columns(view)
    writer = csv.writer(stream)
    writer.writerow(columns.names)
    for row in read_rows(view, columns):
        writer.writerow([int(value) if isinstance(value, bool) else value for value in row])
