"""SQuAD: the published JSON files, in which questions stand in paragraphs and these in articles; a row a question.

Knows nothing of what the columns mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from workbench.evaluation.datasets.json_array import JsonArray
from workbench.evaluation.datasets.json_lines import decode_cells
from workbench.evaluation.datasets.source import Fault, Row
from workbench.evaluation.datasets.spool import Spool


def is_squad(array: JsonArray) -> bool:
    """Whether the first object of a list is such an article."""
    first = next(islice(array.scan(), 1), None)
    return isinstance(first, Row) and "paragraphs" in first.typed and '"qas"' in first.cells["paragraphs"]


class Squad:
    """A source. Columns: those of the question, then `context` of its paragraph and `title` of its article."""

    format = "json"
    unit = "line"
    blank_is_answer = True
    sound = False

    def __init__(self, array: JsonArray) -> None:
        self.path = array.path
        self.columns: tuple[str, ...] = ()
        self.remarks: tuple[str, ...] = ("Each question of SQuAD's articles is a row.",)
        self._array = array
        self._spool = Spool()

    def scan(self) -> Iterator[Row | Fault]:
        spool = self._spool = Spool()
        known: dict[str, None] = {}
        for article in self._array.scan():
            for row in [article] if isinstance(article, Fault) else _take_apart(article):
                spool.put(row if isinstance(row, Row) else Row(row.line, {}))
                if isinstance(row, Row):
                    known.update(dict.fromkeys(row.cells))
                    self.columns = tuple(known)
                yield row

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        return self._spool.rows(start, stop)

    def digest(self) -> str:
        return self._array.digest()

    def __len__(self) -> int:
        return len(self._spool)


def _take_apart(article: Row) -> Iterator[Row | Fault]:
    title = {"title": article.cells["title"]} if "title" in article.cells else {}
    try:
        paragraphs: Any = msgspec.json.decode(article.cells.get("paragraphs", "[]"), type=list[dict[str, msgspec.Raw]])
        for paragraph in paragraphs:
            context = _text(paragraph.get("context"))
            for question in msgspec.json.decode(paragraph.get("qas", b"[]"), type=list[msgspec.Raw]):
                cells, typed = decode_cells(bytes(question))
                yield Row(article.line, {**cells, **context, **title}, typed)
    except (msgspec.DecodeError, RecursionError) as error:
        yield Fault(article.line, f"paragraphs: {error}")


def _text(raw: msgspec.Raw | None) -> dict[str, str]:
    return {} if raw is None else {"context": msgspec.json.decode(raw, type=str)}
