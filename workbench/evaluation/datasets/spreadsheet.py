"""XLSX: a sheet whose first row names the columns; sheets are splits.

Read once from beginning to end into a spool, for a sheet cannot be read from the middle. A formula counts with the
value that it had when the file was saved.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from workbench.errors import DatasetError
from workbench.evaluation.datasets.content import Content
from workbench.evaluation.datasets.source import Fault, Row
from workbench.evaluation.datasets.spool import Spool
from workbench.evaluation.datasets.values import to_text


class Spreadsheet:
    """A source."""

    format = "xlsx"
    unit = "row"
    blank_is_answer = True
    sound = False

    def __init__(self, path: Path, sheet: str) -> None:
        self.path = path
        self.columns: tuple[str, ...] = ()
        self._sheet = sheet
        self._spool = Spool()

    def scan(self) -> Iterator[Row | Fault]:
        self._spool = Spool()
        self.columns = ()
        book = _open(self.path)
        try:
            for line, values in enumerate(_read_values(self.path, book[self._sheet]), start=1):
                texts = [to_text(value) for value in values]
                if not any(texts):
                    continue
                if not self.columns:
                    header = _trim(texts)
                    self.columns = tuple(text or "" for text in header)
                    yield from _check_header(line, self.columns)
                    continue
                row = self._read(line, texts)
                self._spool.put(row if isinstance(row, Row) else Row(line, {}))
                yield row
        finally:
            book.close()

    def _read(self, line: int, texts: list[str | None]) -> Row | Fault:
        from openpyxl.utils import get_column_letter

        width = len(self.columns)
        beyond = next((at for at, text in enumerate(texts) if at >= width and text), None)
        if beyond is not None:
            return Fault(line, f"cell {get_column_letter(beyond + 1)}{line} stands in a column without a name")
        return Row(line, {name: text for name, text in zip(self.columns, texts, strict=False) if text is not None})

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        return self._spool.rows(start, stop)

    def digest(self) -> str:
        return Content(self.path).digest()

    def __len__(self) -> int:
        return len(self._spool)


def list_sheets(path: Path) -> tuple[str, ...]:
    """The names of the sheets. Raises DatasetError when the file is no workbook."""
    book = _open(path)
    try:
        return tuple(sheet.title for sheet in book.worksheets)
    finally:
        book.close()


def _open(path: Path) -> Any:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    Content(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about charts and styles, which no case has
            return load_workbook(path, read_only=True, data_only=True)
    except (OSError, zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, TypeError, ParseError) as error:
        raise DatasetError(
            f"{path} is no Excel workbook: {error}.", "Save it as .xlsx or .csv and open it again."
        ) from error


def _read_values(path: Path, sheet: Any) -> Iterator[tuple[Any, ...]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sheet.reset_dimensions()  # some programs write dimensions that are wrong
            yield from sheet.iter_rows(values_only=True)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError, ParseError) as error:
        raise DatasetError(f"{path} breaks off: {error}.", "Save it anew and open it again.") from error


def _trim(texts: list[str | None]) -> list[str | None]:
    while texts and not texts[-1]:
        texts = texts[:-1]
    return texts


def _check_header(line: int, header: tuple[str, ...]) -> Iterator[Fault]:
    from openpyxl.utils import get_column_letter

    for number, name in enumerate(header, start=1):
        if not name.strip():
            yield Fault(line, f"column {get_column_letter(number)} has no name", whole=True)
        elif name in header[: number - 1]:
            yield Fault(line, f"two columns are named {name}", whole=True)
