"""XLSX: a sheet whose first row names the columns; sheets are the parts.

Knows nothing of processes. A formula counts with the value that it had when the file was saved; one that was never
worked out is told of, and so is a cell that holds an error such as #REF!.
"""

from __future__ import annotations

import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

from openpyxl import load_workbook
from openpyxl.utils import get_column_letter, range_boundaries

from workbench.datasets.cell_text import is_text, to_text
from workbench.datasets.native.protocol import FileRow, TableFile, TableReply
from workbench.errors import DatasetError

_MOST_BYTES = 1 << 30  # of all parts, unpacked
_MOST_MERGED = 100_000  # cells
_WIDEST = 16_384  # columns, Excel's own limit
_BLOCK = 1 << 20
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_STRICT = {  # ISO/IEC 29500-1 strict -> transitional, which is what openpyxl knows
    b"http://purl.oclc.org/ooxml/spreadsheetml/main": b"http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    b"http://purl.oclc.org/ooxml/officeDocument/relationships": (
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    ),
    b"http://purl.oclc.org/ooxml/drawingml/main": b"http://schemas.openxmlformats.org/drawingml/2006/main",
    b"http://purl.oclc.org/ooxml/officeDocument/": b"http://schemas.openxmlformats.org/officeDocument/2006/",
}
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")  # ECMA-376, 22.9.2.19: characters that XML cannot hold
_NO_FORMAT = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')  # of a number format, what stands for itself
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*ref="([A-Z]{1,3}[0-9]{1,7}:[A-Z]{1,3}[0-9]{1,7})"')
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s>/]")


class _Cell(NamedTuple):
    text: str | None
    typed: bool = False
    problem: str = ""


class Workbook:
    """One sheet, read from its beginning on."""

    def __init__(self, file: TableFile) -> None:
        self._path = Path(file.paths[0])
        self._stream = _open_archive(self._path)
        self._book = _load(self._stream, data_only=True)
        self._sheets = tuple(sheet.title for sheet in self._book.worksheets)
        self._sheet = file.sheet or (self._sheets[0] if self._sheets else "")
        self._columns: tuple[str, ...] = ()
        self._problems: list[tuple[int, str]] = []
        self._remarks: dict[str, None] = {}
        self._rows: Iterator[FileRow] | None = None
        self._at = 0

    def describe(self) -> TableReply:
        return TableReply(self._columns, parts=self._sheets)

    def read(self, start: int, stop: int) -> TableReply:
        if self._rows is None or start != self._at:
            self._rows, self._at = self._walk(), 0
        kept = []
        for row in self._rows:
            self._at += 1
            if self._at > start:
                kept.append(row)
            if self._at == stop:
                break
        problems, remarks = tuple(self._problems), tuple(self._remarks)
        return TableReply(self._columns, None, tuple(kept), problems=problems, remarks=remarks)

    def _walk(self) -> Iterator[FileRow]:
        self._columns, self._problems, self._remarks = (), [], {}
        if self._sheet not in self._book.sheetnames:
            raise DatasetError(f"has no sheet {self._sheet}", f"It has {', '.join(self._sheets) or 'none'}.")
        sheet = self._book[self._sheet]
        facts = _look_through(self._stream, sheet)
        merged = _Merged(facts.merged)
        if facts.merged:
            ranges = ", ".join(facts.merged[:3]) + (", …" if len(facts.merged) > 3 else "")
            self._remarks[f"Merged cells count in every row and column that they cover: {ranges}."] = None
        for line, cells in enumerate(self._read_cells(sheet, facts.has_formulas), start=1):
            cells = merged.fill(line, cells)
            if not any(cell.text or cell.problem for cell in cells):
                continue
            if self._columns:
                yield self._make_row(line, cells)
            else:
                self._take_header(line, cells)

    def _read_cells(self, sheet: Any, has_formulas: bool) -> Iterator[list[_Cell]]:
        sheet.reset_dimensions()  # some programs write dimensions that are wrong
        if not has_formulas:
            for row in sheet.iter_rows():
                yield [_read_cell(cell) for cell in row[:_WIDEST]]
            return
        written = _load(self._stream, data_only=False)[self._sheet]
        written.reset_dimensions()
        for row, formulas in zip(sheet.iter_rows(), written.iter_rows(), strict=True):
            yield [_read_cell(cell, formula) for cell, formula in zip(row[:_WIDEST], formulas, strict=False)]

    def _take_header(self, line: int, cells: list[_Cell]) -> None:
        texts = [(cell.text or "").strip() for cell in cells]
        while texts and not texts[-1]:
            texts.pop()
        self._columns = tuple(texts)
        for at, name in enumerate(texts):
            if cells[at].problem:
                self._problems.append((line, cells[at].problem))
            elif not name:
                self._problems.append((line, f"column {get_column_letter(at + 1)} has no name"))
            elif name in texts[:at]:
                self._problems.append((line, f"two columns are named {name}"))

    def _make_row(self, line: int, cells: list[_Cell]) -> FileRow:
        width = len(self._columns)
        problem = next((cell.problem for cell in cells[:width] if cell.problem), "")
        beyond = next((at for at, cell in enumerate(cells) if at >= width and cell.text), None)
        if beyond is not None:
            problem = f"cell {get_column_letter(beyond + 1)}{line} stands in a column without a name"
        if problem:
            return FileRow(line, problem=problem)
        held = [(name, cell) for name, cell in zip(self._columns, cells, strict=False) if cell.text is not None]
        typed = frozenset(name for name, cell in held if cell.typed)
        return FileRow(line, {name: cell.text or "" for name, cell in held}, typed)


