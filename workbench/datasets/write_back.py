"""Adds a case to a file or changes one in it, shown as a diff first; all other rows stay byte for byte.

Knows JSON lines, JSON, CSV and TSV; datasets of other formats are copied to JSON lines first.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from workbench import files
from workbench.datasets.cases import Cases, load_cases
from workbench.datasets.file_snapshot import FileSnapshot
from workbench.datasets.json_edit import encode_like, find_members, set_values
from workbench.datasets.readers.csv_dialect import CsvDialect
from workbench.datasets.readers.delimited import DelimitedSource
from workbench.datasets.readers.json_array import JsonArraySource
from workbench.datasets.readers.json_lines import JsonLinesSource
from workbench.datasets.source import RowSource
from workbench.datasets.spec import Dataset
from workbench.errors import DatasetError

_CONTEXT = 3
_CONTEXT_BYTES = 64 << 10  # bytes before and after a change in which its context lines are looked for


class CaseEdit(msgspec.Struct, frozen=True):
    """A change that is not written yet.

    number: the case it is about. digest: the file as it was. before, after: the changed bytes, at `start`; `lead` and
    `trail` are what stands around them, `line` the line that `lead` begins on.
    """

    path: Path
    number: int
    digest: str
    start: int
    before: bytes
    after: bytes
    lead: bytes
    trail: bytes
    line: int

    def preview(self) -> str:
        """The change as a unified diff."""
        old = _split(self.lead + self.before + self.trail)
        new = _split(self.lead + self.after + self.trail)
        name = str(self.path)
        lines = difflib.unified_diff(old, new, name, name, n=_CONTEXT)
        return "".join(_shift(line, self.line - 1) for line in lines)

    def apply(self) -> str:
        """Write it; the new digest. Raises FileChangedError when the file changed since, FileError when it cannot be
        written; the old content is then still there."""
        content = FileSnapshot(self.path).read_all()
        stop = self.start + len(self.before)
        text = _decode(self.path, content[: self.start] + self.after + content[stop:])
        files.write_text(self.path, text, self.digest)
        return files.digest_text(text)


def add_case(
    dataset: Dataset, folder: Path, variables: Mapping[str, str], expected: str | None, like: int | None = None
) -> CaseEdit:
    """A further row at the end of the dataset's file.

    like: the number of the case whose other columns and turns are taken over, but not its ids.
    Raises DatasetError when the file is of a format that is not written back, or has no column for a variable.
    """
    cases = _open(dataset, folder)
    editor = _edit(cases)
    template = editor.cells(like - 1) if like else {}
    kept = {column: text for column, text in template.items() if not _is_identifier(column)}
    changes = {**kept, **cases.mapper.write(variables, expected, template)}
    _refuse_unknown(cases, changes)
    return editor.added(changes)


def change_case(
    dataset: Dataset,
    folder: Path,
    number: int,
    variables: Mapping[str, str] | None = None,
    expected: str | None = None,
) -> CaseEdit:
    """A row with other values.

    variables: those that change; expected: the answer from now on, None where it stays.
    Raises DatasetError as `add_case` does, and when there is no such case.
    """
    cases = _open(dataset, folder)
    if cases.find(number) is None:
        raise DatasetError(f"{cases.path} has no case {number}.", "Open it again.")
    editor = _edit(cases)
    changes = cases.mapper.write(variables or {}, expected, editor.cells(number - 1))
    _refuse_unknown(cases, changes)
    return editor.changed(number - 1, changes)


def copy_as_json_lines(dataset: Dataset, folder: Path, path: Path) -> Path:
    """Write every row that the dataset means into a new JSON lines file, which can then be edited.

    Raises FileChangedError when a file of that name is there already.
    """
    cases = load_cases(dataset, folder)
    rows = (
        {name: msgspec.Raw(text.encode()) if name in row.typed else text for name, text in row.cells.items()}
        for row in cases.rows()
    )
    files.write_text(path, "".join(msgspec.json.encode(row).decode() + "\n" for row in rows), "")
    return path


def _open(dataset: Dataset, folder: Path) -> Cases:
    return load_cases(msgspec.structs.replace(dataset, where={}, sample=None, limit=None), folder)


def _edit(cases: Cases) -> _JsonLinesEditor | _JsonArrayEditor | _DelimitedEditor:
    source = cases.source
    if isinstance(source, JsonLinesSource):
        return _JsonLinesEditor(source)
    if isinstance(source, JsonArraySource):
        return _JsonArrayEditor(source)
    if isinstance(source, DelimitedSource):
        return _DelimitedEditor(source)
    beside = cases.path.with_suffix(".jsonl").name
    raise DatasetError(
        f"Cases of a {cases.format} dataset are not written back: {cases.path}.",
        f"Write a copy as JSON lines beside it, such as {beside}, and change that.",
    )


def _refuse_unknown(cases: Cases, changes: Mapping[str, str]) -> None:
    """A file with a header has room for its own columns only."""
    unknown = [column for column in changes if column not in cases.columns]
    if isinstance(cases.source, DelimitedSource) and unknown:
        raise DatasetError(
            f"{cases.path} has no column {' or '.join(unknown)}.", "Add it to the first line and to every row first."
        )


class _JsonLinesEditor:
    def __init__(self, source: JsonLinesSource) -> None:
        self._source = source

    def cells(self, row: int) -> dict[str, str]:
        return _cells(self._source, row)

    def changed(self, row: int, changes: Mapping[str, str]) -> CaseEdit:
        content = self._source.content
        start, stop = self._source.extent(row)
        text = content.read(start, stop).rstrip().decode()
        return _make_edit(content, row + 1, start, text.encode(), _set(text, changes).encode())

    def added(self, changes: Mapping[str, str]) -> CaseEdit:
        content, last = self._source.content, len(self._source) - 1
        text = content.read(*self._source.extent(last)).rstrip().decode()
        ending = _line_ending(content)
        end = content.read(max(0, content.size - 1), content.size)
        line = _like(text, changes).encode()
        return _make_edit(content, last + 2, content.size, b"", (b"" if end == b"\n" else ending) + line + ending)


class _JsonArrayEditor:
    def __init__(self, source: JsonArraySource) -> None:
        self._source = source

    def cells(self, row: int) -> dict[str, str]:
        return _cells(self._source, row)

    def changed(self, row: int, changes: Mapping[str, str]) -> CaseEdit:
        start, stop = self._source.extent(row)
        text = self._source.content.read(start, stop)
        return _make_edit(self._source.content, row + 1, start, text, _set(text.decode(), changes).encode())

    def added(self, changes: Mapping[str, str]) -> CaseEdit:
        content, last = self._source.content, len(self._source) - 1
        start, stop = self._source.extent(last)
        before = content.read(self._source.extent(last - 1)[1] if last else self._source.begin, start)
        gap = before.lstrip(b"[,") if before.strip(b" \t\r\n,[") == b"" else b" "
        text = _like(content.read(start, stop).decode(), changes)
        return _make_edit(content, last + 2, stop, b"", b"," + (gap or b" ") + text.encode())


class _DelimitedEditor:
    def __init__(self, source: DelimitedSource) -> None:
        self._source = source

    def cells(self, row: int) -> dict[str, str]:
        return _cells(self._source, row)

    def changed(self, row: int, changes: Mapping[str, str]) -> CaseEdit:
        content = self._source.content
        start, stop = self._source.extent(row)
        text = _first_row(content.read(start, stop).decode(), self._source.dialect)
        body = text.rstrip("\r\n")
        new = self._row({**self.cells(row), **changes})
        return _make_edit(content, row + 1, start, body.encode(), new.encode())

    def added(self, changes: Mapping[str, str]) -> CaseEdit:
        content, last = self._source.content, len(self._source) - 1
        ending = _line_ending(content)
        end = content.read(max(0, content.size - 1), content.size)
        line = self._row(changes).encode()
        return _make_edit(content, last + 2, content.size, b"", (b"" if end in b"\r\n" else ending) + line + ending)

    def _row(self, cells: Mapping[str, str]) -> str:
        columns = self._source.columns
        header = self._source.content.read(self._source.content.begin, self._source.extent(0)[0]).decode().strip()
        all_quoted = header == self._write(columns, csv.QUOTE_ALL)
        values = [cells.get(column, "") for column in columns]
        return self._write(values, csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL)

    def _write(self, values: Sequence[str], quoting: Literal[0, 1]) -> str:
        stream = io.StringIO(newline="")
        dialect = self._source.dialect
        csv.writer(
            stream,
            quoting=quoting,
            lineterminator="\r\n",
            doublequote=not dialect.has_escapes,
            **dialect.format,
        ).writerow(values)
        return stream.getvalue().removesuffix("\r\n")


def _cells(source: RowSource, row: int) -> dict[str, str]:
    return next(iter(source.rows(row, row + 1))).cells


def _set(text: str, changes: Mapping[str, str]) -> str:
    held = {member.key: text[member.start : member.stop] for member in find_members(text)}
    return set_values(text, {column: encode_like(value, held.get(column)) for column, value in changes.items()})


def _like(text: str, changes: Mapping[str, str]) -> str:
    """A new object, written the way another one is."""
    held = {member.key: text[member.start : member.stop] for member in find_members(text)}
    order = [*(key for key in held if key in changes), *(key for key in changes if key not in held)]
    values = [(json.dumps(key, ensure_ascii=False), encode_like(changes[key], held.get(key))) for key in order]
    if "\n" in text:
        inner = re.match(r"\{(\s*)", text)
        outer = re.search(r"(\s*)\}$", text)
        gap, close = (inner[1] if inner else "\n"), (outer[1] if outer else "\n")
        return "{" + gap + f",{gap}".join(f"{key}: {value}" for key, value in values) + close + "}"
    tight = re.match(r'\{\s*"(?:[^"\\]|\\.)*":\S', text) is not None
    return "{" + ("," if tight else ", ").join(f"{key}{':' if tight else ': '}{value}" for key, value in values) + "}"


def _make_edit(content: FileSnapshot, number: int, start: int, before: bytes, after: bytes) -> CaseEdit:
    """The edit, with the whole lines around it."""
    stop = start + len(before)
    lead = content.read(max(content.begin, start - _CONTEXT_BYTES), start)
    lines = lead.split(b"\n")
    lead = b"\n".join(lines[-_CONTEXT - 1 :])
    trail = b"".join(content.read(stop, stop + _CONTEXT_BYTES).splitlines(keepends=True)[: _CONTEXT + 1])
    line = 1 + content.count(b"\n", start - len(lead))
    return CaseEdit(content.path, number, content.digest(), start, before, after, lead, trail, line)


def _first_row(text: str, dialect: CsvDialect) -> str:
    """The text of the first row of several lines, with the end of its line."""
    taken: list[str] = []

    def feed() -> Iterable[str]:
        for line in io.StringIO(text, newline=""):
            taken.append(line)
            yield line

    next(csv.reader(feed(), **dialect.format))
    return "".join(taken)


def _line_ending(content: FileSnapshot) -> bytes:
    first = next(content.lines(content.begin), b"\n")
    return b"\r\n" if first.endswith(b"\r\n") else b"\n"


def _is_identifier(column: str) -> bool:
    return column.lower() in ("id", "uid", "uuid", "guid", "index", "idx")


def _split(content: bytes) -> list[str]:
    lines = content.decode(errors="replace").split("\n")
    message = [f"{line}\n" for line in lines[:-1]]
    return [*message, *([f"{lines[-1]}\n"] if lines[-1] else [])]


def _shift(line: str, by: int) -> str:
    found = re.match(r"@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@", line)
    if not found:
        return line
    return f"@@ -{int(found[1]) + by}{found[2] or ''} +{int(found[3]) + by}{found[4] or ''} @@\n"


def _decode(path: Path, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not UTF-8 text everywhere.", "Convert it to UTF-8 first.") from error
