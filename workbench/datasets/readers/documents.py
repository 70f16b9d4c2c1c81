"""Plain text: a file is one document, the value of the column `text`; a folder of text files has a row for each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from workbench.datasets.file_snapshot import FileSnapshot
from workbench.datasets.registry import FileSplits, reader
from workbench.datasets.source import DatasetRow, RowError
from workbench.datasets.split_names import split_of
from workbench.errors import DatasetError

COLUMN = "text"
SUFFIX = ".txt"
_LARGEST = 1 << 30


class DocumentSource:
    """A source. The documents are read when they are looked at."""

    format = "text"
    unit = "document"
    blank_is_answer = False
    sound = False
    columns = (COLUMN,)
    remarks: tuple[str, ...] = ()

    def __init__(self, path: Path, contents: Sequence[FileSnapshot]) -> None:
        self.path = path
        self._contents = tuple(contents)

    def scan(self) -> Iterator[DatasetRow | RowError]:
        for number, content in enumerate(self._contents, start=1):
            text = content.read(content.begin, content.size)
            try:
                yield _make_row(number, text)
            except UnicodeDecodeError as error:
                line = text.count(b"\n", 0, error.start) + 1
                yield RowError(
                    number, f"{content.path.name}, line {line}: not UTF-8 text (byte {text[error.start]:#04x})"
                )

    def rows(self, start: int, stop: int) -> Iterator[DatasetRow]:
        for index in range(start, stop):
            content = self._contents[index]
            yield _make_row(index + 1, content.read(content.begin, content.size))

    def digest(self) -> str:
        if len(self._contents) == 1:
            return self._contents[0].digest()
        joined = "".join(content.digest() for content in self._contents)
        return hashlib.blake2b(joined.encode(), digest_size=16).hexdigest()

    def __len__(self) -> int:
        return len(self._contents)


def _make_row(number: int, text: bytes) -> DatasetRow:
    return DatasetRow(number, {COLUMN: text.decode().replace("\r\n", "\n")})


def _open(path: Path) -> FileSnapshot:
    content = FileSnapshot(path)
    if content.size > _LARGEST:
        raise DatasetError(f"{path} is larger than {_LARGEST >> 20} MiB.", "Divide it into several files of a folder.")
    return content


@reader("text", SUFFIX)
def open_document(path: Path) -> FileSplits:
    return FileSplits.whole(DocumentSource(path, (_open(path),)))


@reader("documents")
def open_documents(path: Path) -> FileSplits | None:
    """A folder in which nothing but text files lies, none of them named like a split; None for any other."""
    files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    if len(files) < 2 or any(file.suffix.lower() != SUFFIX or split_of(file) for file in files):
        return None
    return FileSplits.whole(DocumentSource(path, tuple(map(_open, files))))
