"""Cases: the rows of a JSONL or CSV file, each with its variables and the expected answer.

Knows nothing of prompts or of how an answer is judged. Everything wrong with a file is reported at once, by
line and column.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench import files, paths
from workbench.errors import DatasetError
from workbench.evaluation.bench import Dataset
from workbench.evaluation.datasets.case import Case

_REPORTED = 8  # problems told one by one; the rest is a number
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON_LINES = (".jsonl", ".ndjson")


class _Row(NamedTuple):
    line: int
    cells: dict[str, str]


def load_cases(dataset: Dataset, folder: Path) -> tuple[Case, ...]:
    """The dataset's rows, in order.

    folder: the bench's folder, from which a relative path is looked up first.
    Values that are not strings become their JSON text, exactly as written; null is the same as no value. In a
    CSV file an empty expected answer is no answer.
    Raises FileError when there is no such file, and DatasetError when it is empty or rows cannot be read,
    with their lines.
    """
    path = paths.find_input(dataset.path, folder)
    problems: list[str] = []
    rows = list(_read_rows(path, problems))
    blank_is_answer = path.suffix.lower() in _JSON_LINES
    cases = _make_cases(dataset, rows, problems, blank_is_answer)
    if problems:
        shown = problems[:_REPORTED]
        more = [f"... and {len(problems) - _REPORTED} more"] if len(problems) > _REPORTED else []
        raise DatasetError(f"{path} cannot be read:\n" + "\n".join(f"  {line}" for line in shown + more))
    if not cases:
        raise DatasetError(f"{path} has no rows.", "Add one case a line, or take another file.")
    return cases


def _read_rows(path: Path, problems: list[str]) -> Iterator[_Row]:
    text = files.read_text(path).removeprefix("\ufeff")
    suffix = path.suffix.lower()
    if suffix in _JSON_LINES:
        return _read_json_lines(text, problems)
    if suffix in _DELIMITERS:
        return _read_csv(text, _DELIMITERS[suffix], problems)
    known = ", ".join((*_JSON_LINES, *_DELIMITERS))
    raise DatasetError(f"{path} is not a dataset: its name ends in {suffix or 'nothing'}.", f"Expected {known}.")


def _read_json_lines(text: str, problems: list[str]) -> Iterator[_Row]:
    decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
    for line, content in enumerate(text.split("\n"), start=1):  # not splitlines: U+2028 may stand in a string
        if not content.strip():
            continue
        try:
            yield _Row(line, _decode_cells(decoder.decode(content)))
        except msgspec.ValidationError as error:
            problems.append(f"line {line}: {error}; each line is one object of column and value")
        except msgspec.DecodeError as error:
            problems.append(f"line {line}, {_describe_fault(content, error)}")


def _decode_cells(row: dict[str, msgspec.Raw]) -> dict[str, str]:
    cells = {}
    for column, raw in row.items():
        value = bytes(raw)
        if value != b"null":
            cells[column] = msgspec.json.decode(value, type=str) if value[:1] == b'"' else value.decode()
    return cells


def _describe_fault(content: str, error: msgspec.DecodeError) -> str:
    """What is wrong with a line, and at which character, in the words of Python's own reader where it agrees."""
    try:
        json.loads(content)
    except json.JSONDecodeError as fault:
        return f"column {fault.colno}: {fault.msg}"
    except (ValueError, RecursionError) as fault:
        return str(fault)
    return str(error)


def _read_csv(text: str, delimiter: str, problems: list[str]) -> Iterator[_Row]:
    csv.field_size_limit(sys.maxsize)  # a case may be a long document
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        problems.extend(_check_header(header))
        begin = reader.line_num + 1
        for values in reader:
            if values and len(values) != len(header):
                problems.append(f"line {begin}: {len(values)} columns, but the header has {len(header)}")
            elif values:
                yield _Row(begin, dict(zip(header, values, strict=True)))
            begin = reader.line_num + 1
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: {error}")


def _check_header(header: list[str]) -> Iterator[str]:
    for number, name in enumerate(header, start=1):
        if not name.strip():
            yield f"line 1: column {number} has no name"
        elif name in header[: number - 1]:
            yield f"line 1: two columns are named {name}"


def _make_cases(dataset: Dataset, rows: list[_Row], problems: list[str], blank_is_answer: bool) -> tuple[Case, ...]:
    known = {column for row in rows for column in row.cells}
    wanted = [*dataset.columns.values()]
    if dataset.expected != Dataset(path="").expected:
        wanted.append(dataset.expected)
    missing = [column for column in wanted if rows and column not in known]
    problems.extend(_describe_missing(column, known) for column in missing)
    lacking = [column for column in dataset.columns.values() if column in known]
    for row in rows:
        problems.extend(
            f"line {row.line}: no value in column {column}" for column in lacking if column not in row.cells
        )
    choose = _column_chooser(dataset)
    answers = [row.cells.get(dataset.expected) for row in rows]
    return tuple(
        Case(number, choose(row.cells), answer if answer or blank_is_answer else None, row.line)
        for number, (row, answer) in enumerate(zip(rows, answers, strict=True), start=1)
    )


def _column_chooser(dataset: Dataset) -> Callable[[dict[str, str]], dict[str, str]]:
    if dataset.columns:
        return lambda cells: {name: cells[column] for name, column in dataset.columns.items() if column in cells}
    return lambda cells: {name: value for name, value in cells.items() if name != dataset.expected}


def _describe_missing(column: str, known: set[str]) -> str:
    near = get_close_matches(column, known, 1)
    guess = f"; did you mean {near[0]}?" if near else "."
    return f"no column {column}{guess} The columns are: {', '.join(sorted(known))}."
