"""Parquet: every cell of a run as a row, with types.

Knows nothing of what the columns mean (rows.py).
"""

from __future__ import annotations

import contextlib
import os
from itertools import islice
from pathlib import Path
from typing import Any

from workbench.errors import FileError
from workbench.evaluation.reports.rows import Columns, find_columns, read_rows
from workbench.evaluation.view import RunView

_GROUP = 10_000  # rows held at once
_WHOLE = ("case", "repeat", "prompt_tokens", "output_tokens")
_DECIMAL = ("seconds_to_first_token", "elapsed_seconds", "tokens_per_second", "cost")


def write_parquet(view: RunView, path: Path) -> None:
    """Write the file in one step: until it is whole, an old one of that name stays. Raises FileError."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = find_columns(view)
    schema = _make_schema(columns)
    rows = read_rows(view, columns)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with parquet.ParquetWriter(temporary, schema) as writer:
            while group := list(islice(rows, _GROUP)):
                held = [
                    pa.array(values, kind) for values, kind in zip(zip(*group, strict=True), schema.types, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(held, schema=schema))
        temporary.replace(path)
    except OSError as error:
        raise FileError(
            f"Cannot write {path}: {error.strerror or error}.", "Free some space, or take another path."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _make_schema(columns: Columns) -> Any:
    import pyarrow as pa

    def choose(name: str) -> Any:
        if name in _WHOLE:
            return pa.int64()
        if name in _DECIMAL or name.startswith("score."):
            return pa.float64()
        return pa.bool_() if name in ("cached", "reproducible") else pa.string()

    return pa.schema([(name, choose(name)) for name in columns.names])
