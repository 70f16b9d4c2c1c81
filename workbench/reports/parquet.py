"""Parquet report: every cell of a run as a row, with types."""

from __future__ import annotations

from itertools import islice
from typing import Any, BinaryIO

from workbench.analysis.summary import Summary
from workbench.reports.cell_rows import CellColumns, find_columns, read_rows
from workbench.reports.registry import report
from workbench.runs.view import RunView

_GROUP = 10_000  # rows held at once
_WHOLE = ("case", "repeat", "prompt_tokens", "output_tokens", "thinking_tokens")
_DECIMAL = ("seconds_to_first_token", "seconds_to_first_answer_token", "elapsed_seconds", "tokens_per_second", "cost")


@report(".parquet", "Parquet", "every cell, for data frames", binary=True)
def write_parquet(view: RunView, _: Summary, stream: BinaryIO) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = find_columns(view)
    schema = _make_schema(columns)
    rows = read_rows(view, columns)
    with parquet.ParquetWriter(stream, schema) as writer:
        while group := list(islice(rows, _GROUP)):
            held = [pa.array(values, kind) for values, kind in zip(zip(*group, strict=True), schema.types, strict=True)]
            writer.write_table(pa.Table.from_arrays(held, schema=schema))


def _make_schema(columns: CellColumns) -> Any:
    import pyarrow as pa

    def choose(name: str) -> Any:
        if name in _WHOLE:
            return pa.int64()
        if name in _DECIMAL or name.startswith("score."):
            return pa.float64()
        return pa.bool_() if name in ("cached", "deterministic") else pa.string()

    return pa.schema([(name, choose(name)) for name in columns.names])