class _Facts(NamedTuple):
    """What a sheet's XML tells that its cells do not."""

    merged: tuple[str, ...]
    has_formulas: bool


class _Merged:
    """The value of the first cell of a merged range, in every cell that it covers."""

    def __init__(self, ranges: Iterable[str]) -> None:
        self._firsts: dict[tuple[int, int], tuple[int, int]] = {}
        self._values: dict[tuple[int, int], _Cell] = {}
        for one in ranges:
            left, top, right, bottom = range_boundaries(one)
            if (right - left + 1) * (bottom - top + 1) + len(self._firsts) > _MOST_MERGED:
                raise DatasetError("merges too many cells", "Take the merging back and save it again.")
            covered = ((row, column) for row in range(top, bottom + 1) for column in range(left, right + 1))
            self._firsts.update(dict.fromkeys(covered, (top, left)))

    def fill(self, line: int, cells: list[_Cell]) -> list[_Cell]:
        if not self._firsts:
            return cells
        for column in range(1, _WIDEST):
            first = self._firsts.get((line, column))
            if first is None:
                if column > len(cells):
                    break
                continue
            cells = cells + [_Cell(None)] * (column - len(cells))
            if first == (line, column):
                self._values[first] = cells[column - 1]
            else:
                cells[column - 1] = self._values.get(first, _Cell(None))
        return cells


def _read_cell(cell: Any, formula: Any = None) -> _Cell:
    value = cell.value
    if value is None:
        if formula is not None and formula.data_type == "f":
            where = formula.coordinate
            return _Cell(None, problem=f"cell {where} holds a formula that was never worked out; save it in Excel once")
        return _Cell(None)
    if cell.data_type == "e":
        return _Cell(None, problem=f"cell {cell.coordinate} holds the error {value}")
    if isinstance(value, str):
        return _Cell(_ESCAPED.sub(_unescape, value))
    if isinstance(value, datetime) and _is_day(value, cell.number_format):
        value = value.date()
    return _Cell(to_text(value), not is_text(value))


def _unescape(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return match[0] if 0xD800 <= code < 0xE000 else chr(code)


def _is_day(value: datetime, number_format: str) -> bool:
    """Whether a cell shows a day alone: its format has neither hours nor seconds, and it stands at midnight."""
    shown = _NO_FORMAT.sub("", number_format or "").lower()
    return not re.search("[hs]", shown) and value.time() == datetime.min.time()


def _look_through(stream: IO[bytes], sheet: Any) -> _Facts:
    """Read the sheet's XML once as bytes, for what a reader that keeps no sheet in memory passes over."""
    merged: dict[str, None] = {}
    has_formulas = False
    with zipfile.ZipFile(stream) as archive, archive.open(sheet._worksheet_path) as part:
        rest = b""
        while block := part.read(_BLOCK):
            text = rest + block
            has_formulas = has_formulas or _FORMULA.search(text) is not None
            merged.update((found.decode(), None) for found in _MERGED.findall(text))
            rest = text[-200:]
    return _Facts(tuple(merged), has_formulas)


def _load(stream: IO[bytes], data_only: bool) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about charts and styles, which no case has
        return load_workbook(stream, read_only=True, data_only=data_only)


def _open_archive(path: Path) -> IO[bytes]:
    """The file, or a copy of a Strict workbook in the words of a transitional one."""
    with path.open("rb") as stream:
        if stream.read(len(_OLE)) == _OLE:
            raise DatasetError(
                "is no Excel workbook of today: it is an .xls file, or has a password", "Save it as .xlsx without one."
            )
    with zipfile.ZipFile(path) as archive:
        size = sum(part.file_size for part in archive.infolist())
        if size > _MOST_BYTES:
            raise DatasetError(f"unpacks to {size >> 20} MiB", f"At most {_MOST_BYTES >> 20} MiB are read; split it.")
        book = next((part for part in archive.namelist() if part.lower().endswith("xl/workbook.xml")), "")
        if not book or b"purl.oclc.org/ooxml" not in archive.read(book):
            return path.open("rb")
        return _translate(archive)


def _translate(archive: zipfile.ZipFile) -> IO[bytes]:
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the workbook
    with zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as written:
        for part in archive.infolist():
            content = archive.read(part)
            if part.filename.endswith((".xml", ".rels")):
                for strict, transitional in _STRICT.items():
                    content = content.replace(strict, transitional)
            written.writestr(part.filename, content)
    copy.seek(0)
    return copy
