"""SQuAD's published JSON: articles of paragraphs of questions; each question is a row."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from workbench.datasets.readers.json_array import JsonArraySource
from workbench.datasets.readers.json_lines import decode_cells
from workbench.datasets.source import DatasetRow, RowCache, RowError


def is_squad(array: JsonArraySource) -> bool:
    """Whether the first object of a list is such an article."""
    first = next(islice(array.scan(), 1), None)
    return isinstance(first, DatasetRow) and "paragraphs" in first.typed and '"qas"' in first.cells["paragraphs"]


class SquadSource:
    """A source. Columns: those of the question, then `context` of its paragraph and `title` of its article."""

    format = "json"
    unit = "line"
    blank_is_answer = True
    sound = False

    def __init__(self, array: JsonArraySource) -> None:
        self.path = array.path
        self.columns: tuple[str, ...] = ()
        self.remarks: tuple[str, ...] = ("Each question of SQuAD's articles is a row.",)
        self._array = array
        self._cache = RowCache()

    def scan(self) -> Iterator[DatasetRow | RowError]:
        cache = self._cache = RowCache()
        known: dict[str, None] = {}
        for article in self._array.scan():
            for row in [article] if isinstance(article, RowError) else _split_article(article):
                cache.put(row if isinstance(row, DatasetRow) else DatasetRow(row.line, {}))
                if isinstance(row, DatasetRow):
                    known.update(dict.fromkeys(row.cells))
                    self.columns = tuple(known)
                yield row

    def rows(self, start: int, stop: int) -> Iterator[DatasetRow]:
        return self._cache.rows(start, stop)

    def digest(self) -> str:
        return self._array.digest()

    def __len__(self) -> int:
        return len(self._cache)


def _split_article(article: DatasetRow) -> Iterator[DatasetRow | RowError]:
    title = {"title": article.cells["title"]} if "title" in article.cells else {}
    try:
        paragraphs: Any = msgspec.json.decode(article.cells.get("paragraphs", "[]"), type=list[dict[str, msgspec.Raw]])
        for paragraph in paragraphs:
            context = _text(paragraph.get("context"))
            for question in msgspec.json.decode(paragraph.get("qas", b"[]"), type=list[msgspec.Raw]):
                cells, typed = decode_cells(bytes(question))
                yield DatasetRow(article.line, {**cells, **context, **title}, typed)
    except (msgspec.DecodeError, RecursionError) as error:
        yield RowError(article.line, f"paragraphs: {error}")


def _text(raw: msgspec.Raw | None) -> dict[str, str]:
    return {} if raw is None else {"context": msgspec.json.decode(raw, type=str)}
