"""Chain: the shards of one dataset, read as one.

Only for files whose rows are known before a scan. What is wrong with a row is told with the name of its shard.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from workbench.evaluation.datasets.source import Fault, Row, Source


class Chain:
    """A source."""

    unit = "row"

    def __init__(self, path: Path, shards: Sequence[Source]) -> None:
        self.path = path
        self.format = shards[0].format
        self.blank_is_answer = shards[0].blank_is_answer
        self.columns = tuple(dict.fromkeys(column for shard in shards for column in shard.columns))
        self.remarks = tuple(dict.fromkeys(remark for shard in shards for remark in shard.remarks))
        self.sound = all(shard.sound for shard in shards)
        self._shards = shards
        self._begins = [0, *accumulate(len(shard) for shard in shards)]

    def scan(self) -> Iterator[Row | Fault]:
        for begin, shard in zip(self._begins, self._shards, strict=False):
            for number, item in enumerate(shard.scan(), start=begin + 1):
                if isinstance(item, Fault):
                    yield item._replace(line=number, message=f"{shard.path.name}, row {item.line}: {item.message}")
                else:
                    yield item._replace(line=number)

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        while start < stop:
            at = bisect_right(self._begins, start) - 1
            begin, end = self._begins[at], min(self._begins[at + 1], stop)
            for number, row in enumerate(self._shards[at].rows(start - begin, end - begin), start=start + 1):
                yield Row(number, row.cells, row.typed)
            start = end

    def digest(self) -> str:
        joined = "".join(shard.digest() for shard in self._shards)
        return hashlib.blake2b(joined.encode(), digest_size=16).hexdigest()

    def __len__(self) -> int:
        return self._begins[-1]
