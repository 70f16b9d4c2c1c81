"""Under which keys an answer is kept, and which kept answer serves a question.

An answer that ended by itself is the same under every limit that it fits into, so it is kept without its limit: after
`max_tokens` was raised, only the answers that were cut off are made again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from workbench.errors import WorkbenchError
from workbench.inference.types import Completion
from workbench.store.cell_records import StoredCompletion
from workbench.store.cells import find_completions, read_lengths
from workbench.store.store import Store

_BY_ITSELF = ("eos", "stop")
_AT_A_LIMIT = ("length",)


class AnswerKeys(NamedTuple):
    """Digests of everything that determines an answer. complete: but for the limit, under which answers that ended by
    themselves are kept; limited: with it, for those that were cut off. limit: max_tokens."""

    complete: bytes
    limited: bytes
    limit: int

    def cache_key(self, done: Completion) -> bytes | None:
        """The key under which later questions may find an answer; None where none may.

        One whose length a server did not tell is only for those with the same limit.
        """
        if done.stop_reason in _BY_ITSELF and is_counted(done):
            return self.complete
        return self.limited if done.stop_reason in (*_BY_ITSELF, *_AT_A_LIMIT) else None


class CachedAnswers:
    """Answers that the stores have. Cells that ask in the same turn of the event loop are answered by one query."""

    def __init__(self, store: Store, *others: Store) -> None:
        """store: of the run. others: whose answers are taken too."""
        self._stores = (store, *others)
        self._asked: list[tuple[AnswerKeys, asyncio.Future[StoredCompletion | None]]] = []

    async def find(self, keys: AnswerKeys) -> StoredCompletion | None:
        """The answer that is known already: it ended by itself within the limit, or was cut off at the same one."""
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._look)
        future: asyncio.Future[StoredCompletion | None] = loop.create_future()
        self._asked.append((keys, future))
        return await future

    def _look(self) -> None:
        asked, self._asked = self._asked, []
        waiting = [(keys, future) for keys, future in asked if not future.done()]  # a cancelled cell waits no longer
        digests = {digest for keys, _ in waiting for digest in (keys.complete, keys.limited)}
        try:
            known = _find_in_all(self._stores, digests)
        except WorkbenchError as error:
            for _, future in waiting:
                future.set_exception(error)
            return
        for keys, future in waiting:
            future.set_result(_choose(keys, known))


def _find_in_all(stores: Sequence[Store], digests: set[bytes]) -> dict[bytes, StoredCompletion]:
    """By digest, the completion of the first store that has one; what another than the first has, is not in the run's
    own store yet, so that it is written there with its cell."""
    found: dict[bytes, StoredCompletion] = {}
    for at, store in enumerate(stores):
        for digest, one in find_completions(store, list(digests - found.keys())).items():
            found[digest] = msgspec.structs.replace(one, key=0) if at else one
    return found


def _choose(keys: AnswerKeys, known: Mapping[bytes, StoredCompletion]) -> StoredCompletion | None:
    first = known.get(keys.complete)
    fits = first is not None and is_counted(first.completion) and first.completion.output_tokens <= keys.limit
    return first if fits else known.get(keys.limited)


def is_counted(done: Completion) -> bool:
    """Whether it is known how long an answer is."""
    return done.server is None or done.server.counted


def count_cached(stores: Sequence[Store], keys: Sequence[AnswerKeys]) -> int:
    """How many questions have an answer that one of the stores knows already."""
    digests = list({digest for one in keys for digest in (one.complete, one.limited)})
    lengths: dict[bytes, int] = {}
    for store in reversed(stores):
        lengths.update(read_lengths(store, digests))
    return sum(
        any(lengths.get(digest, one.limit + 1) <= one.limit for digest in (one.complete, one.limited)) for one in keys
    )
